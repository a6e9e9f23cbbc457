import { callerOf, type Run } from './context.ts';

/** Revokes an API key of the caller's account. */
export const revokeKey: Run = async (context, input) => {
	const { accountId } = callerOf(input);
	const outcome = await context.store.writeAccounts({ command: 'revokeKey', accountId, keyId: input.id ?? '' });
	return { body: JSON.stringify({ revoked: outcome.count }) };
};
