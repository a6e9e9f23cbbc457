import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Any, type Client, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus, rowOfBytes } from './support/refusals.ts';
import { NO_RATE_LIMITS } from './support/server.ts';

const DAY_MS = 86_400_000;
const UNKNOWN_ID = '01890000-0000-7000-8000-000000000000';
const LIMITS = {
	...NO_RATE_LIMITS,
	PUMADB_MAX_VERSIONS_PER_ROW: '3',
	PUMADB_MAX_ROW_BYTES: '100',
	PUMADB_MAX_ACCOUNT_BYTES: '250',
	PUMADB_MAX_ROWS_PER_TABLE: '3',
	PUMADB_MAX_TABLES: '2',
};
const UNLIMITED = {
	...NO_RATE_LIMITS,
	PUMADB_MAX_VERSIONS_PER_ROW: '0',
	PUMADB_VERSION_RETENTION_DAYS: '0',
};

let server: ClockedServer;
let unlimited: ClockedServer;
let ada: Client;

before(async () => {
	[server, unlimited] = await Promise.all([startClocked(LIMITS), startClocked(UNLIMITED)]);
});
after(() => Promise.all([server.stop(), unlimited.stop()]));
/** An account of its own for each test: the limits are tight. */
test.beforeEach(async () => {
	ada = await signIn(server);
});

async function versionsOf(table: string, id: string, client = ada): Promise<Any[]> {
	return assertStatus(await client.get(`/v1/${table}/versions`, { id }), 200).versions;
}
const numbersOf = async (table: string, id: string, client = ada): Promise<number[]> =>
	(await versionsOf(table, id, client)).map((one) => one.version);
const restore = (table: string, id: string, version: number, client = ada) =>
	client.post(`/v1/${table}/restore`, { id, version });
const patch = async (table: string, id: string, fields: Any, client = ada): Promise<Any> =>
	assertStatus(await client.post(`/v1/${table}/update_row`, { id, patch: fields }), 200).row;
const remove = async (table: string, id: string, client = ada): Promise<void> =>
	assert.deepEqual(assertStatus(await client.del(`/v1/${table}`, { filter: { id } }), 200), { deleted: 1 });

test('[5.1] update, replace, restore and delete archive the live row first', async () => {
	const client = await signIn(unlimited);
	const states = [await client.add('notes', { k: 1, s: 'added' })];
	const { id } = states[0];
	states.push(await patch('notes', id, { s: 'patched' }, client));
	const where = await client.post('/v1/notes/update_where', { filter: { k: 1 }, patch: { s: 'where' } });
	states.push(assertStatus(where, 200).rows[0]);
	states.push((await client.post('/v1/notes/upsert', { key: 'k', row: { k: 1, s: 'replaced' } })).body.row);
	states.push(assertStatus(await restore('notes', id, 1, client), 200).row);
	assert.equal(states.at(-1).s, 'added');
	await remove('notes', id, client);
	const versions = await versionsOf('notes', id, client);
	assert.deepEqual(
		versions.map(({ version, deleted, row }) => ({ version, deleted, row })),
		states.map((row, n) => ({ version: n + 1, deleted: n === 4, row })).toReversed(),
	);
	for (const [n, { archived_at: at, row }] of versions.entries()) {
		assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
		assert.ok(at >= row.updated_at && (n === 0 || at <= versions[n - 1].archived_at));
	}
});

test('[5.1] [4.6] a batch archives each state that it leaves; what changes nothing archives nothing', async () => {
	const { id } = await ada.add('notes', { n: 0 });
	const updates = [1, 2].map((n) => ({ action: 'update_row', id, patch: { n } }));
	assertStatus(await ada.post('/v1/notes/batch', { operations: updates }), 200);
	assert.deepEqual(await numbersOf('notes', id), [2, 1]);
	assertRefused(await ada.post('/v1/notes/update_row', { id, patch: { id } }), 400, 'reserved_field');
	assertRefused(await restore('notes', id, 9), 404, 'version_not_found');
	await ada.post('/v1/notes/update_where', { filter: { n: 7 }, patch: {}, allowMultiple: true });
	await ada.del('/v1/notes', { filter: { n: 7 } });
	assert.deepEqual(await numbersOf('notes', id), [2, 1]);
	await patch('notes', id, {});
	assert.deepEqual(await numbersOf('notes', id), [3, 2, 1]);
});

