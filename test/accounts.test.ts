import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Any, type Client, clientWith, type Options, send, signIn } from './support/client.ts';
import { faultsOf, filesHolding } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

const DEADLINE_MS = 30_000;
const MAX_LIVE_KEYS = 100;
const KEY = /^puma_live_([a-z0-9]+)_([a-z0-9]+)$/;

let server: ClockedServer;
let ada: Client;

before(async () => {
	server = await startClocked();
	ada = await signIn(server);
});
after(() => server.stop());

const create = async (client: Client, name = 'agent'): Promise<Any> =>
	assertStatus(await client.post('/v1/_keys', { name }), 201);
const listed = async (client: Client): Promise<Any[]> => assertStatus(await client.get('/v1/_keys'), 200).keys;
const works = async (key: string): Promise<boolean> => {
	const { status } = await clientWith(server, key).get('/v1/_tables');
	assert.ok(status === 200 || status === 401);
	return status === 200;
};
async function tokenFor(email: string, base = server.url): Promise<string> {
	const asked = await send(base, 'POST', '/auth/magic-link', { json: { email } });
	return new URL(asked.body.dev_magic_link).searchParams.get('token')!;
}

test('[6.5] a key carries its account and at least 160 random bits', async () => {
	assert.match(ada.accountId, /^[a-z0-9]+$/);
	const keys = await Promise.all(Array.from({ length: 99 }, () => create(ada)));
	const secrets = [ada.key, ...keys.map((key) => key.api_key)].map((key) => {
		const [, account, secret] = KEY.exec(key)!;
		assert.equal(account, ada.accountId);
		return secret!;
	});
	assert.equal(new Set(secrets).size, 100);
	assert.equal(new Set(secrets.map((secret) => secret.length)).size, 1);
	// What a hundred secrets show of each character's freedom is less than there is.
	const bits = Array.from(secrets[0]!, (_, at) => Math.log2(new Set(secrets.map((secret) => secret[at])).size));
	assert.ok(bits.reduce((sum, one) => sum + one, 0) >= 160);
	for (const { id } of keys) await ada.del(`/v1/_keys/${id}`);
});

test('[6.5] [6.6] keys are listed with prefixes, never with secrets', async () => {
	const client = await signIn(server);
	const made = await create(client, 'first');
	assert.deepEqual(Object.keys(made).toSorted(), ['api_key', 'id', 'prefix', 'scope']);
	assert.equal(made.scope, '*');
	await create(client, 'second');
	const answer = await client.get('/v1/_keys');
	const { keys } = answer.body;
	assert.deepEqual(
		keys.map((key: Any) => [key.account_id, key.scope, key.revoked_at]),
		Array(3).fill([client.accountId, '*', null]),
	);
	assert.deepEqual(
		keys.slice(1).map((key: Any) => key.name),
		['first', 'second'],
	);
	assert.ok(client.key.startsWith(keys[0].prefix) && made.api_key.startsWith(made.prefix));
	assert.equal(keys[1].prefix, made.prefix);
	assert.equal(keys[1].id, made.id);
	for (const key of [client.key, made.api_key]) {
		const secret = KEY.exec(key)![2]!;
		const shown = made.prefix.length - 'puma_live__'.length - client.accountId.length;
		assert.ok(secret.length - shown >= 31, 'what the prefix keeps back is still 160 bits');
		assert.ok(!answer.text.includes(secret.slice(shown)));
	}
});

test('[6.5] a name has 1 to 80 characters', async () => {
	const client = await signIn(server);
	const names = ['a', 'x'.repeat(80), '🐆'.repeat(80), ' ', '"<b>\n'];
	for (const name of names) await create(client, name);
	assert.deepEqual(
		(await listed(client)).slice(1).map((key) => key.name),
		names,
	);
	for (const name of ['', 'x'.repeat(81), '🐆'.repeat(81), 7, null, undefined, ['a']]) {
		assertRefused(await client.post('/v1/_keys', { name }), 400, 'invalid_request');
	}
	for (const name of ['a\0', '\ud800']) assertRefused(await client.post('/v1/_keys', { name }), 400, 'invalid_string');
	assert.equal((await listed(client)).length, names.length + 1);
});

