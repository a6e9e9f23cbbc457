import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, signIn } from './support/client.ts';
import { assertRefused, assertStatus, rowOfBytes } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_BATCH_OPERATIONS: '5', PUMADB_MAX_ROW_BYTES: '200' });
	ada = await signIn(server);
});
after(() => server.stop());

const UNKNOWN_ID = '01890000-0000-7000-8000-000000000000';
const add = (row: Any, idempotencyKey?: Any): Any => ({ action: 'add', row, idempotencyKey });
const upsert = (key: Any, row: Any): Any => ({ action: 'upsert', key, row });
const updateRow = (id: Any, patch: Any): Any => ({ action: 'update_row', id, patch });
const updateWhere = (filter: Any, patch: Any, allowMultiple?: Any): Any => ({
	action: 'update_where',
	filter,
	patch,
	allowMultiple,
});
const del = (filter: Any): Any => ({ action: 'delete', filter });

const batch = (table: string, operations: Any, client = ada): Promise<Answer> =>
	client.post(`/v1/${table}/batch`, { operations });

/** Everything that a failed batch could have changed. */
async function stateOf(client: Client): Promise<string> {
	const tables = (await client.get('/v1/_tables')).text;
	return tables + (await client.get('/v1/_export')).text;
}

test('[4.6] a batch runs every action, each seeing those before it', async () => {
	const answer = await batch('all', [
		add({ k: 1, s: 'new' }),
		upsert('k', { k: 1, s: 'replaced' }),
		updateWhere({ s: 'replaced' }, { t: 'patched' }),
		upsert('k', { k: 2, s: 'other' }),
		del({ s: 'other' }),
	]);
	const { results } = assertStatus(answer, 200);
	assert.deepEqual(
		results.map(({ index, action }: Any) => [index, action]),
		[
			[0, 'add'],
			[1, 'upsert'],
			[2, 'update_where'],
			[3, 'upsert'],
			[4, 'delete'],
		],
	);
	const [added, replaced, patched, inserted, deleted] = results.map(({ result }: Any) => result);
	assert.deepEqual([added.k, added.s], [1, 'new']);
	assert.deepEqual([replaced.created, replaced.row.id, replaced.row.s], [false, added.id, 'replaced']);
	assert.deepEqual([patched.updated, patched.rows[0].t], [1, 'patched']);
	assert.deepEqual([inserted.created, inserted.row.id > added.id], [true, true]);
	assert.deepEqual(deleted, { deleted: 1 });
	assert.deepEqual(await ada.rows('all'), patched.rows);
	const again = await batch('all', [updateRow(added.id, { u: 1 })]);
	assert.equal(assertStatus(again, 200).results[0].result.row.u, 1);
	const { versions } = (await ada.get('/v1/all/versions', { id: added.id })).body;
	assert.deepEqual(
		versions.map(({ version, row }: Any) => [version, row.s, row.t]),
		[
			[3, 'replaced', 'patched'],
			[2, 'replaced', undefined],
			[1, 'new', undefined],
		],
	);
});

test('[4.6] a result is what the single call answers', async () => {
	const anonymous = (text: string): string =>
		text.replaceAll(/"[0-9a-f]{8}-[0-9a-f-]{27}"/g, '"id"').replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"stamp"');
	const seeded = async (table: string) => (await ada.add(table, { k: 'old', 10: 'ten', n: 1.5 })).id;
	const [single, several] = [await seeded('single'), await seeded('several')];
	const calls: [string, string, string, (id: string) => Any][] = [
		['add', 'POST', '', () => ({ b: { '2': [1, 'é'], a: null }, a: -0 })],
		['upsert', 'POST', '/upsert', () => ({ key: ['k'], row: { k: 'old', z: [] } })],
		['update_row', 'POST', '/update_row', (id) => ({ id, patch: { k: 'new', '1': true } })],
		['update_where', 'POST', '/update_where', () => ({ filter: { k: 'no' }, patch: {}, allowMultiple: true })],
		['delete', 'DELETE', '', () => ({ filter: { k: 'new' } })],
	];
	const expected: string[] = [];
	for (const [index, [action, method, path, json]] of calls.entries()) {
		const { text } = await ada.call(method, `/v1/single${path}`, { json: json(single) });
		expected.push(`{"index":${index},"action":"${action}","result":${anonymous(text)}}`);
	}
	const operations = calls.map(([action, , , json]) =>
		action === 'add' ? add(json(several)) : { action, ...json(several) },
	);
	const { text } = await batch('several', operations);
	assert.equal(anonymous(text), `{"results":[${expected.join(',')}]}`);
});

test('[4.6] a failing last operation leaves nothing of those before it', async () => {
	const client = await signIn(server);
	const row = await client.add('kept', { k: 1 });
	await client.add('kept', { k: 2 });
	const before = await stateOf(client);
	const failures: [Any, number, string][] = [
		[updateRow(UNKNOWN_ID, {}), 404, 'row_not_found'],
		[updateWhere({ k: 'none' }, {}), 404, 'row_not_found'],
		[updateWhere({ s: 'both' }, {}), 409, 'multiple_matches'],
		[upsert('s', { s: 'both' }), 400, 'key_not_unique'],
		[upsert('k', { s: 1 }), 400, 'invalid_key'],
		[add(rowOfBytes(201)), 413, 'row_too_large'],
		[add({ id: UNKNOWN_ID }), 400, 'reserved_field'],
		[add({ k: 4 }, 'used'), 400, 'idempotency_key_reused'],
		[add({ k: 4 }, ''), 400, 'invalid_idempotency_key'],
		[del({}), 400, 'filter_required'],
		[del({ k: { a: 1 } }), 400, 'invalid_request'],
	];
	for (const [failing, status, code] of failures) {
		const answer = await batch(
			'kept',
			[
				add({ k: 3, s: 'both' }, 'used'),
				updateRow(row.id, { s: 'both' }),
				upsert('k', { k: 9 }),
				del({ k: 2 }),
				failing,
			],
			client,
		);
		const details = assertRefused(answer, status, code);
		assert.deepEqual([details.index, details.action], [4, failing.action]);
		assert.equal(await stateOf(client), before, code);
	}
	assert.deepEqual((await client.get('/v1/kept/versions', { id: row.id })).body.versions, []);
	// Nor did any of them begin a table or use its idempotency key up.
	assertRefused(await batch('fresh', [add({ k: 1 }), updateRow(row.id, {})], client), 404, 'row_not_found');
	assert.equal(await stateOf(client), before);
	const used = await client.post('/v1/kept', { k: 'first use' }, { 'idempotency-key': 'used' });
	assertStatus(used, 201);
	assert.equal(used.headers.get('idempotency-replayed'), null);
});

