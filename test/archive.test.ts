import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, clientWith, send, signIn } from './support/client.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { type Env, NO_RATE_LIMITS, temporaryDir } from './support/server.ts';
import { openStoreOn } from './support/store.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LIMITS = { ...NO_RATE_LIMITS, PUMADB_MAX_ARCHIVE_BYTES: '1000', PUMADB_MAX_VERSIONS_PER_ROW: '0' };

let server: ClockedServer;
let ada: Client;

before(async () => {
	server = await startClocked(LIMITS);
});
after(async () => {
	await server.stop();
	assert.deepEqual(faultsOf(server.dataDir), []);
});
/** An account of its own for each test: its archive is empty. */
test.beforeEach(async () => {
	ada = await signIn(server);
});

/** A row with a text so long that the row as it is answered, which is what a version keeps, has 200 bytes: five fill the archive. */
const ROW = { t: 'x'.repeat(68) };
const keyed = (key: string, row: Any = ROW, table = 'notes'): Promise<Answer> =>
	ada.post(`/v1/${table}`, row, { 'idempotency-key': key });
const replayed = (answer: Answer): boolean => answer.headers.get('idempotency-replayed') === 'true';
const numbersOf = async (id: string, table = 'notes'): Promise<number[]> =>
	(await ada.get(`/v1/${table}/versions`, { id })).body.versions.map((one: Any) => one.version);

async function touch(id: string, times: number, table = 'notes'): Promise<void> {
	for (let n = 0; n < times; n++) {
		assertStatus(await ada.post(`/v1/${table}/update_row`, { id, patch: {} }), 200);
	}
}

test('[5.3] the oldest versions go first, in all tables of the account', async () => {
	const eve = await signIn(server);
	const others = await eve.add('notes', ROW);
	await eve.post('/v1/notes/update_row', { id: others.id, patch: {} });
	const one = await ada.add('notes', ROW);
	const two = await ada.add('other', ROW);
	assert.equal(JSON.stringify(one).length, 200);
	await touch(one.id, 2);
	await touch(two.id, 3, 'other');
	assert.deepEqual(
		[await numbersOf(one.id), await numbersOf(two.id, 'other')],
		[
			[2, 1],
			[3, 2, 1],
		],
	);
	await touch(two.id, 1, 'other');
	assert.deepEqual([await numbersOf(one.id), await numbersOf(two.id, 'other')], [[2], [4, 3, 2, 1]]);
	assertRefused(await ada.post('/v1/notes/restore', { id: one.id, version: 1 }), 404, 'version_not_found');
	await ada.del('/v1/other', { filter: { id: two.id } });
	assert.deepEqual([await numbersOf(one.id), await numbersOf(two.id, 'other')], [[], [5, 4, 3, 2, 1]]);
	// Numbers go on where they were, whatever is no longer kept.
	await touch(one.id, 1);
	assert.deepEqual(await numbersOf(one.id), [3]);
	assert.equal((await eve.get('/v1/notes/versions', { id: others.id })).body.versions.length, 1);
});

test('[5.3] a version larger than the archive is not kept, and the write goes through', async () => {
	const { id } = await ada.add('notes', { t: 'x'.repeat(2000) });
	await touch(id, 2);
	assert.deepEqual(await numbersOf(id), []);
	assert.deepEqual(assertStatus(await ada.del('/v1/notes', { filter: { id } }), 200), { deleted: 1 });
	assert.deepEqual((await ada.get('/v1/_tables')).body.tables, []);
});

test('[5.3] versions go before kept answers', async () => {
	const { id } = await ada.add('notes', ROW);
	await touch(id, 4);
	await keyed('a');
	assert.deepEqual(await numbersOf(id), [4, 3, 2, 1]);
	await keyed('b');
	assert.deepEqual(await numbersOf(id), [4, 3, 2]);
	for (const key of ['c', 'd', 'e']) assert.equal(assertStatus(await keyed(key), 201).t, ROW.t);
	assert.deepEqual(await numbersOf(id), []);
	for (const key of ['a', 'b', 'c', 'd', 'e']) assert.ok(replayed(await keyed(key)), key);
});

test('[5.3] where versions are not enough, keyed adds are refused and plain adds are not', async () => {
	for (const key of ['a', 'b', 'c', 'd', 'e']) await keyed(key);
	const before = await ada.rows('notes');
	assert.deepEqual(assertRefused(await keyed('f'), 400, 'archive_full'), { limit: 1000 });
	assertRefused(await keyed('f', {}, 'other'), 400, 'archive_full');
	const operations = [
		{ action: 'add', row: {} },
		{ action: 'add', row: ROW, idempotencyKey: 'f' },
	];
	const details = assertRefused(await ada.post('/v1/notes/batch', { operations }), 400, 'archive_full');
	assert.deepEqual([details.index, details.action], [1, 'add']);
	assert.deepEqual(await ada.rows('notes'), before);
	assert.ok(replayed(await keyed('a')));
	const plain = await ada.add('notes', ROW);
	assert.equal(assertStatus(await ada.post('/v1/notes/upsert', { key: 't', row: { t: 'new' } }), 200).created, true);
	// Changes go through too; there is no room for their versions.
	await touch(plain.id, 1);
	assert.deepEqual(await numbersOf(plain.id), []);
	const eve = await signIn(server);
	assertStatus(await eve.post('/v1/notes', ROW, { 'idempotency-key': 'f' }), 201);
});

