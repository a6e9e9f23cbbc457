import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import type { Any } from './client.ts';
import { type Env, ROOT, temporaryDir } from './server.ts';

/** MCP clients of others, as their users run them: programs in processes of their own. */

const MODULES = join(ROOT, 'node_modules');
const INSPECTOR = join(MODULES, '@modelcontextprotocol/inspector/clients/launcher/build/index.js');
const MCP_REMOTE = join(MODULES, 'mcp-remote/dist/proxy.js');

/** How a client is let in. */
export interface Access {
	/** What it sends of itself; nothing where it is to sign in. */
	readonly headers: Readonly<Record<string, string>>;
	/** Its environment: HOME, where it keeps what it is told to keep, and PATH, where it finds a browser to sign in with. */
	readonly env: Env;
}

/** With an API key, and a home of its own. */
export function withKey(key: string): Access {
	return { headers: { Authorization: `Bearer ${key}` }, env: alone() };
}

/** With nothing: a client that finds no browser and knows no key. */
export function withNothing(): Access {
	return { headers: {}, env: alone() };
}

function alone(): Env {
	// No program is found there, and so no browser is opened.
	return { HOME: temporaryDir(), PATH: '/nonexistent' };
}

/** With nothing but a terminal, on which the client says where its person is to go. */
export function signingIn(): Access {
	// There is no keychain here, and a client that waits must not find a browser by itself.
	return { headers: {}, env: { ...alone(), MCP_INSPECTOR_SECRET_STORE: 'file', PATH: '/usr/bin:/bin' } };
}

/** The first address of an authorization that a text names; terminals' escape sequences end it. */
export function authorizationIn(text: string): string | undefined {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: what ends a hyperlink on a terminal.
	return /http\S+?\/oauth\/authorize\?[^\s\u001b\u0007]+/.exec(text)?.[0];
}

/** What a run of the inspector came to. */
export interface Inspected {
	readonly code: number | null;
	/** What it printed, read as JSON; undefined where that was nothing. */
	readonly answer: Any;
	/** What it said besides. */
	readonly err: string;
}

/** Where the inspector connects to: a URL, or a command to start. */
export type Target = { readonly url: string } | { readonly command: readonly string[]; readonly env: Env };

/** Runs the inspector's command line once. @param args for example `--method`, `tools/list`. */
export async function inspect(target: Target, access: Access, args: readonly string[]): Promise<Inspected> {
	const headers = Object.entries(access.headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
	const where =
		'url' in target
			? [target.url, ...args, ...headers]
			: [...Object.entries(target.env).flatMap(([name, value]) => ['-e', `${name}=${value}`]), ...args];
	const command = 'url' in target ? [] : ['--', ...target.command];
	const child = spawn(process.execPath, [INSPECTOR, '--cli', ...where, ...command], {
		env: access.env,
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let out = '';
	let err = '';
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		out += text;
	});
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		err += text;
	});
	const [code] = await once(child, 'close');
	return { code, answer: out.trim() === '' ? undefined : JSON.parse(out), err };
}

/**
 * Runs the inspector's command line on a terminal (script(1)), where it asks for a sign-in.
 * @param goThrough takes the person through the authorization, as far as the callback.
 */
export async function inspectOnTerminal(
	url: string,
	{ env }: Access,
	args: readonly string[],
	goThrough: (authorization: string) => Promise<void>,
): Promise<{ code: number | null; out: string }> {
	const callback = `http://127.0.0.1:${await freePort()}/oauth/callback`;
	const words = [process.execPath, INSPECTOR, '--cli', url, ...args, '--callback-url', callback];
	const command = words.map((word) => `'${word}'`).join(' ');
	const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
	let out = '';
	let going: Promise<void> | undefined;
	child.stdout.setEncoding('utf8').on('data', (text: string) => {
		out += text;
		const authorization = authorizationIn(out);
		// Once the whole of it has come: a line ends it.
		if (authorization !== undefined && /\n[^\n]*$/.test(out.slice(out.indexOf(authorization)))) {
			going ??= goThrough(authorization);
			// It would wait for its person for minutes.
			going.catch(() => child.kill());
		}
	});
	const [code] = await once(child, 'close');
	await going;
	return { code, out };
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
	const probe = createServer().listen(0, '127.0.0.1');
	await once(probe, 'listening');
	const { port } = probe.address() as AddressInfo;
	probe.close();
	await once(probe, 'close');
	return port;
}

/** The bridge from standard input and output to a server, for a client that starts programs. */
export function mcpRemote(url: string, { headers, env }: Access): StdioClientTransport {
	// A value with a space does not survive every client's way of starting programs, so the bridge takes it from its environment.
	const names = Object.keys(headers);
	const values = Object.fromEntries(names.map((name, i) => [`HEADER_${i}`, headers[name]!]));
	const args = names.flatMap((name, i) => ['--header', `${name}:\${HEADER_${i}}`]);
	return new StdioClientTransport({
		command: process.execPath,
		args: [MCP_REMOTE, url, '--allow-http', '--transport', 'http-only', ...args],
		env: { ...env, ...values },
		stderr: 'pipe',
	});
}
