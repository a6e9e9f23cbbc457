import { parseGranted } from '../accounts/secrets.ts';
import type { Exchange } from '../http/exchange.ts';
import { authenticateClient } from './client-auth.ts';
import { sendJson } from './endpoint.ts';
import { readForm } from './form.ts';
import type { OAuthParts } from './parts.ts';

/**
 * `POST /oauth/revoke` (RFC 7009): ends an access token, or with a refresh token everything that its grant gave. A token that is
 * not there, or not any more, is answered as if it had been ended.
 */
export async function revoke(exchange: Exchange, parts: OAuthParts): Promise<void> {
	const { gate, answers, budget, clients } = parts;
	const form = await readForm(exchange.request, budget);
	const client = await authenticateClient(exchange.request, form, clients);
	const parsed = parseGranted(form.required('token'));
	if (parsed !== undefined && parsed.kind !== 'code') {
		await gate.context.store.writeAccounts({
			command: 'revokeToken',
			accountId: parsed.accountId,
			tokenHash: parsed.hash,
			clientId: client.id,
		});
	}
	sendJson(exchange, answers, 200, {});
}
