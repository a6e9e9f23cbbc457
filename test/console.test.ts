import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OPERATIONS } from '../src/generated/operations.ts';
import { type Answer, type Any, type Client, send, signIn } from './support/client.ts';
import { faultsOf, filesHolding, queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS } from './support/server.ts';
import { openStoreOn } from './support/store.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const UNKNOWN_ID = '0197a1b2-0000-7000-8000-000000000000';

let server: ClockedServer;
let ada: Client;

before(async () => {
	server = await startClocked();
	ada = await signIn(server);
});
after(() => server.stop());

async function tokenFor(email: string, at: { url: string } = server): Promise<string> {
	const asked = await send(at.url, 'POST', '/auth/magic-link', { json: { email } });
	return new URL(asked.body.dev_magic_link).searchParams.get('token')!;
}

function openConsole(token: unknown, headers: Record<string, string> = {}, at: { url: string } = server) {
	return send(at.url, 'POST', '/console/api/sign-in', { json: { token }, headers: { origin: at.url, ...headers } });
}

/** One signed-in person. */
interface Console {
	readonly cookie: string;
	readonly csrf: string;
	readonly email: string;
	/** Sends what a page of the console sends; `headers` that are empty are left out. */
	call(method: string, path: string, json?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

const cookieOf = (answer: Answer): string => answer.headers.get('set-cookie')!.split(';')[0]!;

async function consoleOf(email: string, at: { url: string } = server): Promise<Console> {
	const begun = await openConsole(await tokenFor(email, at), {}, at);
	assertStatus(begun, 200);
	const cookie = cookieOf(begun);
	const session = await send(at.url, 'GET', '/console/api/session', { headers: { cookie } });
	const csrf = assertStatus(session, 200).csrf_token;
	return {
		cookie,
		csrf,
		email,
		call(method, path, json, headers = {}) {
			const all = { cookie, origin: at.url, 'x-csrf-token': csrf, ...headers };
			const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
			return send(at.url, method, `/console/api${path}`, { ...(json === undefined ? {} : { json }), headers: sent });
		},
	};
}

const sessionsInFile = (): Any[] => queryDatabase(server.dataDir, 'SELECT * FROM sessions');

function assertPrivate({ headers }: Answer): void {
	assert.equal(headers.get('cache-control'), 'no-store');
	assert.equal(headers.get('access-control-allow-origin'), null);
	assert.equal(headers.get('x-content-type-options'), 'nosniff');
}

test('[10.2] [6.5] the console uses a magic link up and makes no key', async () => {
	const email = 'no-key@example.com';
	const token = await tokenFor(email);
	const begun = await openConsole(token);
	const { account_id } = assertStatus(begun, 200);
	assertPrivate(begun);
	assertRefused(await openConsole(token), 401, 'invalid_magic_link');
	const verified = await send(server.url, 'POST', '/auth/verify', { json: { token } });
	assert.equal(assertRefused(verified, 401, 'invalid_magic_link').reason, 'used');
	assert.deepEqual(queryDatabase(server.dataDir, `SELECT 1 FROM api_keys WHERE account_id = '${account_id}'`), []);
	const { call } = await consoleOf(email);
	assert.deepEqual(assertStatus(await call('GET', '/v1/_keys'), 200), { keys: [] });
	assert.deepEqual(faultsOf(server.dataDir), []);
});

test('[10.2] a used, expired or unknown link opens nothing and says which it is', async () => {
	const email = 'links@example.com';
	const [used, expired] = [await tokenFor(email), await tokenFor(email)];
	assertStatus(await send(server.url, 'POST', '/auth/verify', { json: { token: used } }), 200);
	server.advance(15 * MINUTE_MS);
	const tokens = [used, expired, 'unknown', '', undefined, null, 7, [used]];
	const answers = await Promise.all(tokens.map((token) => openConsole(token)));
	const reasons = answers.map((answer) => {
		assert.equal(answer.headers.get('set-cookie'), null);
		return assertRefused(answer, 401, 'invalid_magic_link').reason;
	});
	assert.deepEqual(reasons, ['used', 'expired', ...Array(6).fill('unknown')]);
});

test('[10.2] two at once open one session', async () => {
	const token = await tokenFor('racing-console@example.com');
	const answers = await Promise.all(Array.from({ length: 8 }, () => openConsole(token)));
	assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [200, ...Array(7).fill(401)]);
});

test('[10.3] the cookie is out of reach for scripts and other sites, and stored as a hash', async () => {
	const begun = await openConsole(await tokenFor('cookie@example.com'));
	const cookie = begun.headers.get('set-cookie')!;
	assert.match(
		cookie,
		/^pumadb_session=[a-z0-9]+\.[A-Za-z0-9_-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
	);
	const secret = cookie.split(';')[0]!.split('.')[1]!;
	assert.deepEqual(filesHolding(server.dataDir, secret), []);
	const session = await send(server.url, 'GET', '/console/api/session', { headers: { cookie: cookieOf(begun) } });
	assert.ok(!session.text.includes(secret));
	assert.deepEqual(filesHolding(server.dataDir, assertStatus(session, 200).csrf_token), []);
	const secure = await startClocked({
		...NO_RATE_LIMITS,
		PUMADB_PUBLIC_URL: 'https://localhost',
	});
	try {
		const answer = await openConsole(await tokenFor('cookie@example.com', secure), {}, secure);
		assert.match(answer.headers.get('set-cookie')!, /^__Host-pumadb_session=.*; Path=\/; .*; SameSite=Strict; Secure$/);
		const named = cookieOf(answer);
		const read = (sent: string) => send(secure.url, 'GET', '/console/api/session', { headers: { cookie: sent } });
		assertStatus(await read(`theme=dark; ${named}`), 200);
		// The plain name is another site's to set.
		assertRefused(await read(named.replace('__Host-', '')), 401, 'session_required');
	} finally {
		await secure.stop();
	}
});

test('[10.3] [5.4] a session lives 12 hours, however it is used, and is swept then', async () => {
	const own = await startClocked();
	try {
		const { call, cookie } = await consoleOf('hours@example.com', own);
		const { expires_at } = assertStatus(await call('GET', '/session'), 200);
		const life = Date.parse(expires_at) - Date.now();
		assert.ok(life > 12 * HOUR_MS - MINUTE_MS && life <= 12 * HOUR_MS, String(life));
		own.advance(12 * HOUR_MS - MINUTE_MS);
		assertStatus(await call('GET', '/v1/_tables'), 200);
		assertStatus(await call('POST', '/v1/notes', { n: 1 }), 201);
		own.advance(MINUTE_MS);
		assertRefused(await call('GET', '/v1/_tables'), 401, 'session_required');
		assertRefused(await call('POST', '/v1/notes', { n: 1 }), 401, 'session_required');
		assertRefused(await call('GET', '/session'), 401, 'session_required');
		// A further sign-in is not disturbed by what has run out.
		assert.notEqual((await consoleOf('hours@example.com', own)).cookie, cookie);
	} finally {
		await own.stop();
	}
	// The first has run out, the second not yet.
	assert.deepEqual(await sessionsAfterSweep(own.dataDir, Date.now() + 13 * HOUR_MS), 1);
	assert.deepEqual(await sessionsAfterSweep(own.dataDir, Date.now() + 25 * HOUR_MS), 0);
	assert.deepEqual(faultsOf(own.dataDir), []);
});

/** Runs a stopped server's sweep as of a moment, and counts the sessions that are left. */
async function sessionsAfterSweep(dataDir: string, now: number): Promise<number> {
	const store = await openStoreOn(dataDir, () => now);
	try {
		for (let more: boolean | undefined = true; more === true; ) {
			const outcome = await store.writeAccounts({ command: 'sweep' });
			assert.ok(!('refusal' in outcome));
			more = outcome.more;
		}
	} finally {
		await store.close();
	}
	return queryDatabase(dataDir, 'SELECT 1 FROM sessions').length;
}

test('[10.3] signing out ends this session, at once, and no other', async () => {
	const email = 'out@example.com';
	const [one, other] = [await consoleOf(email), await consoleOf(email)];
	const before = sessionsInFile().length;
	const out = await one.call('POST', '/sign-out');
	assertStatus(out, 200);
	assert.match(out.headers.get('set-cookie')!, /^pumadb_session=; Path=\/; Max-Age=0; HttpOnly; SameSite=Strict$/);
	for (const [method, path] of [
		['GET', '/session'],
		['GET', '/v1/_tables'],
		['POST', '/v1/notes'],
		['POST', '/sign-out'],
		['POST', '/erase-account'],
	] as const) {
		assertRefused(await one.call(method, path, method === 'POST' ? {} : undefined), 401, 'session_required');
	}
	assertStatus(await other.call('GET', '/v1/_tables'), 200);
	assert.equal(sessionsInFile().length, before - 1);
});

test('[10.3] an account has 20 sessions; the oldest gives way', async () => {
	const email = 'twenty@example.com';
	const sessions: Console[] = [];
	for (let n = 0; n < 21; n++) {
		sessions.push(await consoleOf(email));
		server.advance(1000);
	}
	const statuses = await Promise.all(sessions.map(async ({ call }) => (await call('GET', '/v1/_tables')).status));
	assert.deepEqual(statuses, [401, ...Array(20).fill(200)]);
});

test('[10.3] what is no session is refused', async () => {
	const { cookie } = await consoleOf('forged@example.com');
	const [name, value] = cookie.split('=') as [string, string];
	const [account, secret] = value.split('.') as [string, string];
	const last = secret.at(-1) === 'A' ? 'B' : 'A';
	const other = await consoleOf('forged-other@example.com');
	const otherAccount = other.cookie.split('=')[1]!.split('.')[0]!;
	const forged = [
		...['', 'a=b', `${name}=`, `${name}=${account}`, `${name}=.${secret}`, `${name}=${account}.`, `x${cookie}`],
		...[`${name}=${account}.${secret.slice(0, -1)}${last}`, `${name}=${otherAccount}.${secret}`, `${cookie}x`],
		...[`${name}=${account}.${secret}.${secret}`, `${name}=%00`, `${name}=${'a'.repeat(10_000)}`, `${name}="${value}"`],
		// A key is no session.
		`${name}=${ada.key}`,
	];
	for (const one of forged) {
		const answer = await send(server.url, 'GET', '/console/api/v1/_tables', { headers: { cookie: one } });
		assertRefused(answer, 401, 'session_required');
	}
	const bearer = { authorization: `Bearer ${ada.key}` };
	assertRefused(await send(server.url, 'GET', '/console/api/v1/_tables', { headers: bearer }), 401, 'session_required');
	// And a session is no key.
	assertRefused(await send(server.url, 'GET', '/v1/_tables', { headers: { cookie } }), 401, 'missing_api_key');
});

/** Every change that the console has. */
const CHANGES: readonly (readonly [method: string, path: string, json: unknown])[] = [
	['POST', '/v1/csrf', { n: 1 }],
	['DELETE', '/v1/csrf', { filter: { n: 1 } }],
	['POST', '/v1/csrf/upsert', { key: 'n', row: { n: 1 } }],
	['POST', '/v1/csrf/batch', { operations: [{ action: 'add', row: { n: 1 } }] }],
	['POST', '/v1/csrf/update_row', { id: UNKNOWN_ID, patch: { n: 1 } }],
	['POST', '/v1/csrf/update_where', { filter: { n: 1 }, patch: { n: 2 } }],
	['POST', '/v1/csrf/restore', { id: UNKNOWN_ID, version: 1 }],
	['POST', '/v1/_keys', { name: 'forged' }],
	['DELETE', '/v1/_keys/key_1', undefined],
	['PUT', `/rows/csrf/${UNKNOWN_ID}`, { row: { n: 1 } }],
	['POST', `/rows/csrf/${UNKNOWN_ID}/restore`, { version: 1 }],
	['POST', '/sign-out', undefined],
	['POST', '/erase-account', { email: 'csrf@example.com' }],
];

test('[10.5] every change needs a page of the same origin, a session, and its token', async () => {
	const { call } = await consoleOf('csrf@example.com');
	const stranger = await consoleOf('stranger@example.com');
	const host = new URL(server.url).host;
	const forgeries: readonly (readonly [headers: Record<string, string>, status: number, code: string])[] = [
		[{ origin: '' }, 403, 'cross_origin_request'],
		[{ origin: 'null' }, 403, 'cross_origin_request'],
		[{ origin: 'https://evil.example' }, 403, 'cross_origin_request'],
		[{ origin: `http://${host}.evil.example` }, 403, 'cross_origin_request'],
		[{ origin: `http://localhost:${new URL(server.url).port}` }, 403, 'cross_origin_request'],
		[{ 'sec-fetch-site': 'cross-site' }, 403, 'cross_origin_request'],
		[{ 'sec-fetch-site': 'same-site' }, 403, 'cross_origin_request'],
		[{ 'sec-fetch-site': 'none' }, 403, 'cross_origin_request'],
		[{ cookie: '' }, 401, 'session_required'],
		[{ 'x-csrf-token': '' }, 403, 'invalid_csrf_token'],
		[{ 'x-csrf-token': 'guess' }, 403, 'invalid_csrf_token'],
		[{ 'x-csrf-token': stranger.csrf }, 403, 'invalid_csrf_token'],
	];
	for (const [method, path, json] of CHANGES) {
		for (const [headers, status, code] of forgeries) {
			const answer = await call(method, path, json, headers);
			assertRefused(answer, status, code);
			assertPrivate(answer);
		}
	}
	assert.deepEqual(assertStatus(await call('GET', '/v1/_tables'), 200), { tables: [] });
	assert.deepEqual(assertStatus(await call('GET', '/v1/_keys'), 200), { keys: [] });
	// With all three they are what they are in the API.
	const sound = await Promise.all(
		CHANGES.slice(0, -2).map(async ([method, path, json]) => (await call(method, path, json)).status),
	);
	assert.deepEqual(
		sound.filter((status) => status === 403 || status === 401),
		[],
	);
	const fetched = { origin: '', 'sec-fetch-site': 'same-origin' };
	assertStatus(await call('POST', '/v1/csrf', { n: 3 }, fetched), 201);
});

test('[10.5] signing in to the console is a change too', async () => {
	const token = await tokenFor('login-csrf@example.com');
	for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
		const answer = await openConsole(token, headers);
		assertRefused(answer, 403, 'cross_origin_request');
		assert.equal(answer.headers.get('set-cookie'), null);
	}
	// Forms of other pages cannot send JSON.
	const form = await fetch(`${server.url}/console/api/sign-in`, {
		method: 'POST',
		headers: { origin: server.url },
		body: new URLSearchParams({ token }),
	});
	assert.equal(form.status, 400);
	assertStatus(await openConsole(token), 200);
});

test('[10.4] the operations are the same as with a key', async () => {
	const { call, email } = await consoleOf('same@example.com');
	const key = assertStatus(await call('POST', '/v1/_keys', { name: 'mine' }), 201).api_key;
	const byKey = (method: string, path: string, json?: unknown): Promise<Answer> =>
		send(server.url, method, path, {
			...(json === undefined ? {} : { json }),
			headers: { authorization: `Bearer ${key}` },
		});
	const row = assertStatus(await byKey('POST', '/v1/notes', { title: 'A', n: 1 }), 201);
	assert.deepEqual(assertStatus(await call('GET', '/v1/notes'), 200), { rows: [row] });
	const calls: readonly (readonly [string, string, unknown?])[] = [
		['GET', '/v1/notes?sort=-n&limit=1'],
		['GET', `/v1/notes?filter=${encodeURIComponent('{"n":1}')}`],
		['GET', '/v1/notes/count'],
		['GET', `/v1/notes/versions?id=${row.id}`],
		['GET', '/v1/_tables'],
		['GET', '/v1/_export'],
		// Refusals have the same statuses and words.
		['GET', '/v1/notes?status=open'],
		['GET', '/v1/notes?limit=0'],
		['GET', '/v1/_nothing'],
		['POST', '/v1/notes', { id: 'x' }],
		['POST', '/v1/notes', { n: '\0' }],
		['POST', '/v1/notes', { n: 'x'.repeat(70_000) }],
		['POST', '/v1/notes', { n: 'x'.repeat(1_100_000) }],
		['POST', '/v1/notes/upsert', { key: 'n', row: { n: 'x'.repeat(70_000) } }],
		['POST', '/v1/notes/update_row', { id: UNKNOWN_ID, patch: {} }],
		['POST', '/v1/notes/update_where', { filter: {}, patch: {} }],
		['POST', '/v1/notes/restore', { id: row.id, version: 9 }],
		['DELETE', '/v1/notes', { filter: {} }],
		['DELETE', '/v1/_keys/unknown'],
		['PUT', '/v1/notes', {}],
	];
	for (const [method, path, json] of calls) {
		const [one, other] = [await call(method, path, json), await byKey(method, path, json)];
		assert.deepEqual([one.status, one.body], [other.status, other.body], `${method} ${path}`);
		assertPrivate(one);
		if (one.status < 400) assert.match(one.headers.get('content-security-policy')!, /^default-src 'none';.*sandbox$/);
	}
	const patched = await call('POST', '/v1/notes/update_where', {
		filter: { id: row.id, updated_at: row.updated_at },
		patch: { n: 2 },
	});
	assertStatus(patched, 200);
	// The same filter again: the row has changed meanwhile.
	const stale = { filter: { id: row.id, updated_at: '2026-01-01T00:00:00.000Z' }, patch: { n: 3 } };
	assertRefused(await call('POST', '/v1/notes/update_where', stale), 404, 'row_not_found');
	assert.equal(assertStatus(await byKey('GET', '/v1/notes'), 200).rows[0].n, 2);
	const { usage, limits, ...session } = assertStatus(await call('GET', '/session'), 200);
	assert.deepEqual(usage, { tables: 1, bytes: '{"title":"A","n":2}'.length });
	assert.equal(limits.maxTables, 20);
	assert.equal(limits.readsPerMinute, null);
	assert.equal(session.email, email);
	assert.match(session.account_id, /^[a-z0-9]+$/);
});

test('[10.4] a row’s page reads and saves the row as a link to it does, over the state that it read', async () => {
	const { call } = await consoleOf('row-page@example.com');
	const { id } = assertStatus(await call('POST', '/v1/notes', { a: 1, b: 2 }), 201);
	const path = `/rows/notes/${id}`;
	const read = await call('GET', path);
	const { row, link } = assertStatus(read, 200);
	assert.deepEqual([row.a, row.b, link.kind, link.table, link.id], [1, 2, 'row', 'notes', id]);
	assertPrivate(read);
	const tag = read.headers.get('etag')!;
	assertRefused(await call('PUT', path, { row: { a: 2 } }), 428, 'precondition_required');
	// Own members are replaced as a whole.
	const saved = await call('PUT', path, { row: { a: 2 } }, { 'if-match': tag });
	assert.deepEqual(assertStatus(saved, 200).row, {
		id,
		a: 2,
		created_at: row.created_at,
		updated_at: saved.body.row.updated_at,
	});
	assertRefused(await call('PUT', path, { row: { a: 3 } }, { 'if-match': tag }), 412, 'row_changed');
	const again = { 'if-match': saved.headers.get('etag')! };
	assert.equal(assertRefused(await call('PUT', path, { row: { id } }, again), 400, 'reserved_field').field, 'id');
	assert.deepEqual(
		assertStatus(await call('GET', `${path}/versions`), 200),
		assertStatus(await call('GET', `/v1/notes/versions?id=${id}`), 200),
	);
	assertRefused(await call('POST', `${path}/restore`, { version: 1 }, { 'if-match': tag }), 412, 'row_changed');
	const restored = await call('POST', `${path}/restore`, { version: 1 }, again);
	assert.equal(assertStatus(restored, 200).row.b, 2);
	assert.notEqual(restored.headers.get('etag'), again['if-match']);
	// What is not there, not theirs, or no table.
	const stranger = await consoleOf('row-page-stranger@example.com');
	assertRefused(await stranger.call('GET', path), 404, 'row_not_found');
	assertRefused(await stranger.call('PUT', path, { row: {} }, again), 404, 'row_not_found');
	assert.deepEqual(assertStatus(await stranger.call('GET', `${path}/versions`), 200), { versions: [] });
	assertRefused(await stranger.call('POST', `${path}/restore`, { version: 1 }), 404, 'version_not_found');
	assertRefused(await call('GET', `/rows/notes/${UNKNOWN_ID}`), 404, 'row_not_found');
	for (const [method, rest, json] of [
		['GET', ''],
		['PUT', '', { row: {} }],
		['GET', '/versions'],
		['POST', '/restore', { version: 1 }],
	] as const) {
		assertRefused(await call(method, `/rows/_no/${id}${rest}`, json, again), 400, 'invalid_table_name');
		const none = { cookie: '' };
		assertRefused(await call(method, path + rest, json, none), 401, 'session_required');
	}
});

test('[10.4] a row that changed is known where its stamp stood still', async () => {
	const own = await startClocked();
	try {
		own.advance(HOUR_MS);
		const { call } = await consoleOf('stamp@example.com', own);
		const { id } = assertStatus(await call('POST', '/v1/notes', { n: 1 }), 201);
		const read = await call('GET', `/rows/notes/${id}`);
		own.advance(-HOUR_MS);
		const other = assertStatus(await call('POST', '/v1/notes/update_row', { id, patch: { n: 2 } }), 200);
		assert.equal(other.row.updated_at, read.body.row.updated_at);
		const tag = { 'if-match': read.headers.get('etag')! };
		assertRefused(await call('PUT', `/rows/notes/${id}`, { row: { n: 3 } }, tag), 412, 'row_changed');
	} finally {
		await own.stop();
	}
});

test('[10.5] a read that says which session it belongs to gets that session’s data only', async () => {
	const email = 'two-tabs@example.com';
	const [mine, newer] = [await consoleOf(email), await consoleOf(email)];
	const stranger = await consoleOf('other-tab@example.com');
	const { id } = assertStatus(await mine.call('POST', '/v1/notes', { n: 1 }), 201);
	const reads = [
		'/session',
		'/v1/_tables',
		'/v1/notes',
		'/v1/_export',
		`/rows/notes/${id}`,
		`/rows/notes/${id}/versions`,
	];
	for (const path of reads) {
		for (const { csrf } of [stranger, newer, { csrf: 'guess' }]) {
			const answer = await mine.call('GET', path, undefined, { 'x-csrf-token': csrf });
			assertRefused(answer, 403, 'invalid_csrf_token');
		}
		assertStatus(await mine.call('GET', path), 200);
		assertStatus(await mine.call('GET', path, undefined, { 'x-csrf-token': '' }), 200);
	}
});

test('[10.4] what needs no key or makes links is not there', async () => {
	const { call } = await consoleOf('absent@example.com');
	for (const path of ['/auth/magic-link', '/auth/verify']) {
		assertRefused(await call('POST', path, { email: 'a@b.c', token: 'x' }), 404, 'not_found');
	}
	await call('POST', '/v1/notes', { text: 'a' });
	for (const path of ['/v1/_row_links', '/v1/_text_field_links', '/v1/_query_links']) {
		assertRefused(await call('POST', path, { table: 'notes', field: 'text' }), 400, 'invalid_table_name');
	}
	const served = Object.values(OPERATIONS).filter(({ open, id }) => !open && !id.endsWith('Link'));
	assert.equal(served.length, 15);
	for (const { path } of served) {
		const options = await send(
			server.url,
			'OPTIONS',
			`/console/api${path.replace('{table}', 'notes').replace('{id}', 'x')}`,
		);
		assert.equal(options.status, 204, path);
	}
});

test('[10.4] [8.2] another account’s data, keys and sessions are out of reach', async () => {
	const [mine, theirs] = [await consoleOf('mine@example.com'), await consoleOf('theirs@example.com')];
	const row = assertStatus(await theirs.call('POST', '/v1/secrets', { word: 'xyzzy' }), 201);
	const key = assertStatus(await theirs.call('POST', '/v1/_keys', { name: 'theirs' }), 201);
	assert.deepEqual(assertStatus(await mine.call('GET', '/v1/secrets'), 200), { rows: [] });
	assert.deepEqual(assertStatus(await mine.call('GET', '/v1/_tables'), 200), { tables: [] });
	assert.deepEqual(assertStatus(await mine.call('GET', `/v1/secrets/versions?id=${row.id}`), 200), { versions: [] });
	assert.deepEqual(assertStatus(await mine.call('GET', '/v1/_keys'), 200), { keys: [] });
	assert.ok(!(await mine.call('GET', '/v1/_export')).text.includes('xyzzy'));
	assertRefused(
		await mine.call('POST', '/v1/secrets/update_row', { id: row.id, patch: { word: 'taken' } }),
		404,
		'row_not_found',
	);
	assert.deepEqual(assertStatus(await mine.call('DELETE', '/v1/secrets', { filter: { id: row.id } }), 200), {
		deleted: 0,
	});
	assert.deepEqual(assertStatus(await mine.call('DELETE', `/v1/_keys/${key.id}`), 200), { revoked: 0 });
	assert.deepEqual(assertStatus(await theirs.call('GET', '/v1/secrets'), 200).rows, [row]);
});

test('[10.4] [6.7] keys made in the console work at once, and a revoked one never again', async () => {
	const { call } = await consoleOf('keys@example.com');
	const { api_key, id, prefix } = assertStatus(await call('POST', '/v1/_keys', { name: 'agent' }), 201);
	const use = () => send(server.url, 'GET', '/v1/_tables', { headers: { authorization: `Bearer ${api_key}` } });
	assertStatus(await use(), 200);
	const { keys } = assertStatus(await call('GET', '/v1/_keys'), 200);
	assert.deepEqual([keys.length, keys[0].id, keys[0].prefix, keys[0].name], [1, id, prefix, 'agent']);
	assert.ok(!JSON.stringify(keys).includes(api_key));
	assert.deepEqual(assertStatus(await call('DELETE', `/v1/_keys/${id}`), 200), { revoked: 1 });
	assertRefused(await use(), 401, 'invalid_api_key');
});

test('[10.4] [6.8] calls count by session', async () => {
	const limited = await startClocked({
		...NO_RATE_LIMITS,
		PUMADB_WRITES_PER_MINUTE: '2',
		PUMADB_READS_PER_MINUTE: '2',
	});
	try {
		const email = 'counted@example.com';
		const [one, other] = [await consoleOf(email, limited), await consoleOf(email, limited)];
		for (const left of [1, 0]) {
			const answer = await one.call('POST', '/v1/notes', { left });
			assertStatus(answer, 201);
			assert.match(answer.headers.get('ratelimit')!, new RegExp(`^"writes";r=${left};`));
		}
		// A forgery is no call.
		assertRefused(await one.call('POST', '/v1/notes', {}, { 'x-csrf-token': '' }), 403, 'invalid_csrf_token');
		const refused = await one.call('POST', '/v1/notes', {});
		assert.equal(assertRefused(refused, 429, 'rate_limited').limit, 2);
		assert.match(refused.body.error.message, /^This session made its 2 writes/);
		assert.ok(Number(refused.headers.get('retry-after')) > 0);
		assertStatus(await one.call('GET', '/v1/_tables'), 200);
		assertStatus(await other.call('POST', '/v1/notes', {}), 201);
		limited.advance(MINUTE_MS);
		assertStatus(await one.call('POST', '/v1/notes', {}), 201);
	} finally {
		await limited.stop();
	}
});

test('[10.4] [6.9] opening sessions counts with verifying', async () => {
	const limited = await startClocked({ ...NO_RATE_LIMITS, PUMADB_SIGN_INS_PER_HOUR: '1' });
	try {
		for (let n = 0; n < 10; n++) assertRefused(await openConsole('unknown', {}, limited), 401, 'invalid_magic_link');
		assertRefused(await openConsole('unknown', {}, limited), 429, 'rate_limited');
	} finally {
		await limited.stop();
	}
});

test('[10.6] [6.10] erasing needs the address, and ends everything of the account', async () => {
	const email = 'erase@example.com';
	const [one, other] = [await consoleOf(email), await consoleOf(email)];
	const stays = await consoleOf('stays@example.com');
	const { api_key } = assertStatus(await one.call('POST', '/v1/_keys', { name: 'agent' }), 201);
	const bearer = { headers: { authorization: `Bearer ${api_key}` } };
	const row = assertStatus(await one.call('POST', '/v1/notes', { text: 'erased-canary' }), 201);
	const link = await send(server.url, 'POST', '/v1/_row_links', { ...bearer, json: { table: 'notes', id: row.id } });
	const pending = await tokenFor(email);
	for (const typed of ['', 'stays@example.com', 'erase@example.co', undefined, null, 7, [email]]) {
		assertRefused(await one.call('POST', '/erase-account', { email: typed }), 400, 'invalid_request');
	}
	assertRefused(await one.call('POST', '/erase-account', []), 400, 'invalid_request');
	assertStatus(await one.call('GET', '/v1/notes'), 200);
	const erased = await one.call('POST', '/erase-account', { email: ' Erase@Example.com ' });
	assert.deepEqual(assertStatus(erased, 200), { erased: true });
	assert.match(erased.headers.get('set-cookie')!, /^pumadb_session=; .*Max-Age=0/);
	for (const { call } of [one, other]) {
		assertRefused(await call('GET', '/v1/notes'), 401, 'session_required');
		assertRefused(await call('POST', '/v1/notes', {}), 401, 'session_required');
	}
	assertRefused(await send(server.url, 'GET', '/v1/_tables', bearer), 401, 'invalid_api_key');
	assert.equal((await fetch(link.body.viewer_url)).status, 404);
	assertRefused(await openConsole(pending), 401, 'invalid_magic_link');
	for (const until = Date.now() + 10_000; filesHolding(server.dataDir, 'erased-canary').length > 0; ) {
		assert.ok(Date.now() < until, 'What was erased is still on disk.');
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	assertStatus(await stays.call('GET', '/v1/_tables'), 200);
	assert.deepEqual(faultsOf(server.dataDir), []);
	// The address may begin anew.
	const fresh = await consoleOf(email);
	assert.deepEqual(assertStatus(await fresh.call('GET', '/v1/_tables'), 200), { tables: [] });
});

test('[10.3] a session that ends while a body arrives changes nothing', async () => {
	const { call, cookie, csrf } = await consoleOf('slow@example.com');
	const text = JSON.stringify({ late: true });
	let finish: () => void = () => {};
	const body = new ReadableStream({
		start(controller) {
			controller.enqueue(new TextEncoder().encode(text.slice(0, 5)));
			finish = () => {
				controller.enqueue(new TextEncoder().encode(text.slice(5)));
				controller.close();
			};
		},
	});
	const late = fetch(`${server.url}/console/api/v1/notes`, {
		method: 'POST',
		headers: { cookie, origin: server.url, 'x-csrf-token': csrf, 'content-type': 'application/json' },
		body,
		duplex: 'half',
	} as RequestInit);
	await new Promise((resolve) => setTimeout(resolve, 200));
	assertStatus(await call('POST', '/sign-out'), 200);
	finish();
	assert.equal((await late).status, 401);
	const again = await consoleOf('slow@example.com');
	assert.deepEqual(assertStatus(await again.call('GET', '/v1/_tables'), 200), { tables: [] });
});

test('[7.2] [10.4] the page itself needs no session and may not be framed', async () => {
	const page = await fetch(`${server.url}/console`);
	assert.equal(page.status, 200);
	const policy = page.headers.get('content-security-policy')!;
	for (const part of ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]) {
		assert.ok(policy.includes(part), policy);
	}
	assert.doesNotMatch(policy, /unsafe|\*|https?:/);
	assert.equal(page.headers.get('cache-control'), 'no-store');
	assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
});
