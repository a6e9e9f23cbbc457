import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { clientWith, codeOf, send, signIn } from './support/client.ts';
import { Load, UNLIMITED } from './support/load.ts';
import { type Cluster, query, startCluster } from './support/postgres.ts';
import { seedFrom } from './support/random.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { runPumadb, startNode, type TestServer, temporaryDir } from './support/server.ts';

/**
 * What goes wrong with databases and nodes while clients write: each answered write must be there afterwards, once, and nothing of
 * a batch that was not answered may be there by half. `FAULTS_SEED` repeats what a run chose to write.
 */

const SEED = seedFrom('FAULTS_SEED');
const CLIENTS = 12;
const DEADLINE_MS = 60_000;

let cluster: Cluster;
let databases = 0;
let started: TestServer[] = [];

before(async () => {
	// Durable, because crashes are what this is about.
	cluster = await startCluster({ fsync: 'on', max_connections: '60', deadlock_timeout: '200ms' });
});
after(() => cluster.stop('immediate'));
afterEach(async () => {
	await Promise.all(started.map((server) => server.kill()));
	started = [];
});

async function emptyDatabase(): Promise<string> {
	const name = `faults_${++databases}`;
	await query(cluster.url, `CREATE DATABASE ${name}`);
	const url = new URL(cluster.url);
	url.pathname = `/${name}`;
	return url.href;
}

async function nodes(count: number, url: string, connections = '9'): Promise<TestServer[]> {
	const env = { ...UNLIMITED, PUMADB_DATABASE_URL: url, PUMADB_DATABASE_CONNECTIONS: connections };
	const servers = await Promise.all(Array.from({ length: count }, () => startNode(env, temporaryDir())));
	started.push(...servers);
	return servers;
}

async function assertSound(url: string): Promise<void> {
	const { code, err } = await runPumadb(['check'], { PUMADB_DATABASE_URL: url });
	assert.equal(code, 0, err);
}

/** Waits until the server says that it is ready. */
async function ready(server: TestServer): Promise<void> {
	for (const until = Date.now() + DEADLINE_MS; ; await pause(50)) {
		const { status } = await send(server.url, 'GET', '/readyz');
		if (status === 200) return;
		assert.equal(status, 503);
		assert.ok(Date.now() < until, 'the server is not ready again');
	}
}

/** Waits until PostgreSQL has ended what a killed node had sent it: a commit that was on its way may still succeed. */
async function quiet(url: string): Promise<void> {
	const busy = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
		AND backend_type = 'client backend' AND state <> 'idle'`;
	while ((await query(url, busy)).length > 0) await pause(20);
}

test('[8.1] [4.8] a node is killed under load: the other goes on, and has every answered write', async (t) => {
	t.diagnostic(`FAULTS_SEED=${SEED}`);
	const url = await emptyDatabase();
	let [here, there] = (await nodes(2, url)) as [TestServer, TestServer];
	const load = await Load.on(here, CLIENTS, SEED);
	for (let round = 0; round < 4; round++) {
		await Promise.all([load.run(() => false), pause(300 + 250 * round).then(() => here.kill())]);
		load.moveTo(there);
		await quiet(url);
		await load.verify();
		assert.equal(there.log(), '', 'the other node logged a fault');
		const [fresh] = (await nodes(1, url)) as [TestServer];
		[here, there] = [there, fresh];
	}
	await assertSound(url);
	const { answered } = load.figures();
	t.diagnostic(`${answered} answered writes`);
	assert.ok(answered > CLIENTS * 4, `only ${answered} writes were answered`);
});

test('[8.1] [1.2] PostgreSQL crashes under load: 503 meanwhile, and the node goes on by itself', async (t) => {
	t.diagnostic(`FAULTS_SEED=${SEED}`);
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const load = await Load.on(server, CLIENTS, SEED + 1);
	const { key } = await signIn(server);
	const reader = clientWith(server, key);
	for (let round = 0; round < 3; round++) {
		let down = false;
		await Promise.all([
			load.run(() => down),
			(async () => {
				await pause(400 + 300 * round);
				await cluster.stop('immediate');
				assertRefused(await reader.get('/v1/notes'), 503, 'storage_unavailable');
				assertRefused(await reader.post('/v1/notes', {}), 503, 'storage_unavailable');
				assert.equal((await send(server.url, 'GET', '/readyz')).status, 503);
				assert.equal((await send(server.url, 'GET', '/healthz')).status, 200);
				down = true;
			})(),
		]);
		await cluster.start();
		await ready(server);
		await load.verify();
	}
	await assertSound(url);
	assert.ok(load.figures().answered > CLIENTS * 3);
	assert.equal(await server.stop(), 0);
});

test('[8.1] connections are cut in mid-transaction, again and again: nothing answered is lost, nothing is half there', async (t) => {
	t.diagnostic(`FAULTS_SEED=${SEED}`);
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const load = await Load.on(server, CLIENTS, SEED + 2);
	for (let round = 0; round < 3; round++) {
		let enough = false;
		const cut = async (): Promise<void> => {
			for (let times = 0; times < 12; times++) {
				await pause(40);
				await query(
					url,
					`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pumadb' AND datname = current_database()`,
				);
			}
			enough = true;
		};
		await Promise.all([load.run(() => enough), cut()]);
		await ready(server);
		await load.verify();
	}
	await assertSound(url);
});

