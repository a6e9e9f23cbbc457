import { IdSequence } from '../../domain/id.ts';
import type { Usage } from '../../domain/writes.ts';
import type { RowsCall } from '../seam.ts';
import type { Transaction } from './connections.ts';
import { IS_LIVE } from './live-keys.ts';

/** A call with the moment it is made at, in milliseconds since the epoch. */
export interface TimedCall {
	readonly call: RowsCall;
	readonly now: number;
}

/** The calls of one account, in order. */
export interface AccountCalls {
	readonly accountId: string;
	readonly calls: readonly TimedCall[];
}

/** An account whose row is locked, as a transaction changes it. */
export interface Account {
	readonly id: string;
	/** Never before the account's last write, whatever this node's clock says. */
	readonly now: number;
	readonly ids: IdSequence;
	readonly tables: Map<string, Table>;
	/** Keys, grants and sessions that calls came with, by whether they have not ended since. */
	readonly keys: ReadonlyMap<string, boolean>;
	/** Changes when a key ends or a member index changes ({@link endEpoch}). */
	readonly epoch: number;
	lastId: string | null;
	seq: number;
	usage: Omit<Usage, 'tableRows'>;
	changed: boolean;
}

export interface Table {
	readonly name: string;
	readonly indexes: readonly IndexDefinition[];
	rows: number;
	changed: boolean;
}

export interface IndexDefinition {
	readonly indexNo: number;
	readonly members: readonly string[];
	/** Entries exist for rows up to this id; null once all have them. */
	readonly builtThrough: string | null;
}

/**
 * Locks the accounts' rows, in order of id, so that no two groups wait for each other, and reads them with the tables that the
 * calls write. Whoever ends a key holds the same lock, so that a key is live here or its end was answered before.
 * @param skipLocked leave accounts out that are locked, rather than wait for them.
 * @returns the accounts that are locked now.
 */
export async function lockAccounts(
	{ ask }: Transaction,
	group: readonly AccountCalls[],
	skipLocked: boolean,
): Promise<ReadonlyMap<string, Account>> {
	const wanted = group.flatMap(({ accountId, calls }) => [
		...new Map(
			calls.map(({ call: { table, keyId } }) => [`${table} ${keyId}`, { accountId, table, keyId: keyId ?? null }]),
		).values(),
	]);
	const [accountRows, tableRows] = await Promise.all([
		ask(
			`SELECT account_id, tables, bytes, version_bytes, kept_bytes, last_id, seq, clock, epoch FROM pumadb.accounts
				WHERE account_id = ANY($1::text[]) ORDER BY account_id FOR UPDATE ${skipLocked ? 'SKIP LOCKED' : ''}`,
			[group.map(({ accountId }) => accountId)],
		),
		ask(
			`SELECT w.account_id, w.name, w.key_id, t.rows, w.key_id IS NULL OR ${IS_LIVE} AS live,
					(SELECT json_agg(json_build_array(i.index_no, i.members, i.built_through)) FROM pumadb.member_indexes i
						WHERE i.account_id = w.account_id AND i.table_name = w.name AND i.state <> 'dropping') AS indexes
				FROM unnest($1::text[], $2::text[], $3::text[]) AS w (account_id, name, key_id)
				LEFT JOIN pumadb.tables t ON t.account_id = w.account_id AND t.name = w.name`,
			[wanted.map(({ accountId }) => accountId), wanted.map(({ table }) => table), wanted.map(({ keyId }) => keyId)],
		),
	]);
	const calls = new Map(group.map((one) => [one.accountId, one.calls]));
	const keys = new Map(group.map(({ accountId }) => [accountId, new Map<string, boolean>()]));
	for (const { account_id: accountId, key_id: keyId, live } of tableRows.rows) {
		if (keyId !== null) keys.get(accountId)!.set(keyId, live);
	}
	const accounts = new Map<string, Account>();
	for (const row of accountRows.rows) {
		accounts.set(row.account_id, {
			id: row.account_id,
			now: Math.max(row.clock, ...calls.get(row.account_id)!.map(({ now }) => now)),
			ids: new IdSequence(row.last_id ?? undefined),
			tables: new Map(),
			keys: keys.get(row.account_id)!,
			epoch: row.epoch,
			lastId: row.last_id,
			seq: row.seq,
			usage: {
				tables: row.tables,
				bytes: row.bytes,
				versionBytes: row.version_bytes,
				keptBytes: row.kept_bytes,
			},
			changed: false,
		});
	}
	for (const { account_id: accountId, name, rows, indexes } of tableRows.rows) {
		const definitions = ((indexes ?? []) as [number, string, string | null][]).map(
			([indexNo, members, builtThrough]) => ({ indexNo, members: JSON.parse(members) as string[], builtThrough }),
		);
		accounts.get(accountId)?.tables.set(name, { name, rows: rows ?? 0, indexes: definitions, changed: false });
	}
	return accounts;
}
