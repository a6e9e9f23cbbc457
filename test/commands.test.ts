import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { type Client, clientWith, send, signIn } from './support/client.ts';
import { Load, UNLIMITED } from './support/load.ts';
import { runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer(UNLIMITED);
	ada = await signIn(server);
});
after(() => server.stop());

const here = (dataDir: string): string[] => ['--data-dir', dataDir];

/** Makes a data directory of a database file. */
function dataDirOf(file: string): string {
	const dataDir = join(temporaryDir(), 'restored');
	mkdirSync(dataDir, { mode: 0o700 });
	copyFileSync(file, join(dataDir, 'pumadb.sqlite'));
	return dataDir;
}

test('[6.10] wrong usage exits 2 and says what is right', async () => {
	const overview = await runPumadb(['--help']);
	assert.equal(overview.code, 0);
	const commands = ['serve', 'backup', 'check', 'keys create', 'accounts delete', 'rows purge'];
	for (const command of commands) {
		assert.match(overview.out, new RegExp(`^ +${command} `, 'm'));
		const help = await runPumadb([...command.split(' '), '--help']);
		assert.equal(help.code, 0);
		assert.equal(help.err, '');
		assert.ok(help.out.includes(`pumadb ${command}`));
		assert.ok(help.out.includes('--data-dir'));
		const unknown = await runPumadb([...command.split(' '), '--no-such-flag', 'x']);
		assert.equal(unknown.code, 2, command);
		assert.equal(unknown.out, '');
		assert.match(unknown.err, /--no-such-flag/);
	}
	for (const args of [
		['no-such-command'],
		['keys'],
		['keys', 'destroy'],
		['backup'],
		['backup', 'one', 'two'],
		['check', 'extra'],
		['keys', 'create'],
		['keys', 'create', '--email', 'no address'],
		['keys', 'create', '--email', 'long@example.com', '--name', 'x'.repeat(81)],
		['accounts', 'delete'],
		['rows', 'purge', '--account', 'a@example.com', '--table', 't'],
		['serve', 'extra'],
	]) {
		const { code, out, err } = await runPumadb(args, { PUMADB_DATA_DIR: server.dataDir });
		assert.equal(code, 2, `${args.join(' ')}: ${out}${err}`);
		assert.equal(out, '');
		assert.notEqual(err, '');
	}
	assert.equal((await runPumadb([])).code, 0);
});

test('[6.10] a command on a data directory without a database fails with a sentence, and makes none', async () => {
	const dataDir = join(temporaryDir(), 'none');
	for (const args of [
		['backup', join(temporaryDir(), 'copy')],
		['check'],
		['accounts', 'delete', '--account', 'a@example.com'],
		['rows', 'purge', '--account', 'a@example.com', '--table', 't', '--id', 'x'],
	]) {
		const { code, err } = await runPumadb([...args, ...here(dataDir)]);
		assert.equal(code, 1, args.join(' '));
		assert.match(err, /^pumadb [a-z ]+: [A-Z][^\n]*\.\n$/);
		assert.ok(err.includes(dataDir));
		assert.equal(existsSync(dataDir), false);
	}
});

test('[8.1] backup: a copy made under load is whole, private, and opens as a data directory', async () => {
	const busy = await startServer(UNLIMITED);
	try {
		const bob = await signIn(busy);
		const kept = await bob.add('notes', { before: 'the backup' });
		const load = await Load.on(busy, 12, 7);
		let goOn = true;
		const running = load.run(() => !goOn);
		const files: string[] = [];
		for (let i = 0; i < 4; i++) {
			const file = join(temporaryDir(), 'copy.sqlite');
			const { code, out, err } = await runPumadb(['backup', file, ...here(busy.dataDir)]);
			assert.equal(code, 0, err);
			assert.ok(out.includes(file), out);
			assert.equal(statSync(file).mode & 0o777, 0o600);
			files.push(file);
		}
		goOn = false;
		await running;
		await load.verify();
		for (const file of files) {
			const dataDir = dataDirOf(file);
			assert.equal((await runPumadb(['check', ...here(dataDir)])).code, 0);
			const restored = await startServer(UNLIMITED, dataDir);
			assert.deepEqual(await clientWith(restored, bob.key).rows('notes'), [kept]);
			assert.equal(await restored.stop(), 0);
			assert.equal((await runPumadb(['check', ...here(dataDir)])).code, 0);
		}
	} finally {
		await busy.stop();
	}
});

