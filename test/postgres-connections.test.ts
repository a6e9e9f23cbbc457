import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { EVERY_ROW } from '../src/domain/filter.ts';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import { Connections } from '../src/store/postgres/connections.ts';
import { isRetryable } from '../src/store/postgres/faults.ts';
import { migrate } from '../src/store/postgres/migrate.ts';
import { faultsOf, PostgresStore } from '../src/store/postgres/store.ts';
import { database, query } from './support/postgres.ts';

/** What a node does on its connections, on a real PostgreSQL. */

const opened: Connections[] = [];
after(() => Promise.all(opened.map((connections) => connections.close())));

async function connect(): Promise<Connections> {
	const url = await database(`connections_${process.pid}_${opened.length}`);
	// One connection for single statements, and one for transactions.
	const connections = new Connections({ url, max: 2, onFault: (message) => assert.fail(message) });
	opened.push(connections);
	return connections;
}

/** As in src/store/postgres/migrate.ts; servers of all versions must agree on it. */
const MIGRATION_LOCK = 0x70756d616462;
const ADD = 'SELECT $1::integer + 1 AS n';
const prepared = async ({ ask }: Pick<Connections, 'ask'>): Promise<number> =>
	(await ask('SELECT count(*) AS n FROM pg_prepared_statements')).rows[0].n;

test('[1.2] statements are prepared; where they are gone, as behind some poolers, they are run all the same', async () => {
	const connections = await connect();
	assert.equal((await connections.ask(ADD, [1])).rows[0].n, 2);
	assert.equal((await connections.ask(ADD, [2])).rows[0].n, 3);
	assert.equal(await prepared(connections), 1);
	await connections.ask('DEALLOCATE ALL');
	assert.equal((await connections.ask(ADD, [3])).rows[0].n, 4);
	assert.equal((await connections.ask('SELECT $1::text AS n', ['new'])).rows[0].n, 'new');
	assert.equal(await prepared(connections), 0);
});

test('[1.2] a transaction that misses its statements is taken back as one that can be tried again', async () => {
	const connections = await connect();
	const add = (n: number) =>
		connections.transaction(async ({ ask }) => {
			await ask('INSERT INTO public.t SELECT $1::integer', [n]);
			return (await ask(ADD, [n])).rows[0].n;
		});
	await connections.ask('CREATE TABLE public.t (n integer)');
	assert.equal(await add(1), 2);
	await connections.transaction(({ ask }) => ask('DEALLOCATE ALL'));
	await assert.rejects(add(2), isRetryable);
	assert.equal(await add(2), 3);
	const { rows } = await connections.ask('SELECT n FROM public.t ORDER BY n');
	assert.deepEqual(rows, [{ n: 1 }, { n: 2 }]);
});

test('[1.2] an export prepares nothing: what it has begun to answer could not be begun again', async () => {
	const connections = await connect();
	const left = await connections.transaction(async ({ ask }) => {
		await ask(ADD, [1]);
		return prepared({ ask });
	}, 'snapshot');
	assert.equal(left, 0);
});

test('[1.2] a statement that was prepared before the schema changed is run again', async () => {
	const connections = await connect();
	await connections.ask('CREATE TABLE public.t AS SELECT 1 AS n');
	const all = 'SELECT * FROM public.t WHERE n = $1';
	assert.deepEqual((await connections.ask(all, [1])).rows, [{ n: 1 }]);
	await connections.ask('ALTER TABLE public.t ADD COLUMN m integer DEFAULT 2');
	assert.deepEqual((await connections.ask(all, [1])).rows, [{ n: 1, m: 2 }]);
});

test('[1.2] shared connections that are cut under load are replaced: no statement fails, none is opened beside them or left open', async () => {
	const url = await database(`connections_${process.pid}_cut`);
	const connections = new Connections({ url, max: 6, onFault: () => {} });
	const open = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pumadb'`;
	let enough = false;
	const asking = Array.from({ length: 20 }, async (_, n) => {
		const ask = n % 2 === 0 ? connections.ask : connections.askShort;
		while (!enough) assert.equal((await ask(ADD, [1])).rows[0].n, 2);
	});
	const cutting = async (): Promise<void> => {
		for (let times = 0; times < 20; times++) {
			await pause(50);
			await query(url, `SELECT pg_terminate_backend(pid) FROM (${open} ORDER BY backend_start LIMIT 1) o`);
		}
		// What was cut last is gone by then.
		await pause(200);
	};
	try {
		await Promise.race([Promise.all(asking), cutting()]);
		enough = true;
		await Promise.all(asking);
		assert.equal((await query(url, open)).length, 2, 'connections that are open');
	} finally {
		enough = true;
		await connections.close();
	}
	for (const until = Date.now() + 5_000; (await query(url, open)).length > 0; await pause(20)) {
		assert.ok(Date.now() < until, 'a connection is left open');
	}
});

