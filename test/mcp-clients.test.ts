import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client as McpClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { type Any, type Client, signIn } from './support/client.ts';
import { ROOT, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

/** The MCP SDK's own client, in both eras, over HTTP and over stdio. It holds every answer against its tool's schema. */

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

const overHttp = () =>
	new StreamableHTTPClientTransport(new URL(`${server.url}/mcp`), {
		requestInit: { headers: { authorization: `Bearer ${ada.key}` } },
	});

const overStdio = (args: readonly string[], env: Record<string, string>) =>
	new StdioClientTransport({
		command: process.execPath,
		args: [join(ROOT, 'bin/pumadb.js'), 'mcp', ...args],
		env,
		stderr: 'pipe',
	});

const TRANSPORTS: Readonly<Record<string, () => StreamableHTTPClientTransport | StdioClientTransport>> = {
	'over HTTP': overHttp,
	'over stdio to a server': () => overStdio(['--url', server.url], { PUMADB_API_KEY: ada.key }),
	'over stdio on a data directory': () => overStdio(['--data-dir', localDir, '--account', 'Ada@example.com'], {}),
};

for (const [name, transport] of Object.entries(TRANSPORTS)) {
	for (const [version, mode] of [
		['2025-11-25', 'legacy'],
		['2026-07-28', 'auto'],
	] as const) {
		test(`[11.1] [11.12] the SDK's client works ${name}, speaking ${version}`, async () => {
			const client = new McpClient({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
			await client.connect(transport());
			try {
				assert.equal(client.getNegotiatedProtocolVersion(), version);
				assert.equal(client.getServerVersion()?.name, 'pumadb');
				assert.match(client.getInstructions()!, /list_tables/);
				const { tools } = await client.listTools();
				assert.equal(tools.length, name.endsWith('directory') ? 17 : 19);
				const call = async (tool: string, args: Record<string, unknown>): Promise<Any> =>
					client.callTool({ name: tool, arguments: args });
				const table = `notes_${mode}_${name.length}`;
				const added = await call('add', { table, row: { title: 'Buy milk', tags: ['a', 'ü'] } });
				assert.equal(added.structuredContent.title, 'Buy milk');
				const found = await call('query', { table, filter: { title: 'Buy milk' } });
				assert.deepEqual(found.structuredContent.rows, [added.structuredContent]);
				const refused = await call('update_where', { table, filter: {}, patch: {} });
				assert.equal(refused.isError, true);
				assert.equal(JSON.parse(refused.content[0].text).error.code, 'filter_required');
				await assert.rejects(call('nonsense', {}));
			} finally {
				await client.close();
			}
		});
	}
}

test("[11.9] the SDK's client is told that its key is wrong", async () => {
	const client = new McpClient({ name: 'test', version: '1' });
	const transport = new StreamableHTTPClientTransport(new URL(`${server.url}/mcp`), {
		requestInit: { headers: { authorization: 'Bearer puma_live_a_b' } },
	});
	await assert.rejects(client.connect(transport), /401|invalid_api_key|[Uu]nauthorized/);
});
