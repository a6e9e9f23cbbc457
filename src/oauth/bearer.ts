import { parseGranted } from '../accounts/secrets.ts';
import { type Awaitable, then } from '../awaitable.ts';
import { Refusal } from '../errors.ts';
import type { Caller } from '../operations/context.ts';
import type { Gate } from '../operations/run.ts';
import { audienceOf, SCOPE } from './audience.ts';
import { description } from './endpoint.ts';
import { PROTECTED_RESOURCE_PATH } from './metadata.ts';

/**
 * The caller behind the bearer of a call to `/mcp`: an access token that is for this server, or an API key.
 * @throws Refusal missing_api_key, invalid_api_key or invalid_access_token
 */
export function callerOfBearer(gate: Gate, authorization: string | undefined): Awaitable<Caller> {
	const parts = parseGranted(/^bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '');
	if (parts?.kind !== 'access') return gate.authenticate(authorization);
	const { store, clock, publicUrl } = gate.context;
	return then(store.read.accessToken(parts.accountId, parts.hash, clock()), (token) => {
		if (token === undefined) {
			throw invalid('The access token has expired, or its grant was revoked. Refresh it, or authorize again.');
		}
		if (token.audience !== audienceOf(publicUrl)) {
			throw invalid('The access token is for a server of another address. Authorize again.');
		}
		store.keyUsed(token.caller);
		return token.caller;
	});
}

function invalid(message: string): Refusal {
	return new Refusal('invalid_access_token', message);
}

/**
 * What a 401 tells a client, so that it finds out by itself how to become known (RFC 9728 section 5.1, RFC 6750 section 3).
 * @param refusal why; a call without any bearer gets no error (RFC 6750 section 3.1).
 */
export function challenge(publicUrl: string, refusal: Pick<Refusal, 'code' | 'message'>): string {
	const error =
		refusal.code === 'missing_api_key'
			? ''
			: `, error="invalid_token", error_description="${description(refusal.message)}"`;
	return `Bearer realm="pumadb", resource_metadata="${publicUrl}${PROTECTED_RESOURCE_PATH}/mcp", scope="${SCOPE}"${error}`;
}
