import assert from 'node:assert/strict';
import { Agent, METHODS, request } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { ERROR_CATALOGUE } from '../src/errors.ts';
import { OPERATIONS } from '../src/generated/operations.ts';
import { type Client, clientWith, codeOf, send, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { sendRaw } from './support/raw-http.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

const JSON_TYPE = { 'content-type': 'application/json' };
const KNOWN_PATHS = [...new Set(Object.values(OPERATIONS).map(({ path }) => path))].map((path) => ({
	path: path.replace('{table}', 'notes').replace('{id}', 'key_1'),
	methods: Object.values(OPERATIONS)
		.filter((operation) => operation.path === path)
		.map(({ method }) => method as string),
}));
const SERVICE_PATHS = ['/openapi.json', '/healthz', '/readyz'].map((path) => ({ path, methods: ['GET'] }));

/** What `Allow` must name for a path, in order of name. */
function allowed(methods: readonly string[]): string[] {
	return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].toSorted();
}

function allowOf(headers: Headers): string[] {
	return (headers.get('allow') ?? '').split(', ').toSorted();
}

function assertNoCors(headers: Headers): void {
	const found = [...headers.keys()].filter((name) => name.startsWith('access-control-'));
	assert.deepEqual(found, []);
}

test('[1.2] an unknown path is 404, with and without a key, whatever the method', async () => {
	const paths = ['/nothing', '/v1', '/v2/notes', '/V1/notes', '//v1/notes', '/v1/notes/', '/v1/notes/nothing', '/auth'];
	for (const path of [...paths, '/v1/notes/count/more', '/v1/_tables/more', '/auth/other', '/v1/notes/Upsert']) {
		for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'PROPFIND', 'OPTIONS']) {
			assertRefused(await ada.call(method, path), 404, 'not_found');
			assertRefused(await send(server.url, method, path), 404, 'not_found');
		}
	}
});

test('[1.2] a known path with any other method is 405 with Allow, with and without a key', async () => {
	for (const { path, methods } of [...KNOWN_PATHS, ...SERVICE_PATHS]) {
		const allow = allowed(methods);
		// A CONNECT request names a host in place of a path.
		for (const method of METHODS.filter((name) => !allow.includes(name) && name !== 'CONNECT')) {
			for (const headers of [{ authorization: `Bearer ${ada.key}` }, {}]) {
				const answer = await sendRaw(server.url, method, path, { ...headers, 'content-length': '0' });
				assert.equal(`${method} ${path} ${answer.status}`, `${method} ${path} 405`);
				assert.deepEqual(allowOf(answer.headers), allow, `${method} ${path}`);
				if (method !== 'HEAD') assert.equal(codeOf(answer), 'method_not_allowed');
			}
		}
	}
});

test('[1.2] [1.4] a path or method that is not there is told whatever body comes with the call', async () => {
	const bodies = [
		{ json: { a: 1 } },
		{ body: '{', headers: { 'content-type': 'text/plain' } },
		{ body: '{', headers: { 'content-type': ';' } },
		{ body: 'x'.repeat(1_100_000), headers: JSON_TYPE },
	];
	for (const options of bodies) {
		for (const method of ['PUT', 'PATCH', 'PROPFIND', 'SEARCH', 'QUERY']) {
			assertRefused(await ada.call(method, '/v1/notes', options), 405, 'method_not_allowed');
			assertRefused(await send(server.url, method, '/v1/_tables', options), 405, 'method_not_allowed');
		}
		for (const method of ['POST', 'PUT', 'DELETE', 'PROPFIND', 'QUERY']) {
			assertRefused(await ada.call(method, '/v1/notes/nothing', options), 404, 'not_found');
			assertRefused(await send(server.url, method, '/nowhere', options), 404, 'not_found');
		}
	}
});

test('[1.9] OPTIONS is 204 with Allow, no body and no CORS header, and asks for no key', async () => {
	const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' };
	for (const { path, methods } of [...KNOWN_PATHS, ...SERVICE_PATHS]) {
		const answer = await send(server.url, 'OPTIONS', path, { headers });
		assertStatus(answer, 204);
		assert.deepEqual(allowOf(answer.headers), allowed(methods), path);
		assert.equal(answer.text, '');
		assertNoCors(answer.headers);
	}
});

