import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { after, before, test } from 'node:test';
import { readConfig } from '../src/config.ts';
import { Refusal } from '../src/errors.ts';
import { SqliteStore } from '../src/store/sqlite/store.ts';
import { type ByteSocket, openSocket } from './support/byte-socket.ts';
import { type Any, type Client, signIn } from './support/client.ts';
import { UNLIMITED } from './support/load.ts';
import { hasProc, memory } from './support/processes.ts';
import { assertRefused } from './support/refusals.ts';
import { startServer, type TestServer, temporaryDir } from './support/server.ts';

let server: TestServer;

before(async () => {
	server = await startServer(UNLIMITED);
});
after(() => server.stop());

/** Asks for an export and hands out the answer once its head is there. */
function beginExport({ url }: TestServer, client: Client): Promise<IncomingMessage> {
	return new Promise((resolve, reject) => {
		const headers = { authorization: `Bearer ${client.key}` };
		request(`${url}/v1/_export`, { headers, agent: false }, resolve).on('error', reject).end();
	});
}

/** Reads an export without keeping it. @returns how many bytes it had and how it ended. */
async function drain(response: IncomingMessage): Promise<{ bytes: number; end: string }> {
	let bytes = 0;
	let end = '';
	for await (const chunk of response) {
		bytes += (chunk as Buffer).length;
		end = (end + (chunk as Buffer).subarray(-10).toString()).slice(-10);
	}
	return { bytes, end };
}

async function addRows(client: Client, table: string, rows: readonly object[]): Promise<void> {
	for (let i = 0; i < rows.length; i += 100) {
		const operations = rows.slice(i, i + 100).map((row) => ({ action: 'add', row }));
		const answer = await client.post(`/v1/${table}/batch`, { operations });
		assert.equal(answer.status, 200, answer.text);
	}
}

test('[3.6] [1.9] an export of nothing is no table, and HEAD of an export is its head', async () => {
	const ada = await signIn(server);
	const empty = await ada.get('/v1/_export');
	assert.equal(empty.status, 200);
	assert.deepEqual(empty.body, { tables: {} });
	const row = await ada.add('one', { a: 1 });
	const gone = await ada.add('gone', { a: 1 });
	await ada.del('/v1/gone', { filter: { id: gone.id } });
	// More than the exports that may run at once: none may be left behind.
	for (let i = 0; i < 10; i++) {
		const head = await ada.call('HEAD', '/v1/_export');
		assert.equal(head.status, 200);
		assert.equal(head.text, '');
		assert.match(head.headers.get('content-type')!, /^application\/json/);
	}
	assert.deepEqual((await ada.get('/v1/_export')).body, { tables: { one: [row] } });
});

/** An export that is begun and then not read on. */
async function stalledExport(client: Client): Promise<ByteSocket> {
	const socket = await openSocket(server.url);
	socket.write(`GET /v1/_export HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${client.key}\r\n\r\n`);
	await socket.until(/"big":/);
	socket.pause();
	return socket;
}

test('[1.2] [8.2] slow exports and clients that go away in the middle of theirs block nobody', async () => {
	const [ada, bob] = [await signIn(server), await signIn(server)];
	const rows = Array.from({ length: 300 }, (_, n) => ({ n, pad: 'x'.repeat(50_000) }));
	await addRows(ada, 'big', rows);
	const row = await bob.add('notes', { a: 1 });
	for (let round = 0; round < 20; round++) {
		const stalled = await stalledExport(ada);
		assert.deepEqual((await bob.get('/v1/_export')).body, { tables: { notes: [row] } });
		await bob.add('other', { round });
		await bob.del('/v1/other', { filter: { round } });
		stalled.destroy();
	}
	const { bytes, end } = await drain(await beginExport(server, ada));
	assert.ok(bytes > 15_000_000, String(bytes));
	assert.match(end, /\}\]\}\}$/);
});

test('[1.2] an export that has to wait too long is told so before it begins', async () => {
	const [ada, bob] = [await signIn(server), await signIn(server)];
	await addRows(ada, 'big', Array(300).fill({ pad: 'x'.repeat(50_000) }));
	const stalled = await stalledExport(ada);
	const waiting = ada.get('/v1/_export');
	assert.equal((await bob.get('/v1/_export')).status, 200);
	const refused = await waiting;
	assertRefused(refused, 503, 'overloaded');
	assert.match(refused.headers.get('retry-after')!, /^\d+$/);
	const next = beginExport(server, ada);
	stalled.destroy();
	const { end } = await drain(await next);
	assert.match(end, /\}\]\}\}$/);
});

