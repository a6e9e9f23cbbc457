import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/** What the demo talks to: a server, its own or a given one, and a client that counts what it asks. */

// biome-ignore lint/suspicious/noExplicitAny: rows have whatever members their writer gave them.
export type Any = any;

/** Something that is not as it must be, in one sentence. */
export class DemoFault extends Error {}

/** @throws DemoFault */
export function must(holds: boolean, sentence: string): void {
	if (!holds) throw new DemoFault(sentence);
}

export interface Server {
	readonly url: string;
	stop(): Promise<void>;
}

/** Starts a server of the demo's own, with default settings, on a data directory that goes when it stops. */
export async function startOwnServer(): Promise<Server> {
	const dataDir = mkdtempSync(join(tmpdir(), 'pumadb-demo-'));
	const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, '../bin/pumadb.js'), 'serve'], {
		env: { PATH: process.env.PATH, PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir, PUMADB_LOG_LEVEL: 'error' },
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const ended = once(child, 'exit');
	const remove = (): void => rmSync(dataDir, { recursive: true, force: true });
	const kill = (): void => {
		child.kill('SIGKILL');
		remove();
	};
	process.once('exit', kill);
	const line = await Promise.race([once(createInterface({ input: child.stdout! }), 'line'), ended.then(() => [''])]);
	const url = /https?:\/\/\S+/.exec(String(line[0]))?.[0];
	if (url === undefined) throw new DemoFault('The server did not start.');
	return {
		url,
		async stop() {
			process.off('exit', kill);
			child.kill('SIGTERM');
			const [code] = await ended;
			remove();
			must(code === 0, `The server ended with ${code}.`);
		},
	};
}

export interface Answer {
	readonly status: number;
	readonly body: Any;
	readonly bytes: number;
}

/** Calls to one server. A call that meets the rate limit is sent again when the limit says so. */
export class Service {
	readonly url: string;
	readonly counts = { reads: 0, writes: 0, waited: 0 };
	#key: string | undefined;

	constructor(url: string, key?: string) {
		this.url = url.replace(/\/$/, '');
		this.#key = key;
	}

	/** Signs in the way a developer does: the server shows the link itself where it is on this machine and has no mail. */
	async signIn(email: string): Promise<string> {
		const asked = await this.ask('POST', '/auth/magic-link', { email });
		const link = asked.body?.dev_magic_link;
		must(
			typeof link === 'string',
			`${this.url} shows no magic links, so there is no key to work with; set PUMADB_KEY to an API key.`,
		);
		const token = new URL(link).searchParams.get('token');
		const verified = await this.ask('POST', '/auth/verify', { token });
		must(verified.status === 200, `Signing in answered ${verified.status}.`);
		this.#key = verified.body.api_key;
		return verified.body.account_id;
	}

	async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
		this.counts[method === 'GET' ? 'reads' : 'writes']++;
		const sent = {
			...headers,
			...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
			...(body === undefined ? {} : { 'content-type': 'application/json' }),
		};
		let response: Response;
		try {
			response = await fetch(this.url + path, {
				method,
				headers: sent,
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
		} catch {
			throw new DemoFault(`${this.url} does not answer.`);
		}
		if (response.status === 429) {
			const seconds = Number(response.headers.get('retry-after') ?? 1);
			this.counts.waited += seconds;
			await response.arrayBuffer();
			await pause(seconds * 1000);
			return this.ask(method, path, body, headers);
		}
		const text = await response.text();
		const parsed: Any = response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined;
		return { status: response.status, body: parsed, bytes: Buffer.byteLength(text) };
	}

	/** The body of a call that must succeed. */
	async get(path: string, query: Record<string, unknown> = {}): Promise<Any> {
		const pairs = Object.entries(query).map(([name, value]) => {
			const text = typeof value === 'string' ? value : JSON.stringify(value);
			return `${name}=${encodeURIComponent(text)}`;
		});
		return this.#succeed('GET', pairs.length === 0 ? path : `${path}?${pairs.join('&')}`);
	}

	async post(path: string, body: unknown): Promise<Any> {
		return this.#succeed('POST', path, body);
	}

	async del(path: string, body: unknown): Promise<Any> {
		return this.#succeed('DELETE', path, body);
	}

	async #succeed(method: string, path: string, body?: unknown): Promise<Any> {
		const answer = await this.ask(method, path, body);
		const message = answer.body?.error?.message ?? '';
		must(answer.status < 300, `${method} ${path.split('?')[0]} answered ${answer.status}. ${message}`.trim());
		return answer.body;
	}
}
