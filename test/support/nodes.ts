import { createHash } from 'node:crypto';
import { database, freePort } from './postgres.ts';

/**
 * With PUMADB_TEST_ENGINE=postgres, each server of a test is two nodes on one PostgreSQL, and requests go to them in turn. What
 * holds for one server must hold for both together. PUMADB_TEST_POOLER (host:port) stands between the nodes and their PostgreSQL.
 */
export const TWO_NODES = process.env.PUMADB_TEST_ENGINE === 'postgres';

/** Settings of a node whose database stands for a data directory. */
export async function nodeSettings(dataDir: string): Promise<Record<string, string>> {
	const name = `t${createHash('sha256').update(dataDir).digest('hex').slice(0, 24)}`;
	const url = await database(name);
	databases.set(dataDir, url);
	const pooled = new URL(url);
	if (process.env.PUMADB_TEST_POOLER !== undefined) pooled.host = process.env.PUMADB_TEST_POOLER;
	return { PUMADB_DATABASE_URL: pooled.href, PUMADB_DATABASE_CONNECTIONS: '9' };
}

/** What both nodes are to be known by: the address of the first. @param env settings of the test; they win. */
export async function sharedAddress(
	env: Readonly<Record<string, string>>,
): Promise<{ first: Record<string, string>; second: Record<string, string> }> {
	const asked = env.PUMADB_PORT;
	const port = asked === undefined || asked === '0' ? String(await freePort()) : asked;
	const both = { PUMADB_PUBLIC_URL: `http://127.0.0.1:${port}`, ...env };
	return { first: { ...both, PUMADB_PORT: port }, second: { ...both, PUMADB_PORT: '0' } };
}

const databases = new Map<string, string>();

/** The database that stands for a data directory; undefined where it is a directory. */
export function databaseOf(dataDir: string): string | undefined {
	return databases.get(dataDir);
}

const nodes = new Map<string, { readonly urls: readonly string[]; next: number }>();

/** Requests to the first of these addresses go to each in turn from now on. */
export function alternate(urls: readonly string[]): void {
	nodes.set(urls[0]!, { urls, next: 0 });
}

/** The address that the next request to `base` goes to. */
function nextNode(base: string): string {
	const known = nodes.get(base);
	if (known === undefined) return base;
	known.next = (known.next + 1) % known.urls.length;
	return known.urls[known.next]!;
}

/**
 * Sends a request to the node whose turn it is. Headers are a plain object; those that name the server's origin name the node's,
 * as a page of that node would, but for `/mcp`, which knows both nodes by their public address.
 */
export function fetchInTurn(url: string | URL, init: RequestInit = {}): Promise<Response> {
	const asked = new URL(url);
	const node = nextNode(asked.origin);
	if (node === asked.origin) return fetch(asked, init);
	const headers = Object.entries((init.headers ?? {}) as Readonly<Record<string, string>>).map(
		([name, value]) => [name, value === asked.origin && asked.pathname !== '/mcp' ? node : value] as const,
	);
	return fetch(node + asked.href.slice(asked.origin.length), { ...init, headers: Object.fromEntries(headers) });
}
