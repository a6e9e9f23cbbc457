import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../config.ts';
import { Refusal } from '../errors.ts';

/**
 * Which browsers' pages may call `/mcp`, and what their browsers need to be told (Fetch Standard, CORS protocol). Requests
 * without an `Origin` come from no page and pass. A page elsewhere could otherwise reach a server on this machine under a name
 * that it points here (DNS rebinding; MCP 2025-11-25, transports, security warning).
 */

const METHODS = 'POST, OPTIONS';
const REQUEST_HEADERS =
	'Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id';
const EXPOSED_HEADERS = 'WWW-Authenticate, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id';
const PREFLIGHT_SECONDS = '7200';

/** May pages of this origin call? Those of this server, of this machine, and those that the operator named. */
export function isAllowed(origin: string | undefined, publicUrl: string, named: readonly string[]): boolean {
	if (origin === undefined || origin === publicUrl || named.includes(origin)) return true;
	const url = URL.canParse(origin) ? new URL(origin) : undefined;
	return url !== undefined && ['http:', 'https:'].includes(url.protocol) && isLoopback(url.hostname);
}

/** @throws Refusal cross_origin_request */
export function refuseForeign(origin: string | undefined, publicUrl: string, named: readonly string[]): void {
	if (isAllowed(origin, publicUrl, named)) return;
	throw new Refusal(
		'cross_origin_request',
		'The request comes from a page of an origin that may not call this server. Its operator can name the origin in PUMADB_MCP_ORIGINS.',
	);
}

/** Headers of every answer, names and values in turn. */
export function corsHeaders({ headers }: IncomingMessage, publicUrl: string, named: readonly string[]): string[] {
	const { origin } = headers;
	if (origin === undefined || !isAllowed(origin, publicUrl, named)) return ['Vary', 'Origin'];
	return ['Vary', 'Origin', 'Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', EXPOSED_HEADERS];
}

/** Headers of the answer to `OPTIONS`, besides {@link corsHeaders}. */
export function preflightHeaders(): string[] {
	return [
		...['Allow', METHODS],
		...['Access-Control-Allow-Methods', METHODS],
		...['Access-Control-Allow-Headers', REQUEST_HEADERS],
		...['Access-Control-Max-Age', PREFLIGHT_SECONDS],
	];
}
