import { IdSequence } from '../../domain/id.ts';
import type { Account, IndexDefinition } from './account-lock.ts';

/** Accounts remembered at most; those that were learned of longest ago are forgotten. */
const MAX_KNOWN = 10_000;

/** What this node remembers of an account. Keys and indexes hold for as long as its epoch stands; the rest only ever grows. */
export interface KnownAccount {
	readonly epoch: number;
	/** Keys, grants and sessions that were live in this epoch. One that runs out by itself is refused where its call comes in. */
	readonly keys: Set<string>;
	/** Indexes of tables that were written and have rows. */
	readonly tables: Map<string, readonly IndexDefinition[]>;
	/** Goes on from the greatest row id that this node knows of. */
	ids: IdSequence;
	/** The latest moment of a write that this node knows of, in milliseconds since the epoch. */
	clock: number;
}

/**
 * Accounts that this node wrote lately. Nothing is believed of them: whoever goes by what is remembered has the database compare
 * the epoch in the same statement that writes.
 */
export class KnownAccounts {
	readonly #known = new Map<string, KnownAccount>();

	get(accountId: string): KnownAccount | undefined {
		return this.#known.get(accountId);
	}

	forget(accountId: string): void {
		this.#known.delete(accountId);
	}

	/** @param account as a transaction left it that has been committed. */
	learn({ id, epoch, keys, tables, lastId, now }: Account): void {
		if (lastId === null) return;
		const before = this.#known.get(id);
		const same = before?.epoch === epoch ? before : undefined;
		const ids = new IdSequence(lastId);
		const known: KnownAccount = same ?? { epoch, keys: new Set(), tables: new Map(), ids, clock: now };
		for (const [keyId, live] of keys) if (live) known.keys.add(keyId);
		// Only what can be added to plainly, which is not more than the account may have.
		for (const { name, rows, indexes } of tables.values()) {
			if (rows > 0) known.tables.set(name, indexes);
			else known.tables.delete(name);
		}
		known.ids = ids;
		known.clock = now;
		this.#known.delete(id);
		this.#known.set(id, known);
		if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
	}
}
