import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client as McpClient } from '@modelcontextprotocol/client';
import { type Any, type Client, signIn } from './support/client.ts';
import { message, postMcp } from './support/mcp.ts';
import {
	type Access,
	type Inspected,
	inspect,
	mcpRemote,
	type Target,
	withKey,
	withNothing,
} from './support/real-clients.ts';
import { ROOT, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

/** Clients of others, unchanged: the inspector's command line, and mcp-remote as the bridge of a client that speaks stdio. */

let server: TestServer;
let ada: Client;
let access: Access;
let localDir: string;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
	access = withKey(ada.key);
	localDir = temporaryDir();
	await runPumadb(['keys', 'create', '--email', 'ada@example.com', '--data-dir', localDir]);
});
after(() => server.stop());

const pumadb = (args: readonly string[], env: Record<string, string> = {}): Target => ({
	command: [process.execPath, join(ROOT, 'bin/pumadb.js'), 'mcp', ...args],
	env,
});

const TARGETS: Readonly<Record<string, () => Target>> = {
	'over HTTP': () => ({ url: `${server.url}/mcp` }),
	'over stdio to a server': () => pumadb(['--url', server.url], { PUMADB_API_KEY: ada.key }),
	'over stdio on a data directory': () => pumadb(['--data-dir', localDir, '--account', 'ada@example.com']),
};

/** What the inspector exits with. */
const DONE = 0;
const UNAUTHORIZED = 3;
const TOOL_ERROR = 5;

for (const [name, target] of Object.entries(TARGETS)) {
	for (const era of ['legacy', 'modern']) {
		test(`[11.1] [11.2] [11.4] [11.12] the inspector lists and calls tools ${name}, ${era}`, async () => {
			const run = (...args: string[]): Promise<Inspected> =>
				inspect(target(), access, ['--protocol-era', era, '--method', ...args]);
			const call = async (tool: string, args: object, code = DONE): Promise<Any> => {
				const ran = await run('tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(args));
				assert.equal(ran.code, code, ran.err);
				return ran.answer.structuredContent;
			};
			const { code, answer, err } = await run('tools/list', '--strict');
			assert.equal(code, DONE, err);
			// Nothing that makers of models are known to refuse.
			assert.doesNotMatch(err, /warning|error/i);
			const all = (await postMcp(server.url, ada.key, message('tools/list'))).body.result.tools;
			const linkless = (tool: Any): boolean => !tool.name.startsWith('open_');
			assert.deepEqual(
				answer.tools.map((tool: Any) => tool.name),
				(name.endsWith('directory') ? all.filter(linkless) : all).map((tool: Any) => tool.name),
			);

			const table = `inspected_${era}_${name.length}`;
			const row = await call('add', { table, row: { title: 'Buy “milk”', n: 1 } });
			assert.deepEqual([row.title, row.n], ['Buy “milk”', 1]);
			assert.deepEqual(await call('query', { table, filter: { title: 'Buy “milk”' }, limit: 5 }), { rows: [row] });
			const changed = await call('update_row', { table, id: row.id, patch: { n: 2 } });
			assert.equal(changed.row.n, 2);
			assert.deepEqual(await call('count', { table, filter: { n: 2 } }), { count: 1 });
			const refused = await call('delete', { table, filter: {} }, TOOL_ERROR);
			assert.equal(refused.error.code, 'filter_required');
			if (!name.endsWith('directory')) assert.deepEqual(await ada.rows(table), [changed.row]);
		});
	}
}

test('[11.9] the inspector without a key is told to sign in', async () => {
	const { code, answer, err } = await inspect({ url: `${server.url}/mcp` }, withNothing(), ['--method', 'tools/list']);
	assert.equal(code, UNAUTHORIZED, err);
	assert.equal(answer, undefined);
	assert.match(err, /"code":"auth_required"/);
});

for (const [version, mode] of [
	['2025-11-25', 'legacy'],
	['2026-07-28', 'auto'],
] as const) {
	test(`[11.1] [11.4] mcp-remote bridges a client that starts programs, ${version}`, async () => {
		const client = new McpClient({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
		await client.connect(mcpRemote(`${server.url}/mcp`, access));
		try {
			assert.equal(client.getNegotiatedProtocolVersion(), version);
			assert.equal((await client.listTools()).tools.length, 19);
			const call = async (name: string, args: Record<string, unknown>): Promise<Any> =>
				client.callTool({ name, arguments: args });
			const table = `bridged_${mode}`;
			const row = (await call('add', { table, row: { title: 'Buy “milk”' } })).structuredContent;
			assert.deepEqual((await call('query', { table })).structuredContent, { rows: [row] });
			assert.deepEqual(await ada.rows(table), [row]);
			const link = (await call('open_row', { table, id: row.id })).structuredContent;
			assert.equal((await fetch(link.viewer_url)).status, 200);
			const refused = await call('update_where', { table, filter: {}, patch: {} });
			assert.equal(refused.isError, true);
			assert.equal(refused.structuredContent.error.code, 'filter_required');
			await assert.rejects(call('nonsense', {}), /There is no tool/);
		} finally {
			await client.close();
		}
	});
}
