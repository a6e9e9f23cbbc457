import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Any, clientWith, queryString, send } from './support/client.ts';
import { type CallTool, httpCaller, type Stdio, startStdio } from './support/mcp.ts';
import { NO_RATE_LIMITS, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

/** One script through REST, MCP over HTTP, MCP over stdio to a server, and MCP over stdio on a data directory. */

let server: TestServer;
let localDir: string;

before(async () => {
	server = await startServer();
	localDir = temporaryDir();
});
after(() => server.stop());

const UNKNOWN_ID = '0197a1b2-0000-7000-8000-000000000000';

async function newKey(email: string, dataDir: string): Promise<string> {
	const { out } = await runPumadb(['keys', 'create', '--email', email, '--data-dir', dataDir], {});
	return /puma_live_\w+/.exec(out)![0];
}

/** The same tool calls as REST calls. */
function restCaller(key: string): CallTool {
	const client = clientWith(server, key);
	const outcome = async (method: string, path: string, body?: unknown, headers = {}): Promise<Any> => {
		const json = body === undefined ? {} : { json: body };
		const answer = await send(server.url, method, path, {
			...json,
			headers: { authorization: `Bearer ${client.key}`, ...headers },
		});
		return { isError: answer.status >= 400, value: answer.body, text: answer.text, meta: undefined };
	};
	return (name, sent = {}) => {
		const { table, ...rest } = sent as Any;
		const at = `/v1/${table}`;
		const calls: Record<string, () => Promise<Any>> = {
			add: () =>
				outcome(
					'POST',
					at,
					rest.row,
					rest.idempotencyKey === undefined ? {} : { 'idempotency-key': rest.idempotencyKey },
				),
			query: () => outcome('GET', at + queryString(rest)),
			count: () => outcome('GET', `${at}/count${queryString(rest)}`),
			versions: () => outcome('GET', `${at}/versions${queryString(rest)}`),
			list_tables: () => outcome('GET', '/v1/_tables'),
			delete: () => outcome('DELETE', at, rest),
			open_row: () => outcome('POST', '/v1/_row_links', sent),
			open_text_field: () => outcome('POST', '/v1/_text_field_links', sent),
		};
		return (calls[name] ?? (() => outcome('POST', `${at}/${name}`, rest)))();
	};
}

/** What may differ from run to run: ids, stamps and tokens. Ids are numbered in the order in which they come up. */
function normalised(values: Any[]): Any[] {
	const ids = new Map<string, string>();
	const text = JSON.stringify(values)
		.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
			if (!ids.has(id)) ids.set(id, `id-${ids.size + 1}`);
			return ids.get(id)!;
		})
		.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'stamp')
		.replaceAll(/\/(view|download)\/[\w.-]+/g, '/$1/token');
	return JSON.parse(text);
}

