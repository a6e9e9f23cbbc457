import { identityOf } from '../../domain/row.ts';
import {
	type Change,
	type KeptAnswer,
	lastUnkeptVersion,
	type StoredRow,
	storedBytes,
	usageAfter,
} from '../../domain/writes.ts';
import type { WriteLimits } from '../../limits.ts';
import type { Account, Table } from './account-lock.ts';
import type { Changes } from './changes.ts';
import type { Transaction } from './connections.ts';
import { type Entry, entriesOf } from './entries.ts';
import type { FoundRow } from './finder.ts';

/** Archived things looked at in one step of making room. */
const GIVE_UP_AT_ONCE = 100;

/** An answer that is kept under an idempotency key. */
export interface Kept extends KeptAnswer {
	/** Milliseconds since the epoch. */
	readonly createdAt: number;
	readonly bytes: number;
}

/** What a kept answer is found by among those of an account. */
export function keptName(table: string, key: string): string {
	return `${table}/${key}`;
}

/** Turns what was decided for a locked account into changes of its rows, versions, index entries and kept answers. */
export class AccountChanges {
	readonly #account: Account;
	readonly #changes: Changes;
	readonly #transaction: Transaction;
	readonly #limits: WriteLimits;

	constructor(account: Account, changes: Changes, transaction: Transaction, limits: WriteLimits) {
		this.#account = account;
		this.#changes = changes;
		this.#transaction = transaction;
		this.#limits = limits;
	}

	/** @param kept the answers kept under keys of this account; one that the change keeps is added. */
	apply(table: Table, change: Change, kept: Map<string, Kept>): void {
		const account = this.#account;
		const tableName = table.name;
		account.changed = true;
		table.changed = true;
		switch (change.kind) {
			case 'insert': {
				const { id } = identityOf(change.text);
				this.#changes.add('insertRow', account.id, tableName, id, change.version, change.bytes, change.text);
				this.#index(table, id, undefined, change.text);
				break;
			}
			case 'update': {
				const { row, text, bytes, at } = change;
				const { id } = identityOf(row.text);
				this.#changes.add('updateRow', account.id, tableName, id, row.version + 1, bytes, text);
				this.#index(table, id, row.text, text);
				this.#archive(tableName, row, id, at, false);
				break;
			}
			case 'delete': {
				const { row, at } = change;
				const { id } = identityOf(row.text);
				this.#changes.add('deleteRow', account.id, tableName, id);
				this.#index(table, id, row.text, undefined);
				this.#archive(tableName, row, id, at, true);
				break;
			}
			case 'keep': {
				const { key, fingerprint, answer } = change;
				const bytes = storedBytes(answer);
				const name = keptName(tableName, key);
				// An answer that has run out but was not swept yet makes room for the new one.
				const old = kept.get(name);
				if (old !== undefined) account.usage = { ...account.usage, keptBytes: account.usage.keptBytes - old.bytes };
				const { now } = account;
				this.#changes.add('keepAnswer', account.id, tableName, key, fingerprint, ++account.seq, now, bytes, answer);
				kept.set(name, { fingerprint, createdAt: now, bytes, answer });
				break;
			}
		}
		const { tableRows, ...usage } = usageAfter({ ...account.usage, tableRows: table.rows }, change);
		account.usage = usage;
		table.rows = tableRows;
	}

	/** Entries of a row that came, changed or went. */
	#index({ indexes }: Table, id: string, before: string | undefined, after: string | undefined): void {
		const old = entriesOf(indexes, id, before);
		const fresh = entriesOf(indexes, id, after);
		const has = (entries: readonly Entry[], { indexNo, key }: Entry): boolean =>
			entries.some((entry) => entry.indexNo === indexNo && Buffer.compare(entry.key, key) === 0);
		for (const entry of old) {
			if (!has(fresh, entry)) this.#changes.add('dropEntry', this.#account.id, entry.indexNo, entry.key, id);
		}
		for (const entry of fresh) {
			if (!has(old, entry)) this.#changes.add('putEntry', this.#account.id, entry.indexNo, entry.key, id);
		}
	}

	#archive(tableName: string, row: StoredRow, id: string, at: string, deleted: boolean): void {
		const account = this.#account;
		const version = row.version + 1;
		const bytes = storedBytes(row.text);
		const seq = ++account.seq;
		this.#changes.add('insertVersion', account.id, tableName, id, version, seq, at, deleted, bytes, row.text);
		const { unkeptBytes } = row as FoundRow;
		const last = lastUnkeptVersion(version, this.#limits);
		if (last === 0) return;
		this.#changes.add('dropVersions', account.id, tableName, id, last);
		account.usage = { ...account.usage, versionBytes: account.usage.versionBytes - unkeptBytes };
	}

	/** Removes the oldest until so many bytes are free or nothing is left that may go. What was decided must have been sent. @returns the bytes freed. */
	async giveUp(from: 'versions' | 'kept_answers', bytes: number, before: number | undefined): Promise<number> {
		const accountId = this.#account.id;
		let freed = 0;
		for (let more = true; more && freed < bytes; ) {
			const { rows } = await this.#transaction.ask(
				`SELECT seq, bytes FROM pumadb.${from} WHERE account_id = $1 ${before === undefined ? '' : 'AND created_at <= $3'}
					ORDER BY seq LIMIT $2`,
				before === undefined ? [accountId, GIVE_UP_AT_ONCE] : [accountId, GIVE_UP_AT_ONCE, before],
			);
			more = rows.length === GIVE_UP_AT_ONCE;
			const gone: number[] = [];
			for (const row of rows) {
				if (freed >= bytes) break;
				freed += row.bytes;
				gone.push(row.seq);
			}
			this.#transaction.send(`DELETE FROM pumadb.${from} WHERE account_id = $1 AND seq = ANY($2::bigint[])`, [
				accountId,
				gone,
			]);
		}
		return freed;
	}

	/** Adds what the account's own row and those of its tables say now. */
	save(): void {
		const account = this.#account;
		if (!account.changed) return;
		for (const table of account.tables.values()) {
			if (table.changed) this.#changes.add('saveTable', account.id, table.name, table.rows);
		}
		const { tables, bytes, versionBytes, keptBytes } = account.usage;
		const { lastId, seq, now } = account;
		this.#changes.add('saveAccount', account.id, tables, bytes, versionBytes, keptBytes, lastId, seq, now);
	}
}