test('[5.2] the last maxVersionsPerRow are kept, newest first', async () => {
	const { id } = await ada.add('notes', { n: 0 });
	const other = await ada.add('notes', { other: true });
	await patch('notes', other.id, {});
	for (let n = 1; n <= 5; n++) await patch('notes', id, { n });
	const versions = await versionsOf('notes', id);
	assert.deepEqual(
		versions.map(({ version, row }) => [version, row.n]),
		[
			[5, 4],
			[4, 3],
			[3, 2],
		],
	);
	assertRefused(await restore('notes', id, 2), 404, 'version_not_found');
	assert.equal(assertStatus(await restore('notes', id, 3), 200).row.n, 2);
	assert.deepEqual(await numbersOf('notes', id), [6, 5, 4]);
	assert.deepEqual(await numbersOf('notes', other.id), [1]);
});

test('[5.2] an unknown id has no versions', async () => {
	const { id } = await ada.add('notes', {});
	await patch('notes', id, {});
	for (const unknown of [UNKNOWN_ID, 'x', '', id.toUpperCase(), '%', `${id} `]) {
		assert.deepEqual(await versionsOf('notes', unknown), []);
		assert.deepEqual(await versionsOf('nowhere', unknown), []);
		assertRefused(await restore('notes', unknown, 1), 404, 'version_not_found');
	}
	assert.deepEqual(await versionsOf('nowhere', id), []);
	assertRefused(await restore('nowhere', id, 1), 404, 'version_not_found');
	assertRefused(await ada.get('/v1/notes/versions'), 400, 'invalid_request');
});

test('[5.2] versions are kept for versionRetentionDays', async () => {
	const clocked = await startClocked({ ...NO_RATE_LIMITS, PUMADB_VERSION_RETENTION_DAYS: '7' });
	try {
		const client = await signIn(clocked);
		const { id } = await client.add('notes', { n: 0 });
		await patch('notes', id, { n: 1 }, client);
		clocked.advance(5 * DAY_MS);
		await patch('notes', id, { n: 2 }, client);
		clocked.advance(2 * DAY_MS - 60_000);
		assert.deepEqual(await numbersOf('notes', id, client), [2, 1]);
		clocked.advance(61_000);
		assert.deepEqual(await numbersOf('notes', id, client), [2]);
		assertRefused(await restore('notes', id, 1, client), 404, 'version_not_found');
		await remove('notes', id, client);
		clocked.advance(7 * DAY_MS - 60_000);
		assert.deepEqual(await numbersOf('notes', id, client), [3]);
		assert.deepEqual((await client.get('/v1/_tables')).body.tables, [{ name: 'notes', rows: 0 }]);
		clocked.advance(61_000);
		assert.deepEqual(await numbersOf('notes', id, client), []);
		assert.deepEqual((await client.get('/v1/_tables')).body.tables, []);
		assertRefused(await restore('notes', id, 3, client), 404, 'version_not_found');
	} finally {
		await clocked.stop();
	}
});

test('[5.2] [9.2] 0 keeps every version for ever', async () => {
	const client = await signIn(unlimited);
	const { id } = await client.add('notes', { n: 0 });
	const updates = Array.from({ length: 25 }, (_, n) => ({ action: 'update_row', id, patch: { n } }));
	assertStatus(await client.post('/v1/notes/batch', { operations: updates }), 200);
	unlimited.advance(4000 * DAY_MS);
	assert.equal((await numbersOf('notes', id, client)).length, 25);
	assert.equal(assertStatus(await restore('notes', id, 1, client), 200).row.n, 0);
});

test('[5.2] versions cost no account bytes', async () => {
	const { id } = await ada.add('one', rowOfBytes(100));
	await ada.add('two', rowOfBytes(100));
	for (const text of ['a', 'b', 'c']) await patch('one', id, { t: text.repeat(92) });
	await ada.add('two', rowOfBytes(50));
	assertRefused(await ada.post('/v1/two', {}), 413, 'account_full');
});

test('[5.5] [3.3] a deleted row comes back under its id and created_at, in its old place', async () => {
	const rows = [await ada.add('notes', { n: 1 }), await ada.add('notes', { n: 2 }), await ada.add('notes', { n: 3 })];
	const [, second] = rows;
	await remove('notes', second.id);
	const { row } = assertStatus(await restore('notes', second.id, 1), 200);
	assert.deepEqual(row, { ...second, updated_at: row.updated_at });
	assert.ok(row.updated_at >= second.updated_at);
	assert.deepEqual(await ada.rows('notes'), [rows[0], row, rows[2]]);
	assert.deepEqual(await ada.rows('notes', { sort: 'none' }), [rows[0], row, rows[2]]);
	assert.deepEqual((await ada.get('/v1/_export')).body.tables.notes, [rows[0], row, rows[2]]);
	assert.deepEqual((await ada.get('/v1/_tables')).body.tables, [{ name: 'notes', rows: 3 }]);
});

