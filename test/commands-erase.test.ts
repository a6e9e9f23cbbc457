import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openSocket } from './support/byte-socket.ts';
import { type Client, clientWith, codeOf, send, signIn } from './support/client.ts';
import { filesHolding, queryDatabase } from './support/data-dir.ts';
import { UNLIMITED } from './support/load.ts';
import { runPumadb, startServer, type TestServer } from './support/server.ts';

/** Erasing an account and purging a row: what the operator removes is gone, down to the bytes on disk. */

let server: TestServer;
let bystander: Client;
let kept: unknown;

before(async () => {
	server = await startServer(UNLIMITED);
	bystander = await signIn(server);
	kept = await bystander.add('notes', { mine: true });
});
after(() => server.stop());
// A test that failed while the server was stopped fails alone.
beforeEach(async () => {
	if (server.process.exitCode !== null || server.process.signalCode !== null) await restart();
});

const GONE_DEADLINE_MS = 15_000;
let words = 0;

/** A word that stands nowhere else; short enough to stand as it is in an index. */
function newWord(): string {
	return `secret${process.pid}x${++words}`;
}

function erase(account: string, dataDir = server.dataDir): ReturnType<typeof runPumadb> {
	return runPumadb(['accounts', 'delete', '--account', account, '--data-dir', dataDir]);
}

function purge(client: Client, table: string, id: string): ReturnType<typeof runPumadb> {
	const args = ['--account', client.email, '--table', table, '--id', id, '--data-dir', server.dataDir];
	return runPumadb(['rows', 'purge', ...args]);
}

async function assertSound(): Promise<void> {
	const { code, err } = await runPumadb(['check', '--data-dir', server.dataDir]);
	assert.equal(code, 0, err);
}

/** Waits until no file of the data directory holds the text. */
async function assertGone(text: string): Promise<void> {
	let holding = filesHolding(server.dataDir, text);
	for (const end = Date.now() + GONE_DEADLINE_MS; holding.length > 0 && Date.now() < end; ) {
		await pause(100);
		holding = filesHolding(server.dataDir, text);
	}
	assert.deepEqual(holding, [], `${text} is still on disk`);
}

async function restart(): Promise<void> {
	server = await startServer(UNLIMITED, server.dataDir);
	bystander = clientWith(server, bystander.key, bystander.accountId, bystander.email);
}

async function assertBystander(): Promise<void> {
	assert.deepEqual(await bystander.rows('notes'), [kept]);
}

/** An account that has the word wherever an account can have one. */
async function fullAccount(word: string): Promise<Client> {
	const client = await signIn(server, `${word}@example.com`);
	const table = `t_${word}`;
	const rows = Array.from({ length: 120 }, (_, n) => ({ action: 'add', row: { n, [word]: `${word}-${n % 3}` } }));
	for (let i = 0; i < 120; i += 60) {
		await client.post(`/v1/${table}/batch`, { operations: rows.slice(i, i + 60) });
	}
	const first = (await client.post(`/v1/${table}`, { text: word }, { 'idempotency-key': `key-${word}` })).body;
	await client.post(`/v1/${table}/update_row`, { id: first.id, patch: { text: `${word} again` } });
	await client.del(`/v1/${table}`, { filter: { n: 7 } });
	await client.add(`empty_${word}`, { text: word });
	await client.del(`/v1/empty_${word}`, { filter: { text: word } });
	await client.post('/v1/_keys', { name: `name ${word}` });
	await send(server.url, 'POST', '/auth/magic-link', { json: { email: client.email } });
	// Built in the background, for the first filter that wants it; its entries hold the values themselves.
	const ready = `SELECT 1 FROM member_indexes WHERE state = 'ready' AND members = '["${word}"]'`;
	while (queryDatabase(server.dataDir, ready).length === 0)
		await client.rows(table, { filter: { [word]: `${word}-1` } });
	assert.ok(filesHolding(server.dataDir, word).length > 0);
	return client;
}

