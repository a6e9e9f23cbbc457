import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { type Answer, type Any, clientWith, codeOf, signIn } from './support/client.ts';
import { run } from './support/launch.ts';
import { database, query } from './support/postgres.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { type Env, NO_RATE_LIMITS, runPumadb, startNode, type TestServer, temporaryDir } from './support/server.ts';

/** What holds between several nodes on one PostgreSQL, whatever else is tested of each. */

let databases = 0;

async function emptyDatabase(): Promise<string> {
	return database(`nodes_${process.pid}_${++databases}`);
}

async function nodes(count: number, url: string, env: Env = NO_RATE_LIMITS): Promise<TestServer[]> {
	const settings = { ...env, PUMADB_DATABASE_URL: url, PUMADB_DATABASE_CONNECTIONS: '6' };
	const servers = await Promise.all(Array.from({ length: count }, () => startNode(settings, temporaryDir())));
	started.push(...servers);
	return servers;
}

let started: TestServer[] = [];
afterEach(async () => {
	await Promise.all(started.map((server) => server.kill()));
	started = [];
});

async function stopAll(servers: readonly TestServer[]): Promise<void> {
	const codes = await Promise.all(servers.map((server) => server.stop()));
	assert.deepEqual(codes, Array(servers.length).fill(0));
}

test('five nodes that start at once on an empty database make its schema once', async () => {
	const url = await emptyDatabase();
	const servers = await nodes(5, url);
	const [{ version }] = await query(url, 'SELECT version FROM schema_version');
	assert.equal(version, 2);
	const { key } = await signIn(servers[0]!);
	for (const server of servers)
		assertStatus(await clientWith(server, key).post('/v1/notes', { from: server.url }), 201);
	assert.equal((await clientWith(servers[4]!, key).rows('notes')).length, 5);
	await stopAll(servers);
	const again = await nodes(2, url);
	assert.equal((await clientWith(again[1]!, key).rows('notes')).length, 5);
	await stopAll(again);
});

