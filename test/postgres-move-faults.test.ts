import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { newAccountId } from '../src/accounts/secrets.ts';
import { queryDatabase } from './support/data-dir.ts';
import { type Launched, launch, run } from './support/launch.ts';
import { database, freePort, query } from './support/postgres.ts';
import { type Env, NO_RATE_LIMITS, startNode, temporaryDir } from './support/server.ts';
import { openStoreOn } from './support/store.ts';

/** A move that is stopped in every way, and ends that must not be touched. */

const ROWS = 8000;
const dataDir = temporaryDir();
const unused = temporaryDir();
let databases = 0;
const emptyDatabase = (): Promise<string> => database(`stopped_${process.pid}_${++databases}`);

before(async () => {
	const store = await openStoreOn(dataDir, Date.now, { PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_ACCOUNT_BYTES: '0' });
	for (const email of ['ada@example.com', 'bob@example.com']) {
		const key = {
			id: `key_${email}`,
			name: 'k',
			secretHash: 'a'.repeat(64),
			secretStart: 'abcd',
			madeBy: 'api',
		} as const;
		const made = await store.writeAccounts({
			command: 'createKeyForEmail',
			email,
			freshAccountId: newAccountId(),
			key,
		});
		assert.ok('accountId' in made);
		const add = (n: number) => ({ action: 'add', own: `{"n":${n},"t":"ü${'x'.repeat(80)}"}` }) as const;
		for (let n = 0; n < ROWS / 2; n += 500) {
			const operations = Array.from({ length: 500 }, (_, i) => add(n + i));
			assert.ok('results' in (await store.writeRows({ accountId: made.accountId!, table: 'many', operations })));
		}
	}
	await store.close();
});

const moving = (from: string, to: string): Launched => launch(['move', '--from', from, '--to', to]);
const move = (from: string, to: string, env: Env = {}) => run(['move', '--from', from, '--to', to], env);

/** All rows of either kind of place, as a hash of their own. */
async function rowsOf(place: string): Promise<string> {
	const rows = place.startsWith('postgres:')
		? await query(place, 'SELECT account_id, table_name, text FROM rows ORDER BY account_id, table_name, id')
		: queryDatabase(
				place,
				'SELECT t.account_id, t.name, r.text FROM rows r JOIN tables t USING (table_no) ORDER BY t.account_id, t.name, r.id',
			);
	assert.equal(rows.length, ROWS);
	return hash('sha256', rows.map((row) => Object.values(row).join(' ')).join('\n'));
}

/** How far a move is, as text; undefined where there is no mark. */
async function markOf(place: string): Promise<string | undefined> {
	const sql = 'SELECT kind, position FROM move';
	try {
		const rows = place.startsWith('postgres:')
			? await query(place, sql)
			: existsSync(join(place, 'pumadb.sqlite')) && queryDatabase(place, sql);
		return rows && rows[0] !== undefined ? JSON.stringify(rows[0]) : undefined;
	} catch {
		return undefined;
	}
}

/** Waits until rows come in beyond what was there. @returns false where the move has ended before */
async function goneOn(move: Launched, place: string, before: string | undefined): Promise<boolean> {
	let over = false;
	move.ended.then(() => {
		over = true;
	});
	for (; !over; await pause(2)) {
		const mark = await markOf(place);
		if (mark !== undefined && mark !== before && mark.includes('"rows"')) return true;
	}
	return false;
}

type Stop = 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'lost';

async function stop(move: Launched, how: Stop, place: string): Promise<void> {
	if (how !== 'lost') {
		move.process.kill(how);
		const code = await move.ended;
		if (how === 'SIGKILL') return;
		assert.equal(code, 130, move.err());
		assert.match(move.err(), /^pumadb move: Stopped\. \S+ cannot be served yet; the same command goes on\.$/m);
		return;
	}
	await query(
		place,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pumadb move'`,
	);
	assert.equal(await move.ended, 5, move.err());
	assert.match(move.err(), /^pumadb move: A database cannot be reached [^\n]+ then run the same command again\.$/m);
}

