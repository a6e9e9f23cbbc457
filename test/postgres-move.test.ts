import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, before, test } from 'node:test';
import { KIND_NAMES } from '../src/store/move/kinds.ts';
import { openWriter } from '../src/store/sqlite/driver.ts';
import { type Any, clientWith, send } from './support/client.ts';
import { makeHome, noTerminal } from './support/command-line.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { type Filled, fill, KEYED, portrait } from './support/move.ts';
import { refresh } from './support/oauth.ts';
import { database, freePort, query } from './support/postgres.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import {
	type Env,
	NO_RATE_LIMITS,
	ROOT,
	runPumadb,
	startNode,
	type TestServer,
	temporaryDir,
} from './support/server.ts';

/** `pumadb move` of a service that has something of everything, between real files and a real PostgreSQL. */

let env: Env;
let filled: Filled;
let portrayed: Record<string, unknown>;
/** The data directory from which everything is moved. */
const origin = temporaryDir();
const unused = temporaryDir();
let databases = 0;
const servers: TestServer[] = [];

const emptyDatabase = (): Promise<string> => database(`move_${process.pid}_${++databases}`);

/** Serves a data directory or a database at the one address that links and tokens are for. */
async function served(place: string): Promise<TestServer> {
	const url = place.startsWith('postgres:') ? { PUMADB_DATABASE_URL: place } : {};
	const server = await startNode({ ...env, ...url }, place.startsWith('postgres:') ? unused : place);
	servers.push(server);
	return server;
}

async function moved(from: string, to: string, more: readonly string[] = []): Promise<{ out: string; err: string }> {
	const { code, out, err } = await runPumadb(['move', '--from', from, '--to', to, ...more]);
	assert.equal(code, 0, err);
	return { out, err };
}

async function portraitOf(place: string): Promise<Record<string, unknown>> {
	const server = await served(place);
	try {
		return await portrait(server, filled);
	} finally {
		assert.equal(await server.stop(), 0);
	}
}

before(async () => {
	env = { ...NO_RATE_LIMITS, PUMADB_PORT: String(await freePort()) };
	const server = await served(origin);
	filled = await fill(server);
	portrayed = await portrait(server, filled);
	// Killed: what was written last is in the log alone.
	await server.kill();
	assert.equal(portrayed.revoked, 401);
	assert.equal((portrayed['replayed notes'] as unknown[])[2], 'true');
	for (const link of filled.links) assert.equal((portrayed[new URL(link).pathname] as unknown[])[0], 200);
	assert.equal((portrayed.tool as { isError: boolean }).isError, false);
	assert.match(String(portrayed.session), /csrf_token/);
	assert.match(String(portrayed.grants), /Test app/);
});

afterEach(async () => {
	await Promise.all(servers.splice(0).map((server) => server.kill()));
});

/** The bytes of every file of a data directory that holds data, as a hash; an empty log is none. */
function bytesOf(dataDir: string): Record<string, string> {
	const files = readdirSync(dataDir)
		.filter((name) => /^pumadb\.sqlite(-wal)?$/.test(name))
		.map((name) => [name, readFileSync(join(dataDir, name))] as const);
	return Object.fromEntries(
		files.filter(([, bytes]) => bytes.length > 0).map(([name, bytes]) => [name, hash('sha256', bytes)]),
	);
}

