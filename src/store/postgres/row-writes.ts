import type { WriteLimits } from '../../limits.ts';
import type { RowsOutcome } from '../seam.ts';
import { type Account, type AccountCalls, lockAccounts } from './account-lock.ts';
import { AccountRun } from './account-run.ts';
import { Changes } from './changes.ts';
import type { Transaction } from './connections.ts';
import type { Finder } from './finder.ts';

/** What became of a group of calls. */
export interface GroupOutcomes {
	/** One outcome a call; undefined where the account's row was locked by somebody else. */
	readonly outcomes: ReadonlyMap<string, readonly RowsOutcome[] | undefined>;
	/** The accounts that were locked, as the transaction leaves them. */
	readonly accounts: Iterable<Account>;
}

export interface RowWritesOptions {
	readonly limits: WriteLimits;
	readonly finder: Finder;
}

/**
 * Loads, decides and applies a group of calls inside one transaction that locks the rows of their accounts. What operations need is
 * asked for together with sending what those before them changed.
 */
export class RowWrites {
	readonly #options: RowWritesOptions;

	constructor(options: RowWritesOptions) {
		this.#options = options;
	}

	/** @param skipLocked leave accounts out that are locked, rather than wait for them. */
	async run(transaction: Transaction, group: readonly AccountCalls[], skipLocked: boolean): Promise<GroupOutcomes> {
		const locked = lockAccounts(transaction, group, skipLocked);
		const changes = new Changes();
		const alone = group.length === 1 && group[0]!.calls.length === 1;
		const runs = group.map((calls) => new AccountRun(calls, { ...this.#options, transaction, changes, alone }));
		// The first needs travel with the locks: they are asked after them, so they see what the locks waited for.
		for (const run of runs) run.load();
		const accounts = await locked;
		for (const run of runs) run.locked(accounts.get(run.accountId));
		for (;;) {
			for (const run of runs) await run.decide();
			if (runs.every((run) => run.done)) break;
			changes.send(transaction);
			for (const run of runs) run.load();
		}
		for (const run of runs) run.save();
		changes.send(transaction);
		return {
			outcomes: new Map(runs.map(({ accountId, outcomes, missing }) => [accountId, missing ? undefined : outcomes])),
			accounts: accounts.values(),
		};
	}
}
