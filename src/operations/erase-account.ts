import type { Store } from '../store/seam.ts';

/**
 * Ends an account: its keys, links and sessions are dead when this resolves. What it held is left to {@link sweepErased}.
 * @returns false where there is no such account.
 */
export async function eraseAccount(store: Store, accountId: string): Promise<boolean> {
	const outcome = await store.writeAccounts({ command: 'eraseAccount', accountId });
	return outcome.count === 1;
}

/** Removes what erased accounts held, in small transactions. */
export async function sweepErased(store: Store): Promise<void> {
	for (let more = true; more; ) {
		const outcome = await store.writeAccounts({ command: 'sweep', only: 'erased' });
		more = outcome.more === true;
	}
}