/** @param links are there tools that make links? */
async function script(call: CallTool, links: boolean): Promise<Any[]> {
	const outcomes: Any[] = [];
	const run = async (name: string, args?: unknown): Promise<Any> => {
		const { isError, value } = await call(name, args);
		outcomes.push([name, isError, value]);
		return value;
	};
	const big = 2 ** 60;
	const first = await run('add', { table: 'notes', row: { title: 'One', n: 1, deep: { a: [1, { b: null }] } } });
	await run('add', { table: 'notes', row: { title: 'Two', n: 2, big, text: '# Two\n“”' }, idempotencyKey: 'k1' });
	await run('add', { table: 'notes', row: { title: 'Two', n: 2, big, text: '# Two\n“”' }, idempotencyKey: 'k1' });
	await run('add', { table: 'notes', row: { title: 'Three' }, idempotencyKey: 'k1' });
	await run('query', { table: 'notes', filter: { n: 2 } });
	await run('query', { table: 'notes', sort: '-n', limit: 1 });
	await run('query', { table: 'notes', limit: 0 });
	await run('query', { table: 'notes', limit: 1001 });
	await run('query', { table: 'notes', sort: '-' });
	await run('query', { table: 'notes', filter: { a: { b: 1 } } });
	await run('query', { table: '1notes' });
	await run('query', { table: 'nothing' });
	await run('count', { table: 'notes' });
	await run('count', { table: 'notes', filter: { n: 1 } });
	await run('upsert', { table: 'people', key: 'email', row: { email: 'ada@example.com', name: 'Ada' } });
	await run('upsert', { table: 'people', key: ['email'], row: { email: 'ada@example.com' } });
	await run('upsert', { table: 'people', key: 'phone', row: { email: 'ada@example.com' } });
	await run('upsert', { table: 'people', row: {} });
	await run('update_row', { table: 'notes', id: first.id, patch: { n: 3 } });
	await run('update_row', { table: 'notes', id: UNKNOWN_ID, patch: { n: 3 } });
	await run('update_row', { table: 'notes', id: first.id, patch: { id: 'x' } });
	await run('update_where', { table: 'notes', filter: { n: 3 }, patch: { done: true } });
	await run('update_where', { table: 'notes', filter: { n: 99 }, patch: {} });
	await run('update_where', { table: 'notes', filter: {}, patch: {} });
	await run('batch', {
		table: 'notes',
		operations: [
			{ action: 'add', row: { title: 'Four', group: 1 } },
			{ action: 'add', row: { title: 'Five', group: 1 }, idempotencyKey: 'b1' },
			{ action: 'upsert', key: 'title', row: { title: 'Six' } },
		],
	});
	await run('update_where', { table: 'notes', filter: { group: 1 }, patch: { x: 1 } });
	await run('update_where', { table: 'notes', filter: { group: 1 }, patch: { x: 1 }, allowMultiple: true });
	await run('batch', {
		table: 'notes',
		operations: [
			{ action: 'add', row: { title: 'Lost' } },
			{ action: 'add', row: { created_at: 1 } },
		],
	});
	await run('batch', { table: 'notes', operations: [] });
	await run('batch', { table: 'notes', operations: [{ action: 'shout' }] });
	await run('versions', { table: 'notes', id: first.id });
	await run('versions', { table: 'notes', id: UNKNOWN_ID });
	await run('restore', { table: 'notes', id: first.id, version: 1 });
	await run('restore', { table: 'notes', id: first.id, version: 77 });
	await run('restore', { table: 'notes', id: first.id, version: 'one' });
	await run('delete', { table: 'notes', filter: { group: 1 } });
	await run('delete', { table: 'notes', filter: {} });
	await run('add', { table: 'notes', row: { t: 'x'.repeat(70_000) } });
	await run('add', { table: 'notes', row: { '': 1 } });
	await run('add', { table: 'notes', row: { t: 'a\u0000b' } });
	await run('add', { table: 'notes', row: [] });
	await run('list_tables');
	if (!links) return outcomes;
	await run('open_row', { table: 'notes', id: first.id });
	await run('open_row', { table: 'notes', id: UNKNOWN_ID });
	await run('open_text_field', { table: 'notes', filter: { n: 2 }, field: 'text', filename: 'two.md' });
	await run('open_text_field', { table: 'notes', filter: { n: 2 }, field: 'n' });
	await run('open_text_field', { table: 'notes', field: 'text' });
	return outcomes;
}

test('[11.3] [11.12] [11.7] one script through REST, HTTP and stdio gives equal results and equal codes', async (t) => {
	const keys = await Promise.all(
		['rest', 'http', 'stdio'].map((name) => newKey(`${name}@example.com`, server.dataDir)),
	);
	await newKey('local@example.com', localDir);
	const expected = normalised(await script(restCaller(keys[0]!), true));
	assert.ok(expected.filter(([, isError]) => isError).length > 15);
	await t.test('over HTTP', async () => {
		assert.deepEqual(normalised(await script(httpCaller(server.url, keys[1]!), true)), expected);
	});
	const processes: [string, Stdio, boolean][] = [
		['to a server', startStdio(['--url', server.url], { PUMADB_API_KEY: keys[2]! }), true],
		[
			'on a data directory',
			startStdio(['--data-dir', localDir, '--account', 'local@example.com'], NO_RATE_LIMITS),
			false,
		],
	];
	for (const [name, stdio, links] of processes) {
		await t.test(`over stdio ${name}`, async () => {
			const outcomes = normalised(await script(stdio.call, links));
			assert.deepEqual(outcomes, expected.slice(0, outcomes.length));
			assert.equal(await stdio.end(), 0, stdio.err());
		});
	}
});
