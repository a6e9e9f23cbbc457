import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Any, type Client, signIn } from './support/client.ts';
import { assertRefused, assertStatus, rowOfBytes } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

/** Limits that a few calls reach. */
const TIGHT = {
	...NO_RATE_LIMITS,
	PUMADB_MAX_TABLES: '2',
	PUMADB_MAX_ROWS_PER_TABLE: '3',
	PUMADB_MAX_ROW_BYTES: '100',
	PUMADB_MAX_ACCOUNT_BYTES: '300',
};

let tight: TestServer;
let roomy: TestServer;
let ada: Client;

before(async () => {
	[tight, roomy] = await Promise.all([startServer(TIGHT), startServer()]);
	ada = await signIn(roomy);
});
after(() => Promise.all([tight.stop(), roomy.stop()]));

const tablesOf = async (client: Client): Promise<Any> => (await client.get('/v1/_tables')).body.tables;

/** Every way to bring a new row into a table; each must be refused with the status that its operation has for the code. */
async function assertNoNewRow(client: Client, table: string, row: Any, code: string, single = 400): Promise<void> {
	const key = Object.keys(row)[0] ?? 'k';
	assertRefused(await client.post(`/v1/${table}`, row), single, code);
	if (Object.hasOwn(row, key)) assertRefused(await client.post(`/v1/${table}/upsert`, { key, row }), 400, code);
	const add = await client.post(`/v1/${table}/batch`, { operations: [{ action: 'add', row }] });
	const details = assertRefused(add, single, code);
	assert.deepEqual([details.index, details.action], [0, 'add']);
}

test('[4.1] [3.6] a table begins with its first row', async () => {
	const client = await signIn(roomy);
	assert.deepEqual(await client.rows('plants'), []);
	assert.equal((await client.get('/v1/plants/count')).body.count, 0);
	assert.deepEqual(assertStatus(await client.del('/v1/plants', { filter: { a: 1 } }), 200), { deleted: 0 });
	assertRefused(await client.post('/v1/plants', { id: 'x' }), 400, 'reserved_field');
	assert.deepEqual(await tablesOf(client), []);
	await client.add('plants', {});
	await client.post('/v1/animals/upsert', { key: 'a', row: { a: 1 } });
	assert.deepEqual(await tablesOf(client), [
		{ name: 'animals', rows: 1 },
		{ name: 'plants', rows: 1 },
	]);
});

test('[4.1] [4.2] a table counts against maxTables while it has live rows', async () => {
	const client = await signIn(tight);
	await client.add('one', { n: 1 });
	await client.add('two', { n: 2 });
	await assertNoNewRow(client, 'three', { n: 3 }, 'table_limit_reached');
	const refused = await client.post('/v1/three', { n: 3 });
	assert.equal(refused.body.error.details.limit, 2);
	await client.add('two', { n: 2 });
	await client.del('/v1/one', { filter: { n: 1 } });
	assert.deepEqual(await tablesOf(client), [
		{ name: 'one', rows: 0 },
		{ name: 'two', rows: 2 },
	]);
	await client.add('three', { n: 3 });
	await assertNoNewRow(client, 'one', { n: 1 }, 'table_limit_reached');
});

test('[4.2] a table has at most maxRowsPerTable live rows', async () => {
	const client = await signIn(tight);
	for (const n of [1, 2, 3]) await client.add('rows', { n });
	await assertNoNewRow(client, 'rows', { n: 4 }, 'row_limit_reached');
	assert.equal((await client.post('/v1/rows', {})).body.error.details.limit, 3);
	const kept = await client.post('/v1/rows/upsert', { key: 'n', row: { n: 3, more: true } });
	assert.equal(assertStatus(kept, 200).created, false);
	assertStatus(await client.del('/v1/rows', { filter: { n: 1 } }), 200);
	await client.add('rows', { n: 4 });
	await assertNoNewRow(client, 'rows', { n: 5 }, 'row_limit_reached');
	const swap = { operations: [{ action: 'delete', filter: { n: 2 } }, add({ n: 5 }), add({ n: 6 })] };
	const details = assertRefused(await client.post('/v1/rows/batch', swap), 400, 'row_limit_reached');
	assert.deepEqual([details.index, details.action], [2, 'add']);
	swap.operations.pop();
	assertStatus(await client.post('/v1/rows/batch', swap), 200);
	assert.deepEqual(
		(await client.rows('rows')).map((row) => row.n),
		[3, 4, 5],
	);
});