for (const running of [true, false]) {
	test(`[6.10] accounts delete, with the server ${running ? 'running' : 'stopped'}, leaves nothing of the account`, async () => {
		const word = newWord();
		const client = await fullAccount(word);
		const path = `/v1/t_${word}`;
		assert.equal((await client.get(path)).status, 200);
		if (!running) await server.stop();
		const { code, out, err } = await erase(running ? client.email : client.accountId);
		assert.equal(code, 0, err);
		assert.ok(out.includes(client.accountId), out);
		assert.match(out, /nothing is left/);
		assert.deepEqual(filesHolding(server.dataDir, word), []);
		if (!running) await restart();
		const again = clientWith(server, client.key);
		for (const answer of [await again.get(path), await again.post(path, { a: 1 }), await again.get('/v1/_keys')]) {
			assert.equal(`${answer.status} ${codeOf(answer)}`, '401 invalid_api_key');
		}
		await assertGone(word);
		await assertSound();
		await assertBystander();
		const anew = await signIn(server, client.email);
		assert.notEqual(anew.accountId, client.accountId);
		assert.deepEqual((await anew.get('/v1/_export')).body, { tables: {} });
		assert.equal((await anew.get('/v1/_keys')).body.keys.length, 1);
	});
}

test('[6.10] a magic link that was sent before its account was erased is dead', async () => {
	const client = await signIn(server);
	const asked = await send(server.url, 'POST', '/auth/magic-link', { json: { email: client.email } });
	const token = new URL(asked.body.dev_magic_link).searchParams.get('token');
	assert.equal((await erase(client.email)).code, 0);
	const verified = await send(server.url, 'POST', '/auth/verify', { json: { token } });
	assert.equal(`${verified.status} ${codeOf(verified)}`, '401 invalid_magic_link');
});

test('[6.10] [8.1] an account is erased whole while it is being written to', async () => {
	const word = newWord();
	const client = await signIn(server, `${word}@example.com`);
	const writers = Array.from({ length: 8 }, async (_, w) => {
		for (let n = 0; ; n++) {
			const answer = await client.post(`/v1/table_${w % 3}`, { word, n }, { 'idempotency-key': `${w}-${n}` });
			if (answer.status === 201) continue;
			assert.equal(`${answer.status} ${codeOf(answer)}`, '401 invalid_api_key');
			return n;
		}
	});
	await client.add('table_0', { word });
	assert.equal((await erase(client.email)).code, 0);
	for (const written of await Promise.all(writers)) assert.ok(written > 0);
	await assertGone(word);
	await assertSound();
	await assertBystander();
});

/** Begins an export of the bystander's, which keeps a snapshot of the database until it is read or given up. */
async function slowExport(): Promise<{ end(): void }> {
	const big = { action: 'add', row: { pad: 'x'.repeat(60_000) } };
	for (let i = 0; i < 3; i++) await bystander.post('/v1/z_big/batch', { operations: Array(100).fill(big) });
	const socket = await openSocket(server.url);
	socket.write(`GET /v1/_export HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${bystander.key}\r\n\r\n`);
	await socket.until(/"z_big":/);
	socket.pause();
	return { end: () => socket.destroy() };
}

test('[6.10] what was erased or purged while an export was read is gone once the export has ended', async () => {
	const [erased, purged] = [newWord(), newWord()];
	const client = await signIn(server, `${erased}@example.com`);
	await client.add('notes', { text: erased });
	const row = await bystander.add('other', { text: purged });
	const reading = await slowExport();
	try {
		const ended = await Promise.all([erase(client.email), purge(bystander, 'other', row.id)]);
		for (const { code, out } of ended) {
			assert.equal(code, 0);
			assert.doesNotMatch(out, /nothing is left/);
		}
	} finally {
		reading.end();
	}
	await assertGone(erased);
	await assertGone(purged);
	await bystander.del('/v1/z_big', { filter: { pad: 'x'.repeat(60_000) } });
	await assertSound();
});