test('[1.2] an account that another session holds is waited for, then refused; others are not kept waiting', async () => {
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const [held, free] = [await signIn(server), await signIn(server)];
	const blocker = new pg.Client({ connectionString: url });
	await blocker.connect();
	await blocker.query('BEGIN');
	await blocker.query('SELECT 1 FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', [held.accountId]);
	// Both wait on this node at once, so that they would share a transaction.
	const waiting = Promise.all(Array.from({ length: 5 }, (_, n) => held.post('/v1/notes', { n })));
	for (let n = 0; n < 20; n++) assertStatus(await free.post('/v1/notes', { n }), 201);
	for (const answer of await waiting) assertRefused(answer, 503, 'storage_unavailable');
	const short = held.post('/v1/notes', { n: 'short' });
	await pause(300);
	await blocker.query('COMMIT');
	await blocker.end();
	assertStatus(await short, 201);
	assert.deepEqual(
		(await held.rows('notes')).map(({ n }) => n),
		['short'],
	);
	await assertSound(url);
});

test('[1.2] however many accounts another session holds, calls of the others are answered first', async () => {
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const held = await Promise.all(Array.from({ length: 8 }, () => signIn(server)));
	const free = await signIn(server);
	const blocker = new pg.Client({ connectionString: url });
	await blocker.connect();
	await blocker.query('BEGIN');
	const ids = held.map(({ accountId }) => accountId);
	await blocker.query('SELECT 1 FROM pumadb.accounts WHERE account_id = ANY($1) FOR UPDATE', [ids]);
	let answered = 0;
	const waiting: Promise<unknown>[] = [];
	for (const { post } of held) {
		waiting.push(post('/v1/notes', { n: 1 }).then(() => answered++));
		// One by one, so that each comes alone.
		await pause(20);
	}
	for (let n = 0; n < 5; n++) assertStatus(await free.post('/v1/notes', { n }), 201);
	assert.equal(answered, 0);
	await blocker.query('COMMIT');
	await blocker.end();
	await Promise.all(waiting);
	await assertSound(url);
});

test('[6.7] a call that waits for its turn while its key is revoked changes nothing', async () => {
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const ada = await signIn(server);
	const row = await ada.add('notes', { n: 0 });
	const other = new pg.Client({ connectionString: url });
	await other.connect();
	const batch = {
		operations: [
			{ action: 'add', row: { n: 1 } },
			{ action: 'add', row: { n: 2 } },
		],
	};
	for (const write of [
		(key: string) => clientWith(server, key).post('/v1/notes', { n: 1 }),
		(key: string) => clientWith(server, key).post('/v1/notes/update_row', { id: row.id, patch: { n: 1 } }),
		(key: string) => clientWith(server, key).post('/v1/notes/batch', batch),
		(key: string) => clientWith(server, key).post('/v1/_keys', { name: 'a key of a dead one' }),
	]) {
		const { body: made } = await ada.post('/v1/_keys', { name: 'short' });
		// What another node does that revokes the key: it holds the account's lock.
		await other.query('BEGIN');
		await other.query('SELECT 1 FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', [ada.accountId]);
		const waiting = [write(made.api_key), write(made.api_key)];
		const waits = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
		while ((await query(url, waits)).length === 0) await pause(10);
		await other.query(`UPDATE pumadb.api_keys SET revoked_at = $2 WHERE key_id = $1`, [
			made.id,
			new Date().toISOString(),
		]);
		await other.query('COMMIT');
		for (const answer of await Promise.all(waiting)) {
			assert.deepEqual(assertRefused(answer, 401, 'invalid_api_key') ?? {}, {});
		}
		// Calls of the account with a live key are not kept from their turn.
		assertStatus(await ada.post('/v1/notes/update_row', { id: row.id, patch: { n: 0 } }), 200);
	}
	await other.end();
	assert.deepEqual(
		(await ada.rows('notes')).map(({ n }) => n),
		[0],
	);
	assert.deepEqual(
		(await ada.get('/v1/_keys')).body.keys.filter(({ name }: { name: string }) => name.includes('dead')),
		[],
	);
	await assertSound(url);
});