test('[8.1] backup: without a server it copies the same, also after a crash, and leaves the original alone', async () => {
	const bob = await signIn(server);
	const kept = [await bob.add('notes', { n: 1 }), await bob.add('notes', { n: 2 })];
	await server.kill();
	const file = join(temporaryDir(), 'copy.sqlite');
	const { code, err } = await runPumadb(['backup', file], { PUMADB_DATA_DIR: server.dataDir });
	assert.equal(code, 0, err);
	server = await startServer(UNLIMITED, server.dataDir);
	ada = clientWith(server, ada.key, ada.accountId, ada.email);
	const restored = await startServer(UNLIMITED, dataDirOf(file));
	try {
		assert.deepEqual(await clientWith(restored, bob.key).rows('notes'), kept);
		assert.deepEqual(await clientWith(server, bob.key).rows('notes'), kept);
	} finally {
		await restored.stop();
	}
});

test('[8.1] backup: refuses a file that is there, a place that is not, and its own database', async () => {
	const file = join(temporaryDir(), 'there');
	writeFileSync(file, 'keep me');
	for (const target of [file, join(temporaryDir(), 'no', 'such'), join(server.dataDir, 'pumadb.sqlite')]) {
		const { code, out, err } = await runPumadb(['backup', target, ...here(server.dataDir)]);
		assert.equal(code, 1, target);
		assert.equal(out, '');
		assert.match(err, /^pumadb backup: [^\n]+\n$/);
		assert.ok(err.includes(target), err);
	}
	assert.equal(readFileSync(file, 'utf8'), 'keep me');
	await ada.add('alive', { a: 1 });
});

/** What only damage can do to a database, and a word of what the check must say. */
const DAMAGE: Readonly<Record<string, readonly [sql: string, says: RegExp]>> = {
	"a table's count of rows": ['UPDATE row_counts SET rows = rows + 1 WHERE rows > 60', /counts 71 rows and has 70/],
	"an account's count of tables": ['UPDATE usage SET tables = tables + 1', /counts 3 tables and has 2/],
	"an account's bytes": ['UPDATE usage SET bytes = bytes - 1', /bytes and holds/],
	'bytes of versions': ['UPDATE usage SET version_bytes = version_bytes + 1', /bytes of versions and holds/],
	'bytes of kept answers': ['UPDATE usage SET kept_bytes = kept_bytes + 1', /bytes of kept answers and holds/],
	'a row without a table': ['UPDATE rows SET table_no = 999 WHERE place = 1', /row at place 1 has no table/],
	'a row that is gone': ['DELETE FROM rows WHERE place = 1', /rows and has/],
	'a row that is no JSON': ["UPDATE rows SET text = 'x' WHERE place = 1", /row at place 1\b/],
	"a row's bytes": ['UPDATE rows SET bytes = bytes + 1 WHERE place = 1', /row at place 1 counts/],
	"a row's text": [
		'UPDATE rows SET text = replace(text, \'"n":0\', \'"n":1000\') WHERE place = 1',
		/row at place 1 counts/,
	],
	'another id in the text': [
		"UPDATE rows SET id = CAST(x'00' || substr(id, 2) AS BLOB) WHERE place = 1",
		/row at place 1 has another id/,
	],
	'a version newer than its row': ['UPDATE versions SET version = 99', /archived version 99/],
	"a version's text": ["UPDATE versions SET text = text || ' '", /version 1\b/],
	"a version of another account's": [
		"UPDATE versions SET account_id = 'other'",
		/version 1 has no table of its account/,
	],
	'a kept answer without a table': ['UPDATE kept_answers SET table_no = 999', /kept answer 1 has no table/],
	'an index entry too few': ['DELETE FROM index_entries WHERE place = 5', /lacks the row at place 5/],
	'an index entry too many': [
		"INSERT INTO index_entries SELECT index_no, x'00', place FROM index_entries LIMIT 1",
		/entries and should have/,
	],
	'an index entry of another value': [
		"UPDATE index_entries SET key = x'00' WHERE place = 5",
		/lacks the row at place 5/,
	],
	'an index without a table': ['UPDATE member_indexes SET table_no = 999', /index 1 has no table/],
	'a key without an account': ["UPDATE api_keys SET account_id = 'other'", /has no account/],
	'a table without a count': ['DELETE FROM row_counts', /has no row count/],
	'an account without numbers': ['DELETE FROM usage', /has no usage/],
	'a place above the sequence': ['UPDATE sequence SET place = 0', /above the sequence/],
	'an id above the sequence': ["UPDATE sequence SET row_id = '00000000-0000-7000-8000-000000000000'", /sequence/],
};