async function stoppedAndFinished(from: string, to: string, database: string, stops: readonly Stop[]): Promise<void> {
	for (const how of stops) {
		const before = await markOf(to);
		const started = moving(from, to);
		assert.ok(await goneOn(started, to, before), `it ended before it was stopped: ${started.err()}`);
		await stop(started, how, database);
		assert.ok((await markOf(to)) !== undefined, 'the mark is gone');
	}
	const { code, out, err } = await move(from, to);
	assert.equal(code, 0, err);
	assert.match(err, /^Going on after \d+ of \d+ records from /m);
	assert.match(out, new RegExp(`^rows +${ROWS} +${ROWS} +(\\w{16}) +\\1 +same$`, 'm'));
	assert.equal(await markOf(to), undefined);
	assert.equal(await rowsOf(to), await rowsOf(dataDir));
	assert.equal((await run(checkOf(to).args, checkOf(to).env)).code, 0);
}

function checkOf(place: string): { args: string[]; env: Env } {
	return place.startsWith('postgres:')
		? { args: ['check'], env: { PUMADB_DATABASE_URL: place } }
		: { args: ['check', '--data-dir', place], env: {} };
}

/** Makes each statement that stores rows take a while, so that a move is surely stopped in the middle. */
async function slow(url: string): Promise<void> {
	await run(['keys', 'create', '--email', 'x@example.com'], { PUMADB_DATABASE_URL: url });
	await query(url, 'DELETE FROM api_keys');
	await query(url, 'DELETE FROM emails');
	await query(url, 'DELETE FROM accounts');
	await query(
		url,
		`CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$`,
	);
	await query(url, 'CREATE TRIGGER wait AFTER INSERT ON rows FOR EACH STATEMENT EXECUTE FUNCTION public.wait()');
}

test('[13.13] killed, interrupted, cut off: a move to PostgreSQL goes on and ends the same', async () => {
	const url = await emptyDatabase();
	await slow(url);
	await stoppedAndFinished(dataDir, url, url, ['SIGKILL', 'lost', 'SIGTERM', 'SIGKILL', 'SIGINT']);
});

test('[13.13] the same of a move to a file, which no server, command or other move touches meanwhile', async () => {
	const [url, to, other] = [await emptyDatabase(), join(temporaryDir(), 'target'), temporaryDir()];
	assert.equal((await move(dataDir, url)).code, 0);
	const first = moving(url, to);
	assert.ok(await goneOn(first, to, undefined));
	await first.kill();
	const source = new URL(url);
	const named = `postgres://${source.host}${source.pathname}`;
	for (const args of [
		['serve', '--data-dir', to, '--port', '0'],
		['check', '--data-dir', to],
		['backup', join(other, 'copy'), '--data-dir', to],
		['keys', 'create', '--email', 'a@example.com', '--data-dir', to],
		['move', '--from', to, '--to', join(other, 'next')],
	]) {
		const { code, err } = await run(args);
		assert.equal(code, 1, args.join(' '));
		assert.match(err, /^pumadb [a-z ]+: \S+ is the target of a move from \S+ that has not ended: [^\n]+\n$/);
		assert.ok(err.includes(named), err);
	}
	const foreign = await move(dataDir, to);
	assert.equal(foreign.code, 1);
	assert.match(
		foreign.err,
		/^pumadb move: \S+ is the target of a move from \S+ that has not ended, not of one from [^\n]+\n$/,
	);
	await stoppedAndFinished(url, to, url, ['SIGKILL', 'lost', 'SIGINT']);
});

test('[13.13] a half-moved PostgreSQL is not served; a source that changed meanwhile is told', async () => {
	const [url, from] = [await emptyDatabase(), join(temporaryDir(), 'from')];
	await slow(url);
	assert.equal((await move(dataDir, from)).code, 0);
	const started = moving(from, url);
	assert.ok(await goneOn(started, url, undefined));
	await started.kill();
	const env = { PUMADB_DATABASE_URL: url };
	for (const args of [['serve', '--port', '0'], ['check'], ['keys', 'create', '--email', 'a@example.com']]) {
		const { code, err } = await run(args, env);
		assert.equal(code, 1, args.join(' '));
		assert.match(
			err,
			/^pumadb [a-z ]+: The database of PUMADB_DATABASE_URL is the target of a move from \S+ that has not ended: [^\n]+\n$/,
		);
	}
	const dry = await run(['move', '--from', from, '--to', url, '--dry-run']);
	assert.match(
		dry.out,
		/^8006 records would be carried [^\n]+ \d+ of them are there already: a move goes on\. Nothing was changed\.$/m,
	);
	assert.equal((await run(['keys', 'create', '--email', 'new@example.com', '--data-dir', from])).code, 0);
	const { code, err } = await move(from, url);
	assert.equal(code, 1);
	assert.match(
		err,
		/^pumadb move: \S+ has changed since the move to \S+ began \(accounts: 2 then, 3 now\)\. [^\n]+\n$/,
	);
});

