import { callerOf, type Run } from './context.ts';

/** Lists the account's API keys, revoked ones included; never their secrets. */
export const listKeys: Run = async (context, input) => {
	const keys = await context.store.read.keys(callerOf(input).accountId);
	const listed = keys.map((key) => ({
		id: key.id,
		account_id: key.accountId,
		name: key.name,
		prefix: key.prefix,
		scope: '*',
		revoked_at: key.revokedAt,
		created_at: key.createdAt,
		last_used_at: key.lastUsedAt,
	}));
	return { body: JSON.stringify({ keys: listed }) };
};