test('[2.3] [4.2] a row of maxRowBytes is taken, one byte more is not', async () => {
	const client = await signIn(tight);
	const exact = await client.add('bytes', rowOfBytes(100));
	await client.del('/v1/bytes', { filter: { id: exact.id } });
	await assertNoNewRow(client, 'bytes', rowOfBytes(101), 'row_too_large', 413);
	// 46 two-byte characters and the eight bytes around them are 100.
	const wide = await client.add('bytes', { t: 'é'.repeat(46) });
	assertRefused(await client.post('/v1/bytes', { t: 'é'.repeat(47) }), 413, 'row_too_large');

	const id = wide.id;
	const patch = { u: 1 };
	const byId = await client.post('/v1/bytes/update_row', { id, patch });
	assert.deepEqual(assertRefused(byId, 400, 'row_too_large'), { bytes: 106, limit: 100 });
	assertRefused(await client.post('/v1/bytes/update_where', { filter: { id }, patch }), 400, 'row_too_large');
	for (const operation of [
		{ action: 'update_row', id, patch },
		{ action: 'update_where', filter: { id }, patch },
		{ action: 'upsert', key: 't', row: { ...rowOfBytes(95), u: 1 } },
	]) {
		const answer = await client.post('/v1/bytes/batch', { operations: [add({ small: true }), operation] });
		assert.equal(assertRefused(answer, 413, 'row_too_large').index, 1);
	}
	assert.deepEqual(await client.rows('bytes'), [wide]);
	assertStatus(await client.post('/v1/bytes/update_row', { id, patch: rowOfBytes(100) }), 200);
});

test('[2.3] [4.2] an account holds maxAccountBytes in all its tables, and not one more', async () => {
	const client = await signIn(tight);
	await client.add('one', rowOfBytes(100));
	await client.add('one', rowOfBytes(100, 'u'));
	const last = await client.add('two', { n: 1, ...rowOfBytes(92) });
	assert.deepEqual(assertRefused(await client.post('/v1/two', { t: 1 }), 413, 'account_full'), {
		bytes: 305,
		limit: 300,
	});
	await assertNoNewRow(client, 'two', { t: 1 }, 'account_full', 413);
	await client.add('two', {});
	assertRefused(await client.post('/v1/two', {}), 413, 'account_full');

	const { id } = last;
	assertRefused(await client.post('/v1/two/update_row', { id, patch: { n: 12 } }), 400, 'account_full');
	assertRefused(await client.post('/v1/two/update_where', { filter: { n: 1 }, patch: { n: 12 } }), 400, 'account_full');
	assertRefused(
		await client.post('/v1/two/upsert', { key: 'n', row: { n: 1, ...rowOfBytes(93) } }),
		400,
		'account_full',
	);
	const grow = { action: 'update_row', id, patch: { n: 12 } };
	const full = await client.post('/v1/two/batch', { operations: [grow] });
	assertRefused(full, 413, 'account_full');
	// A change of the same size needs no room, and what goes makes room for what comes.
	assertStatus(await client.post('/v1/two/update_row', { id, patch: { n: 2 } }), 200);
	const shrink = { action: 'update_row', id, patch: { t: '' } };
	assertStatus(await client.post('/v1/two/batch', { operations: [shrink, grow] }), 200);
	assertStatus(await client.del('/v1/one', { filter: { t: rowOfBytes(100).t } }), 200);
	await client.add('one', rowOfBytes(100));
});

test('[4.3] upsert inserts, then replaces the own members as a whole', async () => {
	const first = await ada.post('/v1/people/upsert', { key: 'email', row: { email: 'a@x', name: 'Ada', age: 36 } });
	const { created, row } = assertStatus(first, 200);
	assert.equal(created, true);
	assert.equal(row.updated_at, row.created_at);
	const second = await ada.post('/v1/people/upsert', { key: ['email'], row: { city: 'London', email: 'a@x' } });
	const replaced = assertStatus(second, 200);
	assert.equal(replaced.created, false);
	assert.deepEqual(replaced.row, {
		id: row.id,
		city: 'London',
		email: 'a@x',
		created_at: row.created_at,
		updated_at: replaced.row.updated_at,
	});
	assert.ok(replaced.row.updated_at >= row.updated_at);
	assert.deepEqual(Object.keys(replaced.row), ['id', 'city', 'email', 'created_at', 'updated_at']);
	assert.deepEqual(await ada.rows('people'), [replaced.row]);
});