test('[6.7] [6.6] a revoked key is refused at once, and stays listed', async () => {
	const client = await signIn(server);
	const { id, api_key } = await create(client);
	for (let n = 0; n < 3; n++) assert.ok(await works(api_key));
	assert.deepEqual(assertStatus(await client.del(`/v1/_keys/${id}`), 200), { revoked: 1 });
	assert.ok(!(await works(api_key)));
	assertRefused(await clientWith(server, api_key).post('/v1/notes', {}), 401, 'invalid_api_key');
	assert.deepEqual(assertStatus(await client.del(`/v1/_keys/${id}`), 200), { revoked: 0 });
	const [, revoked] = await listed(client);
	assert.equal(revoked.id, id);
	assert.match(revoked.revoked_at, /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/);
	assert.ok(revoked.revoked_at >= revoked.created_at);
});

/** What an answer says, but for what names the one call. */
function sayingOf({ status, headers, body }: Answer): unknown {
	const own = [...headers].filter(([name]) => !['x-request-id', 'date'].includes(name));
	const { request_id: _, ...error } = body.error;
	return { status, headers: own, error };
}

/** Writes that work, and writes that are refused for another reason at each step on the way. */
const WRITES: readonly (readonly [method: string, path: string, options: Options])[] = [
	['POST', '/v1/notes', { json: { n: 1 } }],
	['POST', '/v1/notes', { json: { n: 1 }, headers: { 'idempotency-key': 'k' } }],
	['POST', '/v1/notes', { body: '{"n":', headers: { 'content-type': 'application/json' } }],
	['POST', '/v1/notes', { body: '{"n":1}', headers: { 'content-type': 'text/plain' } }],
	['POST', '/v1/notes', { json: { id: 'mine' } }],
	['POST', '/v1/notes', { json: { text: 'x'.repeat(70_000) } }],
	['POST', '/v1/notes', { json: { text: 'x'.repeat(1_100_000) } }],
	['POST', '/v1/notes?unknown=1', { json: { n: 1 } }],
	['POST', '/v1/no%20table', { json: { n: 1 } }],
	['POST', '/v1/fresh', { json: { n: 1 } }],
	['POST', '/v1/notes/batch', { json: { operations: [{ action: 'add', row: { n: 1 } }] } }],
	['POST', '/v1/notes/batch', { json: { operations: [{ action: 'nothing' }] } }],
	['POST', '/v1/notes/upsert', { json: { key: 'n', row: { n: 1 } } }],
	['POST', '/v1/notes/update_row', { json: { id: 'none', patch: { n: 2 } } }],
	['POST', '/v1/notes/update_where', { json: { filter: { n: 1 }, patch: { n: 2 } } }],
	['POST', '/v1/notes/restore', { json: { id: 'none', version: 1 } }],
	['DELETE', `/v1/notes?filter=${encodeURIComponent('{"n":0}')}`, {}],
	['DELETE', '/v1/notes', {}],
];

/** A key that each node has done a write with and then saw none of, since it is revoked; and a key that never was. */
async function revokedKey(
	on: ClockedServer,
	owner: Client,
): Promise<{ revoked: Client; unknown: Client; rows: Any[] }> {
	const { id, api_key } = await create(owner);
	const revoked = clientWith(on, api_key);
	const rows = [await revoked.add('notes', { n: 0 }), await revoked.add('notes', { n: 0 })];
	assert.deepEqual(assertStatus(await owner.del(`/v1/_keys/${id}`), 200), { revoked: 1 });
	return { revoked, unknown: clientWith(on, api_key.replace(/[a-z0-9]{20}$/, '0'.repeat(20))), rows };
}

