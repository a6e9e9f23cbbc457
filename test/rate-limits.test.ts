import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, clientWith, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';

const READS = 5;
const WRITES = 3;
const UNKNOWN_ID = '01890000-0000-7000-8000-000000000000';

let server: ClockedServer;

before(async () => {
	server = await startClocked({
		PUMADB_READS_PER_MINUTE: String(READS),
		PUMADB_WRITES_PER_MINUTE: String(WRITES),
		PUMADB_SIGN_INS_PER_HOUR: '0',
		PUMADB_MAX_ROW_BYTES: '50',
	});
});
after(() => server.stop());

/** The RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10), which must stand together. */
function rateOf({
	headers,
}: Answer): { name: string; quota: number; window: number; left: number; reset: number } | undefined {
	const [limit, policy] = [headers.get('ratelimit'), headers.get('ratelimit-policy')];
	assert.equal(limit === null, policy === null);
	if (limit === null || policy === null) return undefined;
	const [, name, left, reset] = /^"(reads|writes)";r=(\d+);t=(\d+)$/.exec(limit)!;
	const [, same, quota, window] = /^"(reads|writes)";q=(\d+);w=(\d+)$/.exec(policy)!;
	assert.equal(name, same);
	return { name: name!, quota: Number(quota), window: Number(window), left: Number(left), reset: Number(reset) };
}

function assertLimited(answer: Answer): number {
	const details = assertRefused(answer, 429, 'rate_limited');
	const seconds = answer.headers.get('retry-after')!;
	assert.match(seconds, /^[1-9]\d*$/);
	assert.equal(details.retry_after, Number(seconds));
	return Number(seconds);
}

test('[6.8] every answer to an authenticated call carries what is left', async () => {
	const calls: [number, (client: Client) => Promise<Answer>][] = [
		[200, (client) => client.get('/v1/notes')],
		[200, (client) => client.get('/v1/_export')],
		[200, (client) => client.call('HEAD', '/v1/notes')],
		[201, (client) => client.post('/v1/notes', {})],
		[200, (client) => client.del('/v1/_keys/unknown')],
		[400, (client) => client.get('/v1/notes', { limit: 0 })],
		[400, (client) => client.get('/v1/1notes')],
		[400, (client) => client.get('/v1/%zz')],
		[400, (client) => client.call('POST', '/v1/notes', { body: '{}' })],
		[400, (client) => client.call('POST', '/v1/notes', { body: '{', headers: { 'content-type': 'application/json' } })],
		[404, (client) => client.post('/v1/notes/update_row', { id: UNKNOWN_ID, patch: {} })],
		[413, (client) => client.post('/v1/notes', { t: 'x'.repeat(50) })],
		[404, (client) => client.post('/v1/_row_links', { table: 'notes', id: UNKNOWN_ID })],
	];
	for (const [status, call] of calls) {
		const answer = await call(await signIn(server));
		assert.equal(answer.status, status, answer.text);
		const rate = rateOf(answer)!;
		assert.equal(rate.left, rate.quota - 1);
		assert.equal(rate.window, 60);
		assert.ok(rate.reset >= 1 && rate.reset <= 60);
	}
	const refused = clientWith(server, 'puma_live_a_b');
	assert.equal(rateOf(await refused.get('/v1/notes')), undefined);
});

test('[6.8] GETs and the three link calls are reads, the rest are writes', async () => {
	const calls: [string, string, string, Any?][] = [
		['reads', 'GET', '/v1/notes'],
		['reads', 'HEAD', '/v1/notes'],
		['reads', 'GET', '/v1/notes/count'],
		['reads', 'GET', `/v1/notes/versions?id=${UNKNOWN_ID}`],
		['reads', 'GET', '/v1/_tables'],
		['reads', 'GET', '/v1/_export'],
		['reads', 'GET', '/v1/_keys'],
		['reads', 'POST', '/v1/_text_field_links', { table: 'notes', field: 't', id: UNKNOWN_ID }],
		['reads', 'POST', '/v1/_row_links', { table: 'notes', id: UNKNOWN_ID }],
		['reads', 'POST', '/v1/_query_links', { table: 'notes' }],
		['writes', 'POST', '/v1/notes', {}],
		['writes', 'POST', '/v1/notes/upsert', { key: 'k', row: { k: 1 } }],
		['writes', 'POST', '/v1/notes/update_row', { id: UNKNOWN_ID, patch: {} }],
		['writes', 'POST', '/v1/notes/update_where', { filter: { k: 1 }, patch: {} }],
		['writes', 'DELETE', '/v1/notes', { filter: { k: 1 } }],
		['writes', 'POST', '/v1/notes/batch', { operations: [{ action: 'add', row: {} }] }],
		['writes', 'POST', '/v1/notes/restore', { id: UNKNOWN_ID, version: 1 }],
		['writes', 'POST', '/v1/_keys', { name: 'agent' }],
		['writes', 'DELETE', '/v1/_keys/unknown'],
	];
	for (const [name, method, path, json] of calls) {
		const client = await signIn(server);
		const quota = name === 'reads' ? READS : WRITES;
		for (let left = quota - 1; left >= 0; left--) {
			const answer = await client.call(method, path, json === undefined ? {} : { json });
			assert.deepEqual(
				{ ...rateOf(answer), reset: 0 },
				{ name, quota, window: 60, left, reset: 0 },
				`${method} ${path}`,
			);
		}
		const limited = await client.call(method, path, json === undefined ? {} : { json });
		assert.equal(limited.status, 429, `${method} ${path}`);
		// The other kind has a count of its own.
		const other = name === 'reads' ? await client.post('/v1/others', {}) : await client.get('/v1/others');
		assert.equal(rateOf(other)!.left, (name === 'reads' ? WRITES : READS) - 1);
	}
});