/** The new place goes on as the old one would have: ids, places, versions, tokens and links that wait. */
async function goesOn(place: string): Promise<void> {
	const server = await served(place);
	const ada = clientWith(server, filled.keys[0]!);
	const last = filled.ids.notes!.at(-2)!;
	assert.ok((await ada.add('notes', { fresh: true })).id > last);
	const fresh = (await ada.add('made_after', { n: 1 })).id;
	assert.ok(fresh > last);
	// A deleted row comes back between its neighbours.
	const at = filled.ids.notes![21]!;
	const { versions } = assertStatus(await ada.get('/v1/notes/versions', { id: at }), 200);
	assertStatus(await ada.post('/v1/notes/restore', { id: at, version: versions[0].version }), 200);
	const ids = (await ada.rows('notes', { limit: 1000 })).map((row: Any) => row.id as string);
	assert.deepEqual(ids, ids.toSorted());
	assert.ok(ids.includes(at));
	assertStatus(await ada.post('/v1/notes/update_row', { id: filled.ids.notes![3], patch: { after: 1 } }), 200);
	const newest = assertStatus(await ada.get('/v1/notes/versions', { id: filled.ids.notes![3] }), 200).versions[0];
	assert.equal(newest.version, 4);
	assertRefused(await ada.post('/v1/notes', { ...KEYED.row, other: 1 }, KEYED.headers), 400, 'idempotency_key_reused');
	assertStatus(await ada.post('/v1/_keys', { name: 'another' }), 201);
	const refreshed = await refresh(server.url, filled.app, filled.tokens.refresh);
	assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));
	const verified = await send(server.url, 'POST', '/auth/verify', { json: { token: filled.waiting } });
	assertStatus(verified, 200);
	for (const n of [1, 2, 3]) await ada.rows('notes', { filter: { group: 'g1', n } });
	assert.equal(await server.stop(), 0);
	const checked = await runPumadb(
		place.startsWith('postgres:') ? ['check'] : ['check', '--data-dir', place],
		place.startsWith('postgres:') ? { PUMADB_DATABASE_URL: place } : {},
	);
	assert.equal(checked.code, 0, checked.err);
}

test('[13.12] [13.13] file to PostgreSQL to file and on: everything answers as before, and goes on', async () => {
	const url = await emptyDatabase();
	const back = join(temporaryDir(), 'back');
	const before = bytesOf(origin);
	const { out } = await moved(origin, url);
	assert.deepEqual(bytesOf(origin), before, 'the source was changed');
	for (const kind of KIND_NAMES) {
		const counted = new RegExp(`^${kind} +(\\d+) +(\\d+) +(\\w{16}) +(\\w{16}) +same$`, 'm').exec(out);
		assert.ok(counted, `${kind} is not in ${out}`);
		assert.deepEqual([counted[1], counted[3]], [counted[2], counted[4]]);
		assert.notEqual(counted[1], '0', `there was nothing of ${kind} to move`);
	}
	assert.deepEqual(await portraitOf(url), portrayed);
	await moved(url, back);
	assert.deepEqual(faultsOf(back), []);
	assert.deepEqual(
		[back, join(back, 'pumadb.sqlite')].map((path) => statSync(path).mode & 0o777),
		[0o700, 0o600],
	);
	assert.deepEqual(await portraitOf(back), portrayed);
	const again = await emptyDatabase();
	await moved(back, again);
	await goesOn(url);
	await goesOn(back);
	await goesOn(again);
	assert.deepEqual(await portraitOf(origin), portrayed, 'the source answers something else');
});

test('[13.12] file to file, PostgreSQL to PostgreSQL: the same, and order and numbers as they were', async () => {
	const [copy, first, second] = [join(temporaryDir(), 'copy'), await emptyDatabase(), await emptyDatabase()];
	await moved(origin, copy);
	await moved(copy, first);
	await moved(first, second);
	assert.deepEqual(await portraitOf(second), portrayed);
	const inFile = (sql: string): Any[] => queryDatabase(copy, sql).map((row) => Object.values(row)[0]);
	const names = 'SELECT name FROM api_keys ORDER BY account_id, key_no';
	assert.deepEqual(
		(await query(second, names)).map(({ name }) => name),
		inFile(names),
	);
	const archived = (order: string): string => `SELECT archived_at || version AS v FROM versions ORDER BY ${order}`;
	assert.deepEqual(
		(await query(second, archived('account_id, seq'))).map(({ v }) => v),
		inFile(archived('account_id, version_no')),
	);
	// What a file sweeps first must be the oldest of all accounts.
	const back = join(temporaryDir(), 'back');
	await moved(second, back);
	for (const place of [copy, back]) {
		const rows = queryDatabase(place, 'SELECT account_id, archived_at FROM versions ORDER BY version_no');
		const times = rows.map((row) => row.archived_at);
		assert.deepEqual(times, times.toSorted());
		assert.ok(rows[0]!.account_id === rows.at(-1)!.account_id, 'versions of accounts do not mix: nothing was tested');
	}
	await goesOn(second);
	await goesOn(copy);
});

