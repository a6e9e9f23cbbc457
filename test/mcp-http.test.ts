import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { type Any, type Client, clientWith, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { httpCaller, type McpAnswer, META, message, postMcp, STATELESS, stateless } from './support/mcp.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS } from './support/server.ts';

let server: ClockedServer;
let ada: Client;

const NAMED = 'https://app.example.com';

before(async () => {
	server = await startClocked({ ...NO_RATE_LIMITS, PUMADB_MCP_ORIGINS: NAMED });
	ada = await signIn(server);
});
after(() => server.stop());

const post = (body: unknown, headers: Record<string, string> = {}): Promise<McpAnswer> =>
	postMcp(server.url, ada.key, body, headers);

/** The answer must be this JSON-RPC error. */
function assertError({ status, body, text }: McpAnswer, wanted: number, code: number, id: unknown = null): Any {
	assert.equal(`${status} ${body.error?.code}`, `${wanted} ${code}`, text);
	assert.equal(body.jsonrpc, '2.0');
	assert.deepEqual(body.id, id);
	assert.match(body.error.message, /^[A-Z].*[.]$/s);
	return body.error.data;
}

const tables = async (): Promise<Any[]> => (await ada.get('/v1/_tables')).body.tables;

test('[11.9] without a key, or with a wrong or revoked one: 401 with a challenge, whatever else is wrong', async () => {
	const { api_key: second, id } = assertStatus(await ada.post('/v1/_keys', { name: 'second' }), 201);
	assert.equal((await postMcp(server.url, second, message('ping'))).status, 200);
	assertStatus(await ada.del(`/v1/_keys/${id}`), 200);
	for (const [key, code] of [
		[undefined, 'missing_api_key'],
		['puma_live_a_b', 'invalid_api_key'],
		['not-a-key', 'invalid_api_key'],
		[second, 'invalid_api_key'],
	] as const) {
		for (const [body, headers, method] of [
			[message('ping'), {}, 'POST'],
			['{', {}, 'POST'],
			[message('ping'), { origin: 'https://evil.example' }, 'POST'],
			[message('ping'), { 'content-type': 'text/plain' }, 'POST'],
			[undefined, {}, 'GET'],
			[undefined, {}, 'DELETE'],
		] as const) {
			const answer = await postMcp(server.url, key, body, headers, method);
			assert.equal(`${answer.status} ${answer.body.error.code}`, `401 ${code}`);
			assert.match(answer.headers.get('www-authenticate')!, /^Bearer /);
		}
	}
});

test('[11.9] pages of other origins are 403; those of the server, of this machine and the named ones may call', async () => {
	const foreign = [
		'https://evil.example',
		'null',
		'http://localhost.evil.example',
		'nonsense',
		`${NAMED}.evil.example`,
	];
	for (const origin of foreign) {
		const answer = await post(message('tools/call', { name: 'add', arguments: { table: 'evil', row: {} } }), {
			origin,
		});
		assert.equal(`${answer.status} ${answer.body.error.code}`, '403 cross_origin_request', origin);
		assert.equal(answer.headers.get('access-control-allow-origin'), null);
	}
	assert.deepEqual(await tables(), []);
	for (const origin of [server.url, NAMED, 'http://localhost:6274', 'http://127.0.0.1:1', 'http://[::1]:8080']) {
		const answer = await post(message('ping'), { origin });
		assert.equal(answer.status, 200, origin);
		assert.equal(answer.headers.get('access-control-allow-origin'), origin);
		assert.match(answer.headers.get('access-control-expose-headers')!, /WWW-Authenticate/);
		assert.match(answer.headers.get('vary')!, /Origin/);
		const unknown = await postMcp(server.url, undefined, message('ping'), { origin });
		assert.equal(unknown.status, 401);
		assert.equal(unknown.headers.get('access-control-allow-origin'), origin);
	}
	assert.equal((await post(message('ping'))).headers.get('access-control-allow-origin'), null);
});

test('[11.9] OPTIONS is answered before anybody is known; other methods are 405', async () => {
	const preflight = (origin: string) =>
		fetch(`${server.url}/mcp`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
	const allowed = await preflight(NAMED);
	assert.equal(allowed.status, 204);
	assert.equal(allowed.headers.get('access-control-allow-origin'), NAMED);
	assert.match(allowed.headers.get('access-control-allow-methods')!, /POST/);
	for (const name of ['Authorization', 'Content-Type', 'MCP-Protocol-Version', 'Mcp-Method', 'Mcp-Name']) {
		assert.ok(allowed.headers.get('access-control-allow-headers')!.includes(name), name);
	}
	const foreign = await preflight('https://evil.example');
	assert.equal(foreign.status, 204);
	assert.equal(foreign.headers.get('access-control-allow-origin'), null);
	for (const [method, body] of [['GET'], ['HEAD'], ['DELETE'], ['PUT', '{}'], ['PATCH', '{}'], ['PROPFIND']] as const) {
		const answer = await postMcp(server.url, ada.key, body, {}, method!);
		assert.equal(answer.status, 405, method);
		assert.equal(answer.headers.get('allow'), 'POST, OPTIONS', method);
		assert.equal((await postMcp(server.url, undefined, body, {}, method!)).status, 401, method);
	}
});

test('[11.11] [11.4] what is no message is refused, and nothing is changed', async () => {
	const call = { name: 'add', arguments: { table: 'hostile', row: {} } };
	const add = message('tools/call', call) as Any;
	for (const body of ['', '{', 'nope', '{"jsonrpc":"2.0",}', '\u0000']) assertError(await post(body), 400, -32700);
	for (const body of [[], [add], [add, add], 'null', '1', '"text"', '{}']) assertError(await post(body), 400, -32600);
	assertError(await post({ ...add, jsonrpc: '1.0' }), 400, -32600, 1);
	assertError(await post({ ...add, jsonrpc: undefined }), 400, -32600, 1);
	assertError(await post({ ...add, method: 7 }), 400, -32600, 1);
	assertError(await post({ ...add, method: undefined }), 400, -32600, 1);
	assertError(await post({ ...add, params: [] }), 400, -32602, 1);
	for (const id of ['null', 'true', '1.5', '{}', '[1]', '9007199254740993', '1e400']) {
		assertError(await post(JSON.stringify(add).replace('"id":1', `"id":${id}`)), 400, -32600);
	}
	// As deep as a body of this size can be.
	assertError(await post('['.repeat(100_000)), 400, -32700);
	const deep = await post(JSON.stringify(add).replace('"row":{}', `"row":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`));
	assert.equal(deep.body.result.structuredContent.error.code, 'nesting_too_deep');
	assert.deepEqual(await tables(), []);
	for (const id of [0, -1, 'a “text”', '']) assert.deepEqual((await post({ ...add, method: 'ping', id })).body.id, id);
});

test('[11.11] bodies that are too large, of another type or of another encoding are refused as in REST', async () => {
	const large = await post(`{"x":"${'y'.repeat(17 * 1024 * 1024)}"}`);
	assert.equal(`${large.status} ${large.body.error.code}`, '413 body_too_large');
	for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1']) {
		const answer = await post(message('ping'), { 'content-type': type });
		assert.equal(`${answer.status} ${answer.body.error.code}`, '400 invalid_content_type');
	}
	const response = await fetch(`${server.url}/mcp`, {
		method: 'POST',
		headers: { authorization: `Bearer ${ada.key}`, 'content-type': 'application/json' },
		body: Uint8Array.from([0x22, 0xff, 0x22]),
	});
	assert.equal(response.status, 400);
	assert.equal(((await response.json()) as Any).error.code, -32700);
});

test('[11.4] unknown tools and arguments that are no object are JSON-RPC errors; wrong arguments are results', async () => {
	const call = (params: unknown) => post(message('tools/call', params));
	assertError(await call(undefined), 200, -32602, 1);
	for (const name of [undefined, 7, null, 'drop', 'constructor', '__proto__', 'x'.repeat(100_000)]) {
		assertError(await call({ name, arguments: {} }), 200, -32602, 1);
	}
	for (const args of [null, [], 'text', 7, true]) {
		assertError(await call({ name: 'add', arguments: args }), 200, -32602, 1);
	}
	assertError(await post(message('tools/list', { cursor: 'x' })), 200, -32602, 1);
	for (const method of ['resources/list', 'prompts/list', 'server/discover', 'logging/setLevel', 'constructor']) {
		assertError(await post(message(method)), 200, -32601, 1);
	}
	const tool = httpCaller(server.url, ada.key);
	const wrong: [string, unknown, string][] = [
		['add', undefined, 'invalid_request'],
		['add', { table: 'notes' }, 'invalid_request'],
		['add', { table: 7, row: {} }, 'invalid_request'],
		['add', { row: {} }, 'invalid_table_name'],
		['add', { table: 'notes', row: 'text' }, 'invalid_request'],
		['add', { table: 'notes', row: {}, idempotencyKey: 7 }, 'invalid_request'],
		['add', { table: 'notes', row: {}, idempotencyKey: '' }, 'invalid_idempotency_key'],
		['query', { table: 'notes', filters: { a: 1 } }, 'unknown_parameter'],
		['query', { table: 'notes', filter: [] }, 'invalid_filter'],
		['query', { table: 'notes', filter: '{}' }, 'invalid_filter'],
		['query', { table: 'notes', limit: '10' }, 'invalid_limit'],
		['query', { table: 'notes', limit: 1.5 }, 'invalid_limit'],
		['query', { table: 'notes', sort: 1 }, 'invalid_request'],
		['query', { table: 'notes', includeLink: 'yes' }, 'invalid_request'],
		['count', { table: 'notes', status: 'open' }, 'unknown_parameter'],
		['list_tables', { table: 'notes' }, 'unknown_parameter'],
		['versions', { table: 'notes' }, 'invalid_request'],
		['versions', { table: 'notes', id: 1 }, 'invalid_request'],
		['batch', { table: 'notes', operations: {} }, 'invalid_request'],
		['upsert', { table: 'notes', key: 7, row: {} }, 'invalid_request'],
		['delete', { table: 'notes', filter: null }, 'invalid_request'],
		['restore', { table: 'notes', id: 'x', version: 1.5 }, 'invalid_request'],
		['open_row', { table: 'notes' }, 'invalid_request'],
		['open_row', { table: 7, id: 'x' }, 'invalid_request'],
		['remember', { title: 'x' }, 'invalid_request'],
		['remember', { type: 'song', title: 'x', content: 'y' }, 'invalid_request'],
		['remember', { type: 'code', title: 'x' }, 'invalid_request'],
		['remember', { type: 'code', title: 'x', content: 7 }, 'invalid_request'],
		['remember', { type: 'markdown', title: 'x', content: 'y', tags: 'z' }, 'invalid_request'],
		['remember_config', { title: 'x', content: 'y', shell: 'bash' }, 'unknown_parameter'],
		['remember_code', { title: 'x', content: 'a\u0000b' }, 'invalid_string'],
	];
	for (const [name, args, code] of wrong) {
		const { isError, value } = await tool(name, args);
		assert.ok(isError, name);
		assert.equal(value.error.code, code, `${name} ${JSON.stringify(args)}: ${JSON.stringify(value)}`);
		assert.match(value.error.message, /^[A-Z].*[.]$/s);
	}
	assert.deepEqual(await tables(), []);
});

test('[11.1] the older era: initialize answers the version asked for, or the newest; notifications are 202', async () => {
	const asked = async (protocolVersion: unknown): Promise<Any> =>
		(await post(message('initialize', { protocolVersion, capabilities: {}, clientInfo: { name: 'x', version: '1' } })))
			.body.result;
	for (const version of ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']) {
		assert.equal((await asked(version)).protocolVersion, version);
	}
	for (const version of ['1999-01-01', 7, undefined, STATELESS]) {
		assert.equal((await asked(version)).protocolVersion, '2025-11-25');
	}
	const { serverInfo, instructions, capabilities } = await asked('2025-11-25');
	assert.deepEqual([serverInfo.name, serverInfo.title, serverInfo.websiteUrl], ['pumadb', 'pumaDB', server.url]);
	assert.ok(instructions.includes(server.url));
	assert.deepEqual(capabilities, { tools: {} });
	const answer = await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
	assert.deepEqual([answer.status, answer.text], [202, '']);
	assert.equal(answer.headers.get('mcp-session-id'), null);
	assert.deepEqual((await post({ jsonrpc: '2.0', id: 1, result: {} })).status, 202);
	assert.equal((await post(message('ping'), { 'mcp-protocol-version': '2025-06-18' })).status, 200);
	const wrong = assertError(await post(message('ping'), { 'mcp-protocol-version': '2001-01-01' }), 400, -32022, 1);
	assert.ok(wrong.supported.includes(STATELESS));
});

test('[11.10] [11.1] the stateless era: discovery, headers that repeat the message, versions, unknown methods', async () => {
	const sent = (method: string, params: Any = {}, change: Record<string, string | undefined> = {}) => {
		const { body, headers } = stateless(method, params);
		const all = Object.entries({ ...headers, ...change }).filter(([, value]) => value !== undefined);
		return post(body, Object.fromEntries(all) as Record<string, string>);
	};
	const { result } = (await sent('server/discover')).body;
	assert.deepEqual(result.supportedVersions, [STATELESS]);
	assert.equal(result.resultType, 'complete');
	assert.equal(result._meta['io.modelcontextprotocol/serverInfo'].name, 'pumadb');
	const listed = (await sent('tools/list')).body.result;
	assert.deepEqual([listed.cacheScope, listed.resultType, listed.tools.length], ['private', 'complete', 19]);
	assert.ok(listed.ttlMs > 0);
	const add = { name: 'add', arguments: { table: 'headers', row: {} } };
	for (const change of [
		{ 'mcp-method': undefined },
		{ 'mcp-method': 'tools/list' },
		{ 'mcp-method': 'TOOLS/CALL' },
		{ 'mcp-name': undefined },
		{ 'mcp-name': 'query' },
		{ 'mcp-name': `=?base64?${Buffer.from('query').toString('base64')}?=` },
		{ 'mcp-protocol-version': undefined },
		{ 'mcp-protocol-version': '2025-11-25' },
	]) {
		assertError(await sent('tools/call', add, change), 400, -32020, 1);
	}
	assertError(await sent('initialize', {}, {}), 404, -32601, 1);
	for (const method of ['ping', 'resources/list', 'subscriptions/listen', 'nonsense']) {
		assertError(await sent(method), 404, -32601, 1);
	}
	const unsupported = message('tools/list', {
		_meta: { ...META, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' },
	});
	assert.deepEqual(assertError(await post(unsupported), 400, -32022, 1), {
		supported: [STATELESS],
		requested: '2099-01-01',
	});
	const header = { 'mcp-protocol-version': STATELESS, 'mcp-method': 'tools/list' };
	assertError(await post(message('tools/list'), header), 400, -32602, 1);
	assertError(await post(message('initialize'), header), 400, -32020, 1);
	const { 'io.modelcontextprotocol/clientCapabilities': _, ...incomplete } = META;
	assertError(await post(message('tools/list', { _meta: incomplete }), header), 400, -32602, 1);
	assert.deepEqual(await tables(), []);
	const encoded = { 'mcp-name': `=?base64?${Buffer.from('add').toString('base64')}?=` };
	assert.equal((await sent('tools/call', add, encoded)).body.result.structuredContent.id.length, 36);
	await ada.del('/v1/headers', { filter: { id: (await ada.rows('headers'))[0].id } });
});

test('[11.3] [6.8] tool calls and REST calls of one key are counted together; refused calls say when to come again', async () => {
	const limited = await startClocked({
		PUMADB_READS_PER_MINUTE: '4',
		PUMADB_WRITES_PER_MINUTE: '3',
		PUMADB_SIGN_INS_PER_HOUR: '0',
	});
	try {
		const bob = await signIn(limited);
		const call = httpCaller(limited.url, bob.key);
		await bob.add('notes', { n: 1 });
		assert.ok(!(await call('add', { table: 'notes', row: { n: 2 } })).isError);
		const last = await postMcp(
			limited.url,
			bob.key,
			message('tools/call', { name: 'batch', arguments: { table: 'notes', operations: [{ action: 'add', row: {} }] } }),
		);
		assert.match(last.headers.get('ratelimit')!, /^"writes";r=0;t=\d+$/);
		assert.equal(last.headers.get('ratelimit-policy'), '"writes";q=3;w=60');
		const { isError, value } = await call('add', { table: 'notes', row: { n: 3 } });
		assert.ok(isError);
		assert.equal(value.error.code, 'rate_limited');
		assert.equal(value.error.details.limit, 3);
		assertRefused(await bob.post('/v1/notes', {}), 429, 'rate_limited');
		// Reads have a count of their own; lists and handshakes have none.
		for (let n = 0; n < 10; n++) await postMcp(limited.url, bob.key, message('tools/list'));
		assert.equal((await call('query', { table: 'notes', includeLink: true })).value.rows.length, 3);
		assert.equal((await call('count', { table: 'notes' })).value.count, 3);
		assert.ok(!(await call('open_row', { table: 'notes', id: (await bob.rows('notes'))[0].id })).isError);
		assert.equal((await call('list_tables')).value.error.code, 'rate_limited');
		assertRefused(await bob.get('/v1/notes'), 429, 'rate_limited');
		limited.advance(60_000);
		assert.equal((await call('count', { table: 'notes' })).value.count, 3);
		const second = assertStatus(await bob.post('/v1/_keys', { name: 'second' }), 201).api_key;
		assert.equal((await clientWith(limited, second).rows('notes')).length, 3);
	} finally {
		await limited.stop();
	}
});

test('[11.3] [8.2] a key sees the rows of its own account', async () => {
	const eve = await signIn(server);
	const row = await ada.add('mine', { secret: 1 });
	const call = httpCaller(server.url, eve.key);
	assert.deepEqual((await call('query', { table: 'mine' })).value, { rows: [] });
	assert.equal((await call('open_row', { table: 'mine', id: row.id })).value.error.code, 'row_not_found');
	assert.deepEqual((await call('versions', { table: 'mine', id: row.id })).value, { versions: [] });
	await ada.del('/v1/mine', { filter: { id: row.id } });
});

test('[11.9] [6.7] a key that is revoked while a message is on its way is refused, and nothing is changed', async () => {
	const { api_key: second, id } = assertStatus(await ada.post('/v1/_keys', { name: 'slow' }), 201);
	const text = JSON.stringify(message('tools/call', { name: 'add', arguments: { table: 'slow', row: {} } }));
	const sent = request(`${server.url}/mcp`, {
		method: 'POST',
		headers: { authorization: `Bearer ${second}`, 'content-type': 'application/json' },
	});
	sent.write(text.slice(0, 20));
	await new Promise((resolve) => setTimeout(resolve, 50));
	assertStatus(await ada.del(`/v1/_keys/${id}`), 200);
	sent.end(text.slice(20));
	const [answer] = await once(sent, 'response');
	answer.resume();
	assert.equal(answer.statusCode, 401);
	assert.match(answer.headers['www-authenticate'], /^Bearer /);
	assert.equal((await ada.get('/v1/slow/count')).body.count, 0);
});