test('[1.2] a deadlock with another session ends by itself: the node tries again', async (t) => {
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const ada = await signIn(server);
	const row = await ada.add('notes', { n: 0 });
	const other = new pg.Client({ connectionString: url });
	await other.connect();
	for (let round = 1; round <= 3; round++) {
		// The node locks the account and then the row, this session the other way round.
		await other.query('BEGIN; SET LOCAL deadlock_timeout = 60000');
		await other.query('SELECT 1 FROM pumadb.rows WHERE id = $1 FOR UPDATE', [row.id]);
		const update = ada.post('/v1/notes/update_row', { id: row.id, patch: { n: round } });
		await pause(100);
		const locked = other.query('SELECT 1 FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', [ada.accountId]);
		await locked;
		await other.query('COMMIT');
		const updated = await update;
		// Why is not in the answer.
		if (updated.status !== 200) t.diagnostic(server.log());
		assertStatus(updated, 200);
	}
	await other.end();
	assert.equal((await ada.rows('notes'))[0]!.n, 3);
	const { versions } = (await ada.get('/v1/notes/versions', { id: row.id })).body;
	assert.equal(versions.length, 3);
	await assertSound(url);
});

test('[1.2] a pool that is full makes calls wait; a database that is full makes them fail, and only while it is', async () => {
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url, '3')) as [TestServer];
	const clients = await Promise.all(Array.from({ length: 8 }, () => signIn(server)));
	const calls = Array.from({ length: 300 }, (_, n) =>
		n % 3 === 0 ? clients[n % 8]!.get('/v1/notes') : clients[n % 8]!.post('/v1/notes', { n }),
	);
	for (const answer of await Promise.all(calls)) assert.ok(answer.status < 300, answer.text);
	// No connection is left for a node that starts, or that lost its own.
	const hogs: pg.Client[] = [];
	await query(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pumadb'`);
	for (;;) {
		const hog = new pg.Client({ connectionString: cluster.url });
		hog.on('error', () => {});
		const full = await hog.connect().then(
			() => false,
			() => true,
		);
		if (full) break;
		hogs.push(hog);
	}
	const refused = await clients[0]!.post('/v1/notes', { n: 'refused' });
	assert.ok(refused.status === 503 && codeOf(refused) === 'storage_unavailable', refused.text);
	await Promise.all(hogs.map((hog) => hog.end()));
	await ready(server);
	assertStatus(await clients[0]!.post('/v1/notes', { n: 'taken' }), 201);
});

test('[1.2] a statement that takes too long is given up by the database, and the call is refused', async () => {
	const url = await emptyDatabase();
	const [server] = (await nodes(1, url)) as [TestServer];
	const ada = await signIn(server);
	await ada.add('notes', { n: 1 });
	const blocker = new pg.Client({ connectionString: url });
	await blocker.connect();
	await blocker.query('BEGIN; LOCK TABLE pumadb.rows IN ACCESS EXCLUSIVE MODE');
	assertRefused(await ada.post('/v1/notes', { n: 2 }), 503, 'storage_unavailable');
	// A read has no lock to wait for but this: it is given up by the node.
	const read = ada.get('/v1/notes');
	await pause(500);
	await blocker.query('ROLLBACK');
	await blocker.end();
	assert.equal(assertStatus(await read, 200).rows.length, 1);
	assertStatus(await ada.post('/v1/notes', { n: 3 }), 201);
	await assertSound(url);
});