test('[13.12] what is being erased is left behind; rate limits begin anew', async () => {
	const [url, dataDir] = [await emptyDatabase(), join(temporaryDir(), 'erasing')];
	await moved(origin, url);
	await moved(origin, dataDir);
	const [{ account_id: id }] = await query(url, `SELECT account_id FROM accounts WHERE email = 'bob@example.com'`);
	const erase = [
		`INSERT INTO erasures VALUES ('${id}')`,
		`DELETE FROM api_keys WHERE account_id = '${id}'`,
		`DELETE FROM accounts WHERE account_id = '${id}'`,
	];
	for (const sql of [...erase, `DELETE FROM emails WHERE account_id = '${id}'`]) await query(url, sql);
	await query(url, `INSERT INTO call_windows VALUES ('someone', 'reads', 5, 1)`);
	const db = openWriter(join(dataDir, 'pumadb.sqlite'));
	const usage = `DELETE FROM usage WHERE account_no = (SELECT account_no FROM accounts WHERE account_id = '${id}')`;
	for (const sql of [usage, ...erase]) db.exec(sql);
	db.close();
	for (const from of [url, dataDir]) {
		const [file, next] = [join(temporaryDir(), 'file'), await emptyDatabase()];
		await moved(from, file);
		assert.deepEqual(faultsOf(file), []);
		assert.deepEqual(queryDatabase(file, `SELECT 1 FROM tables WHERE account_id = '${id}'`), []);
		await moved(from, next);
		for (const table of ['tables', 'rows', 'versions', 'kept_answers', 'erasures', 'call_windows']) {
			const left = await query(next, `SELECT 1 FROM ${table} WHERE account_id = '${id}' OR account_id = 'someone'`);
			assert.deepEqual(left, [], table);
		}
		const check = await runPumadb(['check'], { PUMADB_DATABASE_URL: next });
		assert.equal(check.code, 0, check.err);
	}
});

test('[13.14] a dry run counts, and changes neither end', async () => {
	const url = await emptyDatabase();
	const nowhere = join(temporaryDir(), 'nowhere');
	const before = bytesOf(origin);
	for (const to of [url, nowhere]) {
		const { out } = await moved(origin, to, ['--dry-run']);
		assert.match(out, /^rows +\d+$/m);
		assert.match(out, /^\d+ records would be carried from \S+ to \S+\. Nothing was changed\.$/m);
	}
	assert.deepEqual(await query(url, `SELECT 1 FROM pg_namespace WHERE nspname = 'pumadb'`), []);
	assert.ok(!existsSync(nowhere));
	assert.deepEqual(bytesOf(origin), before);
});

test('[13.14] what is no database of ours, or of another schema, is refused and left as it is', async () => {
	const [old, others, empty] = [temporaryDir(), temporaryDir(), temporaryDir()];
	copyFileSync(join(ROOT, 'test/fixtures/schema-0001.sqlite'), join(old, 'pumadb.sqlite'));
	writeFileSync(join(others, 'letter.txt'), 'mine');
	const before = bytesOf(old);
	const newer = await emptyDatabase();
	await moved(origin, newer);
	await query(newer, 'UPDATE schema_version SET version = 999');
	for (const [from, to, sentence] of [
		[old, await emptyDatabase(), /has schema 1, and this version of pumaDB moves schema \d+\. Start a server/],
		[newer, join(empty, 'x'), /has schema 999, and this version of pumaDB reads schema \d+/],
		[origin, newer, /has schema 999, and this version of pumaDB knows schemas up to \d+/],
		[empty, await emptyDatabase(), /There is no database in /],
		[await emptyDatabase(), join(empty, 'x'), /has schema 0, and this version/],
		[origin, others, /--to names \S+, which holds files that are not ours \(letter\.txt\)/],
	] as const) {
		for (const more of [[], ['--dry-run']]) {
			const { code, err } = await runPumadb(['move', '--from', from, '--to', to, ...more]);
			assert.equal(code, 1, err);
			assert.match(err, sentence);
			assert.match(err, /^pumadb move: [^\n]+\n$/);
		}
	}
	assert.deepEqual(bytesOf(old), before);
	assert.deepEqual(readdirSync(others), ['letter.txt']);
	assert.ok(!existsSync(join(empty, 'x')));
});

test('[13.13] a terminal shows how far it is', { skip: noTerminal() ?? false }, async () => {
	const terminal = makeHome().onTerminal(['move', '--from', origin, '--to', await emptyDatabase()]);
	await terminal.see(/█+░* \d+\/\d+ records {2}rows/);
	await terminal.see(/█+░* \d+\/\d+ records {2}compared, rows/);
	assert.equal(await terminal.ended, 0, terminal.screen());
});