/** Indexes of the database that are built. */
function indexesReady(dataDir: string): number {
	const db = new DatabaseSync(join(dataDir, 'pumadb.sqlite'), { readOnly: true });
	const { n } = db.prepare("SELECT count(*) AS n FROM member_indexes WHERE state = 'ready'").get() as { n: number };
	db.close();
	return n;
}

test('[8.1] check: a sound database is sound, and each kind of damage is told and exits 1', async (t) => {
	const made = await startServer(UNLIMITED);
	const bob = await signIn(made);
	for (let n = 0; n < 70; n++) await bob.add('indexed', { n });
	// Built in the background, for the first filter that wants it.
	while (indexesReady(made.dataDir) === 0) await bob.rows('indexed', { filter: { n: 7 } });
	const row = (await bob.post('/v1/other', { n: 1 }, { 'idempotency-key': 'kept' })).body;
	await bob.post('/v1/other/update_row', { id: row.id, patch: { n: 2 } });
	assert.equal((await runPumadb(['check', ...here(made.dataDir)])).code, 0, 'while the server runs');
	await made.stop();
	const sound = await runPumadb(['check', ...here(made.dataDir)]);
	assert.equal(sound.code, 0, sound.err);
	assert.equal(sound.err, '');
	assert.match(sound.out, /sound/);
	for (const [what, [sql, says]] of Object.entries(DAMAGE)) {
		await t.test(what, async () => {
			const dataDir = dataDirOf(join(made.dataDir, 'pumadb.sqlite'));
			const db = new DatabaseSync(join(dataDir, 'pumadb.sqlite'));
			db.exec(sql);
			db.close();
			const { code, out, err } = await runPumadb(['check', ...here(dataDir)]);
			assert.match(err, says, `${out}${err}`);
			assert.equal(code, 1);
			assert.match(out, /\d+ faults?\./);
		});
	}
	await t.test('a page of the file', async () => {
		const dataDir = dataDirOf(join(made.dataDir, 'pumadb.sqlite'));
		const path = join(dataDir, 'pumadb.sqlite');
		const bytes = readFileSync(path);
		bytes.fill(0xff, 3 * 4096, 5 * 4096);
		writeFileSync(path, bytes);
		const { code, err } = await runPumadb(['check', ...here(dataDir)]);
		assert.equal(code, 1);
		assert.notEqual(err, '');
	});
});

for (const running of [true, false]) {
	test(`[6.10] [6.3] [6.5] keys create works with the server ${running ? 'running' : 'stopped'}`, async () => {
		const off = { ...UNLIMITED, PUMADB_SIGN_IN: 'off' };
		const dataDir = temporaryDir();
		const create = (email: string, ...more: string[]) =>
			runPumadb(['keys', 'create', '--email', email, ...more, ...here(dataDir)]);
		const first = running ? await startServer(off, dataDir) : undefined;
		const made = await create(' Grace@Example.com ');
		const again = await create('grace@example.com', '--name', 'second');
		await first?.stop();
		const next = await startServer(off, dataDir);
		try {
			const keys: string[] = [];
			for (const { code, out, err } of [made, again]) {
				assert.equal(code, 0, err);
				const key = /puma_live_[a-z0-9]+_[a-z0-9]+/.exec(out)?.[0];
				assert.ok(key !== undefined, out);
				keys.push(key);
			}
			const [one, two] = keys.map((key) => clientWith(next, key));
			const row = await one!.add('notes', { a: 1 });
			assert.deepEqual(await two!.rows('notes'), [row], 'both keys are of one account');
			const listed = (await one!.get('/v1/_keys')).body.keys;
			assert.deepEqual(
				listed.map((key: { name: string }) => key.name),
				['operator', 'second'],
			);
			assert.ok(made.out.includes(listed[0].id), 'the id is told, to revoke it by');
			const asked = await send(next.url, 'POST', '/auth/magic-link', { json: { email: 'grace@example.com' } });
			assert.equal(asked.body.error.code, 'sign_in_off');
		} finally {
			await next.stop();
		}
	});
}
