import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, clientWith, signIn } from './support/client.ts';
import { faultsOf } from './support/data-dir.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

const MARK = 'ada-secret';

let server: TestServer;
let ada: Client;
let eve: Client;
/** Ada's rows: live and changed, deleted, keyed. */
let live: Any;
let deleted: Any;
let keyed: Any;
let adasKey: Any;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '3', PUMADB_MAX_ROWS_PER_TABLE: '4' });
	ada = await signIn(server);
	eve = await signIn(server);
	const { id } = await ada.add('notes', { email: 'a@x', text: MARK, n: 1 });
	live = (await ada.post('/v1/notes/update_row', { id, patch: { n: 2 } })).body.row;
	deleted = await ada.add('notes', { email: 'b@x', text: MARK });
	await ada.del('/v1/notes', { filter: { id: deleted.id } });
	keyed = (await ada.post('/v1/notes', { text: MARK }, { 'idempotency-key': 'adas' })).body;
	await ada.add('diary', { text: MARK });
	adasKey = (await ada.post('/v1/_keys', { name: MARK })).body;
	await eve.add('mine', { text: 'eve' });
});
after(async () => {
	await server.stop();
	assert.deepEqual(faultsOf(server.dataDir), []);
});

/** Everything that an account can see of itself. */
async function stateOf(client: Client): Promise<Any> {
	const { tables } = (await client.get('/v1/_export')).body;
	const ids = [...Object.values<Any>(tables).flat(), deleted].map((row) => row.id);
	const versions = ids.map(async (id) => (await client.get('/v1/notes/versions', { id })).body);
	const keys = (await client.get('/v1/_keys')).body.keys.map((key: Any) => ({ ...key, last_used_at: undefined }));
	return { tables, listed: (await client.get('/v1/_tables')).body, versions: await Promise.all(versions), keys };
}

/** What an answer says, without what the call itself sent. */
function assertShowsNothing(answer: Answer, name: string, sent: string): void {
	for (const secret of [MARK, live.id, deleted.id, keyed.id, adasKey.id, adasKey.prefix, ada.accountId]) {
		if (!sent.includes(secret)) assert.ok(!answer.text.includes(secret), `${name} shows ${secret}: ${answer.text}`);
	}
}

type Call = readonly [method: string, path: string, json?: Any, status?: number, check?: (body: Any) => void];

async function assertNothing(calls: readonly Call[]): Promise<void> {
	const before = await stateOf(ada);
	for (const [method, path, json, status = 200, check] of calls) {
		const sent = path + JSON.stringify(json ?? '');
		const answer = await eve.call(method, path, json === undefined ? {} : { json });
		assert.equal(answer.status, status, `${method} ${sent}: ${answer.text}`);
		assertShowsNothing(answer, `${method} ${sent}`, decodeURIComponent(sent));
		check?.(answer.body);
		assert.deepEqual(await stateOf(ada), before, `${method} ${sent}`);
	}
}

const query = (filter: Any): string => `filter=${encodeURIComponent(JSON.stringify(filter))}`;
const is = (expected: Any) => (body: Any) => assert.deepEqual(body, expected);