test('[1.9] no answer carries a CORS header, whatever Origin asks', async () => {
	const headers = { origin: 'https://app.example.com' };
	for (const [method, path] of [
		['GET', '/v1/notes'],
		['GET', '/v1/notes?x=1'],
		['PUT', '/v1/notes'],
		['GET', '/nowhere'],
		['GET', '/openapi.json'],
	] as const) {
		assertNoCors((await ada.call(method, path, { headers })).headers);
		assertNoCors((await send(server.url, method, path, { headers })).headers);
	}
});

test('[1.9] HEAD answers as GET without the body', async () => {
	await ada.add('heads', { text: 'äöü €', n: 1 });
	const paths = [
		'heads',
		'heads?limit=0',
		'heads?x=1',
		'heads/count',
		'heads/versions?id=x',
		'_tables',
		'_keys',
		'_bad',
	];
	const urls = [...paths.map((path) => `/v1/${path}`), '/v1/_export', '/v1/heads/nothing', '/openapi.json', '/readyz'];
	for (const url of urls) {
		for (const client of [ada, clientWith(server, 'puma_live_none_none')]) {
			const [got, head] = [await client.call('GET', url), await client.call('HEAD', url)];
			assert.equal(`${url} ${head.status}`, `${url} ${got.status}`);
			assert.equal(head.text, '');
			for (const name of ['content-type', 'content-length', 'www-authenticate', 'retry-after', 'cache-control']) {
				assert.equal(head.headers.get(name), got.headers.get(name), `${url} ${name}`);
			}
		}
	}
});

test('[1.3] every code of the catalogue is snake_case with a status and a sentence', () => {
	for (const [code, [status, meaning]] of Object.entries(ERROR_CATALOGUE)) {
		assert.match(code, /^[a-z]+(_[a-z]+)*$/);
		assert.ok([400, 401, 403, 404, 405, 408, 409, 412, 413, 428, 429, 431, 500, 503].includes(status), code);
		assert.match(meaning, /^[A-Z].*\.$/, code);
	}
});

test('[1.3] a refusal has code, message and structured details, and nothing else', async () => {
	for (const answer of [
		await ada.get('/v1/notes', { limit: 0 }),
		await ada.get('/v1/_bad'),
		await ada.post('/v1/notes', { id: 1 }),
		await ada.post('/v1/notes/update_row', { id: 'x', patch: {} }),
		await ada.call('POST', '/v1/notes', { body: '{' }),
		await send(server.url, 'GET', '/v1/notes'),
		await send(server.url, 'PUT', '/v1/notes'),
		await send(server.url, 'GET', '/nowhere'),
	]) {
		assert.match(answer.headers.get('content-type')!, /^application\/json\b/);
		assert.deepEqual(Object.keys(answer.body), ['error']);
		const { code, message, details, ...more } = answer.body.error;
		assert.ok(code in ERROR_CATALOGUE, code);
		assert.match(message, /^[A-Z].{20,}[.!?]$/s);
		assert.equal(typeof (details ?? {}), 'object');
		assert.deepEqual(more, {});
	}
});

test('[1.4] [1.8] path and method come before 401, 401 before 429, 429 before everything in the body', async () => {
	const strict: ClockedServer = await startClocked({
		PUMADB_READS_PER_MINUTE: '1',
		PUMADB_WRITES_PER_MINUTE: '1',
		PUMADB_SIGN_INS_PER_HOUR: '0',
	});
	try {
		const eve = await signIn(strict);
		const nobody = clientWith(strict, 'puma_live_none_none');
		const tooLarge = { body: 'x'.repeat(2_000_000), headers: { 'content-type': 'text/plain' } };
		assertStatus(await eve.get('/v1/notes'), 200);
		assertStatus(await eve.post('/v1/notes', {}), 201);
		for (const client of [eve, nobody]) {
			assertRefused(await client.call('POST', '/v1/notes/nothing', tooLarge), 404, 'not_found');
			assertRefused(await client.call('PUT', '/v1/_bad', tooLarge), 405, 'method_not_allowed');
			assertRefused(await client.call('POST', '/v1/_tables', tooLarge), 405, 'method_not_allowed');
			assertRefused(await client.call('GET', '/v1/notes/upsert'), 405, 'method_not_allowed');
		}
		for (const path of ['/v1/notes', '/v1/_bad', '/v1/notes/batch', '/v1/_keys']) {
			const at = `${path}?unknown=%ZZ`;
			assertRefused(await nobody.call('POST', at, tooLarge), 401, 'invalid_api_key');
			assertRefused(await send(strict.url, 'POST', at, tooLarge), 401, 'missing_api_key');
			assertRefused(await eve.call('POST', at, tooLarge), 429, 'rate_limited');
			assertRefused(await eve.call('POST', at, { body: '{', headers: JSON_TYPE }), 429, 'rate_limited');
		}
		for (const path of ['/v1/_bad', '/v1/notes?limit=0&x=%ZZ', '/v1/_tables', '/v1/_export', '/v1/notes/count']) {
			assertRefused(await nobody.get(path), 401, 'invalid_api_key');
			assertRefused(await eve.get(path), 429, 'rate_limited');
		}
	} finally {
		await strict.stop();
	}
});

