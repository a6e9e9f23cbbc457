import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, clientWith, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { sendRaw } from './support/raw-http.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, temporaryDir } from './support/server.ts';

const HOUR_MS = 3_600_000;
const LIMITS = {
	...NO_RATE_LIMITS,
	PUMADB_MAX_ROWS_PER_TABLE: '3',
	PUMADB_MAX_TABLES: '4',
	PUMADB_MAX_ROW_BYTES: '400',
};

let server: ClockedServer;
let ada: Client;

before(async () => {
	server = await startClocked(LIMITS);
});
after(() => server.stop());

/** An account of its own for each test: the limits are tight. */
test.beforeEach(async () => {
	ada = await signIn(server);
});

const keyed = (table: string, row: Any, key: string, client = ada): Promise<Answer> =>
	client.post(`/v1/${table}`, row, { 'idempotency-key': Buffer.from(key).toString('latin1') });
const inBatch = (table: string, row: Any, idempotencyKey: string): Promise<Answer> =>
	ada.post(`/v1/${table}/batch`, { operations: [{ action: 'add', row, idempotencyKey }] });
const replayed = (answer: Answer): string | null => answer.headers.get('idempotency-replayed');

function assertReplay(answer: Answer, first: Answer): void {
	assertStatus(answer, 201);
	assert.equal(answer.text, first.text);
	assert.equal(replayed(answer), 'true');
}

test('[4.7] the same key and JSON get the first answer again', async () => {
	const first = await keyed('notes', { a: 1, b: { c: [1, 2], d: null } }, 'k');
	assertStatus(first, 201);
	assert.equal(replayed(first), null);
	assertReplay(await keyed('notes', { a: 1, b: { c: [1, 2], d: null } }, 'k'), first);
	const plain = await ada.post('/v1/notes', { a: 1, b: { c: [1, 2], d: null } });
	assert.notEqual(plain.body.id, first.body.id);
	assert.equal((await ada.rows('notes')).length, 2);
});

test('[4.7] other spellings and orders of members are the same JSON', async () => {
	const first = await keyed('notes', { a: 1, b: { c: 1, d: 'é' }, e: [1, 2] }, 'k');
	for (const body of [
		'{"e":[1,2],"b":{"d":"é","c":1},"a":1}',
		' { "b" : {"c":1.0,"d":"\\u00e9"}, "a": 1e0,\n"e":[1,2]}',
		'{"a":9,"a":1,"b":{"c":1,"d":"é"},"e":[1,2]}',
	]) {
		const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
		assertReplay(await ada.call('POST', '/v1/notes', { body, headers }), first);
	}
	for (const other of [
		{ a: 1, b: { c: 1, d: 'é' }, e: [2, 1] },
		{ a: 1, b: { c: 1, d: 'é' } },
		{ a: '1', b: { c: 1, d: 'é' }, e: [1, 2] },
		{ a: 1, b: { c: 1, d: 'é' }, e: [1, 2], f: null },
		{ a: 1, b: { c: 1, d: 'e\u0301' }, e: [1, 2] },
		{},
	]) {
		assertRefused(await keyed('notes', other, 'k'), 400, 'idempotency_key_reused');
	}
	assert.equal((await ada.rows('notes')).length, 1);
	assertReplay(await keyed('notes', { a: 1, b: { c: 1, d: 'é' }, e: [1, 2] }, 'k'), first);
});

test('[4.7] the header and idempotencyKey of a batch share one space', async () => {
	const first = await keyed('notes', { a: 1 }, 'header first');
	const again = await inBatch('notes', { a: 1 }, 'header first');
	assert.deepEqual(assertStatus(again, 200).results[0].result, first.body);
	assert.equal(replayed(again), null);
	assertRefused(await inBatch('notes', { a: 2 }, 'header first'), 400, 'idempotency_key_reused');
	const batch = assertStatus(await inBatch('notes', { b: 1 }, 'batch first'), 200).results[0].result;
	const single = await keyed('notes', { b: 1 }, 'batch first');
	assert.deepEqual(assertStatus(single, 201), batch);
	assert.equal(replayed(single), 'true');
	assert.deepEqual(await ada.rows('notes'), [first.body, batch]);
});

test('[4.7] [4.6] a batch sees the keys of its own operations', async () => {
	const add = (row: Any) => ({ action: 'add', row, idempotencyKey: 'k' });
	const reused = await ada.post('/v1/notes/batch', { operations: [add({ a: 1 }), add({ a: 2 })] });
	assert.equal(assertRefused(reused, 400, 'idempotency_key_reused').index, 1);
	assert.deepEqual(await ada.rows('notes'), []);
	const twice = await ada.post('/v1/notes/batch', { operations: [add({ a: 1 }), add({ a: 1 })] });
	const [one, two] = assertStatus(twice, 200).results;
	assert.deepEqual(one.result, two.result);
	assert.equal((await ada.rows('notes')).length, 1);
});

test('[4.7] keys count for each table and account', async () => {
	const eve = await signIn(server);
	const answers = [
		await keyed('one', { a: 1 }, 'k'),
		await keyed('two', { a: 1 }, 'k'),
		await keyed('one', { a: 2 }, 'k', eve),
	];
	for (const answer of answers) assert.deepEqual([answer.status, replayed(answer)], [201, null]);
	const other = assertStatus(await ada.post('/v1/_keys', { name: 'second' }), 201);
	assertReplay(await keyed('one', { a: 1 }, 'k', clientWith(server, other.api_key)), answers[0]!);
});