for (const [writesPerMinute, left] of [
	['0', 'have no limit'],
	['6', 'are left of the minute'],
	['2', 'are used up for the minute'],
] as const) {
	test(`[6.7] [1.4] a revoked key is told so whatever else is wrong with a write, where its writes ${left}`, async () => {
		const limited = await startClocked({ ...NO_RATE_LIMITS, PUMADB_WRITES_PER_MINUTE: writesPerMinute });
		try {
			const owner = await signIn(limited);
			const kept: Any[] = [];
			for (const [method, path, options] of WRITES) {
				// Revoking counts as a write too.
				limited.advance(61_000);
				const { revoked, unknown, rows } = await revokedKey(limited, owner);
				kept.push(...rows);
				// One answer of each node, if there are two.
				const answers: Answer[] = [];
				for (const { call } of [revoked, revoked, unknown, unknown]) answers.push(await call(method, path, options));
				for (const answer of answers) {
					assertRefused(answer, 401, 'invalid_api_key');
					assert.equal(answer.headers.get('ratelimit'), null);
					assert.deepEqual(sayingOf(answer), sayingOf(answers.at(-1)!), `${method} ${path}`);
				}
			}
			assert.deepEqual(await owner.rows('notes'), kept);
			const { tables } = (await owner.get('/v1/_tables')).body;
			assert.deepEqual(
				tables.map(({ name }: Any) => name),
				['notes'],
			);
		} finally {
			await limited.stop();
		}
	});
}

test('[6.7] last_used_at of a key stays as it was when the key was revoked, whatever is sent with it', async () => {
	const dataDir = temporaryDir();
	let clocked = await startClocked(NO_RATE_LIMITS, dataDir);
	try {
		const owner = await signIn(clocked);
		const keys: Client[] = [];
		for (const _ of WRITES) keys.push((await revokedKey(clocked, owner)).revoked);
		clocked.advance(3_600_000);
		const later = new Date(Date.now() + 1_800_000).toISOString();
		for (const [i, [method, path, options]] of WRITES.entries()) {
			// On each node, if there are two.
			for (let n = 0; n < 2; n++) assertStatus(await keys[i]!.call(method, path, options), 401);
		}
		await clocked.stop();
		clocked = await startClocked(NO_RATE_LIMITS, dataDir);
		for (const key of (await listed(clientWith(clocked, owner.key))).slice(1)) {
			assert.ok(key.last_used_at !== null && key.last_used_at < later, key.last_used_at);
		}
	} finally {
		await clocked.stop();
	}
});

test('[6.7] a key can revoke itself, and other accounts revoke nothing', async () => {
	const eve = await signIn(server);
	const own = await create(eve);
	const self = clientWith(server, own.api_key);
	for (const id of [own.id, 'unknown', '%00', 'a/b', 'key_', "' OR 1=1", 'x'.repeat(2000), ada.accountId]) {
		assert.deepEqual(assertStatus(await ada.del(`/v1/_keys/${encodeURIComponent(id)}`), 200), { revoked: 0 });
	}
	assert.deepEqual(assertStatus(await self.del(`/v1/_keys/${own.id.toUpperCase()}`), 200), { revoked: 0 });
	assert.deepEqual(assertStatus(await self.del(`/v1/_keys/${own.id}`), 200), { revoked: 1 });
	assert.ok(!(await works(own.api_key)));
	assert.ok(await works(eve.key));
});

test('[6.7] calls that race a revocation are answered with the key live or refused, never after it', async () => {
	const client = await signIn(server);
	const { id, api_key } = await create(client);
	const racing = clientWith(server, api_key);
	const calls = Array.from({ length: 20 }, (_, n) => racing.post('/v1/notes', { n }));
	await client.del(`/v1/_keys/${id}`);
	assert.ok(!(await works(api_key)));
	const added = (await Promise.all(calls)).filter((answer) => answer.status === 201);
	assert.equal((await client.rows('notes')).length, added.length);
});

