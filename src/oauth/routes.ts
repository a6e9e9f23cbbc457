import type { FaceParts } from '../http/face.ts';
import type { Router } from '../http/router.ts';
import { addAuthorize } from './authorize.ts';
import { Clients } from './clients.ts';
import type { FetchDocument } from './document-fetcher.ts';
import { addEndpoint, sendJson } from './endpoint.ts';
import {
	AUTHORIZATION_SERVER_PATH,
	authorizationServer,
	noOpenId,
	PROTECTED_RESOURCE_PATH,
	protectedResource,
} from './metadata.ts';
import type { OAuthParts } from './parts.ts';
import { register } from './register.ts';
import { revoke } from './revoke.ts';
import { token } from './token.ts';

export interface OAuthOptions {
	/** How long an access token lives. */
	readonly accessTokenTtlSeconds: number;
	/** Fetches metadata documents of clients; undefined where clients must register. */
	readonly fetchDocument: FetchDocument | undefined;
}

/**
 * The authorization server for `/mcp`, and what tells clients of it (RFC 6749 with the OAuth 2.1 draft's rules, MCP 2025-11-25,
 * authorization). It has one resource and opaque tokens, so it needs no keys.
 */
export function addOAuth(router: Router, face: FaceParts, options: OAuthOptions): void {
	const { context } = face.gate;
	const clients = new Clients(context, options.fetchDocument);
	const parts: OAuthParts = { ...face, clients, accessTokenTtlSeconds: options.accessTokenTtlSeconds };
	const { answers } = parts;
	const documents: readonly [path: string, body: () => object][] = [
		[PROTECTED_RESOURCE_PATH, () => protectedResource(context.publicUrl)],
		[`${PROTECTED_RESOURCE_PATH}/mcp`, () => protectedResource(context.publicUrl)],
		[AUTHORIZATION_SERVER_PATH, () => authorizationServer(context.publicUrl, clients.byDocument)],
		['/.well-known/openid-configuration', noOpenId],
	];
	for (const [path, body] of documents) {
		addEndpoint(router, answers, path, 'GET', (exchange) => sendJson(exchange, answers, 200, body()));
	}
	addEndpoint(router, answers, '/oauth/register', 'POST', (exchange) => register(exchange, parts));
	addEndpoint(router, answers, '/oauth/token', 'POST', (exchange) => token(exchange, parts));
	addEndpoint(router, answers, '/oauth/revoke', 'POST', (exchange) => revoke(exchange, parts));
	addAuthorize(router, parts);
}
