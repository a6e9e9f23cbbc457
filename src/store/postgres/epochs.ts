import type { Ask } from './connections.ts';

/**
 * Says that what nodes remember of an account holds no more: a key of it ended, or its member indexes changed. Asked within the
 * transaction that does so, which holds the account's lock.
 */
export async function endEpoch(ask: Ask, accountId: string): Promise<void> {
	await ask('UPDATE pumadb.accounts SET epoch = epoch + 1 WHERE account_id = $1', [accountId]);
}
