import { randomInt } from 'node:crypto';
import type { Ask } from './connections.ts';

/** Bounds what {@link randomInt} gives. */
const EPOCHS = 2 ** 48 - 1;

/**
 * Says that what nodes remember of an account holds no more: a key of it ended, or its member indexes changed. Asked within the
 * transaction that does so, which holds the account's lock. Epochs are random, and a new key begins one, so that none comes again
 * with another meaning where a database is set back: restored, or failed over to a replica that was behind.
 */
export async function endEpoch(ask: Ask, accountId: string): Promise<void> {
	await ask('UPDATE pumadb.accounts SET epoch = $2 WHERE account_id = $1', [accountId, newEpoch()]);
}

export function newEpoch(): number {
	return randomInt(EPOCHS);
}
