import { isPumaError, PumaError } from '../../client/src/index.ts';
import { ConfigError } from '../config.ts';
import { maxBodyBytes } from '../limits.ts';
import { openLocal } from '../mcp/local.ts';
import { askRemote, type Remote } from '../mcp/remote.ts';
import { serveStdio } from '../mcp/stdio.ts';
import { type Account, accountOf } from './connect.ts';
import { readLogin } from './login-file.ts';
import type { Surroundings } from './surroundings.ts';
import { configWithoutServer } from './where.ts';

export interface McpFlags {
	readonly url: string | undefined;
	readonly account: string | undefined;
	readonly dataDir: string | undefined;
}

/** A server's messages are bounded by its own settings; this only keeps a broken client from filling the memory. */
const REMOTE_MAX_BYTES = 256 * 1024 * 1024;

/** Speaks MCP on standard input and output: for a server elsewhere, or on a data directory of this machine. */
export async function mcp(flags: McpFlags, around: Surroundings): Promise<number> {
	const { stdin: input, stdout: output, stopped } = around;
	if (flags.url !== undefined) {
		if (flags.account !== undefined || flags.dataDir !== undefined) {
			throw new ConfigError('Give either --url, or --data-dir and --account: a server knows the account by its key.');
		}
		return forward({ url: endpointOf(flags.url), apiKey: apiKeyFor(flags.url, around) }, around);
	}
	if (flags.account === undefined) {
		const account = flags.dataDir === undefined ? signedIn(around) : undefined;
		if (account !== undefined) return forward({ url: endpointOf(account.url), apiKey: account.apiKey }, around);
		const what = '--account and the email address of the account to use';
		if (flags.dataDir !== undefined) throw new ConfigError(`Give ${what}.`);
		throw new PumaError(
			'missing_api_key',
			`Sign in by "pumadb login", or set PUMADB_URL and PUMADB_API_KEY; or, on a data directory, give ${what}.`,
		);
	}
	const config = configWithoutServer(flags.dataDir, around);
	let failed = false;
	const fatal = new AbortController();
	const local = await openLocal({
		config,
		account: flags.account,
		clock: around.clock,
		complain: around.complain,
		onFatal: () => {
			failed = true;
			fatal.abort();
		},
	});
	const maxBytes = maxBodyBytes(config.limits, true);
	const until = AbortSignal.any([stopped, fatal.signal]);
	await serveStdio({ input, output, stopped: until, maxBytes, answer: local.answer });
	await local.close();
	return failed ? 1 : 0;
}

/** A server's address, with or without `/mcp`. @throws ConfigError */
function endpointOf(text: string): string {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	const plain = url !== undefined && ['http:', 'https:'].includes(url.protocol) && url.username === '';
	if (plain && /^\/(?:mcp\/?)?$/.test(url.pathname) && url.search === '') return `${url.origin}/mcp`;
	throw new ConfigError(`--url must be the address of a server, such as https://memory.example.com, not "${text}".`);
}

/** The environment's key, or the login's where it is for this server. @throws PumaError missing_api_key */
function apiKeyFor(url: string, around: Surroundings): string {
	const key = around.env.PUMADB_API_KEY?.trim() || keptKey(url, around);
	if (/^[!-~]+$/.test(key)) return key;
	throw new PumaError(
		'missing_api_key',
		'Set PUMADB_API_KEY to an API key of the server, or sign in to it by "pumadb login": a key is never an argument.',
	);
}

function keptKey(url: string, around: Surroundings): string {
	const login = readLogin(around.env);
	return login !== undefined && endpointOf(login.url) === endpointOf(url) ? login.api_key : '';
}

/** Whom PUMADB_URL and PUMADB_API_KEY, or the login, name; undefined where nothing does. */
function signedIn(around: Surroundings): Account | undefined {
	try {
		return accountOf(around);
	} catch (error) {
		if (isPumaError(error, 'missing_api_key')) return undefined;
		throw error;
	}
}

/** Hands messages on to a server. */
async function forward(remote: Remote, { stdin: input, stdout: output, stopped }: Surroundings): Promise<number> {
	const answer = (message: string): Promise<string | undefined> => askRemote(remote, message, stopped);
	await serveStdio({ input, output, stopped, maxBytes: REMOTE_MAX_BYTES, answer });
	return 0;
}
