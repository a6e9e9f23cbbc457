import { hash } from 'node:crypto';
import { newGranted, parseGranted } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { REFRESH_TOKEN_MS } from '../limits.ts';
import type { Context } from '../operations/context.ts';
import { requireAudience, SCOPE } from './audience.ts';
import { authenticateClient } from './client-auth.ts';
import { sendJson } from './endpoint.ts';
import { type Parameters, readForm } from './form.ts';
import type { OAuthParts } from './parts.ts';

/** What a code verifier looks like (RFC 7636 section 4.1). */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** A pair of tokens: what the client gets, and what is stored. */
interface Pair {
	readonly access: string;
	readonly refresh: string;
	readonly stored: {
		readonly accessHash: string;
		readonly accessExpiresAt: number;
		readonly refreshHash: string;
		readonly refreshExpiresAt: number;
	};
}

/**
 * `POST /oauth/token`: a code, or a refresh token, becomes a pair of tokens (RFC 6749 sections 4.1.3 and 6). What is refused
 * has used nothing up.
 */
export async function token(exchange: Exchange, parts: OAuthParts): Promise<void> {
	const { gate, answers, budget, clients } = parts;
	const { context } = gate;
	const form = await readForm(exchange.request, budget);
	const client = await authenticateClient(exchange.request, form, clients);
	const pair = await change(context, form, client.id, parts.accessTokenTtlSeconds);
	sendJson(exchange, answers, 200, {
		access_token: pair.access,
		token_type: 'Bearer',
		expires_in: parts.accessTokenTtlSeconds,
		refresh_token: pair.refresh,
		scope: SCOPE,
	});
}

/** @throws Refusal invalid_request, unsupported_grant_type, invalid_grant, invalid_target */
async function change(context: Context, form: Parameters, clientId: string, ttlSeconds: number): Promise<Pair> {
	const { publicUrl, store } = context;
	const grantType = form.required('grant_type');
	const audience = requireAudience(form.all('resource'), publicUrl);
	if (grantType === 'authorization_code') {
		const code = form.required('code');
		const verifier = form.required('code_verifier');
		if (!VERIFIER.test(verifier)) {
			throw new Refusal('invalid_request', 'The code_verifier is not 43 to 128 letters, digits and - . _ ~', {
				field: 'code_verifier',
			});
		}
		const { accountId, hash: codeHash } = presented(code, 'code');
		const pair = newPair(accountId, context.clock(), ttlSeconds);
		await store.writeAccounts({
			command: 'exchangeCode',
			accountId,
			codeHash,
			clientId,
			redirectUri: form.one('redirect_uri'),
			challenge: hash('sha256', verifier, 'base64url'),
			audience,
			tokens: pair.stored,
		});
		return pair;
	}
	if (grantType === 'refresh_token') {
		const { accountId, hash: tokenHash } = presented(form.required('refresh_token'), 'refresh');
		const pair = newPair(accountId, context.clock(), ttlSeconds);
		await store.writeAccounts({
			command: 'refreshGrant',
			accountId,
			tokenHash,
			clientId,
			audience,
			tokens: pair.stored,
		});
		return pair;
	}
	throw new Refusal('unsupported_grant_type', 'The grant_type must be authorization_code or refresh_token.', {
		field: 'grant_type',
	});
}

/** @throws Refusal invalid_grant for what cannot be one. */
function presented(text: string, kind: 'code' | 'refresh'): { accountId: string; hash: string } {
	const parts = parseGranted(text);
	if (parts?.kind === kind) return parts;
	const name = kind === 'code' ? 'code' : 'refresh token';
	throw new Refusal(
		'invalid_grant',
		`This is no ${name} of this server. Send the person to the authorization endpoint again.`,
	);
}

function newPair(accountId: string, now: number, ttlSeconds: number): Pair {
	const access = newGranted('access', accountId);
	const refresh = newGranted('refresh', accountId);
	return {
		access: access.token,
		refresh: refresh.token,
		stored: {
			accessHash: access.hash,
			accessExpiresAt: now + ttlSeconds * 1000,
			refreshHash: refresh.hash,
			refreshExpiresAt: now + REFRESH_TOKEN_MS,
		},
	};
}