test('[4.3] a composite key matches where every member is equal, without coercion', async () => {
	const upsert = (row: Any, key: Any = ['user', 'day']) => ada.post('/v1/days/upsert', { key, row });
	const created = async (row: Any, key?: Any) => assertStatus(await upsert(row, key), 200).created;
	assert.equal(await created({ user: 'a', day: 1, x: 1 }), true);
	assert.equal(await created({ user: 'a', day: 2, x: 1 }), true);
	assert.equal(await created({ user: 'b', day: 1, x: 1 }), true);
	assert.equal(await created({ user: 'a', day: '1', x: 1 }), true);
	assert.equal(await created({ user: 'a', day: true, x: 1 }), true);
	assert.equal(await created({ day: 1, user: 'a', x: 2 }, ['day', 'user']), false);
	assert.equal(await created({ user: 'a', day: 1, x: 3 }, ['user', 'day', 'user']), false);
	assert.equal(await created({ user: 'a', day: false }), true);
	assert.equal(await created({ user: 'a', day: 0 }), true);
	assert.equal(await created({ user: 'a', day: '' }), true);
	const [first] = await ada.rows('days', { filter: { user: 'a', day: 1 } });
	assert.equal(first.x, 3);
});

test('[4.3] each key member must be in the row, a string, number or boolean', async () => {
	const refusals: [Any, Any, string][] = [
		['k', { other: 1 }, 'invalid_key'],
		['k', { k: null }, 'invalid_key'],
		['k', { k: {} }, 'invalid_key'],
		['k', { k: ['a'] }, 'invalid_key'],
		[['k', 'missing'], { k: 1 }, 'invalid_key'],
		['id', { k: 1 }, 'invalid_key'],
		['created_at', { k: 1 }, 'invalid_key'],
		['id', { id: '0197a1b2-0000-7000-8000-000000000000' }, 'reserved_field'],
		['constructor', { k: 1 }, 'invalid_key'],
		['', { k: 1 }, 'invalid_member_name'],
		[[], { k: 1 }, 'invalid_request'],
		[[1], { k: 1 }, 'invalid_request'],
		[7, { k: 1 }, 'invalid_request'],
		[null, { k: 1 }, 'invalid_request'],
		['k', [{ k: 1 }], 'invalid_request'],
		['k', null, 'invalid_request'],
	];
	for (const [key, row, code] of refusals) {
		const details = assertRefused(await ada.post('/v1/keys/upsert', { key, row }), 400, code);
		if (code === 'invalid_key') assert.equal(details.field, Array.isArray(key) ? 'missing' : key);
	}
	assertRefused(await ada.post('/v1/keys/upsert', { row: { k: 1 } }), 400, 'invalid_request');
	assertRefused(await ada.post('/v1/keys/upsert', { key: 'k' }), 400, 'invalid_request');
	assert.deepEqual(await ada.rows('keys'), []);
	const odd = '{"key":["__proto__","constructor"],"row":{"__proto__":1,"constructor":"c"}}';
	for (const created of [true, false]) {
		const answer = await ada.call('POST', '/v1/keys/upsert', {
			body: odd,
			headers: { 'content-type': 'application/json' },
		});
		assert.equal(assertStatus(answer, 200).created, created);
		assert.match(answer.text, /"__proto__":1,"constructor":"c"/);
	}
});

test('[4.3] several rows with the key are refused and stay as they are', async () => {
	const rows = [await ada.add('twice', { k: 1, a: 1 }), await ada.add('twice', { k: 1, a: 2 })];
	const details = assertRefused(await ada.post('/v1/twice/upsert', { key: 'k', row: { k: 1 } }), 400, 'key_not_unique');
	assert.equal(details.matched, 2);
	assert.deepEqual(await ada.rows('twice'), rows);
	const narrower = await ada.post('/v1/twice/upsert', { key: ['k', 'a'], row: { k: 1, a: 2, b: 3 } });
	assert.equal(assertStatus(narrower, 200).row.id, rows[1].id);
});