test('[5.3] kept answers above an hour old go where versions are not enough, oldest first', async () => {
	for (const key of ['a', 'b', 'c']) await keyed(key);
	server.advance(30 * 60_000);
	for (const key of ['d', 'e']) await keyed(key);
	server.advance(29 * 60_000);
	assertRefused(await keyed('f'), 400, 'archive_full');
	server.advance(2 * 60_000);
	assertStatus(await keyed('f'), 201);
	assert.ok(replayed(await keyed('b')) && replayed(await keyed('f')));
	// The first answer is gone, so its key adds again; each new answer takes the place of the next oldest.
	for (const key of ['a', 'b']) assert.ok(!replayed(await keyed(key)), key);
	for (const key of ['d', 'e', 'f', 'a', 'b']) assert.ok(replayed(await keyed(key)), key);
	assertRefused(await keyed('g', {}), 400, 'archive_full');
	server.advance(30 * 60_000);
	assertStatus(await keyed('g', {}), 201);
	for (const key of ['e', 'f', 'a', 'b']) assert.ok(replayed(await keyed(key)), key);
});

/** Runs a stopped server's sweep as of a moment, to its end. */
async function sweep(
	dataDir: string,
	env: Env,
	now: number,
	accountId: string,
): Promise<{ steps: number; tables: Any }> {
	const store = await openStoreOn(dataDir, () => now, env);
	try {
		let steps = 0;
		for (let more = true; more; steps++) {
			const outcome = await store.writeAccounts({ command: 'sweep' });
			assert.ok(!('refusal' in outcome));
			more = outcome.more === true;
		}
		return { steps, tables: await store.read.tables(accountId, '') };
	} finally {
		await store.close();
	}
}

test('[5.4] [5.2] [4.1] [6.1] what has run out is swept away, and nothing else', async () => {
	const env = { ...NO_RATE_LIMITS, PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_BATCH_OPERATIONS: '0' };
	const dataDir = temporaryDir();
	const clocked = await startClocked(env, dataDir);
	const client = await signIn(clocked);
	ada = client;
	const operations = Array.from({ length: 500 }, (_, n) => ({ action: 'add', row: { n }, idempotencyKey: `k${n}` }));
	assertStatus(await client.post('/v1/emptied/batch', { operations }), 200);
	const all = (filter: Any) =>
		client.post('/v1/emptied/update_where', { filter, patch: { s: 2 }, allowMultiple: true });
	await client.post('/v1/emptied/batch', {
		operations: operations.map(({ row }) => ({ action: 'update_where', filter: row, patch: { s: 1 } })),
	});
	assert.equal(assertStatus(await all({ s: 1 }), 200).updated, 500);
	assert.equal(assertStatus(await client.del('/v1/emptied', { filter: { s: 2 } }), 200).deleted, 500);
	const kept = await client.add('kept', { n: 1 });
	await client.post('/v1/kept/update_row', { id: kept.id, patch: { n: 2 } });
	await send(clocked.url, 'POST', '/auth/magic-link', { json: { email: client.email } });
	clocked.advance(10 * DAY_MS);
	const late = await client.add('late', { n: 1 });
	await client.del('/v1/late', { filter: { n: 1 } });
	assertStatus(await keyed('late', { n: 1 }, 'answers'), 201);
	await client.del('/v1/answers', { filter: { n: 1 } });
	await clocked.stop();

	const count = (table: string) => queryDatabase(dataDir, `SELECT count(*) AS n FROM ${table}`)[0]!.n;
	const now = Date.now();
	await sweep(dataDir, env, now + 9 * DAY_MS, client.accountId);
	assert.deepEqual([count('versions'), count('kept_answers'), count('magic_links')], [1503, 1, 0]);
	await sweep(dataDir, env, now + 12 * DAY_MS, client.accountId);
	assert.deepEqual([count('versions'), count('kept_answers')], [1503, 0]);
	const expired = await sweep(dataDir, env, now + 31 * DAY_MS, client.accountId);
	assert.ok(expired.steps > 5, 'many small transactions');
	assert.equal(count('versions'), 2);
	assert.deepEqual(expired.tables, [
		{ name: 'answers', rows: 0 },
		{ name: 'kept', rows: 1 },
		{ name: 'late', rows: 0 },
	]);
	assert.deepEqual(faultsOf(dataDir), []);

	const again = await startClocked(env, dataDir);
	const back = clientWith(again, client.key);
	again.advance(31 * DAY_MS);
	const restored = assertStatus(await back.post('/v1/late/restore', { id: late.id, version: 1 }), 200);
	assert.equal(restored.row.created_at, late.created_at);
	assert.deepEqual((await back.get('/v1/kept/versions', { id: kept.id })).body.versions, []);
	assert.equal((await back.rows('kept'))[0].n, 2);
	await again.stop();

	const last = await sweep(dataDir, env, now + 45 * DAY_MS, client.accountId);
	assert.deepEqual(last.tables, [
		{ name: 'kept', rows: 1 },
		{ name: 'late', rows: 1 },
	]);
	assert.deepEqual([count('versions'), count('tables')], [0, 2]);
	assert.deepEqual(faultsOf(dataDir), []);
});
