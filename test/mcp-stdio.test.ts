import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Client, signIn } from './support/client.ts';
import { run } from './support/launch.ts';
import { META, message, startStdio } from './support/mcp.ts';
import { NO_RATE_LIMITS, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

let server: TestServer;
let ada: Client;
let localDir: string;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
	localDir = temporaryDir();
	await runPumadb(['keys', 'create', '--email', 'ada@example.com', '--data-dir', localDir]);
});
after(() => server.stop());

const local = (...more: string[]) =>
	startStdio(['--data-dir', localDir, '--account', 'ada@example.com', ...more], NO_RATE_LIMITS);

test('[11.12] hostile lines get an error each, one line an answer, and nothing else is on standard output', async () => {
	for (const stdio of [local(), startStdio(['--url', `${server.url}/mcp/`], { PUMADB_API_KEY: ada.key })]) {
		const code = async (line: unknown): Promise<unknown> => {
			const { error, result } = JSON.parse(await stdio.ask(line));
			return error?.code ?? Object.keys(result);
		};
		assert.equal(await code('{'), -32700);
		assert.equal(await code('[]'), -32600);
		assert.equal(await code('7'), -32600);
		assert.equal(await code({ jsonrpc: '2.0', id: 1.5, method: 'ping' }), -32600);
		assert.equal(await code(message('nonsense')), -32601);
		assert.equal(await code(message('tools/call', { name: 'nonsense' })), -32602);
		assert.deepEqual(await code(message('ping')), []);
		assert.ok(((await code(message('server/discover', { _meta: META }))) as string[]).includes('supportedVersions'));
		const wrong = { ...META, 'io.modelcontextprotocol/protocolVersion': '2099-01-01' };
		assert.equal(await code(message('tools/list', { _meta: wrong })), -32022);
		assert.equal(await code(message('ping', { _meta: META })), -32601);
		// Neither blank lines nor notifications are answered.
		stdio.tell('');
		stdio.tell('{"jsonrpc":"2.0","method":"notifications/initialized"}');
		assert.equal(JSON.parse(await stdio.ask(message('ping', {}, 'a\nb'))).id, 'a\nb');
		const big = '1152921504606846976';
		const text = await stdio.ask(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"table":"t","row":{"n":${big}}}}}`,
		);
		assert.equal(text.split(big).length, 3);
		assert.equal(await stdio.end(), 0, stdio.err());
		for (const line of stdio.out().trim().split('\n')) assert.equal(JSON.parse(line).jsonrpc, '2.0');
	}
});

test('[11.12] [11.6] on a data directory there are no links: the tools are not listed, and a limit gets all it asks for', async () => {
	const stdio = local();
	const { tools } = JSON.parse(await stdio.ask(message('tools/list'))).result;
	assert.ok(!tools.some(({ name }: { name: string }) => name.startsWith('open_')));
	const { error } = JSON.parse(await stdio.ask(message('tools/call', { name: 'open_row', arguments: {} })));
	assert.match(error.message, /server/);
	const operations = Array.from({ length: 60 }, (_, n) => ({ action: 'add', row: { n } }));
	await stdio.call('batch', { table: 'many', operations });
	const cut = (await stdio.call('query', { table: 'many' })).value;
	assert.deepEqual([cut.rows.length, cut.truncated, cut._pumadb_query_link], [25, true, undefined]);
	assert.match(cut.notice, /limit/);
	const whole = (await stdio.call('query', { table: 'many', limit: 60, includeLink: true })).value;
	assert.deepEqual([whole.rows.length, whole.truncated], [60, undefined]);
	assert.equal(await stdio.end(), 0);
	// What was written is there for a server.
	const checked = await runPumadb(['check', '--data-dir', localDir]);
	assert.equal(checked.code, 0, checked.err);
});

test('[11.12] [9.5] what makes no sense ends the command with one sentence, and nothing on standard output', async () => {
	const empty = temporaryDir();
	const cases: [args: string[], says: RegExp, env?: Record<string, string>][] = [
		[['--data-dir', server.dataDir, '--account', 'ada@example.com'], /A running pumaDB has .* --url/],
		[['--data-dir', empty, '--account', 'ada@example.com'], /no database in .*keys create/],
		[['--data-dir', localDir, '--account', 'bob@example.com'], /no account bob@example.com .*keys create/],
		[['--data-dir', localDir, '--account', 'nobody'], /not an email address/],
		[['--data-dir', localDir], /--account/],
		[['--url', server.url], /PUMADB_API_KEY/],
		[['--url', 'nonsense'], /--url must be/, { PUMADB_API_KEY: ada.key }],
		[['--url', 'ftp://example.com'], /--url must be/, { PUMADB_API_KEY: ada.key }],
		[['--url', `${server.url}/v1`], /--url must be/, { PUMADB_API_KEY: ada.key }],
		[['--url', server.url, '--data-dir', localDir], /either/, { PUMADB_API_KEY: ada.key }],
		[['--key', ada.key], /--key/],
	];
	for (const [args, says, env] of cases) {
		const { code, out, err } = await run(['mcp', ...args], env ?? {});
		assert.ok(code === 1 || code === 2 || code === 3, `${args.join(' ')}: ${code}`);
		assert.equal(out, '');
		assert.match(err, says);
		assert.equal(err.trim().split('\n').length, 1, err);
	}
});

test('[11.12] a wrong key and a server that is gone are told in words, message by message', async () => {
	const wrong = startStdio(['--url', server.url], { PUMADB_API_KEY: 'puma_live_a_b' });
	const refused = JSON.parse(await wrong.ask(message('ping', undefined, 'x')));
	assert.deepEqual([refused.id, refused.error.data.code], ['x', 'invalid_api_key']);
	assert.equal(await wrong.end(), 0);
	const gone = startStdio(['--url', 'http://127.0.0.1:9'], { PUMADB_API_KEY: ada.key });
	const unreachable = JSON.parse(await gone.ask(message('ping')));
	assert.match(unreachable.error.message, /did not answer/);
	assert.ok(!JSON.stringify(unreachable).includes(ada.key));
	assert.equal(await gone.end(), 0);
});

test('[11.12] a message that is too long is refused and the next one answered; many at once are all answered', async () => {
	const stdio = local();
	const long = JSON.parse(await stdio.ask('x'.repeat(17 * 1024 * 1024)));
	assert.deepEqual([long.error.code, long.id], [-32600, null]);
	const ids = Array.from({ length: 200 }, (_, n) => `m${n}`);
	const call = { name: 'count', arguments: { table: 'many' } };
	const answers = await Promise.all(ids.map((id) => stdio.ask(message('tools/call', call, id))));
	assert.deepEqual(answers.map((text) => JSON.parse(text).id).toSorted(), ids.toSorted());
	stdio.tell('{"jsonrpc":"2.0","id":"last","method":"tools/call","params":{"name":"list_tables"}}');
	// What came before the end is answered.
	assert.equal(await stdio.end(), 0);
	assert.match(stdio.out(), /"id":"last","result"/);
});

test('[11.12] a signal, or a client that no longer reads, ends the command and lets go of the directory', async () => {
	for (const end of ['signal', 'output'] as const) {
		const stdio = local();
		await stdio.ask(message('ping'));
		assert.equal(await stdio.leave(end), 0, stdio.err());
	}
	const next = local();
	assert.deepEqual(JSON.parse(await next.ask(message('ping'))).result, {});
	assert.equal(await next.end(), 0);
});