test('[6.6] an account has at most 100 live keys', async () => {
	const client = await signIn(server);
	const second = (await signIn(server, client.email)).key;
	const made = await Promise.all(Array.from({ length: MAX_LIVE_KEYS - 2 }, () => create(client)));
	const refused = await client.post('/v1/_keys', { name: 'one more' });
	assert.deepEqual(assertRefused(refused, 400, 'key_limit_reached'), { limit: MAX_LIVE_KEYS });
	await client.del(`/v1/_keys/${made[0].id}`);
	await create(client);
	assertRefused(await client.post('/v1/_keys', { name: 'one more' }), 400, 'key_limit_reached');

	// A sign-in takes the place of the oldest that a sign-in made.
	const third = await signIn(server, client.email);
	assert.deepEqual([await works(client.key), await works(second), await works(third.key)], [false, true, true]);
	const live = (await listed(third)).filter((key) => key.revoked_at === null);
	assert.equal(live.length, MAX_LIVE_KEYS);
	assertRefused(await third.post('/v1/_keys', { name: 'one more' }), 400, 'key_limit_reached');
});

test('[6.6] [1.1] where no sign-in made any of 100 live keys, a verify is refused and the link stays good', async () => {
	const client = await signIn(server);
	const made = await Promise.all(Array.from({ length: MAX_LIVE_KEYS - 1 }, () => create(client)));
	const by = clientWith(server, made[0].api_key);
	await by.del(`/v1/_keys/${(await listed(client))[0].id}`);
	await create(by);
	const token = await tokenFor(client.email);
	assertRefused(await send(server.url, 'POST', '/auth/verify', { json: { token } }), 401, 'key_limit_reached');
	assert.ok(await works(made[1].api_key));
	await by.del(`/v1/_keys/${made[1].id}`);
	const verified = await send(server.url, 'POST', '/auth/verify', { json: { token } });
	assert.equal(assertStatus(verified, 200).account_id, client.accountId);
});

test('[6.7] last_used_at says when a key was used', async () => {
	const dataDir = temporaryDir();
	let clocked = await startClocked(NO_RATE_LIMITS, dataDir);
	try {
		const { key } = await signIn(clocked);
		const client = clientWith(clocked, key);
		const [used, unused] = [await create(client, 'used'), await create(client, 'unused')];
		assert.deepEqual(
			(await listed(client)).slice(1).map((one) => one.last_used_at),
			[null, null],
		);
		const before = new Date().toISOString();
		assertStatus(await clientWith(clocked, used.api_key).get('/v1/_tables'), 200);
		const after = new Date().toISOString();
		await clocked.stop();
		clocked = await startClocked(NO_RATE_LIMITS, dataDir);
		const [own, one, other] = await listed(clientWith(clocked, key));
		assert.ok(own.last_used_at !== null && other.last_used_at === null);
		assert.ok(one.last_used_at >= before && one.last_used_at <= after);
		assert.deepEqual([one.id, other.id], [used.id, unused.id]);
	} finally {
		await clocked.stop();
	}
});

test('[6.5] [9.3] no secret is in the database or in the log', async () => {
	const real = await startServer({ ...NO_RATE_LIMITS, PUMADB_LOG_LEVEL: 'debug' });
	const secrets: string[] = [];
	try {
		const email = 'secrets@example.com';
		const tokens = [await tokenFor(email, real.url), await tokenFor(email, real.url), await tokenFor(email, real.url)];
		const [byCall, byForm, opened] = tokens;
		const { api_key } = (await send(real.url, 'POST', '/auth/verify', { json: { token: byCall } })).body;
		const form = await fetch(`${real.url}/sign-in`, {
			method: 'POST',
			headers: { origin: real.url },
			body: new URLSearchParams({ token: byForm! }),
		});
		const shown = /puma_live_[a-z0-9_]+/.exec(await form.text())![0];
		assert.equal((await fetch(`${real.url}/sign-in?token=${opened}`)).status, 200);
		const made = await create(clientWith(real, api_key));
		assertRefused(await clientWith(real, `${api_key}0`).get('/v1/_tables'), 401, 'invalid_api_key');
		await clientWith(real, made.api_key).add('notes', { canary: 'canary-value' });
		secrets.push(...tokens, ...[api_key, shown, made.api_key].map((key) => KEY.exec(key)![2]!));
		assert.notDeepEqual(filesHolding(real.dataDir, 'canary-value'), []);
		for (const secret of secrets) assert.deepEqual(filesHolding(real.dataDir, secret), []);
	} finally {
		await real.stop();
	}
	assert.match(real.log(), /"route":"\/sign-in"/);
	for (const secret of [...secrets, 'canary-value']) assert.ok(!real.log().includes(secret));
	for (const secret of secrets) assert.deepEqual(filesHolding(real.dataDir, secret), []);
});