test('[6.8] [4.6] a batch is one write', async () => {
	const client = await signIn(server);
	const operations = Array.from({ length: 20 }, (_, n) => ({ action: 'add', row: { n } }));
	for (let left = WRITES - 1; left >= 0; left--) {
		const answer = await client.post('/v1/notes/batch', { operations });
		assertStatus(answer, 200);
		assert.equal(rateOf(answer)!.left, left);
	}
	assertLimited(await client.post('/v1/notes/batch', { operations }));
});

test('[6.8] beyond the limit calls are 429 until the window has passed', async () => {
	const client = await signIn(server);
	const first = rateOf(await client.get('/v1/notes'))!;
	for (let n = 1; n < READS; n++) assertStatus(await client.get('/v1/notes'), 200);
	const limited = await client.get('/v1/notes');
	const seconds = assertLimited(limited);
	assert.ok(seconds <= first.reset);
	assert.deepEqual(rateOf(limited), { name: 'reads', quota: READS, window: 60, left: 0, reset: seconds });
	server.advance((seconds - 20) * 1000);
	// Calls that were refused do not make the wait longer.
	assert.ok(assertLimited(await client.get('/v1/notes')) <= 20);
	server.advance(20_000);
	const again = await client.get('/v1/notes');
	assertStatus(again, 200);
	assert.equal(rateOf(again)!.left, READS - 1);
});

test('[6.8] [1.4] a limited write changes nothing and is refused before its body is read', async () => {
	const client = await signIn(server);
	for (let n = 0; n < WRITES; n++) await client.add('notes', { n });
	assertLimited(await client.post('/v1/notes', { n: WRITES }));
	assertLimited(await client.call('POST', '/v1/notes', { body: '{', headers: { 'content-type': 'text/plain' } }));
	assertLimited(await client.post('/v1/1notes', {}));
	assert.equal((await client.rows('notes')).length, WRITES);
});

test('[6.8] the count is per key, not per account', async () => {
	const client = await signIn(server);
	const { api_key } = assertStatus(await client.post('/v1/_keys', { name: 'second' }), 201);
	const second = clientWith(server, api_key);
	for (let n = 0; n < READS; n++) assertStatus(await client.get('/v1/notes'), 200);
	assertLimited(await client.get('/v1/notes'));
	for (let n = 0; n < READS; n++) assertStatus(await second.get('/v1/notes'), 200);
	assertLimited(await second.get('/v1/notes'));
	// A key that does not exist is refused as such, however often it is tried.
	const wrong = clientWith(server, `${api_key}x`);
	for (let n = 0; n < READS * 2; n++) assertRefused(await wrong.get('/v1/notes'), 401, 'invalid_api_key');
});

test('[6.8] [9.2] where a limit is off, there are no headers and no 429', async () => {
	const off = await startClocked({ PUMADB_READS_PER_MINUTE: '0', PUMADB_WRITES_PER_MINUTE: '1' });
	try {
		const client = await signIn(off);
		for (let n = 0; n < 100; n++) assert.equal(rateOf(await client.get('/v1/notes')), undefined);
		const write = await client.post('/v1/notes', {});
		assert.deepEqual({ ...rateOf(write), reset: 0 }, { name: 'writes', quota: 1, window: 60, left: 0, reset: 0 });
		assertLimited(await client.post('/v1/notes', {}));
	} finally {
		await off.stop();
	}
});

test('[6.8] a key that was revoked, and one that takes its place, cannot reset the count of another', async () => {
	const client = await signIn(server);
	for (let n = 0; n < WRITES - 1; n++) await client.add('notes', { n });
	const { api_key, id } = assertStatus(await client.post('/v1/_keys', { name: 'second' }), 201);
	assertLimited(await client.post('/v1/notes', {}));
	await clientWith(server, api_key).del(`/v1/_keys/${id}`);
	assertLimited(await client.post('/v1/notes', {}));
});
