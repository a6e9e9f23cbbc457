import { checkAnswer } from './contract.ts';
import { fetchInTurn } from './nodes.ts';
import type { TestServer } from './server.ts';

/** A client for tests: plain fetch, every answer checked against the contract. */

// biome-ignore lint/suspicious/noExplicitAny: tests read answers of many shapes.
export type Any = any;

export interface Answer {
	readonly status: number;
	readonly headers: Headers;
	/** The body as JSON, or as text where it is not. */
	readonly body: Any;
	readonly text: string;
}

export interface Options {
	/** Sent as JSON. */
	readonly json?: unknown;
	/** Sent as it is. */
	readonly body?: string | Uint8Array;
	readonly headers?: Readonly<Record<string, string>>;
}

/** Sends one request and checks its answer. */
export async function send(base: string, method: string, path: string, options: Options = {}): Promise<Answer> {
	const body = options.json === undefined ? options.body : JSON.stringify(options.json);
	const headers = { ...(options.json === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers };
	const response = await fetchInTurn(base + path, {
		method,
		headers,
		redirect: 'manual',
		...(body === undefined ? {} : { body: body as string }),
	});
	const text = await response.text();
	let parsed: unknown;
	try {
		parsed = text === '' ? undefined : JSON.parse(text);
	} catch {
		parsed = text;
	}
	checkAnswer(method, path, response.status, parsed, response.headers);
	return { status: response.status, headers: response.headers, body: parsed, text };
}

/** One account's calls. */
export interface Client {
	readonly key: string;
	readonly accountId: string;
	readonly email: string;
	call(method: string, path: string, options?: Options): Promise<Answer>;
	get(path: string, query?: Readonly<Record<string, unknown>>): Promise<Answer>;
	post(path: string, json: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
	del(path: string, json?: unknown): Promise<Answer>;
	/** Adds a row and answers it; anything but 201 throws. */
	add(table: string, row: unknown): Promise<Any>;
	/** The rows of a query; anything but 200 throws. `query.filter` is written as JSON. */
	rows(table: string, query?: Readonly<Record<string, unknown>>): Promise<Any[]>;
}

let accounts = 0;

/** Signs a new person in by magic link. */
export async function signIn(
	server: Pick<TestServer, 'url'>,
	email = `person-${process.pid}-${++accounts}@example.com`,
): Promise<Client> {
	const asked = await send(server.url, 'POST', '/auth/magic-link', { json: { email } });
	const link = new URL(asked.body.dev_magic_link);
	const verified = await send(server.url, 'POST', '/auth/verify', { json: { token: link.searchParams.get('token') } });
	return clientWith(server, verified.body.api_key, verified.body.account_id, email);
}

export function clientWith(server: Pick<TestServer, 'url'>, key: string, accountId = '', email = ''): Client {
	const call: Client['call'] = (method, path, options = {}) =>
		send(server.url, method, path, { ...options, headers: { authorization: `Bearer ${key}`, ...options.headers } });
	const get: Client['get'] = (path, query = {}) => call('GET', path + queryString(query));
	const post: Client['post'] = (path, json, headers = {}) => call('POST', path, { json, headers });
	return {
		key,
		accountId,
		email,
		call,
		get,
		post,
		del: (path, json) => call('DELETE', path, json === undefined ? {} : { json }),
		async add(table, row) {
			const answer = await post(`/v1/${table}`, row);
			if (answer.status !== 201) throw new Error(`add answered ${answer.status}: ${answer.text}`);
			return answer.body;
		},
		async rows(table, query) {
			const answer = await get(`/v1/${table}`, query);
			if (answer.status !== 200) throw new Error(`query answered ${answer.status}: ${answer.text}`);
			return answer.body.rows;
		},
	};
}

/** Strings and numbers as they are, anything else as JSON. */
export function queryString(query: Readonly<Record<string, unknown>>): string {
	const pairs = Object.entries(query).map(([name, value]) => {
		const text = typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
		return `${encodeURIComponent(name)}=${encodeURIComponent(text)}`;
	});
	return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** The code of an error answer. */
export function codeOf(answer: Answer): string | undefined {
	return answer.body?.error?.code;
}