test('[8.2] reads show nothing of another account', async () => {
	await assertNothing([
		['GET', '/v1/notes', undefined, 200, is({ rows: [] })],
		['GET', '/v1/diary?sort=-text&limit=1', undefined, 200, is({ rows: [] })],
		['GET', '/v1/notes/count', undefined, 200, is({ count: 0 })],
		...[{ text: MARK }, { email: 'a@x' }, { id: live.id }, { created_at: live.created_at }, { n: 2 }].flatMap(
			(filter): Call[] =>
				['notes', 'mine', 'diary'].flatMap((table): Call[] => [
					['GET', `/v1/${table}?${query(filter)}`, undefined, 200, is({ rows: [] })],
					['GET', `/v1/${table}/count?${query(filter)}`, undefined, 200, is({ count: 0 })],
				]),
		),
		...[live.id, deleted.id, keyed.id].flatMap((id): Call[] => [
			['GET', `/v1/notes/versions?id=${id}`, undefined, 200, is({ versions: [] })],
			['GET', `/v1/mine/versions?id=${id}`, undefined, 200, is({ versions: [] })],
		]),
		['GET', '/v1/_tables', undefined, 200, is({ tables: [{ name: 'mine', rows: 1 }] })],
		['GET', '/v1/_export', undefined, 200, ({ tables }) => assert.deepEqual(Object.keys(tables), ['mine'])],
		['GET', '/v1/_keys', undefined, 200, ({ keys }) => assert.equal(keys.length, 1)],
		['GET', `/v1/${ada.accountId}%2Fnotes`, undefined, 400],
		['GET', `/v1/${ada.accountId}/notes`, undefined, 404],
		['GET', '/v1/..%2Fnotes', undefined, 400],
	]);
});

test('[8.2] changes by id or filter find nothing of another account', async () => {
	for (const table of ['notes', 'mine']) {
		for (const { id } of [live, deleted, keyed]) {
			await assertNothing([
				['POST', `/v1/${table}/update_row`, { id, patch: { text: 'eve' } }, 404],
				['POST', `/v1/${table}/update_where`, { filter: { id }, patch: { text: 'eve' } }, 404],
				['DELETE', `/v1/${table}`, { filter: { id } }, 200, is({ deleted: 0 })],
				['POST', `/v1/${table}/restore`, { id, version: 1 }, 404],
				['POST', `/v1/${table}/batch`, { operations: [{ action: 'update_row', id, patch: {} }] }, 404],
				['POST', '/v1/_row_links', { table, id }, 404],
				['POST', '/v1/_text_field_links', { table, id, field: 'text' }, 404],
			]);
		}
		await assertNothing([
			['POST', `/v1/${table}/update_where`, { filter: { text: MARK }, patch: {} }, 404],
			['POST', `/v1/${table}/update_where`, { filter: { text: MARK }, patch: {}, allowMultiple: true }, 200],
			['DELETE', `/v1/${table}`, { filter: { text: MARK } }, 200, is({ deleted: 0 })],
			['POST', '/v1/_text_field_links', { table, filter: { text: MARK }, field: 'text' }, 404],
			['POST', '/v1/_query_links', { table }, 200],
		]);
	}
	assert.deepEqual(
		(await eve.rows('mine')).map((row) => row.text),
		['eve'],
	);
});

test('[8.2] [4.3] [4.7] natural and idempotency keys are the account’s own', async () => {
	const before = await stateOf(ada);
	const upserted = await eve.post('/v1/notes/upsert', { key: 'email', row: { email: 'a@x' } });
	assert.deepEqual([upserted.body.created, upserted.body.row.n], [true, undefined]);
	const added = await eve.post('/v1/notes', { text: MARK }, { 'idempotency-key': 'adas' });
	assert.deepEqual([added.status, added.headers.get('idempotency-replayed')], [201, null]);
	assert.notEqual(added.body.id, keyed.id);
	const operations = [{ action: 'add', row: { text: 'other' }, idempotencyKey: 'adas' }];
	assertRefused(await eve.post('/v1/notes/batch', { operations }), 400, 'idempotency_key_reused');
	assert.deepEqual(await stateOf(ada), before);
	const replayed = await ada.post('/v1/notes', { text: MARK }, { 'idempotency-key': 'adas' });
	assert.deepEqual(replayed.body, keyed);
	// Own rows of the same table and values: changed and deleted alone.
	const mine = { filter: { text: MARK } };
	assert.equal((await eve.post('/v1/notes/update_where', { ...mine, patch: { n: 2 } })).body.updated, 1);
	assert.deepEqual((await eve.del('/v1/notes', { filter: { n: 2 } })).body, { deleted: 1 });
	assert.deepEqual((await eve.del('/v1/notes', { filter: { email: 'a@x' } })).body, { deleted: 1 });
	assert.deepEqual(await stateOf(ada), before);
});

