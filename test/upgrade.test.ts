import assert from 'node:assert/strict';
import {
	chmodSync,
	copyFileSync,
	globSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { clientWith, codeOf, send, signIn } from './support/client.ts';
import { startClocked } from './support/in-process.ts';
import { run } from './support/launch.ts';
import type { Fixture } from './support/make-fixture.ts';
import { message, postMcp } from './support/mcp.ts';
import { refresh, tokensIn } from './support/oauth.ts';
import { type Env, NO_RATE_LIMITS, ROOT, runPumadb, startServer, temporaryDir } from './support/server.ts';

/** Databases that older versions wrote, opened by this one; and files that this one must leave alone. */

const FIXTURES = globSync('test/fixtures/schema-*.sqlite', { cwd: ROOT }).toSorted();
const NEWEST = Math.max(
	...readdirSync(join(ROOT, 'src/store/sqlite/migrations')).map((name) => Number.parseInt(name, 10)),
);

/** The address that its apps' tokens are for. */
function envFor({ connected }: Fixture): Env {
	return connected === undefined ? NO_RATE_LIMITS : { ...NO_RATE_LIMITS, PUMADB_PUBLIC_URL: connected.publicUrl };
}

/** A data directory that holds a copy of the file. */
function dataDirOf(file: string): string {
	const dataDir = temporaryDir();
	copyFileSync(join(ROOT, file), join(dataDir, 'pumadb.sqlite'));
	return dataDir;
}

function schemaOf(dataDir: string): number {
	const db = new DatabaseSync(join(dataDir, 'pumadb.sqlite'), { readOnly: true });
	const { user_version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
	db.close();
	return user_version;
}

test('every schema up to the newest has a fixture, which is one small file', () => {
	const numbers = FIXTURES.map((file) => Number(/\d{4}/.exec(file)![0]));
	assert.deepEqual(
		numbers,
		Array.from({ length: NEWEST }, (_, i) => i + 1),
	);
	for (const file of FIXTURES) assert.ok(statSync(join(ROOT, file)).size < 500_000);
	const left = readdirSync(join(ROOT, 'test/fixtures')).filter((name) => /-(wal|shm|journal)$/.test(name));
	assert.deepEqual(left, []);
});

for (const file of FIXTURES) {
	const fixture: Fixture = JSON.parse(readFileSync(join(ROOT, file.replace('.sqlite', '.json')), 'utf8'));

	test(`[8.1] [5.2] [6.6] [7.1] ${file} opens, and answers what it answered when it was written`, async () => {
		const dataDir = dataDirOf(file);
		assert.equal((await runPumadb(['check', '--data-dir', dataDir])).code, 0);
		const server = await startClocked(envFor(fixture), dataDir);
		// The moment it was written at, because versions and kept answers run out.
		server.advance(Date.parse(fixture.madeAt) - Date.now() + 60_000);
		try {
			assert.equal(schemaOf(dataDir), NEWEST);
			for (const account of fixture.accounts) {
				const client = clientWith(server, account.key);
				assert.deepEqual((await client.get('/v1/_export')).body, account.export);
				assert.deepEqual((await client.get('/v1/_tables')).body, account.tables);
				for (const { name, rows } of account.tables.tables) {
					assert.equal((await client.get(`/v1/${name}/count`)).body.count, rows);
				}
				const idsOf = (keys: readonly { id: string; revoked_at: string | null }[]) =>
					keys.map(({ id, revoked_at }) => [id, revoked_at]);
				assert.deepEqual(idsOf((await client.get('/v1/_keys')).body.keys), idsOf(account.keys.keys));
				for (const { table, id, versions } of account.versions) {
					assert.deepEqual((await client.get(`/v1/${table}/versions`, { id })).body.versions, versions);
				}
			}
			for (const { path, text } of fixture.links ?? []) {
				assert.equal(await (await fetch(server.url + path)).text(), text);
			}
			if (fixture.connected !== undefined) {
				const { tokens } = fixture.connected;
				const answer = await postMcp(server.url, tokens.access, message('tools/call', { name: 'list_tables' }));
				assert.deepEqual(answer.body.result.structuredContent, fixture.accounts[0]!.tables);
			}
			const refused = await clientWith(server, fixture.revokedKey).get('/v1/_tables');
			assert.equal(`${refused.status} ${codeOf(refused)}`, '401 invalid_api_key');
		} finally {
			await server.stop();
		}
		assert.equal((await runPumadb(['check', '--data-dir', dataDir])).code, 0);
	});

	test(`[4.3] [4.7] [5.5] [6.4] ${file} goes on: writes, versions, replays and sign-ins`, async () => {
		const dataDir = dataDirOf(file);
		const server = await startClocked(envFor(fixture), dataDir);
		server.advance(Date.parse(fixture.madeAt) - Date.now() + 60_000);
		try {
			const [account] = fixture.accounts;
			const ada = clientWith(server, account!.key);
			const { table, key, row, answer } = fixture.keyed;
			const replay = await ada.post(`/v1/${table}`, row, { 'idempotency-key': key });
			assert.equal(replay.headers.get('idempotency-replayed'), 'true');
			assert.deepEqual(replay.body, answer);

			const gone = account!.versions.find(({ versions }) => versions[0]?.deleted)!;
			const restored = await ada.post(`/v1/${gone.table}/restore`, { id: gone.id, version: gone.versions[0].version });
			assert.equal(restored.status, 200, restored.text);
			const changed = account!.versions.find(({ versions }) => versions.length > 5)!;
			await ada.post(`/v1/${changed.table}/update_row`, { id: changed.id, patch: { upgraded: true } });
			const [newest] = (await ada.get(`/v1/${changed.table}/versions`, { id: changed.id })).body.versions;
			assert.equal(newest.version, changed.versions[0].version + 1);

			const all = account!.export.tables.indexed;
			const group = all.filter((one: { group: number }) => one.group === 1);
			assert.deepEqual(await ada.rows('indexed', { filter: { group: 1 } }), group);
			const added = await ada.add('indexed', { n: 60, group: 1 });
			assert.ok(added.id > all.at(-1).id, 'ids go on growing');
			assert.deepEqual(await ada.rows('indexed', { filter: { group: 1 } }), [...group, added]);
			const upserted = await ada.post('/v1/people/upsert', {
				key: ['name', 'day'],
				row: { name: 'Grace', day: 1, seen: 3 },
			});
			assert.equal(upserted.body.created, false);
			if (fixture.connected !== undefined) {
				const { app, tokens } = fixture.connected;
				const { access } = tokensIn(await refresh(server.url, app, tokens.refresh));
				assert.equal((await postMcp(server.url, access, message('ping'))).status, 200);
			}
			const again = await signIn(server, account!.email);
			assert.equal((await again.get('/v1/indexed/count')).body.count, all.length + 1);
		} finally {
			await server.stop();
		}
		assert.equal((await runPumadb(['check', '--data-dir', dataDir])).code, 0);
	});
}

/** Every command on a data directory whose database it must leave as it is. */
async function assertRefused(dataDir: string, says: RegExp): Promise<void> {
	const path = join(dataDir, 'pumadb.sqlite');
	const before = { bytes: readFileSync(path), ...modeAndTime(path) };
	for (const args of [
		['serve', '--port', '0'],
		['check'],
		['backup', join(temporaryDir(), 'copy')],
		['keys', 'create', '--email', 'ada@example.com'],
		['accounts', 'delete', '--account', 'ada@example.com'],
		['rows', 'purge', '--account', 'ada@example.com', '--table', 't', '--id', 'x'],
	]) {
		const { code, out, err } = await run([...args, '--data-dir', dataDir]);
		assert.equal(code, 1, `${args[0]}: ${out}${err}`);
		assert.equal(out, '');
		assert.match(err, /^pumadb [a-z ]+: [^\n]+\.\n$/);
		assert.match(err, says);
		assert.ok(err.includes(path), err);
		// SQLite makes an empty log where a reader opens a database that has none; there must be nothing in it.
		const logs = readdirSync(dataDir).filter((name) => /-(wal|journal)$/.test(name));
		for (const log of logs) assert.equal(statSync(join(dataDir, log)).size, 0, `${args[0]} wrote to ${log}`);
		assert.ok(readFileSync(path).equals(before.bytes), `${args[0]} changed the file`);
		assert.deepEqual({ bytes: before.bytes, ...modeAndTime(path) }, before, `${args[0]} touched the file`);
	}
}

function modeAndTime(path: string): { mode: number; mtimeMs: number } {
	const { mode, mtimeMs } = statSync(path);
	return { mode, mtimeMs };
}

/** Opens the database of a data directory as another program would. */
function withDatabase(dataDir: string, sql: string): void {
	const db = new DatabaseSync(join(dataDir, 'pumadb.sqlite'));
	db.exec(sql);
	db.close();
}

test('[9.5] a database of a newer schema is refused with a sentence and left as it is', async () => {
	const dataDir = dataDirOf(FIXTURES.at(-1)!);
	withDatabase(dataDir, `PRAGMA user_version = ${NEWEST + 1}`);
	chmodSync(join(dataDir, 'pumadb.sqlite'), 0o600);
	await assertRefused(dataDir, /newer version/);
	assert.equal(schemaOf(dataDir), NEWEST + 1);
});

test('[9.5] a database of another program is refused with a sentence and left as it is', async () => {
	const foreign = temporaryDir();
	withDatabase(foreign, 'PRAGMA application_id = 1234; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
	chmodSync(join(foreign, 'pumadb.sqlite'), 0o640);
	await assertRefused(foreign, /is not a pumaDB database/);
	const unmarked = temporaryDir();
	withDatabase(unmarked, 'CREATE TABLE rows (a); INSERT INTO rows VALUES (1)');
	await assertRefused(unmarked, /is not a pumaDB database/);
});

test('[9.5] a file that is no database is refused with a sentence and left as it is', async () => {
	for (const content of ['This is a text of somebody.\n'.repeat(300), 'x']) {
		const dataDir = temporaryDir();
		writeFileSync(join(dataDir, 'pumadb.sqlite'), content);
		await assertRefused(dataDir, /is not a (pumaDB )?database/);
	}
	const dataDir = temporaryDir();
	mkdirSync(join(dataDir, 'pumadb.sqlite'));
	const { code, err } = await run(['serve', '--port', '0', '--data-dir', dataDir]);
	assert.equal(code, 1);
	assert.match(err, /^pumadb serve: [^\n]+\n$/);
});

test('[8.1] an empty file is a new database', async () => {
	const dataDir = temporaryDir();
	writeFileSync(join(dataDir, 'pumadb.sqlite'), '');
	const server = await startServer(NO_RATE_LIMITS, dataDir);
	assert.equal((await send(server.url, 'GET', '/readyz')).status, 200);
	await server.stop();
	assert.equal((await runPumadb(['check', '--data-dir', dataDir])).code, 0);
});
