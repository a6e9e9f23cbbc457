import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addAll } from './support/add-all.ts';
import { type Any, type Client, signIn } from './support/client.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
});
after(() => server.stop());

/** The `n` members of a query's rows; the count of the same filter must agree. */
async function found(table: string, filter: unknown): Promise<number[]> {
	const rows = await ada.rows(table, { filter });
	const { count } = assertStatus(await ada.get(`/v1/${table}/count`, { filter }), 200);
	assert.equal(count, rows.length);
	return rows.map(({ n }) => n);
}

test('[3.1] equality is that of JSON, without coercion', async () => {
	const values = [
		null,
		true,
		false,
		0,
		1,
		1.5,
		-1,
		'',
		'1',
		'true',
		'null',
		'0',
		'a',
		'A',
		'é',
		'e\u0301',
		'1.0',
		'[]',
	];
	const all = [...values, [1], [], {}, { a: 1 }, [null], 'undefined', 2 ** 53, 1e300, 5e-324, ' a', 'a\n'];
	const rows = all.map((v, n) => ({ n, v }));
	await addAll(ada, 'equal', [...rows, { n: 100 }]);
	for (const { n, v } of rows) {
		if (typeof v !== 'object' || v === null) assert.deepEqual(await found('equal', { v }), [n], JSON.stringify(v));
	}
	for (const [text, n] of [
		['{"v":1.0}', 4],
		['{"v":10e-1}', 4],
		['{"v":-0}', 3],
		['{"v":0.0}', 3],
		['{"v":"\\u0061"}', 12],
		['{"v":9007199254740992.0}', 24],
		['{"v":"x","v":1}', 4],
	] as const) {
		assert.deepEqual(await found('equal', text), [n], text);
	}
	for (const v of [2, 'b', '1 ', 'TRUE', '{}', '{"a":1}', '[1]', -1.5, 1.4999999999999998]) {
		assert.deepEqual(await found('equal', { v }), [], JSON.stringify(v));
	}
});

test('[3.1] null matches an explicit null only', async () => {
	await addAll(ada, 'nulls', [
		{ n: 1, v: null },
		{ n: 2 },
		{ n: 3, v: 0 },
		{ n: 4, v: '' },
		{ n: 5, v: [null] },
		{ n: 6, v: {} },
	]);
	assert.deepEqual(await found('nulls', { v: null }), [1]);
	assert.deepEqual(await found('nulls', { v: null, n: 2 }), []);
	assert.deepEqual(await found('nulls', { missing: null }), []);
});

test('[3.1] all members of a filter must hold, in any order', async () => {
	await addAll(ada, 'several', [
		{ n: 1, a: 1, b: 'x', c: null },
		{ n: 2, a: 1, b: 'y', c: null },
		{ n: 3, a: 1, b: 'x' },
		{ n: 4, b: 'x', c: null },
		{ n: 5, a: 'x', b: 1, c: null },
	]);
	assert.deepEqual(await found('several', { a: 1, b: 'x' }), [1, 3]);
	assert.deepEqual(await found('several', { b: 'x', a: 1 }), [1, 3]);
	assert.deepEqual(await found('several', { c: null, b: 'x', a: 1 }), [1]);
	assert.deepEqual(await found('several', { a: 1, b: 'x', d: 1 }), []);
	assert.deepEqual(await found('several', { a: 'x', b: 1 }), [5]);
	assert.deepEqual(await found('several', { n: 1, a: 2 }), []);
});

test('[3.1] members of members are no members of the row', async () => {
	await addAll(ada, 'inner', [{ n: 1, a: { b: 1 }, 'a.b': 2 }]);
	assert.deepEqual(await found('inner', { b: 1 }), []);
	assert.deepEqual(await found('inner', { 'a.b': 1 }), []);
	assert.deepEqual(await found('inner', { 'a.b': 2 }), [1]);
});

test('[3.1] the members that the service owns can be filtered on', async () => {
	const [one, two] = await addAll(ada, 'system', [{ n: 1 }, { n: 2 }, { n: 3 }]);
	await new Promise((resolve) => setTimeout(resolve, 5));
	const { row } = (await ada.post('/v1/system/update_row', { id: two.id, patch: {} })).body;
	assert.deepEqual(await found('system', { id: two.id }), [2]);
	assert.deepEqual(await found('system', { id: two.id, n: 2 }), [2]);
	assert.deepEqual(await found('system', { n: 1, id: two.id }), []);
	assert.deepEqual(await found('system', { created_at: one.created_at }), [1, 2, 3]);
	assert.deepEqual(await found('system', { updated_at: row.updated_at, created_at: one.created_at }), [2]);
	assert.deepEqual(await found('system', { updated_at: one.updated_at }), [1, 3]);
	for (const id of [two.id.toUpperCase(), two.id.slice(1), '', 'x', null, 1, true, `${two.id} `]) {
		assert.deepEqual(await found('system', { id }), []);
	}
	for (const created_at of [null, 0, true, one.created_at.replace('Z', '+00:00'), Date.parse(one.created_at)]) {
		assert.deepEqual(await found('system', { created_at }), []);
	}
	const deleted = await ada.del('/v1/system', { filter: { id: one.id, created_at: one.created_at } });
	assert.deepEqual(deleted.body, { deleted: 1 });
});

