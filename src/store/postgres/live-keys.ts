import { Refusal } from '../../errors.ts';
import type { Ask } from './connections.ts';

/**
 * Is `w.key_id` of `w.account_id` one that may call: a live key, a grant, or a session of the console? Not by EXISTS, which the
 * planner may answer by reading all keys.
 */
export const IS_LIVE = `coalesce(
	(SELECT true FROM pumadb.api_keys k WHERE k.account_id = w.account_id AND k.key_id = w.key_id AND k.revoked_at IS NULL),
	(SELECT true FROM pumadb.grants g WHERE g.account_id = w.account_id AND g.grant_id = w.key_id),
	(SELECT true FROM pumadb.sessions s WHERE s.account_id = w.account_id AND s.session_id = w.key_id LIMIT 1),
	false)`;

/** Within a transaction that holds the account's lock, as whoever ends a key does. @throws Refusal invalid_api_key */
export async function requireLive(ask: Ask, accountId: string, keyId: string): Promise<void> {
	const { rows } = await ask(`SELECT ${IS_LIVE} AS live FROM (VALUES ($1, $2)) AS w (account_id, key_id)`, [
		accountId,
		keyId,
	]);
	if (!rows[0].live) throw keyEnded();
}

/** The refusal of a call whose key ended between the moment it was looked up and the moment that counts. */
export function keyEnded(): Refusal {
	return new Refusal('invalid_api_key', 'This API key was revoked while the call was on its way. Send a live one.');
}
