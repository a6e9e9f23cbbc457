import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type Any, type Client, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { META, message, mustFit, postMcp, STATELESS } from './support/mcp.ts';

let server: ClockedServer;
let ada: Client;
let tools: Any[];

before(async () => {
	server = await startClocked();
	ada = await signIn(server);
	tools = (await postMcp(server.url, ada.key, message('tools/list'))).body.result.tools;
	await ada.add('notes', { n: 1, text: 'x' });
});
after(() => server.stop());

const NAMES = [
	...['table', 'row', 'filter', 'sort', 'limit', 'includeLink', 'idempotencyKey', 'operations', 'key', 'id', 'patch'],
	...['version', 'type', 'title', 'content', 'url', 'tags', 'field', 'filename', 'mimeType', 'allowMultiple'],
];

/** What a careless or hostile caller might send for any argument. */
const argument = fc.oneof(
	fc.constantFrom('notes', 'memories', '1', '', {}, { n: 1 }, { id: 'x' }, [], ['a'], null, true, 0, -1, 1e300, 'code'),
	fc.constantFrom(
		{ n: { $gt: 1 } },
		{ action: 'add' },
		[{ action: 'add', row: {} }],
		[{ action: 'delete', filter: {} }],
	),
	fc.jsonValue({ maxDepth: 3 }),
);
const args = fc.dictionary(fc.constantFrom(...NAMES), argument, { maxKeys: 6 });

test('[11.4] [11.2] whatever the arguments, a tool call is a result that fits the schema, and no 500', async () => {
	await fc.assert(
		fc.asyncProperty(fc.constantFrom(...tools), args, async (tool: Any, sent) => {
			const answer = await postMcp(server.url, ada.key, message('tools/call', { name: tool.name, arguments: sent }));
			assert.equal(answer.status, 200, answer.text);
			const { structuredContent, isError = false } = answer.body.result;
			mustFit(tool.outputSchema, structuredContent, tool.name);
			if (isError) assert.notEqual(structuredContent.error.code, 'internal_error', answer.text);
		}),
		{ numRuns: 1500 },
	);
});

test('[11.4] [11.11] whatever the message and its headers, the answer is JSON-RPC, and no 500', async () => {
	const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('2.0', 'tools/list', 'tools/call', 1, {}));
	const method = fc.oneof(fc.constantFrom('tools/call', 'tools/list', 'initialize', 'server/discover', 'ping'), value);
	const params = fc.oneof(
		value,
		fc.record({ name: value, arguments: value, cursor: value, protocolVersion: value }, { requiredKeys: [] }),
		fc.record({
			_meta: fc.oneof(value, fc.constant(META), fc.dictionary(fc.constantFrom(...Object.keys(META)), value)),
		}),
	);
	const body = fc.oneof(
		value,
		fc.record({ jsonrpc: fc.oneof(fc.constant('2.0'), value), id: value, method, params }, { requiredKeys: [] }),
	);
	const version = fc.constantFrom(STATELESS, '2025-11-25', '1', undefined);
	const header = fc.constantFrom('tools/list', 'add', '=?base64?YWRk?=', '=?base64?!?=', undefined);
	await fc.assert(
		fc.asyncProperty(body, version, header, header, async (sent, protocol, named, name) => {
			const headers = { 'mcp-protocol-version': protocol, 'mcp-method': named, 'mcp-name': name };
			const present = Object.fromEntries(Object.entries(headers).filter(([, text]) => text !== undefined));
			const answer = await postMcp(server.url, ada.key, JSON.stringify(sent), present as Record<string, string>);
			if (answer.status === 202) {
				assert.equal(answer.text, '');
				return;
			}
			assert.ok([200, 400, 404].includes(answer.status), `${answer.status} ${answer.text}`);
			assert.equal(answer.body.jsonrpc, '2.0');
			assert.ok('result' in answer.body !== 'error' in answer.body, answer.text);
			assert.ok('id' in answer.body);
		}),
		{ numRuns: 1500 },
	);
	assert.ok(Array.isArray(await ada.rows('notes', { limit: 1 })));
});