test('[4.3] [1.7] unknown members of the envelope are ignored, of the row kept', async () => {
	const answer = await ada.post('/v1/extra/upsert', {
		key: 'k',
		row: { k: 1, filter: {}, key: 'k' },
		created: 7,
		id: 'x',
	});
	const { row } = assertStatus(answer, 200);
	assert.deepEqual(Object.keys(row), ['id', 'k', 'filter', 'key', 'created_at', 'updated_at']);
});

test('[4.4] update_where changes one match, and says so where there is none or are several', async () => {
	const rows = [await ada.add('where', { s: 'open', n: 1 }), await ada.add('where', { s: 'open', n: 2 })];
	const update = (json: Any) => ada.post('/v1/where/update_where', json);
	assertRefused(await update({ filter: { s: 'none' }, patch: {} }), 404, 'row_not_found');
	assertRefused(await ada.post('/v1/nowhere/update_where', { filter: { s: 1 }, patch: {} }), 404, 'row_not_found');
	const several = await update({ filter: { s: 'open' }, patch: { s: 'shut' } });
	assert.equal(assertRefused(several, 409, 'multiple_matches').matched, 2);
	assertRefused(
		await update({ filter: { s: 'open' }, patch: { s: 'shut' }, allowMultiple: false }),
		409,
		'multiple_matches',
	);
	assert.deepEqual(await ada.rows('where'), rows);
	const one = assertStatus(await update({ filter: { s: 'open', n: 2 }, patch: { n: 3 } }), 200);
	assert.equal(one.updated, 1);
	assert.deepEqual(one.rows, [{ ...rows[1], n: 3, updated_at: one.rows[0].updated_at }]);
	for (const filter of [{}, undefined, null, []]) {
		const answer = await update({ filter, patch: {} });
		assertRefused(answer, 400, filter?.constructor === Object ? 'filter_required' : 'invalid_request');
	}
});

test('[4.4] with allowMultiple update_where answers 200 from 0 on, in order of creation', async () => {
	const rows = [await ada.add('many', { s: 'a', n: 1 }), await ada.add('many', { s: 'a', n: 2 })];
	await ada.add('many', { s: 'b' });
	const update = (filter: Any, patch: Any) => ada.post('/v1/many/update_where', { filter, patch, allowMultiple: true });
	assert.deepEqual(assertStatus(await update({ s: 'c' }, { x: 1 }), 200), { updated: 0, rows: [] });
	const both = assertStatus(await update({ s: 'a' }, { s: 'c', x: null }), 200);
	assert.equal(both.updated, 2);
	assert.deepEqual(
		both.rows,
		rows.map((row) => ({ ...row, s: 'c', x: null, updated_at: both.rows[0].updated_at })),
	);
	assert.equal(assertStatus(await update({ s: 'b' }, {}), 200).updated, 1);
});

test('[4.4] update_where with several matches changes all or none', async () => {
	const client = await signIn(tight);
	const rows = [await client.add('all', { s: 1, ...rowOfBytes(80) }), await client.add('all', { s: 1 })];
	const patch = { extra: 'x'.repeat(20) };
	const answer = await client.post('/v1/all/update_where', { filter: { s: 1 }, patch, allowMultiple: true });
	assertRefused(answer, 400, 'row_too_large');
	assert.deepEqual(await client.rows('all'), rows);
	assert.deepEqual((await client.get('/v1/all/versions', { id: rows[1].id })).body.versions, []);
});

test('[4.5] DELETE takes every match; none is 0', async () => {
	for (const [s, n] of [
		['a', 1],
		['a', 2],
		['b', 1],
	] as const)
		await ada.add('gone', { s, n });
	const del = async (filter: Any) => ada.del('/v1/gone', { filter });
	assert.deepEqual(assertStatus(await del({ s: 'c' }), 200), { deleted: 0 });
	assert.deepEqual(assertStatus(await del({ s: 'a' }), 200), { deleted: 2 });
	assert.deepEqual(assertStatus(await del({ s: 'a' }), 200), { deleted: 0 });
	assertRefused(await del({}), 400, 'filter_required');
	assertRefused(await del(undefined), 400, 'invalid_request');
	assertRefused(await del({ s: ['a'] }), 400, 'invalid_request');
	assert.deepEqual(
		(await ada.rows('gone')).map((row) => row.s),
		['b'],
	);
});

function add(row: Any): Any {
	return { action: 'add', row };
}