test('[4.7] a replay is answered even where a limit would refuse the add', async () => {
	const first = await keyed('full', { a: 'first' }, 'k');
	await ada.add('full', {});
	await ada.add('full', {});
	assertRefused(await keyed('full', { a: 'new' }, 'other'), 400, 'row_limit_reached');
	assertReplay(await keyed('full', { a: 'first' }, 'k'), first);
	// The table limit: the first table was emptied, and others took its place.
	const emptied = await keyed('emptied', { a: 1 }, 'k');
	await ada.del('/v1/emptied', { filter: { a: 1 } });
	for (const table of ['x', 'y', 'z']) await ada.add(table, {});
	assertRefused(await keyed('emptied', { a: 1 }, 'other'), 400, 'table_limit_reached');
	assertReplay(await keyed('emptied', { a: 1 }, 'k'), emptied);
	assert.deepEqual(await ada.rows('emptied'), []);
});

test('[4.7] a replay after the row was changed, deleted or restored is the first answer', async () => {
	const first = await keyed('notes', { a: 1 }, 'k');
	const { id } = first.body;
	await ada.post('/v1/notes/update_row', { id, patch: { a: 2 } });
	assertReplay(await keyed('notes', { a: 1 }, 'k'), first);
	assertRefused(await keyed('notes', { a: 2 }, 'k'), 400, 'idempotency_key_reused');
	await ada.del('/v1/notes', { filter: { id } });
	assertReplay(await keyed('notes', { a: 1 }, 'k'), first);
	assert.deepEqual(await ada.rows('notes'), []);
	await ada.post('/v1/notes/restore', { id, version: 2 });
	assertReplay(await keyed('notes', { a: 1 }, 'k'), first);
	assert.equal((await ada.rows('notes'))[0].a, 2);
});

test('[4.7] failed calls are not kept', async () => {
	assertRefused(await keyed('notes', { t: 'x'.repeat(400) }, 'k'), 413, 'row_too_large');
	assertRefused(await keyed('notes', { id: 'mine' }, 'k'), 400, 'reserved_field');
	for (let n = 0; n < 3; n++) await ada.add('notes', { n });
	assertRefused(await keyed('notes', { a: 1 }, 'k'), 400, 'row_limit_reached');
	await ada.del('/v1/notes', { filter: { n: 0 } });
	const fails = {
		operations: [
			{ action: 'add', row: { b: 1 }, idempotencyKey: 'k' },
			{ action: 'delete', filter: {} },
		],
	};
	assertRefused(await ada.post('/v1/notes/batch', fails), 400, 'filter_required');
	const first = await keyed('notes', { c: 1 }, 'k');
	assert.deepEqual([first.status, replayed(first)], [201, null]);
});

test('[4.7] a key has 1 to 255 characters', async () => {
	const longest = ['k'.repeat(255), 'é'.repeat(255), '🐆'.repeat(255)];
	for (const [n, key] of longest.entries()) {
		const first = await keyed('notes', { n }, key);
		assert.equal(replayed(first), null);
		assertReplay(await keyed('notes', { n }, key), first);
		assert.deepEqual(assertStatus(await inBatch('notes', { n }, key), 200).results[0].result, first.body);
		assertRefused(await keyed('notes', { n }, `${key}k`), 400, 'invalid_idempotency_key');
		assertRefused(await inBatch('notes', { n }, `${key}k`), 400, 'invalid_idempotency_key');
	}
	for (const key of ['', '   ']) assertRefused(await keyed('notes', {}, key), 400, 'invalid_idempotency_key');
	assertRefused(await inBatch('notes', {}, ''), 400, 'invalid_idempotency_key');
	assertRefused(await inBatch('notes', {}, 'a\ud800'), 400, 'invalid_string');
	assert.equal((await ada.rows('notes')).length, 3);
	await ada.del('/v1/notes', { filter: { n: 0 } });
	const spaced = await keyed('notes', { s: 1 }, 'a b');
	assertReplay(await keyed('notes', { s: 1 }, '  a b '), spaced);
});

test('[4.7] a key that is no UTF-8 or sent twice is refused', async () => {
	const latin1 = { 'idempotency-key': '\u00e9' };
	assertRefused(await ada.post('/v1/notes', {}, latin1), 400, 'invalid_idempotency_key');
	const headers = { authorization: `Bearer ${ada.key}`, 'content-type': 'application/json' };
	for (const twice of [
		['a', 'b'],
		['a', 'a'],
	]) {
		const answer = await sendRaw(server.url, 'POST', '/v1/notes', { ...headers, 'idempotency-key': twice }, '{}');
		assertRefused(answer, 400, 'invalid_idempotency_key');
	}
	assert.deepEqual(await ada.rows('notes'), []);
});

test('[4.7] an answer is kept for 24 hours and over a restart', async () => {
	const dataDir = temporaryDir();
	let clocked = await startClocked(LIMITS, dataDir);
	try {
		const { key } = await signIn(clocked);
		const first = await keyed('notes', { a: 1 }, 'k', clientWith(clocked, key));
		await clocked.stop();
		clocked = await startClocked(LIMITS, dataDir);
		const client = clientWith(clocked, key);
		assertReplay(await keyed('notes', { a: 1 }, 'k', client), first);
		clocked.advance(24 * HOUR_MS - 60_000);
		assertReplay(await keyed('notes', { a: 1 }, 'k', client), first);
		assertRefused(await keyed('notes', { a: 2 }, 'k', client), 400, 'idempotency_key_reused');
		clocked.advance(61_000);
		const second = await keyed('notes', { a: 2 }, 'k', client);
		assert.deepEqual([second.status, replayed(second)], [201, null]);
		// The 24 hours begin anew with the second row.
		clocked.advance(23 * HOUR_MS);
		assertReplay(await keyed('notes', { a: 2 }, 'k', client), second);
	} finally {
		await clocked.stop();
	}
});
