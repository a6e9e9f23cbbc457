import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { matchesRedirectUri, requireRedirectUri } from '../src/accounts/redirect-uri.ts';
import type { Any } from './support/client.ts';
import { queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { register } from './support/oauth.ts';
import { NO_RATE_LIMITS } from './support/server.ts';

let server: ClockedServer;

before(async () => {
	server = await startClocked();
});
after(() => server.stop());

const json = async (path: string, headers: Record<string, string> = {}) => {
	const response = await fetch(server.url + path, { headers });
	const body: Any = await response.json();
	return { status: response.status, headers: response.headers, body };
};

/** The redirect URIs that the big clients register, as they were seen. */
const REAL_CLIENTS: Readonly<Record<string, readonly string[]>> = {
	Claude: ['https://claude.ai/api/mcp/auth_callback', 'https://claude.com/api/mcp/auth_callback'],
	ChatGPT: ['https://chatgpt.com/connector/oauth/AbC-123_x'],
	'VS Code': ['http://localhost', 'http://127.0.0.1', 'http://127.0.0.1:33418', 'https://vscode.dev/redirect'],
	Cursor: ['cursor://anysphere.cursor-mcp/oauth/callback', 'http://localhost:8787/callback'],
	'Claude Code': ['http://localhost:54545/callback'],
	Other: ['com.example.app:/callback', 'http://[::1]:7777/cb?x=1'],
};

test('[14.1] the documents say what there is, and where', async () => {
	const origin = server.url;
	for (const path of ['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp']) {
		const { status, headers, body } = await json(path);
		assert.equal(status, 200);
		assert.match(headers.get('content-type')!, /^application\/json/);
		assert.equal(body.resource, `${origin}/mcp`);
		assert.deepEqual(body.authorization_servers, [origin]);
		assert.deepEqual(body.scopes_supported, ['pumadb']);
		assert.deepEqual(body.bearer_methods_supported, ['header']);
	}
	const { body } = await json('/.well-known/oauth-authorization-server');
	assert.equal(body.issuer, origin);
	for (const [name, path] of [
		['authorization_endpoint', 'authorize'],
		['token_endpoint', 'token'],
		['registration_endpoint', 'register'],
		['revocation_endpoint', 'revoke'],
	]) {
		assert.equal(body[name!], `${origin}/oauth/${path}`);
	}
	assert.deepEqual(body.code_challenge_methods_supported, ['S256']);
	assert.deepEqual(body.response_types_supported, ['code']);
	assert.deepEqual(body.grant_types_supported, ['authorization_code', 'refresh_token']);
	assert.deepEqual(body.token_endpoint_auth_methods_supported, ['none', 'client_secret_post', 'client_secret_basic']);
	assert.deepEqual(body.scopes_supported, ['pumadb', 'offline_access']);
	assert.equal(body.authorization_response_iss_parameter_supported, true);
	assert.equal(body.client_id_metadata_document_supported, true);
	const openid = await json('/.well-known/openid-configuration');
	assert.equal(openid.status, 404);
	assert.match(openid.body.error_description, /oauth-authorization-server/);
});

test('[14.1] a 401 of /mcp leads to the metadata, before anything else is refused', async () => {
	for (const [headers, error] of [
		[{}, undefined],
		[{ origin: 'https://evil.example' }, undefined],
		[{ authorization: 'Bearer puma_access_abc_def' }, 'invalid_token'],
		[{ authorization: 'Bearer puma_live_abc_def' }, 'invalid_token'],
	] as const) {
		const response = await fetch(`${server.url}/mcp`, { method: 'POST', body: '{', headers });
		await response.body?.cancel();
		assert.equal(response.status, 401);
		const challenge = response.headers.get('www-authenticate')!;
		assert.ok(challenge.startsWith('Bearer '));
		assert.ok(
			challenge.includes(`resource_metadata="${server.url}/.well-known/oauth-protected-resource/mcp"`),
			challenge,
		);
		assert.match(challenge, /scope="pumadb"/);
		assert.equal(/ error="(\w+)"/.exec(challenge)?.[1], error);
	}
});

test('[14.2] [14.3] the clients that people have register as they do', async () => {
	for (const [name, uris] of Object.entries(REAL_CLIENTS)) {
		const { status, body } = await register(server.url, {
			client_name: name,
			redirect_uris: uris,
			application_type: 'web',
			grant_types: ['authorization_code', 'refresh_token'],
			response_types: ['code'],
			token_endpoint_auth_method: 'none',
			scope: 'openid profile read:everything',
			client_uri: null,
			logo_uri: null,
			contacts: null,
			software_id: '1',
		});
		assert.equal(status, 201, JSON.stringify(body));
		assert.deepEqual(Object.keys(body).toSorted(), [
			...['client_id', 'client_id_issued_at', 'client_name', 'grant_types', 'redirect_uris'],
			...['response_types', 'scope', 'token_endpoint_auth_method'],
		]);
		assert.deepEqual(body.redirect_uris, uris);
		assert.equal(body.scope, 'pumadb');
	}
});

test('[14.2] a public client that registers again is the same one; one with a secret is a new one', async () => {
	const metadata = {
		redirect_uris: ['https://a.example/cb', 'https://b.example/cb'],
		token_endpoint_auth_method: 'none',
	};
	const first = await register(server.url, metadata);
	const again = await register(server.url, { ...metadata, redirect_uris: metadata.redirect_uris.toReversed() });
	assert.equal(first.status, 201);
	assert.equal(again.body.client_id, first.body.client_id);
	assert.equal(again.body.client_id_issued_at, first.body.client_id_issued_at);
	const other = await register(server.url, { ...metadata, client_name: 'Another' });
	assert.notEqual(other.body.client_id, first.body.client_id);
	// Ten at once are one too.
	const same = { ...metadata, client_name: 'All at once' };
	const ids = await Promise.all(
		Array.from({ length: 10 }, async () => (await register(server.url, same)).body.client_id),
	);
	assert.equal(new Set(ids).size, 1);

	const withSecret = { redirect_uris: ['https://a.example/cb'] };
	const [one, two] = [await register(server.url, withSecret), await register(server.url, withSecret)];
	assert.notEqual(one.body.client_id, two.body.client_id);
	assert.notEqual(one.body.client_secret, two.body.client_secret);
	assert.equal(one.body.token_endpoint_auth_method, 'client_secret_basic');
	assert.equal(one.body.client_secret_expires_at, 0);
	for (const { secret_hash } of queryDatabase(
		server.dataDir,
		'SELECT secret_hash FROM clients WHERE secret_hash IS NOT NULL',
	)) {
		assert.match(secret_hash as string, /^[0-9a-f]{64}$/);
	}
});

const NOT_TO_REGISTER = [
	...[
		'https:evil.example/cb',
		'https:/evil.example/cb',
		'http:localhost:9/cb',
		'https:\\\\evil.example/cb',
		'https://@evil.example/cb',
	],
	...[
		'https://a%3Bsandbox/cb',
		'https://a%2Cb/cb',
		'https://*/cb',
		'https://*.example/cb',
		'https://a%22/cb',
		'https://a.example;x/cb',
	],
	...[
		'microsoft-edge:https://evil.example',
		'ms-msdt:/id',
		'search-ms:query',
		'itms-services://?x',
		'ssh://a.example/x',
	],
	...[
		'https://a.example/cb?code=1',
		'https://a.example/cb?state=1',
		'https://a.example/cb?iss=x',
		'cursor://a/cb?error=x',
	],
];

test('[14.2] a name is shown as it can be seen', async () => {
	const named = async (client_name: unknown) =>
		(
			await register(server.url, {
				client_name,
				redirect_uris: ['https://a.example/cb'],
				token_endpoint_auth_method: 'none',
			})
		).body.client_name;
	assert.equal(await named('  Claude  '), 'Claude');
	assert.equal(await named('edualC\u202e\u200b'), 'edualC');
	assert.equal(await named('👩\u200d💻 dev'), '👩💻 dev');
	assert.equal(await named('\u3164\u2800\u0000'), undefined);
	assert.equal(await named('x'.repeat(200)), 'x'.repeat(100));
	assert.equal(await named(`a${'\u0301'.repeat(50)}`), `a${'\u0301'.repeat(3)}`);
	assert.equal(await named(null), undefined);
});

test('[14.2] [14.3] [14.11] what cannot be registered is refused in OAuth words, and registers nothing', async () => {
	const count = () => queryDatabase(server.dataDir, 'SELECT count(*) AS n FROM clients')[0]!.n;
	const before = count();
	const uris = (...list: unknown[]) => ({ redirect_uris: list });
	for (const [metadata, error, status = 400] of [
		['{', 'invalid_client_metadata'],
		['[]', 'invalid_client_metadata'],
		[{}, 'invalid_redirect_uri'],
		[uris(), 'invalid_redirect_uri'],
		[{ redirect_uris: 'https://a.example/cb' }, 'invalid_redirect_uri'],
		[uris(1), 'invalid_redirect_uri'],
		[uris('/callback'), 'invalid_redirect_uri'],
		[uris('javascript:alert(1)'), 'invalid_redirect_uri'],
		[uris('JavaScript://localhost/%0aalert(1)'), 'invalid_redirect_uri'],
		[uris('data:text/html,x'), 'invalid_redirect_uri'],
		[uris('http://example.com/cb'), 'invalid_redirect_uri'],
		[uris('http://localhost.example.com/cb'), 'invalid_redirect_uri'],
		[uris('https://a.example/cb#x'), 'invalid_redirect_uri'],
		[uris('https://claude.ai@evil.example/cb'), 'invalid_redirect_uri'],
		[uris('https://a.example/cb\r\nSet-Cookie: x=1'), 'invalid_redirect_uri'],
		[uris(" https://a.example/cb; script-src 'unsafe-inline'"), 'invalid_redirect_uri'],
		[uris(`https://a.example/${'x'.repeat(2000)}`), 'invalid_redirect_uri'],
		[uris(...Array.from({ length: 21 }, (_, n) => `https://a.example/${n}`)), 'invalid_redirect_uri'],
		...NOT_TO_REGISTER.map((uri) => [uris(uri), 'invalid_redirect_uri'] as const),
		[{ ...uris('https://a.example/cb'), token_endpoint_auth_method: 'private_key_jwt' }, 'invalid_client_metadata'],
		[{ ...uris('https://a.example/cb'), client_name: 7 }, 'invalid_client_metadata'],
		[`{"redirect_uris":["https://a.example/cb"],"pad":"${'x'.repeat(17_000)}"}`, 'invalid_request', 413],
	] as const) {
		const answer = await register(server.url, metadata);
		assert.equal(`${answer.status} ${answer.body.error}`, `${status} ${error}`, JSON.stringify(metadata).slice(0, 100));
		assert.match(answer.body.error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
	}
	assert.equal(count(), before);
});

test('[14.2] one address may register many clients, and no end of them is refused', async () => {
	const own = await startClocked({ ...NO_RATE_LIMITS, PUMADB_SIGN_INS_PER_HOUR: '1' });
	try {
		const metadata = (n: number) => ({ redirect_uris: [`https://a.example/${n}`], token_endpoint_auth_method: 'none' });
		for (let n = 0; n < 100; n++) assert.equal((await register(own.url, metadata(n))).status, 201);
		const refused = await register(own.url, metadata(100));
		assert.equal(`${refused.status} ${refused.body.error}`, '429 temporarily_unavailable');
		assert.ok(Number(refused.headers.get('retry-after')) > 0);
		// Those it has, it gets all the same.
		assert.equal((await register(own.url, metadata(5))).status, 201);
		own.advance(3_600_000);
		assert.equal((await register(own.url, metadata(100))).status, 201);
	} finally {
		await own.stop();
	}
});

test('[14.3] a redirect URI matches itself alone, but for the port on the own machine', () => {
	const loopback = fc.constantFrom('localhost', '127.0.0.1', '[::1]');
	const path = fc.constantFrom('', '/', '/callback', '/a/b?x=1');
	fc.assert(
		fc.property(
			loopback,
			path,
			fc.integer({ min: 1, max: 65_535 }),
			fc.integer({ min: 1, max: 65_535 }),
			(host, rest, one, other) => {
				const uri = (port: number | undefined, h: string = host, r: string = rest) =>
					`http://${h}${port === undefined ? '' : `:${port}`}${r}`;
				assert.ok(matchesRedirectUri(requireRedirectUri(uri(one)), uri(other)));
				assert.ok(matchesRedirectUri(uri(undefined), uri(other)));
				assert.ok(!matchesRedirectUri(uri(one), uri(other, host, '/elsewhere')));
				assert.ok(!matchesRedirectUri(uri(one), `https://${host}:${other}${rest}`));
			},
		),
	);
	for (const [registered, presented] of [
		['https://a.example/cb', 'https://a.example:444/cb'],
		['https://a.example/cb', 'https://a.example/cb/'],
		['https://a.example/cb', 'https://a.example/cb?x=1'],
		['https://a.example/cb', 'https://a.example.evil.example/cb'],
		['https://a.example/cb', 'https://A.example/cb'],
		['http://localhost/cb', 'http://127.0.0.1/cb'],
		['http://localhost/cb', 'http://localhost:7/x/../cb'],
		['http://localhost/cb', 'http://localhost:7/%2e/cb'],
		['http://localhost/cb', 'http://localhost:7/CB'],
		['http://localhost/cb', 'http://localhost.evil.example/cb'],
		['cursor://anysphere.cursor-mcp/oauth/callback', 'cursor://anysphere.cursor-mcp/oauth/callback2'],
		['cursor://anysphere.cursor-mcp/oauth/callback', 'cursor://evil/oauth/callback'],
	] as const) {
		assert.ok(!matchesRedirectUri(registered, presented), `${registered} ${presented}`);
	}
});

test('[14.13] pages of any origin may read the documents and call; /oauth/authorize and /v1 are not for them', async () => {
	const origin = 'https://app.example';
	for (const [path, method] of [
		['/.well-known/oauth-protected-resource', 'GET'],
		['/.well-known/oauth-protected-resource/mcp', 'GET'],
		['/.well-known/oauth-authorization-server', 'GET'],
		['/.well-known/openid-configuration', 'GET'],
		['/oauth/register', 'POST'],
		['/oauth/token', 'POST'],
		['/oauth/revoke', 'POST'],
	] as const) {
		const preflight = await fetch(server.url + path, {
			method: 'OPTIONS',
			headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type' },
		});
		assert.equal(preflight.status, 204);
		assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
		assert.ok(preflight.headers.get('access-control-allow-methods')!.includes(method));
		assert.match(preflight.headers.get('access-control-allow-headers')!, /Content-Type/);
		const answer = await fetch(server.url + path, { method, headers: { origin } });
		await answer.body?.cancel();
		assert.equal(answer.headers.get('access-control-allow-origin'), '*', path);
		assert.match(answer.headers.get('access-control-expose-headers')!, /WWW-Authenticate/);
		assert.equal(answer.headers.get('access-control-allow-credentials'), null);
	}
	for (const path of ['/oauth/authorize', '/v1/_tables']) {
		for (const method of ['GET', 'OPTIONS']) {
			const answer = await fetch(server.url + path, { method, headers: { origin } });
			await answer.body?.cancel();
			assert.equal(answer.headers.get('access-control-allow-origin'), null, `${method} ${path}`);
		}
	}
	const page = new URL(server.url).origin;
	const refused = await fetch(`${server.url}/mcp`, { method: 'POST', headers: { origin: page } });
	await refused.body?.cancel();
	assert.equal(refused.status, 401);
	assert.equal(refused.headers.get('access-control-allow-origin'), page);
	assert.match(refused.headers.get('access-control-expose-headers')!, /WWW-Authenticate/);
});