test('[4.6] details of the refusal itself stand beside index and action', async () => {
	await ada.add('details', { a: 1 });
	await ada.add('details', { a: 1 });
	const matched = await batch('details', [add({}), updateWhere({ a: 1 }, {})]);
	assert.deepEqual(assertRefused(matched, 409, 'multiple_matches'), { matched: 2, index: 1, action: 'update_where' });
	const nested = await batch('details', [add({}), add({ deep: [{ text: 'a\0' }] })]);
	const details = assertRefused(nested, 400, 'invalid_string');
	assert.deepEqual(details, { path: '$.operations[1].row.deep[0].text', index: 1, action: 'add' });
	const reserved = await batch('details', [updateRow(UNKNOWN_ID, { created_at: 1 })]);
	assert.equal(assertRefused(reserved, 400, 'reserved_field').field, 'created_at');
});

test('[4.6] the first failure decides, even where a later operation is malformed in content', async () => {
	const { id } = await ada.add('order', { k: 1 });
	const malformed = [add({ id }), del({}), upsert('none', {}), updateWhere({ k: [] }, {}), add({}, '')];
	for (const later of malformed) {
		const answer = await batch('order', [updateRow(id, { k: 2 }), updateRow(UNKNOWN_ID, {}), later]);
		const details = assertRefused(answer, 404, 'row_not_found');
		assert.deepEqual([details.index, details.action], [1, 'update_row']);
	}
	for (const first of malformed) {
		const answer = await batch('order', [updateRow(id, { k: 2 }), first, updateRow(UNKNOWN_ID, {})]);
		assert.equal(assertRefused(answer, 400, answer.body.error.code).index, 1);
	}
	assert.equal((await ada.rows('order'))[0].k, 1);
});

test('[4.6] a fault of the envelope is found before any operation runs', async () => {
	const { id } = await ada.add('envelope', { k: 1 });
	const fails = updateRow(UNKNOWN_ID, {});
	const faults: [Any, Any?][] = [
		[undefined],
		[null],
		['add'],
		[{}],
		[[]],
		[[fails, fails, fails, fails, fails, fails]],
		[[fails, null], 1],
		[[fails, []], 1],
		[[fails, {}], 1],
		[[fails, { action: 'drop', filter: { k: 1 } }], 1],
		[[fails, { action: 'restore', id, version: 1 }], 1],
		[[fails, { action: 'ADD', row: {} }], 1],
		[[fails, { action: ['add'], row: {} }], 1],
		[[fails, { action: 'add' }], 1],
		[[fails, { action: 'upsert', row: { k: 1 } }], 1],
		[[fails, { action: 'upsert', key: 'k' }], 1],
		[[fails, { action: 'update_row', patch: {} }], 1],
		[[fails, { action: 'update_row', id }], 1],
		[[fails, { action: 'update_where', filter: { k: 1 } }], 1],
		[[fails, { action: 'update_where', patch: {} }], 1],
		[[fails, { action: 'delete' }], 1],
	];
	for (const [operations, index] of faults) {
		const details = assertRefused(await batch('envelope', operations), 400, 'invalid_request');
		assert.equal(details.index, index, JSON.stringify(operations));
	}
	assertRefused(await ada.post('/v1/envelope/batch', [add({})]), 400, 'invalid_request');
	assertRefused(await ada.post('/v1/envelope/batch', null), 400, 'invalid_request');
	assert.equal((await ada.rows('envelope')).length, 1);
});

test('[4.6] [4.2] a batch has 1 to maxBatchOperations operations', async () => {
	const rows = (count: number) => Array.from({ length: count }, (_, n) => add({ n }));
	assert.equal(assertStatus(await batch('size', rows(1)), 200).results.length, 1);
	assert.equal(assertStatus(await batch('size', rows(5)), 200).results.length, 5);
	assert.equal(assertRefused(await batch('size', rows(6)), 400, 'invalid_request').limit, 5);
	assert.equal((await ada.rows('size')).length, 6);
});

test('[4.6] [1.7] unknown members of the envelope and of operations are ignored', async () => {
	const answer = await ada.post('/v1/unknown/batch', {
		atomic: false,
		operations: [{ action: 'add', row: { a: 1 }, key: 'b', filter: 7, comment: {} }],
	});
	assert.equal(assertStatus(answer, 200).results[0].result.a, 1);
});

test('[4.6] [2.1] [3.3] rows of one batch have growing ids', async () => {
	const operations = Array.from({ length: 5 }, (_, n) => (n % 2 === 0 ? add({ n }) : upsert('n', { n })));
	await batch('ids', operations);
	await batch('ids', operations.slice(0, 1));
	const ids = (await ada.rows('ids')).map((row) => row.id);
	assert.deepEqual(ids, ids.toSorted());
	assert.equal(new Set(ids).size, 6);
});