/** Erased content leaves the files soon, while the server runs. */
async function assertGone(dataDir: string, text: string): Promise<void> {
	for (const deadline = Date.now() + DEADLINE_MS; filesHolding(dataDir, text).length > 0; await sleep(50)) {
		assert.ok(Date.now() < deadline, `${text} is still in ${filesHolding(dataDir, text)}`);
	}
}

test('[6.10] an account can be erased', async () => {
	const real: TestServer = await startServer();
	try {
		const [client, other] = [await signIn(real), await signIn(real)];
		const link = await tokenFor(client.email, real.url);
		const row = await client.add('notes', { text: 'first-erased-text' });
		await client.post('/v1/notes/update_row', { id: row.id, patch: { text: 'second-erased-text' } });
		await client.post('/v1/keyed', { text: 'third-erased-text' }, { 'idempotency-key': 'k' });
		const kept = await other.add('notes', { text: 'kept-text' });
		const args = ['accounts', 'delete', '--data-dir', real.dataDir, '--account'];
		assert.equal((await runPumadb([...args, 'nobody@example.com'])).code, 2);
		const erased = await runPumadb([...args, client.email]);
		assert.equal(erased.code, 0, erased.err);
		assertRefused(await client.get('/v1/_tables'), 401, 'invalid_api_key');
		assertRefused(await send(real.url, 'POST', '/auth/verify', { json: { token: link } }), 401, 'invalid_magic_link');
		for (const text of ['first', 'second', 'third']) await assertGone(real.dataDir, `${text}-erased-text`);
		await assertGone(real.dataDir, client.email);
		const anew = await signIn(real, client.email);
		assert.notEqual(anew.accountId, client.accountId);
		assert.deepEqual(assertStatus(await anew.get('/v1/_export'), 200), { tables: {} });
		assert.deepEqual(await other.rows('notes'), [kept]);
		assert.deepEqual(faultsOf(real.dataDir), []);
	} finally {
		await real.stop();
	}
});

test('[6.10] a row can be purged with its versions', async () => {
	const real: TestServer = await startServer();
	try {
		const client = await signIn(real);
		const add = () => client.post('/v1/notes', { text: 'first-purged-text' }, { 'idempotency-key': 'k' });
		const { id } = assertStatus(await add(), 201);
		await client.post('/v1/notes/update_row', { id, patch: { text: 'second-purged-text' } });
		const other = await client.add('notes', { text: 'other' });
		const args = ['rows', 'purge', '--data-dir', real.dataDir, '--account', client.email, '--id', id, '--table'];
		assert.equal((await runPumadb([...args, 'elsewhere'])).code, 2);
		const purged = await runPumadb([...args, 'notes']);
		assert.equal(purged.code, 0, purged.err);
		assert.deepEqual(await client.rows('notes'), [other]);
		assert.deepEqual((await client.get('/v1/notes/versions', { id })).body.versions, []);
		assertRefused(await client.post('/v1/notes/restore', { id, version: 1 }), 404, 'version_not_found');
		for (const text of ['first', 'second']) await assertGone(real.dataDir, `${text}-purged-text`);
		const again = await add();
		assert.equal(again.headers.get('idempotency-replayed'), null);
		assert.notEqual(assertStatus(again, 201).id, id);
		assert.equal((await runPumadb([...args, 'notes'])).code, 2);
		assert.deepEqual(faultsOf(real.dataDir), []);
	} finally {
		await real.stop();
	}
});