for (const running of [true, false]) {
	test(`[6.10] rows purge, with the server ${running ? 'running' : 'stopped'}, leaves nothing of the row`, async () => {
		const word = newWord();
		const client = await signIn(server);
		const row = { text: word, list: [word] };
		const keyed = { 'idempotency-key': `key-${word}` };
		const { id } = (await client.post('/v1/notes', row, keyed)).body;
		const batch = { operations: [{ action: 'add', row: { other: true }, idempotencyKey: 'other' }] };
		const other = (await client.post('/v1/notes/batch', batch)).body.results[0].result;
		for (let n = 0; n < 3; n++) await client.post('/v1/notes/update_row', { id, patch: { n, more: `${word}${n}` } });
		await client.post('/v1/notes/update_row', { id: other.id, patch: { n: 1 } });
		assert.equal((await client.rows('notes')).length, 2);
		if (!running) await server.stop();
		const { code, out, err } = await purge(client, 'notes', id);
		assert.equal(code, 0, err);
		assert.match(out, /nothing is left/);
		assert.deepEqual(filesHolding(server.dataDir, word), []);
		if (!running) await restart();
		const now = clientWith(server, client.key);
		assert.deepEqual(
			(await now.rows('notes')).map((one) => one.id),
			[other.id],
		);
		assert.deepEqual((await now.get('/v1/notes/count')).body, { count: 1 });
		assert.deepEqual((await now.get('/v1/notes/versions', { id })).body, { versions: [] });
		assert.equal((await now.get('/v1/notes/versions', { id: other.id })).body.versions.length, 1);
		assert.equal((await now.post('/v1/notes/restore', { id, version: 1 })).status, 404);
		await assertGone(word);
		await assertSound();
		// The kept answer is gone with the row, another row's is not.
		const anew = await now.post('/v1/notes', { fresh: true }, keyed);
		assert.equal(anew.status, 201);
		assert.equal(anew.headers.get('idempotency-replayed'), null);
		const replay = await now.post('/v1/notes', { other: true }, { 'idempotency-key': 'other' });
		assert.equal(replay.body.id, other.id);
		await assertBystander();
	});
}

test('[6.10] rows purge takes a deleted row, an indexed one, and the last of its table', async () => {
	const client = await signIn(server);
	const [deleted, indexed, last] = [newWord(), newWord(), newWord()];
	const gone = await client.add('notes', { text: deleted });
	await client.del('/v1/notes', { filter: { id: gone.id } });
	assert.equal((await purge(client, 'notes', gone.id)).code, 0);
	assert.deepEqual((await client.get('/v1/notes/versions', { id: gone.id })).body, { versions: [] });
	const operations = Array.from({ length: 80 }, (_, n) => ({ action: 'add', row: { n, word: indexed } }));
	const added = (await client.post('/v1/many/batch', { operations })).body.results;
	const ready = `SELECT 1 FROM index_entries WHERE CAST(key AS TEXT) LIKE '%${indexed}%'`;
	while (queryDatabase(server.dataDir, ready).length < 80) await client.rows('many', { filter: { word: indexed } });
	for (const { result } of added.slice(0, 2)) assert.equal((await purge(client, 'many', result.id)).code, 0);
	assert.equal((await client.rows('many', { filter: { word: indexed } })).length, 78);
	const only = await client.add('only', { text: last });
	assert.equal((await purge(client, 'only', only.id)).code, 0);
	assert.deepEqual((await client.get('/v1/_tables')).body.tables, [{ name: 'many', rows: 78 }]);
	await assertGone(deleted);
	await assertGone(last);
	await assertSound();
});

test('[6.10] what is not there is told with a sentence and an exit code, the same with and without a server', async () => {
	const client = await signIn(server);
	const row = await client.add('notes', { a: 1 });
	const stranger = await signIn(server);
	const unknownId = '01900000-0000-7000-8000-000000000000';
	const attempts = (): Promise<Awaited<ReturnType<typeof runPumadb>>>[] => [
		erase('nobody@example.com'),
		erase('nosuchaccount'),
		erase('not an address @'),
		purge(client, 'notes', unknownId),
		purge(client, 'notes', 'no id'),
		purge(client, 'elsewhere', row.id),
		purge(client, 'no table!', row.id),
		purge(stranger, 'notes', row.id),
	];
	const told = async (): Promise<string[]> => {
		const ended = await Promise.all(attempts());
		for (const { code, out, err } of ended) {
			assert.ok(code === 1 || code === 2, `${out}${err}`);
			assert.equal(out, '');
			assert.match(err, /^pumadb (accounts delete|rows purge): [A-Z][^\n]*\.\n$/);
		}
		return ended.map(({ code, err }) => `${code} ${err}`);
	};
	const withServer = await told();
	assert.deepEqual(await clientWith(server, client.key).rows('notes'), [row]);
	await server.stop();
	const without: string[] = [];
	// One after the other: each takes the data directory for itself.
	for (const account of ['nobody@example.com', 'nosuchaccount', 'not an address @']) {
		const { code, err } = await erase(account);
		without.push(`${code} ${err}`);
	}
	await restart();
	assert.deepEqual(without, withServer.slice(0, 3));
});