test('[9.5] a newer schema, another encoding and a database that is not there stop the start with a sentence', async () => {
	const url = await emptyDatabase();
	await stopAll(await nodes(1, url));
	await query(url, 'UPDATE schema_version SET version = 99');
	const start = (database: string) => run(['serve'], { PUMADB_PORT: '0', PUMADB_DATABASE_URL: database });
	const newer = await start(url);
	assert.equal(newer.code, 1);
	assert.match(newer.err, /has schema 99, and this version of pumaDB knows schemas up to 2\. Start the newer version/);
	const latin = new URL(url);
	await query(
		url,
		`CREATE DATABASE latin_${process.pid} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
	);
	latin.pathname = `/latin_${process.pid}`;
	assert.match((await start(latin.href)).err, /is encoded in LATIN1\. Make one with ENCODING 'UTF8'/);
	const nowhere = await start('postgres://puma:secret-word@127.0.0.1:1/puma');
	assert.equal(nowhere.code, 1);
	assert.match(nowhere.err, /The database of PUMADB_DATABASE_URL cannot be reached/);
	assert.doesNotMatch(nowhere.err, /secret-word/);
	const nonsense = await start('mysql://127.0.0.1/puma');
	assert.equal(nonsense.code, 2);
	assert.match(nonsense.err, /PUMADB_DATABASE_URL must be a URL such as postgres:/);
});

test('[6.7] [7.1] what one node revokes is dead on the other at once', async () => {
	const servers = await nodes(2, await emptyDatabase());
	const [here, there] = servers as [TestServer, TestServer];
	const ada = await signIn(here);
	const row = await ada.add('notes', { title: 'Water the plants' });
	for (let round = 0; round < 20; round++) {
		const { body: made } = await ada.post('/v1/_keys', { name: 'short' });
		const other = clientWith(there, made.api_key);
		assert.equal((await other.rows('notes')).length, 1);
		const link = assertStatus(await other.post('/v1/_row_links', { table: 'notes', id: row.id }), 200);
		const seen = new URL(link.download_url).pathname;
		assert.equal((await fetch(here.url + seen)).status, 200);
		assert.equal((await ada.del(`/v1/_keys/${made.id}`)).body.revoked, 1);
		assertRefused(await other.get('/v1/notes'), 401, 'invalid_api_key');
		assert.equal((await fetch(there.url + seen)).status, 404);
	}
	await stopAll(servers);
});

test('[6.8] a key has its calls of a minute once, on however many nodes', async () => {
	const limits = { PUMADB_READS_PER_MINUTE: '40', PUMADB_WRITES_PER_MINUTE: '25', PUMADB_SIGN_INS_PER_HOUR: '0' };
	const servers = await nodes(3, await emptyDatabase(), limits);
	const { key } = await signIn(servers[0]!);
	const clients = servers.map((server) => clientWith(server, key));
	const answers = await Promise.all(Array.from({ length: 90 }, (_, n) => clients[n % 3]!.post('/v1/counted', { n })));
	const admitted = answers.filter(({ status }) => status === 201);
	assert.equal(admitted.length, 25);
	for (const answer of answers) assert.ok(answer.status === 201 || codeOf(answer) === 'rate_limited', answer.text);
	// Each admitted call is told another number of calls that are left.
	const left = admitted.map((answer) => Number(/r=(\d+)/.exec(answer.headers.get('ratelimit')!)![1]));
	assert.deepEqual(
		left.toSorted((a, b) => a - b),
		Array.from({ length: 25 }, (_, n) => n),
	);
	for (let n = 0; n < 40; n++) assertStatus(await clients[n % 3]!.get('/v1/counted'), 200);
	for (const client of clients) assertRefused(await client.get('/v1/counted'), 429, 'rate_limited');
	await stopAll(servers);
});

test('[6.9] [6.1] magic links are limited, and work once, on however many nodes', async () => {
	const servers = await nodes(2, await emptyDatabase(), { ...NO_RATE_LIMITS, PUMADB_SIGN_INS_PER_HOUR: '6' });
	const ask = (n: number) => clientWith(servers[n % 2]!, '').post('/auth/magic-link', { email: 'ada@example.com' });
	const answers: Answer[] = [];
	for (let n = 0; n < 9; n++) answers.push(await ask(n));
	assert.deepEqual(
		answers.map(({ status }) => status),
		[...Array(6).fill(200), ...Array(3).fill(429)],
	);
	const token = new URL(answers[0]!.body.dev_magic_link).searchParams.get('token');
	const verified = await Promise.all(
		Array.from({ length: 8 }, (_, n) => clientWith(servers[n % 2]!, '').post('/auth/verify', { token })),
	);
	assert.equal(verified.filter(({ status }) => status === 200).length, 1);
	for (const answer of verified) if (answer.status !== 200) assert.equal(codeOf(answer), 'invalid_magic_link');
	await stopAll(servers);
});

test('[6.5] of people who sign in for the first time on two nodes at once, each gets one account', async () => {
	const servers = await nodes(2, await emptyDatabase());
	const both = await Promise.all(Array.from({ length: 10 }, (_, n) => signIn(servers[n % 2]!, 'ada@example.com')));
	assert.equal(new Set(both.map(({ accountId }) => accountId)).size, 1);
	assert.equal((await both[0]!.get('/v1/_keys')).body.keys.length, 10);
	await stopAll(servers);
});

test('[2.1] [3.3] ids grow and places never go back, though the nodes write in turn', async () => {
	const servers = await nodes(2, await emptyDatabase());
	const { key } = await signIn(servers[0]!);
	const clients = servers.map((server) => clientWith(server, key));
	const ids: string[] = [];
	for (let n = 0; n < 60; n++) ids.push((await clients[n % 2]!.add('ids', { n })).id);
	assert.deepEqual(ids, ids.toSorted());
	assert.deepEqual(
		(await clients[0]!.rows('ids')).map((row: Any) => row.id),
		ids,
	);
	await stopAll(servers);
});

test('operators make keys, purge rows, erase accounts and check the database without a server', async () => {
	const url = await emptyDatabase();
	const env = { PUMADB_DATABASE_URL: url };
	const made = await runPumadb(['keys', 'create', '--email', 'ada@example.com'], env);
	assert.equal(made.code, 0, made.err);
	const key = /api_key: (\S+)/.exec(made.out)![1]!;
	const [server] = (await nodes(1, url)) as [TestServer];
	const ada = clientWith(server, key);
	const row = await ada.add('notes', { title: 'canary' });
	await ada.post('/v1/notes/update_row', { id: row.id, patch: { title: 'later' } });
	const purge = ['rows', 'purge', '--account', 'ada@example.com', '--table', 'notes', '--id', row.id];
	const purged = await runPumadb(purge, env);
	assert.match(purged.out, /purged: 2\n/, purged.err);
	assert.match(purged.out, /on_disk: goes with the next VACUUM/);
	assert.deepEqual(await ada.rows('notes'), []);
	const checked = await runPumadb(['check'], env);
	assert.deepEqual([checked.code, checked.out], [0, 'The database of PUMADB_DATABASE_URL is sound.\n'], checked.err);
	await query(url, 'UPDATE accounts SET bytes = 7');
	const broken = await runPumadb(['check'], env);
	assert.equal(broken.code, 1);
	assert.match(broken.err, /counts 7 bytes and has 0/);
	await query(url, 'UPDATE accounts SET bytes = 0');
	const erased = await runPumadb(['accounts', 'delete', '--account', 'ada@example.com'], env);
	assert.match(erased.out, /deleted: 1/, erased.err);
	assertRefused(await ada.get('/v1/notes'), 401, 'invalid_api_key');
	const backup = await runPumadb(['backup', `${temporaryDir()}/copy`], env);
	assert.equal(backup.code, 1);
	assert.match(backup.err, /pg_dump/);
	await stopAll([server]);
});