test('[1.4] size comes before syntax, syntax before validation, validation before the operation', async () => {
	const tooLarge = 'x'.repeat(2_000_000);
	for (const path of ['/v1/notes', '/v1/_bad']) {
		assertRefused(
			await ada.call('POST', path, { body: tooLarge, headers: { 'content-type': 'a/b' } }),
			413,
			'body_too_large',
		);
		assertRefused(
			await ada.call('POST', path, { body: '{', headers: { 'content-type': 'a/b' } }),
			400,
			'invalid_content_type',
		);
		assertRefused(await ada.call('POST', path, { body: '{', headers: JSON_TYPE }), 400, 'invalid_json');
	}
	assertRefused(await ada.get('/v1/_bad', { filter: '{', limit: 0 }), 400, 'invalid_json');
	assertRefused(await ada.get('/v1/notes', { filter: '{}', limit: 0 }), 400, 'invalid_limit');
	assertRefused(await ada.post('/v1/notes/update_row', { id: 'x', patch: { id: 1 } }), 400, 'reserved_field');
	assertRefused(await ada.post('/v1/notes/update_row', { id: 'x', patch: {} }), 404, 'row_not_found');
	assertRefused(await ada.post('/v1/notes/update_where', { filter: {}, patch: {} }), 400, 'filter_required');
});

test('[1.1] [1.2] a connection stays usable after refusals', async () => {
	const agent = new Agent({ keepAlive: true, maxSockets: 1 });
	const used = new Set<Socket>();
	const ask = (method: string, path: string, headers: Record<string, string>, body = ''): Promise<number> =>
		new Promise((resolve, reject) => {
			const length = { 'content-length': String(Buffer.byteLength(body)) };
			const sent = request(server.url + path, { method, agent, headers: { ...length, ...headers } }, (response) => {
				response.resume().on('end', () => resolve(response.statusCode!));
			});
			sent
				.on('socket', (socket) => used.add(socket))
				.on('error', reject)
				.end(body);
		});
	const key = { authorization: `Bearer ${ada.key}` };
	try {
		assert.equal(await ask('GET', '/v1/notes', {}), 401);
		assert.equal(await ask('POST', '/v1/notes', JSON_TYPE, `{"a":"${'x'.repeat(500_000)}"}`), 401);
		assert.equal(await ask('POST', '/v1/notes', { ...key, ...JSON_TYPE }, '{'), 400);
		assert.equal(await ask('POST', '/v1/notes', key, '{"a":1}'), 400);
		assert.equal(await ask('POST', '/v1/notes', { ...key, ...JSON_TYPE }, '[]'), 400);
		assert.equal(await ask('GET', '/v1/notes?x=1', key), 400);
		assert.equal(await ask('GET', '/nowhere', key), 404);
		assert.equal(await ask('POST', '/nowhere', { ...key, ...JSON_TYPE }, 'x'.repeat(500_000)), 404);
		assert.equal(await ask('PUT', '/v1/notes', { ...key, ...JSON_TYPE }, 'x'.repeat(500_000)), 405);
		assert.equal(await ask('DELETE', '/v1/_keys/none', { ...key, ...JSON_TYPE }, 'x'.repeat(500_000)), 200);
		assert.equal(await ask('POST', '/v1/notes/update_row', { ...key, ...JSON_TYPE }, '{"id":"x","patch":{}}'), 404);
		assert.equal(await ask('OPTIONS', '/v1/notes', {}), 204);
		assert.equal(await ask('HEAD', '/v1/notes', key), 200);
		assert.equal(await ask('POST', '/v1/notes', { ...key, ...JSON_TYPE }, '{"a":1}'), 201);
		assert.equal(used.size, 1);
	} finally {
		agent.destroy();
	}
});