test('[3.2] no filter and {} mean every row to a read', async () => {
	await addAll(ada, 'every', [{ n: 1 }, { n: 2 }, {}]);
	for (const query of [{}, { filter: '{}' }, { filter: ' { } ' }]) {
		assert.equal((await ada.rows('every', query)).length, 3);
		assert.equal((await ada.get('/v1/every/count', query)).body.count, 3);
	}
});

test('[3.2] DELETE and update_where refuse an empty filter', async () => {
	const rows = await addAll(ada, 'needed', [{ n: 1 }, { n: 2 }]);
	const patch = { n: 3 };
	for (const allowMultiple of [true, false]) {
		const update = { filter: {}, patch, allowMultiple };
		assertRefused(await ada.post('/v1/needed/update_where', update), 400, 'filter_required');
		const operations = [{ action: 'update_where', ...update }];
		assertRefused(await ada.post('/v1/needed/batch', { operations }), 400, 'filter_required');
	}
	assertRefused(await ada.del('/v1/needed', { filter: {} }), 400, 'filter_required');
	assertRefused(await ada.del('/v1/absent', { filter: {} }), 400, 'filter_required');
	assertRefused(
		await ada.post('/v1/needed/batch', { operations: [{ action: 'delete', filter: {} }] }),
		400,
		'filter_required',
	);
	for (const body of [{}, { filter: null }, { filter: [] }, { filter: 'n' }, { where: { n: 1 } }]) {
		assertRefused(await ada.del('/v1/needed', body), 400, 'invalid_request');
		assertRefused(await ada.post('/v1/needed/update_where', { ...body, patch }), 400, 'invalid_request');
	}
	assertStatus(await ada.del('/v1/needed'), 400);
	assert.deepEqual(await ada.rows('needed'), rows);
});

test('[3.1] a filter is an object of scalars', async () => {
	const rows = await addAll(ada, 'scalars', [{ n: 1, a: [1], o: {} }]);
	for (const filter of ['[]', '[{"n":1}]', '"n"', '1', 'true', 'null', '[["n",1]]']) {
		assertRefused(await ada.get('/v1/scalars', { filter }), 400, 'invalid_filter');
		assertRefused(await ada.get('/v1/scalars/count', { filter }), 400, 'invalid_filter');
	}
	for (const [member, value] of [
		['a', [1]],
		['a', []],
		['o', {}],
		['n', { $gt: 0 }],
		['n', [1, 2]],
		['__proto__', {}],
	] as const) {
		const filter = `{"n":1,${JSON.stringify(member)}:${JSON.stringify(value)}}`;
		const details = assertRefused(await ada.get('/v1/scalars', { filter }), 400, 'invalid_filter');
		assert.deepEqual([details.field, details.path], [member, `$.${member}`]);
		const body = (text: string) => ({ body: text, headers: { 'content-type': 'application/json' } });
		assertStatus(await ada.call('DELETE', '/v1/scalars', body(`{"filter":${filter}}`)), 400);
		assertStatus(await ada.call('POST', '/v1/scalars/update_where', body(`{"filter":${filter},"patch":{}}`)), 400);
		const item = `{"action":"delete","filter":${filter}}`;
		assertStatus(await ada.call('POST', '/v1/scalars/batch', body(`{"operations":[${item}]}`)), 400);
	}
	for (const filter of ['', 'n=1', '{n:1}', "{'n':1}", '{"n":1', '%7B%7D', 'undefined']) {
		assertStatus(await ada.get('/v1/scalars', { filter }), 400);
	}
	assert.deepEqual(await ada.rows('scalars'), rows);
});

test('[3.6] a table that does not exist reads as empty', async () => {
	for (const query of [
		{},
		{ filter: { a: 1 } },
		{ sort: '-a', limit: 1 },
		{ filter: { id: 'x' } },
		{ filter: { a: 1 }, sort: 'a' },
	]) {
		assert.deepEqual(assertStatus(await ada.get('/v1/nowhere', query), 200), { rows: [] });
	}
	assert.deepEqual((await ada.get('/v1/nowhere/count')).body, { count: 0 });
	assert.deepEqual((await ada.get('/v1/nowhere/count', { filter: { a: null } })).body, { count: 0 });
	const id = '01a20ba5-9e11-76ef-bf50-aafd1e27a066';
	assert.deepEqual((await ada.get('/v1/nowhere/versions', { id })).body, { versions: [] });
	assert.deepEqual((await ada.del('/v1/nowhere', { filter: { a: 1 } })).body, { deleted: 0 });
	const update = { filter: { a: 1 }, patch: { a: 2 } };
	assertRefused(await ada.post('/v1/nowhere/update_where', update), 404, 'row_not_found');
	assert.deepEqual((await ada.post('/v1/nowhere/update_where', { ...update, allowMultiple: true })).body, {
		updated: 0,
		rows: [],
	});
	assertRefused(await ada.post('/v1/nowhere/update_row', { id, patch: {} }), 404, 'row_not_found');
	assertRefused(await ada.post('/v1/nowhere/restore', { id, version: 1 }), 404, 'version_not_found');
	const { tables } = (await ada.get('/v1/_tables')).body;
	assert.ok(tables.every(({ name }: Any) => name !== 'nowhere'));
});