test('[8.1] a transaction of which a statement cannot be sent keeps nothing', async () => {
	const connections = await connect();
	await connections.ask('CREATE TABLE public.t (text text)');
	const insert = 'INSERT INTO public.t VALUES ($1)';
	const half = connections.transaction(async ({ send }) => {
		send(insert, ['U+0000: \0']);
		send(insert, ['another']);
	});
	await assert.rejects(half);
	assert.deepEqual((await connections.ask('SELECT text FROM public.t')).rows, []);
	await connections.transaction(async ({ send }) => send(insert, ['whole']));
	assert.equal((await connections.ask('SELECT text FROM public.t')).rows.length, 1);
});

test('[1.2] the first failure of a transaction is what it fails with, not those that follow from it', async () => {
	const connections = await connect();
	const failing = connections.transaction(async ({ ask, send }) => {
		send('SELECT 1 / $1::integer', [0]);
		await ask('SELECT 1');
	});
	await assert.rejects(failing, { code: '22012' });
	assert.equal((await connections.transaction(({ ask }) => ask(ADD, [1]))).rows[0].n, 2);
});

test('[8.1] [4.8] a transaction that cannot begin keeps nothing of a write, whatever was sent with its beginning', async (t) => {
	const url = await database(`connections_${process.pid}_begin`);
	const refused = await refuseToBegin(url);
	t.after(() => refused.close());
	const store = await PostgresStore.open({
		url: refused.url,
		maxConnections: 3,
		limits: { ...DEFAULT_LIMITS, maxArchiveBytes: 1_000_000 },
		clock: Date.now,
		onFault: () => {},
	});
	t.after(() => store.close());
	const key = { name: 'key', secretStart: 'start', madeBy: 'operator' } as const;
	const make = (name: string) =>
		store.writeAccounts({
			command: 'createKeyForEmail',
			email: `${name}@example.com`,
			freshAccountId: name,
			key: { id: `key${name}`, secretHash: name, ...key },
		});
	await make('ada');
	const add = (own: string) =>
		store.writeRows({ accountId: 'ada', table: 'notes', operations: [{ action: 'add', own }] });

	refused.refuse = true;
	await assert.rejects(add('{"n":1}'));
	await assert.rejects(make('eve'));
	refused.refuse = false;
	assert.equal(await store.read.rows('ada', 'notes', EVERY_ROW, 10), '');
	assert.equal(await store.read.accountOf('eve@example.com'), undefined);
	assert.deepEqual(await faultsOf(url), []);
	assert.ok('results' in (await add('{"n":2}')));
	await make('eve');
});

test('[1.2] a node that starts waits for the steps of one that migrates, however long they take, and prepares nothing for them', async (t) => {
	const url = await database(`connections_${process.pid}_migrate`);
	const other = new pg.Client({ connectionString: url });
	await other.connect();
	t.after(() => other.end());
	await other.query(`BEGIN; SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
	// Longer than any statement of a call may take.
	const ended = pause(11_000).then(() => other.query('COMMIT'));
	const connections = new Connections({ url, max: 2, onFault: (message) => assert.fail(message) });
	opened.push(connections);
	await Promise.all([migrate(connections), ended]);
	assert.equal(await connections.transaction(prepared), 0);
});

/** Stands between and spoils the beginnings of transactions, so that the database refuses them, while it is told to. */
async function refuseToBegin(to: string): Promise<{ url: string; refuse: boolean; close(): void }> {
	const server = createServer((near) => {
		const far = connectTo(Number(new URL(to).port), new URL(to).hostname);
		near.on('error', () => far.destroy()).on('close', () => far.destroy());
		far.on('error', () => near.destroy()).on('close', () => near.destroy());
		near.on('data', (bytes: Buffer) => {
			const text = bytes.toString('latin1');
			far.write(proxy.refuse ? Buffer.from(text.replaceAll('BEGIN ISOLATION', 'BEGUN ISOLATION'), 'latin1') : bytes);
		});
		far.pipe(near);
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const url = new URL(to);
	url.port = String((server.address() as AddressInfo).port);
	const proxy = { url: url.href, refuse: false, close: () => void server.close() };
	return proxy;
}