test('[8.2] [4.2] limits are the account’s own', async () => {
	const mallory = await signIn(server);
	for (const table of ['a', 'b', 'c']) for (let n = 0; n < 4; n++) await mallory.add(table, { n });
	assertRefused(await mallory.post('/v1/d', {}), 400, 'table_limit_reached');
	assertRefused(await mallory.post('/v1/a', {}), 400, 'row_limit_reached');
	const { id } = await ada.add('a', {});
	await ada.del('/v1/a', { filter: { id } });
	assert.equal((await mallory.rows('a')).length, 4);
});

test('[8.2] [6.5] a key opens its own account only', async () => {
	const secretOf = (key: string) => key.slice(key.lastIndexOf('_') + 1);
	const spliced = [
		`puma_live_${ada.accountId}_${secretOf(eve.key)}`,
		`puma_live_${eve.accountId}_${secretOf(ada.key)}`,
		`puma_live_${ada.accountId}_`,
		`puma_live_${ada.accountId}`,
		`puma_live_${ada.accountId}_${secretOf(ada.key).slice(0, -1)}`,
		`puma_live_${ada.accountId}_${secretOf(ada.key)}0`,
		`puma_live__${secretOf(ada.key)}`,
		`puma_live_${ada.accountId.toUpperCase()}_${secretOf(ada.key)}`,
		ada.key.toUpperCase(),
		ada.key.replace('puma_live', 'puma_test'),
		adasKey.prefix,
		adasKey.id,
		secretOf(ada.key),
		ada.accountId,
		'puma_live_%_%',
		"puma_live_' OR 1=1 --_x",
	];
	const before = await stateOf(ada);
	// Each is tried before and after the right keys were seen.
	for (let round = 0; round < 2; round++) {
		for (const key of spliced) {
			const client = clientWith(server, key);
			for (const answer of [
				await client.get('/v1/_export'),
				await client.post('/v1/notes', {}),
				await client.get('/v1/_keys'),
				await client.del(`/v1/_keys/${adasKey.id}`),
			]) {
				assert.equal(answer.status, 401, key);
				assertShowsNothing(answer, key, '');
			}
		}
		assertStatus(await ada.get('/v1/_tables'), 200);
		assertStatus(await eve.get('/v1/_tables'), 200);
	}
	assert.deepEqual(await stateOf(ada), before);
});

test('[8.2] [6.7] keys of another account cannot be revoked', async () => {
	const [own] = (await ada.get('/v1/_keys')).body.keys;
	await assertNothing(
		[own.id, adasKey.id].map((id): Call => ['DELETE', `/v1/_keys/${id}`, undefined, 200, is({ revoked: 0 })]),
	);
	assertStatus(await clientWith(server, adasKey.api_key).get('/v1/_tables'), 200);
});

test('[8.2] calls of two accounts in the same instant stay apart', async () => {
	const people = await Promise.all(Array.from({ length: 6 }, () => signIn(server)));
	const calls = Array.from({ length: 4 }, (_, n) =>
		people.map(async (person, who) => {
			await person.post('/v1/shared', { who, n }, { 'idempotency-key': `k${n}` });
			await person.post('/v1/shared/upsert', { key: 'n', row: { n, who, again: true } });
			const rows = await person.rows('shared');
			assert.ok(rows.every((row) => row.who === who));
		}),
	);
	await Promise.all(calls.flat());
	for (const [who, person] of people.entries()) {
		const rows = await person.rows('shared', { sort: 'n' });
		assert.deepEqual(
			rows.map((row) => [row.who, row.n]),
			[0, 1, 2, 3].map((n) => [who, n]),
		);
	}
});