test('[5.1] [5.5] numbers never go back over delete and restore', async () => {
	const { id } = await ada.add('notes', { n: 0 });
	for (let n = 1; n <= 3; n++) {
		await patch('notes', id, { n });
		await remove('notes', id);
		const [newest] = await versionsOf('notes', id);
		assert.deepEqual([newest.version, newest.deleted, newest.row.n], [2 * n, true, n]);
		const { row } = assertStatus(await restore('notes', id, 2 * n - (n % 2)), 200);
		assert.equal(row.n, n - (n % 2));
		// A row that was gone is not archived by its return.
		assert.equal((await versionsOf('notes', id))[0].version, 2 * n);
	}
	assert.deepEqual(await numbersOf('notes', id), [6, 5, 4]);
	await patch('notes', id, {});
	assert.deepEqual(await numbersOf('notes', id), [7, 6, 5]);
});

test('[5.5] restoring a live row archives it and puts the members back as they were', async () => {
	const first = await ada.add('notes', { b: 1, a: { deep: [null] }, 7: 'seven' });
	const second = (await ada.post('/v1/notes/upsert', { key: 'b', row: { b: 1, c: 2 } })).body.row;
	const { row } = assertStatus(await restore('notes', first.id, 1), 200);
	assert.equal(JSON.stringify(row), JSON.stringify({ ...first, updated_at: row.updated_at }));
	assert.deepEqual(
		(await versionsOf('notes', first.id)).map((one) => one.row),
		[second, first],
	);
	assert.deepEqual(await ada.rows('notes'), [row]);
});

test('[5.5] [4.2] a deleted row comes back only within the limits', async () => {
	const row = await ada.add('one', rowOfBytes(100));
	await remove('one', row.id);
	for (let n = 0; n < 3; n++) await ada.add('one', { n });
	assertRefused(await restore('one', row.id, 1), 400, 'row_limit_reached');
	await ada.del('/v1/one', { filter: { n: 0 } });
	const big = await ada.add('two', rowOfBytes(100));
	await ada.add('two', rowOfBytes(35));
	// The two tables' rows take 14 and 135 bytes; with the 100 to come back they are 249.
	assertStatus(await restore('one', row.id, 1), 200);
	await remove('one', row.id);
	await ada.add('two', { t: 1 });
	assert.deepEqual(assertRefused(await restore('one', row.id, 2), 400, 'account_full'), { bytes: 256, limit: 250 });
	await ada.del('/v1/one', { filter: { n: 1 } });
	await ada.del('/v1/one', { filter: { n: 2 } });
	await ada.add('three', {});
	assertRefused(await restore('one', row.id, 2), 400, 'table_limit_reached');
	await ada.del('/v1/two', { filter: { id: big.id } });
	await ada.del('/v1/three', { filter: { id: (await ada.rows('three'))[0].id } });
	assertStatus(await restore('one', row.id, 2), 200);
});

test('[5.5] [4.2] a live row grows back only within the limits', async () => {
	const row = await ada.add('one', rowOfBytes(100));
	await patch('one', row.id, { t: '' });
	await ada.add('two', rowOfBytes(100));
	await ada.add('two', rowOfBytes(51));
	assert.deepEqual(assertRefused(await restore('one', row.id, 1), 400, 'account_full'), { bytes: 251, limit: 250 });
	assert.deepEqual(await numbersOf('one', row.id), [1]);
	await ada.del('/v1/two', { filter: { t: rowOfBytes(51).t } });
	assertStatus(await restore('one', row.id, 1), 200);
});

test('[5.5] restore takes a whole number from 1 on', async () => {
	const { id } = await ada.add('notes', {});
	await patch('notes', id, {});
	for (const version of [0, -1, 1.5, '1', null, true, [1], undefined, 2 ** 53]) {
		assertRefused(await ada.post('/v1/notes/restore', { id, version }), 400, 'invalid_request');
	}
	assertRefused(await ada.post('/v1/notes/restore', { id: 7, version: 1 }), 400, 'invalid_request');
	assertRefused(await ada.post('/v1/notes/restore', { version: 1 }), 400, 'invalid_request');
	const body = `{"id":"${id}","version":1.0}`;
	assertStatus(
		await ada.call('POST', '/v1/notes/restore', { body, headers: { 'content-type': 'application/json' } }),
		200,
	);
});
