import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Any, type Client, clientWith, signIn } from './support/client.ts';
import { faultsOf, filesHolding, queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { message, postMcp } from './support/mcp.ts';
import {
	type App,
	authorize,
	connect,
	exchange,
	type JsonAnswer,
	newApp,
	pkce,
	postForm,
	refresh,
	register,
	type Tokens,
	tokensIn,
} from './support/oauth.ts';
import { assertRefused } from './support/refusals.ts';
import { NO_RATE_LIMITS, runPumadb, startServer, temporaryDir } from './support/server.ts';

let server: ClockedServer;
let app: App;

const EMAIL = 'ada@example.com';
const DAY_MS = 86_400_000;

before(async () => {
	server = await startClocked();
	app = await newApp(server.url);
});
after(async () => {
	assert.deepEqual(faultsOf(server.dataDir), []);
	await server.stop();
});

function assertOAuth({ status, body }: JsonAnswer, wanted: string): void {
	assert.equal(`${status} ${body.error}`, wanted, JSON.stringify(body));
	assert.match(body.error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
}

/** Does the access token open `/mcp`? */
async function opens(access: string, base = server.url): Promise<boolean> {
	const { status, headers, body } = await postMcp(base, access, message('ping'));
	if (status === 200) return true;
	assert.equal(`${status} ${body.error.code}`, '401 invalid_access_token');
	assert.match(headers.get('www-authenticate')!, /error="invalid_token"/);
	return false;
}

const callTool = async (access: string, name: string, args: object = {}): Promise<Any> =>
	(await postMcp(server.url, access, message('tools/call', { name, arguments: args }))).body.result;

/** A code that nobody has used yet. */
async function newCode(base = server.url, of: App = app, more: Record<string, string> = {}) {
	const { verifier, challenge } = pkce();
	const back = await authorize(base, of, EMAIL, { challenge, more });
	return { code: back.searchParams.get('code')!, verifier };
}

test('[14.9] [14.14] tokens come as they should', async () => {
	const { code, verifier } = await newCode();
	const answer = await exchange(server.url, app, code, verifier);
	assert.equal(answer.status, 200);
	assert.deepEqual(Object.keys(answer.body).toSorted(), [
		...['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type'],
	]);
	assert.equal(answer.body.token_type, 'Bearer');
	assert.equal(answer.body.expires_in, 3600);
	assert.equal(answer.body.scope, 'pumadb');
	assert.equal(answer.headers.get('cache-control'), 'no-store');
	assert.ok(await opens(tokensIn(answer).access));
});

test('[14.8] a code presented wrongly is refused and stays good; presented again, it ends its grant', async () => {
	const { code, verifier } = await newCode();
	const other = await newApp(server.url, 'https://b.example/cb', 'Other');
	for (const [answer, error] of [
		[await exchange(server.url, app, code, pkce().verifier), '400 invalid_grant'],
		[await exchange(server.url, app, code, 'short'), '400 invalid_request'],
		[await exchange(server.url, app, code, ''), '400 invalid_request'],
		[await exchange(server.url, app, `${code}x`, verifier), '400 invalid_grant'],
		[await exchange(server.url, app, '', verifier), '400 invalid_request'],
		[await exchange(server.url, app, 'rubbish', verifier), '400 invalid_grant'],
		[await exchange(server.url, { ...other, redirect: app.redirect }, code, verifier), '400 invalid_grant'],
		[await exchange(server.url, { ...app, id: 'client_unknown' }, code, verifier), '401 invalid_client'],
		[
			await exchange(server.url, { ...app, id: 'https://app.example/client.json' }, code, verifier),
			'400 invalid_grant',
		],
		[await exchange(server.url, app, code, verifier, { client_id: '' }), '401 invalid_client'],
		[await exchange(server.url, app, code, verifier, { redirect_uri: 'https://b.example/cb' }), '400 invalid_grant'],
		[await exchange(server.url, app, code, verifier, { grant_type: '' }), '400 invalid_request'],
		[await exchange(server.url, app, code, verifier, { grant_type: 'password' }), '400 unsupported_grant_type'],
		[await exchange(server.url, app, code, verifier, { resource: 'https://other.example/mcp' }), '400 invalid_target'],
	] as const) {
		assertOAuth(answer, error);
	}
	const good = await exchange(server.url, app, code, verifier);
	assert.equal(good.status, 200);
	const { access, refresh: token } = tokensIn(good);
	// A stranger's try with a used code is no reuse.
	assertOAuth(await exchange(server.url, app, code, pkce().verifier), '400 invalid_grant');
	assert.ok(await opens(access));
	assertOAuth(await exchange(server.url, app, code, verifier), '400 invalid_grant');
	assert.ok(!(await opens(access)));
	assertOAuth(await refresh(server.url, app, token), '400 invalid_grant');
});

test('[14.8] a code lives for 5 minutes', async () => {
	const own = await startClocked();
	try {
		const mine = await newApp(own.url);
		const [one, two] = [await newCode(own.url, mine), await newCode(own.url, mine)];
		own.advance(5 * 60_000 - 2000);
		assert.equal((await exchange(own.url, mine, one.code, one.verifier)).status, 200);
		own.advance(2001);
		assertOAuth(await exchange(own.url, mine, two.code, two.verifier), '400 invalid_grant');
	} finally {
		await own.stop();
	}
});

test('[14.8] one code changed ten times at once is changed once', async () => {
	const { code, verifier } = await newCode();
	const answers = await Promise.all(Array.from({ length: 10 }, () => exchange(server.url, app, code, verifier)));
	assert.equal(answers.filter(({ status }) => status === 200).length, 1);
	for (const answer of answers) {
		if (answer.status === 200) assert.ok(!(await opens(tokensIn(answer).access)));
		else assertOAuth(answer, '400 invalid_grant');
	}
});

test('[14.9] two refreshes at once both get tokens that work; a use after the grace ends the grant', async () => {
	const own = await startClocked();
	try {
		const mine = await newApp(own.url);
		const first = await connect(own.url, mine, EMAIL);
		const pairs = (await Promise.all([1, 2, 3].map(() => refresh(own.url, mine, first.refresh)))).map(tokensIn);
		assert.equal(new Set(pairs.map(({ access }) => access)).size, 3);
		own.advance(119_000);
		pairs.push(tokensIn(await refresh(own.url, mine, first.refresh)));
		// Each goes on for itself, and the old access token until it expires.
		const next: Tokens[] = [];
		for (const pair of pairs) {
			assert.ok(await opens(pair.access, own.url));
			const answer = await refresh(own.url, mine, pair.refresh);
			assert.equal(answer.status, 200);
			next.push(tokensIn(answer));
		}
		assert.ok(await opens(first.access, own.url));
		own.advance(2000);
		// A wrong client's try is refused and ends nothing.
		const other = await newApp(own.url, 'https://b.example/cb', 'Other');
		assertOAuth(await refresh(own.url, other, first.refresh), '400 invalid_grant');
		assert.ok(await opens(next[0]!.access, own.url));
		assertOAuth(await refresh(own.url, mine, first.refresh), '400 invalid_grant');
		for (const { access, refresh: token } of [...pairs, ...next]) {
			assert.ok(!(await opens(access, own.url)));
			assertOAuth(await refresh(own.url, mine, token), '400 invalid_grant');
		}
	} finally {
		await own.stop();
	}
});

test('[14.9] [14.10] a refresh that is refused uses nothing up', async () => {
	const { refresh: token } = await connect(server.url, app, EMAIL);
	const other = await newApp(server.url, 'https://b.example/cb', 'Other');
	for (const [answer, error] of [
		[await refresh(server.url, other, token), '400 invalid_grant'],
		[await refresh(server.url, { ...app, id: 'client_unknown' }, token), '401 invalid_client'],
		[await refresh(server.url, app, `${token}x`), '400 invalid_grant'],
		[await refresh(server.url, app, ''), '400 invalid_request'],
		[await refresh(server.url, app, token, { resource: 'https://other.example' }), '400 invalid_target'],
	] as const) {
		assertOAuth(answer, error);
	}
	const used = queryDatabase(
		server.dataDir,
		"SELECT 1 FROM tokens WHERE kind = 'refresh' AND used_at IS NOT NULL",
	).length;
	assert.equal((await refresh(server.url, app, token)).status, 200);
	const now = queryDatabase(
		server.dataDir,
		"SELECT 1 FROM tokens WHERE kind = 'refresh' AND used_at IS NOT NULL",
	).length;
	assert.equal(now, used + 1, 'it was new until now');
});

test('[14.9] an access token lives as long as the setting says, a refresh token 90 days from its own beginning', async () => {
	const own = await startClocked({ ...NO_RATE_LIMITS, PUMADB_ACCESS_TOKEN_TTL_SECONDS: '10' });
	try {
		const mine = await newApp(own.url);
		let pair = await connect(own.url, mine, EMAIL);
		assert.ok(await opens(pair.access, own.url));
		own.advance(11_000);
		assert.ok(!(await opens(pair.access, own.url)), 'though it was remembered');
		for (let n = 0; n < 3; n++) {
			own.advance(89 * DAY_MS);
			const answer = await refresh(own.url, mine, pair.refresh);
			assert.equal(answer.body.expires_in, 10);
			pair = tokensIn(answer);
		}
		own.advance(91 * DAY_MS);
		assertOAuth(await refresh(own.url, mine, pair.refresh), '400 invalid_grant');
	} finally {
		await own.stop();
	}
});

test('[14.10] resource may be said in many ways, and means one audience', async () => {
	const { origin } = new URL(server.url);
	for (const resource of ['', `${origin}/mcp`, `${origin}/mcp/`, origin, `${origin}/`]) {
		const { code, verifier } = await newCode(server.url, app, { resource });
		const answer = await exchange(server.url, app, code, verifier, resource === '' ? {} : { resource });
		assert.equal(answer.status, 200, resource);
		const { access, refresh: token } = tokensIn(answer);
		assert.ok(await opens(access));
		assert.equal((await refresh(server.url, app, token, { resource: `${origin}/mcp/` })).status, 200);
	}
	assert.deepEqual(
		queryDatabase(server.dataDir, 'SELECT DISTINCT audience FROM grants').map((row) => row.audience),
		[`${origin}/mcp`],
	);
	for (const resource of [
		`${origin}/mcp/more`,
		`${origin}/v1`,
		`${origin}.evil.example/mcp`,
		`${origin}/mcp?x=1`,
		'rubbish',
	]) {
		const { refresh: token } = await connect(server.url, app, EMAIL);
		assertOAuth(await refresh(server.url, app, token, { resource }), '400 invalid_target');
	}
});

test('[14.10] a token for another address opens nothing', async () => {
	const dataDir = temporaryDir();
	const env = { ...NO_RATE_LIMITS, PUMADB_PUBLIC_URL: 'http://localhost:1' };
	const one = await startClocked({ ...NO_RATE_LIMITS }, dataDir);
	const mine = await newApp(one.url);
	const pair = await connect(one.url, mine, EMAIL);
	await one.stop();
	const moved = await startClocked(env, dataDir);
	try {
		assert.ok(!(await opens(pair.access, moved.url)));
		assertOAuth(await refresh(moved.url, mine, pair.refresh), '400 invalid_grant');
	} finally {
		await moved.stop();
	}
});

test('[14.11] clients with a secret must prove it, in either way', async () => {
	for (const method of ['client_secret_post', 'client_secret_basic']) {
		const { body } = await register(server.url, {
			redirect_uris: ['https://c.example/cb'],
			token_endpoint_auth_method: method,
		});
		const mine: App = { id: body.client_id, redirect: 'https://c.example/cb' };
		const { code, verifier } = await newCode(server.url, mine);
		const basic = (id: string, secret: string) => ({
			authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
		});
		const fields = {
			grant_type: 'authorization_code',
			code,
			code_verifier: verifier,
			redirect_uri: mine.redirect,
		};
		const token = (more: Record<string, string>, headers = {}) =>
			postForm(server.url, '/oauth/token', { ...fields, ...more }, headers);
		for (const answer of [
			await token({ client_id: mine.id }),
			await token({ client_id: mine.id, client_secret: 'wrong' }),
			await token({}, basic(mine.id, 'wrong')),
			await token({ client_id: app.id }, basic(mine.id, body.client_secret)),
			await token({}, { authorization: 'Basic !' }),
			await token({}, { authorization: 'Bearer x' }),
			await token({}, { authorization: `Basic ${Buffer.from('%:%').toString('base64')}` }),
		]) {
			assertOAuth(answer, '401 invalid_client');
		}
		assert.match((await token({}, basic(mine.id, 'wrong'))).headers.get('www-authenticate')!, /^Basic /);
		// It registered one way and may use the other: what counts is the secret.
		const answer =
			method === 'client_secret_post'
				? await token({}, basic(mine.id, body.client_secret))
				: await token({ client_id: mine.id, client_secret: body.client_secret });
		assert.equal(answer.status, 200, JSON.stringify(answer.body));
	}
});

test('[14.11] bodies that are no form, too large or doubled are refused in OAuth words', async () => {
	const post = async (body: string, type = 'application/x-www-form-urlencoded'): Promise<JsonAnswer> => {
		const response = await fetch(`${server.url}/oauth/token`, {
			method: 'POST',
			body,
			headers: { 'content-type': type },
		});
		return { status: response.status, headers: response.headers, body: await response.json() };
	};
	const json = await post('{}', 'application/json');
	assertOAuth(json, '400 invalid_request');
	assert.match(json.body.error_description, /application\/x-www-form-urlencoded/);
	assertOAuth(await post('client_id=x:y&grant_type=refresh_token&refresh_token=x'), '401 invalid_client');
	assertOAuth(await post(''), '401 invalid_client');
	assertOAuth(await post(`client_id=${app.id}&client_id=${app.id}`), '400 invalid_request');
	assertOAuth(await post(`client_id=${app.id}&x=${'x'.repeat(70_000)}`), '413 invalid_request');
	assertOAuth(await post(`client_id=${app.id}&grant_type=refresh_token&refresh_token=%00%ff`), '400 invalid_grant');
});

test('[14.12] an app ends an access token, or with its refresh token all of it; no other app can', async () => {
	const revoke = (token: string, of = app.id, more = {}) =>
		postForm(server.url, '/oauth/revoke', { token, client_id: of, ...more });
	const { access, refresh: token } = await connect(server.url, app, EMAIL);
	const other = await newApp(server.url, 'https://b.example/cb', 'Other');
	assertOAuth(await revoke(token, other.id), '400 unauthorized_client');
	assertOAuth(await revoke(token, 'client_unknown'), '401 invalid_client');
	assertOAuth(await revoke(''), '400 invalid_request');
	assert.ok(await opens(access));
	for (const nothing of ['rubbish', `${access}x`, 'puma_refresh_a_b'])
		assert.equal((await revoke(nothing)).status, 200);
	assert.equal((await revoke(access, app.id, { token_type_hint: 'refresh_token' })).status, 200);
	assert.ok(!(await opens(access)));
	const again = tokensIn(await refresh(server.url, app, token));
	assert.ok(await opens(again.access));
	assert.equal((await revoke(again.refresh)).status, 200);
	assert.ok(!(await opens(again.access)));
	assertOAuth(await refresh(server.url, app, again.refresh), '400 invalid_grant');
	assert.equal((await revoke(again.refresh)).status, 200);
});

test('[14.14] an access token opens /mcp alone; no other token does', async () => {
	const { access, refresh: token } = await connect(server.url, app, EMAIL);
	const { code } = await newCode();
	for (const bearer of [access, token, code]) {
		const refused = await clientWith(server, bearer).get('/v1/_tables');
		assertRefused(refused, 401, 'invalid_api_key');
		assert.match(refused.body.error.message, /opens \/mcp alone/);
	}
	for (const bearer of [token, code]) {
		const { status, body } = await postMcp(server.url, bearer, message('ping'));
		assert.equal(`${status} ${body.error.code}`, '401 invalid_api_key');
	}
	const [, , account, secret] = access.split('_');
	assert.ok(!(await opens(`puma_access_other${account}_${secret}`)));
	// A token under another name is none.
	assert.ok(!(await opens(token.replace('puma_refresh_', 'puma_access_'))));
	for (const other of [access, code]) {
		const renamed = other.replace(/^puma_[a-z]+_/, 'puma_refresh_');
		assertOAuth(await refresh(server.url, app, renamed), '400 invalid_grant');
	}
});

test('[14.14] what an app does is the account’s own, and nobody else’s', async () => {
	const ada = await signIn(server, EMAIL);
	const bob = await signIn(server, 'bob@example.com');
	const { access } = await connect(server.url, app, EMAIL);
	const row = (await callTool(access, 'add', { table: 'shared', row: { by: 'app' } })).structuredContent;
	assert.deepEqual(await ada.rows('shared'), [row]);
	assert.deepEqual(await bob.rows('shared'), []);
	const hers = await connect(server.url, app, 'bob@example.com');
	assert.deepEqual((await callTool(hers.access, 'query', { table: 'shared' })).structuredContent.rows, []);
});

test('[14.14] each grant has a key’s rate limits, for itself', async () => {
	const own = await startClocked({ PUMADB_SIGN_INS_PER_HOUR: '0', PUMADB_READS_PER_MINUTE: '2' });
	try {
		const mine = await newApp(own.url);
		const [one, two] = [await connect(own.url, mine, EMAIL), await connect(own.url, mine, EMAIL)];
		const read = async (access: string) => {
			const { headers, body } = await postMcp(own.url, access, message('tools/call', { name: 'list_tables' }));
			return [body.result.structuredContent.error?.code, headers.get('ratelimit-policy')];
		};
		const policy = '"reads";q=2;w=60';
		assert.deepEqual(await read(one.access), [undefined, policy]);
		// A refreshed token is the same grant's.
		const next = tokensIn(await refresh(own.url, mine, one.refresh));
		assert.deepEqual(await read(next.access), [undefined, policy]);
		assert.deepEqual(await read(one.access), ['rate_limited', policy]);
		assert.deepEqual(await read(two.access), [undefined, policy]);
	} finally {
		await own.stop();
	}
});

/** The console of a person, by session. */
async function consoleOf(client: Client) {
	const asked = await client.call('POST', '/auth/magic-link', { json: { email: client.email } });
	const token = new URL(asked.body.dev_magic_link).searchParams.get('token');
	const signedIn = await fetch(`${server.url}/console/api/sign-in`, {
		method: 'POST',
		headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' },
		body: JSON.stringify({ token }),
	});
	const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!;
	const call = async (method: string, path: string, headers: Record<string, string> = {}) => {
		const response = await fetch(`${server.url}/console/api${path}`, {
			method,
			headers: { cookie, 'sec-fetch-site': 'same-origin', ...headers },
		});
		return { status: response.status, headers: response.headers, body: (await response.json()) as Any };
	};
	const { csrf_token: csrf } = (await call('GET', '/session')).body;
	return { call, revoke: (id: string) => call('DELETE', `/grants/${id}`, { 'x-csrf-token': csrf }) };
}

test('[14.15] a person sees the apps and disconnects one: its tokens and links are dead at once', async () => {
	const cora = await signIn(server, 'cora@example.com');
	const { call, revoke } = await consoleOf(cora);
	assert.deepEqual((await call('GET', '/grants')).body, { grants: [] });
	const claude = await newApp(server.url, 'https://claude.ai/api/mcp/auth_callback', 'Claude');
	const [one, two] = [await connect(server.url, claude, cora.email), await connect(server.url, app, cora.email)];
	const bobs = await connect(server.url, app, 'bob@example.com');
	const { grants } = (await call('GET', '/grants')).body;
	assert.equal(grants.length, 2);
	const grant = grants.find((each: Any) => each.client_name === 'Claude');
	assert.deepEqual(Object.keys(grant), ['id', 'client_id', 'client_name', 'destination', 'created_at', 'last_used_at']);
	assert.equal(grant.destination, 'claude.ai');
	assert.equal(grant.client_id, claude.id);
	assert.ok(!JSON.stringify(grants).includes(one.access.split('_').at(-1)!));
	// A link that the app made.
	const row = (await callTool(one.access, 'add', { table: 'notes', row: { text: 'x' } })).structuredContent;
	const link = (await callTool(one.access, 'open_row', { table: 'notes', id: row.id })).structuredContent;
	assert.equal((await fetch(link.download_url)).status, 200);
	// Not without the token of the session, and not another's.
	assert.equal((await call('DELETE', `/grants/${grant.id}`)).status, 403);
	assert.deepEqual((await revoke('grant_unknown')).body, { revoked: 0 });
	const bob = await consoleOf(await signIn(server, 'bob@example.com'));
	assert.deepEqual((await bob.revoke(grant.id)).body, { revoked: 0 });
	assert.ok(await opens(one.access));
	assert.deepEqual((await revoke(grant.id)).body, { revoked: 1 });
	assert.ok(!(await opens(one.access)));
	assert.equal((await fetch(link.download_url)).status, 404);
	assertOAuth(await refresh(server.url, claude, one.refresh), '400 invalid_grant');
	assert.ok(await opens(two.access));
	assert.ok(await opens(bobs.access));
	assert.deepEqual((await revoke(grant.id)).body, { revoked: 0 });
	assert.equal((await call('GET', '/grants')).body.grants.length, 1);
	assert.deepEqual(await cora.rows('notes'), [row]);
});

test('[14.15] grants end with their account', async () => {
	const email = 'erased@example.com';
	const { access, refresh: token } = await connect(server.url, app, email);
	assert.ok(await opens(access));
	const erased = await runPumadb(['accounts', 'delete', '--account', email, '--data-dir', server.dataDir]);
	assert.equal(erased.code, 0, erased.err);
	assert.ok(!(await opens(access)));
	assertOAuth(await refresh(server.url, app, token), '400 invalid_grant');
	assert.deepEqual(faultsOf(server.dataDir), []);
});

test('[14.9] [14.14] [9.3] tokens and codes are neither logged nor stored; the grant is logged, where a key would be', async () => {
	const own = await startServer();
	const mine = await newApp(own.url);
	const { code, verifier } = await newCode(own.url, mine);
	const pair = tokensIn(await exchange(own.url, mine, code, verifier));
	assert.ok(await opens(pair.access, own.url));
	const secrets = [code, pair.access, pair.refresh].map((token) => token.split('_').at(-1)!);
	await own.stop();
	for (const secret of secrets) {
		assert.ok(secret.length >= 43);
		assert.ok(!own.log().includes(secret));
		assert.deepEqual(filesHolding(own.dataDir, secret), []);
	}
	assert.ok(!/request=|token=|ada@/.test(own.log()));
	assert.match(own.log(), /"key":"grant_[a-z0-9]+"/);
});
