import { spawn } from 'node:child_process';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Any } from './client.ts';
import { fetchInTurn } from './nodes.ts';
import { type Env, ROOT } from './server.ts';

/** MCP for tests: messages as they are, over HTTP and stdio. */

export const STATELESS = '2026-07-28';
export const META = {
	'io.modelcontextprotocol/protocolVersion': STATELESS,
	'io.modelcontextprotocol/clientCapabilities': {},
	'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
};

export interface McpAnswer {
	readonly status: number;
	readonly headers: Headers;
	readonly text: string;
	readonly body: Any;
}

/** Sends a body to `/mcp`. */
export async function postMcp(
	url: string,
	key: string | undefined,
	body: unknown,
	headers: Record<string, string> = {},
	method = 'POST',
): Promise<McpAnswer> {
	const response = await fetchInTurn(`${url}/mcp`, {
		method,
		headers: {
			...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
			...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
			...headers,
		},
		...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
	});
	const text = await response.text();
	let parsed: unknown;
	try {
		parsed = JSON.parse(text);
	} catch {
		parsed = text;
	}
	return { status: response.status, headers: response.headers, text, body: parsed };
}

/** A message of the older era. */
export function message(method: string, params?: unknown, id: unknown = 1): object {
	return { jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) };
}

/** A message of the stateless era, and the headers that it needs. */
export function stateless(method: string, params: Any = {}): { body: object; headers: Record<string, string> } {
	return {
		body: message(method, { ...params, _meta: META }),
		headers: {
			'mcp-protocol-version': STATELESS,
			'mcp-method': method,
			...(params.name === undefined ? {} : { 'mcp-name': params.name }),
		},
	};
}

/** What came of a tool call. */
export interface Called {
	readonly isError: boolean;
	readonly value: Any;
	/** The answer's whole text. */
	readonly text: string;
	readonly meta: Any;
}

export type CallTool = (name: string, args?: unknown) => Promise<Called>;

export function calledOf(text: string): Called {
	const { result, error } = JSON.parse(text);
	if (result === undefined) throw new Error(`The call was answered with an error: ${JSON.stringify(error)}`);
	const { isError = false, structuredContent, content, _meta } = result;
	const said = JSON.stringify(JSON.parse(content[0].text));
	if (said !== JSON.stringify(structuredContent)) throw new Error('Text and structured content differ.');
	return { isError, value: structuredContent, text, meta: _meta };
}

/** Calls tools over HTTP. */
export function httpCaller(url: string, key: string): CallTool {
	return async (name, args) => {
		const answer = await postMcp(url, key, message('tools/call', { name, arguments: args }));
		if (answer.status !== 200) throw new Error(`${name} answered ${answer.status}: ${answer.text}`);
		return calledOf(answer.text);
	};
}

/** `pumadb mcp` in a process of its own. */
export interface Stdio {
	/** Sends one line and resolves with the next line that answers. */
	ask(line: unknown): Promise<string>;
	/** Sends a line that is not answered. */
	tell(line: string): void;
	call: CallTool;
	/** All that came on standard output and standard error. */
	out(): string;
	err(): string;
	/** Sends SIGTERM, or closes its output and goes on sending; resolves with the exit code. */
	leave(how: 'signal' | 'output'): Promise<number | null>;
	/** Ends its input and resolves with the exit code. */
	end(): Promise<number | null>;
}

export function startStdio(args: readonly string[], env: Env = {}): Stdio {
	const inherited = Object.entries(process.env).filter(([name]) => !/^(PUMADB_|NODE_TEST)/.test(name));
	const child = spawn(process.execPath, [join(ROOT, 'bin/pumadb.js'), 'mcp', ...args], {
		env: { ...Object.fromEntries(inherited), ...env },
		stdio: 'pipe',
	});
	const kill = (): boolean => child.kill('SIGKILL');
	process.once('exit', kill);
	let err = '';
	let out = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		err += text;
	});
	const waiting: ((line: string) => void)[] = [];
	createInterface({ input: child.stdout }).on('line', (line) => {
		out += `${line}\n`;
		waiting.shift()?.(line);
	});
	const ended = new Promise<number | null>((resolve) => {
		child.once('close', (code) => {
			process.off('exit', kill);
			for (const answer of waiting) answer('{"ended":true}');
			resolve(code);
		});
	});
	child.stdin.on('error', () => {});
	const ask: Stdio['ask'] = (line) =>
		new Promise((resolve) => {
			waiting.push(resolve);
			child.stdin.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
		});
	return {
		ask,
		tell: (line) => child.stdin.write(`${line}\n`),
		call: async (name, args) => calledOf(await ask(message('tools/call', { name, arguments: args }))),
		out: () => out,
		err: () => err,
		leave(how) {
			if (how === 'signal') child.kill('SIGTERM');
			else {
				child.stdout.destroy();
				const timer = setInterval(() => child.stdin.write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n'), 50);
				ended.then(() => clearInterval(timer));
			}
			return ended;
		},
		end() {
			child.stdin.end();
			return ended;
		},
	};
}

const ajv = new Ajv2020({ strict: false, allErrors: true });
(formats as unknown as (ajv: Ajv2020) => void)(ajv);

/** Throws unless the value fits the schema. */
export function mustFit(schema: object, value: unknown, what: string): void {
	const validate = ajv.compile(schema);
	if (!validate(value)) throw new Error(`${what} does not fit its schema: ${ajv.errorsText(validate.errors)}`);
}

/** A proxy on this machine that adds a key to what it hands on, for clients that know none. */
export async function keyAdder(url: string, key: string): Promise<{ url: string; close(): void }> {
	const { hostname, port } = new URL(url);
	const server = createServer((incoming, outgoing) => {
		const headers = { ...incoming.headers, authorization: `Bearer ${key}` };
		const onward = request({ hostname, port, path: incoming.url, method: incoming.method, headers }, (answer) => {
			outgoing.writeHead(answer.statusCode!, answer.headers);
			answer.pipe(outgoing);
		});
		onward.on('error', () => outgoing.destroy());
		incoming.pipe(onward);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		close() {
			server.closeAllConnections();
			server.close();
		},
	};
}
