/** The query tool over `POST /mcp` beside the same query over REST. */
import { isDeepStrictEqual } from 'node:util';
import type { LoadResult } from './load.ts';
import { adds, api, check, count, median, only, per, ROUNDS, report, rounded, TIMED } from './measure.ts';
import { load, type Measured } from './processes.ts';
import { type Account, get, post } from './requests.ts';

/** The two eras of the protocol: what a call says of itself, and the headers that repeat it. */
const ERAS = {
	'2025-11-25': { meta: {}, headers: 'MCP-Protocol-Version: 2025-11-25\r\n' },
	'2026-07-28': {
		meta: {
			_meta: {
				'io.modelcontextprotocol/protocolVersion': '2026-07-28',
				'io.modelcontextprotocol/clientCapabilities': {},
				'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
			},
		},
		headers: 'MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: query\r\n',
	},
};

export async function toolCalls(server: Measured, accounts: readonly Account[]): Promise<void> {
	const account = accounts[1]!;
	await api(server, account, '/v1/notes/batch', { operations: adds(0, 25) });
	const filter = { n: 7 };
	const queries: Record<string, { path: string; args: object }> = {
		'25 rows (8 KB)': { path: '/v1/notes', args: { table: 'notes' } },
		'one row of them by filter': {
			path: `/v1/notes?filter=${encodeURIComponent(JSON.stringify(filter))}`,
			args: { table: 'notes', filter },
		},
	};
	for (const [name, { path, args }] of Object.entries(queries)) {
		for (const [version, { meta, headers }] of Object.entries(ERAS)) {
			const params = { name: 'query', arguments: args, ...meta };
			const call = post(account, '/mcp', { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
			await compare(server, `query tool, ${name}, ${version}`, get(account, path), call);
		}
	}
}

/** Asks both in turn, and holds what a call of each costs the server against the other. */
async function compare(server: Measured, what: string, rest: string, tool: string): Promise<void> {
	const rows = await answerOf(server, rest);
	const result = await answerOf(server, tool);
	const { structuredContent } = JSON.parse(result).result;
	check(isDeepStrictEqual(structuredContent, JSON.parse(rows)), `the rows of ${what} are not those of REST`);
	const costs: { rest: number[]; tool: number[] } = { rest: [], tool: [] };
	const results: { rest: LoadResult[]; tool: LoadResult[] } = { rest: [], tool: [] };
	for (let round = 0; round < ROUNDS; round++) {
		for (const [kind, request, expected] of [
			['rest', rest, rows],
			['tool', tool, result],
		] as const) {
			const before = server.cpuSeconds();
			const loaded = await load({ ...TIMED, port: server.port, requests: [request] });
			const answers = count([loaded], '200');
			costs[kind].push(((server.cpuSeconds() - before) / answers) * 1e6);
			results[kind].push(loaded);
			check(only([loaded], '200'), `${what}: a call was not answered with 200`);
			check(loaded.bytes === answers * Buffer.byteLength(expected), `${what}: an answer of another size`);
		}
	}
	const [restCost, toolCost] = [median(costs.rest), median(costs.tool)];
	const times = toolCost / restCost;
	report(
		what,
		`${times.toFixed(2)} times the CPU of REST (${toolCost.toFixed(0)} and ${restCost.toFixed(0)} µs a call; ${rounded(per(results.tool))} and ${rounded(per(results.rest))}/s)`,
		'at most 2 times',
		times <= 2,
	);
}

/** The body of the answer to a request that is given as text. */
async function answerOf(server: Measured, request: string): Promise<string> {
	const [head, body] = request.split('\r\n\r\n') as [string, string];
	const [first, ...lines] = head.split('\r\n');
	const [method, path] = first!.split(' ') as [string, string];
	const headers = lines.map((line) => line.split(': ') as [string, string]);
	const response = await fetch(server.url + path, { method, headers, ...(method === 'POST' ? { body } : {}) });
	check(response.status === 200, `${first}: ${response.status}`);
	return response.text();
}