test('[13.13] what arrives otherwise than it left is a failure that says where, and the target is not served', async () => {
	const url = await emptyDatabase();
	await slow(url);
	await query(
		url,
		`CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.text := replace(NEW.text, '"n":77,', '"n":78,'); RETURN NEW; END $$`,
	);
	await query(url, 'CREATE TRIGGER spoil BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION public.spoil()');
	for (let times = 0; times < 2; times++) {
		const { code, out, err } = await move(dataDir, url);
		assert.equal(code, 1);
		assert.match(out, /^rows +8000 +8000 +\w{16} +\w{16} +DIFFERENT$/m);
		assert.match(out, /^accounts +2 +2 +(\w{16}) +\1 +same$/m);
		const accounts = (await query(url, 'SELECT account_id FROM accounts')).map(({ account_id: id }) => id);
		for (const id of accounts) assert.match(err, new RegExp(`^rows of account ${id}: 4000 \\(checksum `, 'm'));
		assert.match(err, /^pumadb move: The ends differ, [^\n]+\n$/m);
		assert.equal((await run(['serve', '--port', '0'], { PUMADB_DATABASE_URL: url })).code, 1);
	}
});

test('[13.14] ends that are served, or hold data, are refused in one sentence', async () => {
	const [url, full, copy] = [await emptyDatabase(), await emptyDatabase(), join(temporaryDir(), 'copy')];
	assert.equal((await move(dataDir, full)).code, 0);
	assert.equal((await move(dataDir, copy)).code, 0);
	for (const to of [full, copy]) {
		const { code, err } = await move(to === full ? copy : full, to);
		assert.equal(code, 1);
		assert.match(
			err,
			/^pumadb move: \S+ holds data already \(accounts\), and a move needs an empty target\. [^\n]+\n$/,
		);
	}
	const [onFile, onDatabase] = [
		await startNode(NO_RATE_LIMITS, copy),
		await startNode({ ...NO_RATE_LIMITS, PUMADB_DATABASE_URL: url }, unused),
	];
	try {
		for (const [from, to] of [
			[copy, await emptyDatabase()],
			[dataDir, copy],
		] as const) {
			const { code, err } = await move(from, to);
			assert.equal(code, 1);
			assert.match(err, /^pumadb move: Another pumaDB process \(process \d+\) uses the data directory [^\n]+\n$/);
		}
		for (const [from, to] of [
			[url, join(temporaryDir(), 'none')],
			[dataDir, url],
		] as const) {
			const { code, err } = await move(from, to);
			assert.equal(code, 1);
			assert.match(
				err,
				/^pumadb move: A pumaDB server or command uses the database postgres:\S+ \(connections: \d+, from [^\n]+\n$/,
			);
		}
	} finally {
		await Promise.all([onFile.kill(), onDatabase.kill()]);
	}
});

test('[13.14] no password is told, and one may come from the environment', async () => {
	const url = new URL(await emptyDatabase());
	const password = url.password;
	const [wrong, away, none] = [new URL(url), new URL(url), new URL(url)];
	wrong.password = 'no-such-secret';
	away.port = String(await freePort());
	none.password = '';
	for (const [to, code] of [
		[wrong.href, 1],
		[away.href, 5],
		['mysql://u:no-such-secret@h/d', 2],
		['postgres://u:no-such-secret@[h/d', 2],
	] as const) {
		for (const ends of [
			[dataDir, to],
			[to, join(temporaryDir(), 'x')],
		] as const) {
			const ran = await move(ends[0], ends[1]);
			assert.equal(ran.code, code, ran.err);
			assert.match(ran.err, /^pumadb move: [^\n]+\n$/);
			assert.ok(!(ran.err + ran.out).includes('no-such-secret') && !ran.err.includes(`:${password}@`), ran.err);
		}
	}
	const { code, out, err } = await move(dataDir, none.href, { PGPASSWORD: password });
	assert.equal(code, 0, err);
	assert.ok(!(out + err).includes(`${password}@`));
	assert.equal((await move(dataDir, `${dataDir}/.`)).code, 2);
	assert.equal((await run(['move', '--from', dataDir])).code, 2);
});