test('[1.2] as many exports are read at once as there are places for, each of another account', async () => {
	const faults: string[] = [];
	const store = await SqliteStore.open({
		dataDir: temporaryDir(),
		limits: readConfig({}, {}).limits,
		clock: Date.now,
		onFault: (message, cause) => faults.push(`${message} ${cause}`),
		onFatal: () => faults.push('fatal'),
	});
	try {
		const open = await Promise.all(Array.from({ length: 16 }, (_, n) => store.read.export(`account_${n}`)));
		const refused = await store.read.export('one_more').catch((error: unknown) => error);
		assert.ok(refused instanceof Refusal && refused.code === 'overloaded', String(refused));
		const next = store.read.export('one_more');
		open[7]!.close();
		open[7]!.close();
		open.push(await next);
		for (const pieces of open) pieces.close();
		// A place that is not read from is given back too.
		for (let n = 0; n < 40; n++) (await store.read.export('again')).close();
	} finally {
		await store.close();
	}
	assert.deepEqual(faults, []);
});

test('[2.2] [3.3] an export of 20 tables has every row as a query answers it, in order', async () => {
	const ada = await signIn(server);
	const names = Array.from({ length: 20 }, (_, i) => `table_${String.fromCharCode(97 + i)}`);
	for (const name of names.toReversed()) {
		const rows = Array.from({ length: 1000 }, (_, n) => ({ n, text: `${name} ü ${n}`, list: [n, { deep: null }] }));
		await addRows(ada, name, rows);
	}
	const { body } = await ada.get('/v1/_export');
	assert.deepEqual(Object.keys(body.tables), names);
	for (const name of names) assert.deepEqual(body.tables[name], await ada.rows(name), name);
});

interface Counters {
	/** The same number in the first and the last row of one table. */
	readonly pair: readonly string[];
	readonly first: string;
	readonly last: string;
}

/** Counters in the first and the last table of an export, and a pair of them in one table between. */
async function makeCounters(ada: Client): Promise<Counters> {
	const first = await ada.add('a_first', { n: 0 });
	const last = await ada.add('z_last', { n: 0 });
	const head = await ada.add('m_pair', { n: 0, pair: true });
	await addRows(ada, 'm_pair', Array(998).fill({ pad: 'x'.repeat(200) }));
	const tail = await ada.add('m_pair', { n: 0, pair: true });
	return { pair: [head.id, tail.id], first: first.id, last: last.id };
}

async function count(ada: Client, { pair, first, last }: Counters, goOn: () => boolean): Promise<number> {
	let n = 0;
	while (goOn()) {
		const patch = { n: ++n };
		await ada.post('/v1/a_first/update_row', { id: first, patch });
		await ada.post('/v1/m_pair/batch', { operations: pair.map((id) => ({ action: 'update_row', id, patch })) });
		await ada.post('/v1/z_last/update_row', { id: last, patch });
	}
	return n;
}

test('[8.1] [4.6] an export is of one moment while writes go on, and shows no half batch', async (t) => {
	const ada = await signIn(server);
	for (let i = 0; i < 15; i++) await addRows(ada, `filler_${i}`, Array(400).fill({ pad: 'x'.repeat(500) }));
	const counters = await makeCounters(ada);
	const seen = new Set<number>();
	let goOn = true;
	const counting = count(ada, counters, () => goOn);
	try {
		for (let i = 0; i < 40; i++) {
			const { tables } = (await ada.get('/v1/_export')).body as Any;
			const [a, z] = [tables.a_first[0].n, tables.z_last[0].n];
			const [m, same] = tables.m_pair.filter((row: Any) => row.pair).map((row: Any) => row.n);
			seen.add(a);
			assert.equal(same, m, 'half a batch is in the export');
			// Written in this order, one after the other: at any one moment the later ones are at most one behind.
			assert.ok(a - m >= 0 && m - z >= 0 && a - z <= 1, `the tables are of several moments: ${a} ${m} ${z}`);
		}
	} finally {
		goOn = false;
		await counting;
	}
	t.diagnostic(`40 exports showed ${seen.size} moments of ${await counting} rounds of writes`);
	assert.ok(seen.size > 3, 'writes went on between the exports');
});

test('[1.2] a great export is streamed: the server holds little of it', async (t) => {
	if (!hasProc()) {
		t.skip('there is no /proc to read the memory of the server from');
		return;
	}
	const big = await startServer(UNLIMITED);
	try {
		const clients = await Promise.all(Array.from({ length: 3 }, () => signIn(big)));
		const [ada] = clients as [Client];
		const pad = 'x'.repeat(65_000);
		for (const client of clients)
			for (const table of ['first', 'second']) await addRows(client, table, Array(1000).fill({ pad }));
		const before = memory(big.process.pid!).peak;
		const begun = await Promise.all(clients.map((client) => beginExport(big, client)));
		const calm = await ada.add('calm', { a: 1 });
		assert.deepEqual(await ada.rows('calm'), [calm]);
		for (const { bytes, end } of await Promise.all(begun.map(drain))) {
			assert.ok(bytes > 2 * 65_000_000, String(bytes));
			assert.match(end, /\}\]\}\}$/);
		}
		const { peak } = memory(big.process.pid!);
		t.diagnostic(`three exports of 130 MB: ${before} MiB before, at most ${peak} MiB`);
		// Half of what the three exports would take if they were put together first.
		assert.ok(peak - before < 195, `the server grew from ${before} to ${peak} MiB`);
	} finally {
		await big.stop();
	}
});
