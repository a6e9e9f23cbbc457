import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { rowKey } from '../../domain/value.ts';
import { INDEX_STEP, type KnownIndex, newIndex, USE_NOTED_EVERY_MS } from '../index-policy.ts';
import { Changes } from './changes.ts';
import type { Ask, Connections, Transaction } from './connections.ts';
import { endEpoch } from './epochs.ts';
import { retrying } from './faults.ts';
import type { IndexHints, TableOf } from './finder.ts';

/** Indexes that may wait to be made on this node: those that are wanted still are wanted again. */
const MAX_WANTED = 1000;

/**
 * Makes member indexes that filters want, a step a transaction, with the account's row locked: no write of the account comes
 * between. Any node goes on where another stopped.
 */
export class MemberIndexes implements IndexHints {
	readonly #connections: Connections;
	readonly #clock: () => number;
	readonly #onFault: (message: string, cause: string) => void;
	readonly #wanted = new Map<string, { table: TableOf; members: string }>();
	readonly #noted = new Map<string, number>();
	#working: Promise<void> | undefined;
	#closing = false;

	constructor(connections: Connections, clock: () => number, onFault: (message: string, cause: string) => void) {
		this.#connections = connections;
		this.#clock = clock;
		this.#onFault = onFault;
	}

	wanted(table: TableOf, members: string): void {
		const name = `${table.accountId}/${table.table}/${members}`;
		if (this.#closing || this.#wanted.size >= MAX_WANTED || this.#wanted.has(name)) return;
		this.#wanted.set(name, { table, members });
		this.#working ??= this.#work().finally(() => {
			this.#working = undefined;
		});
	}

	used(accountId: string, indexNo: number): void {
		const name = `${accountId}/${indexNo}`;
		const now = this.#clock();
		if (this.#closing || now - (this.#noted.get(name) ?? 0) < USE_NOTED_EVERY_MS) return;
		if (this.#noted.size > 10_000) this.#noted.clear();
		this.#noted.set(name, now);
		this.#connections
			.ask('UPDATE pumadb.member_indexes SET used_at = $3 WHERE account_id = $1 AND index_no = $2', [
				accountId,
				indexNo,
				now,
			])
			.catch(() => this.#noted.delete(name));
	}

	/** Stops between two steps. */
	async close(): Promise<void> {
		this.#closing = true;
		await this.#working;
	}

	async #work(): Promise<void> {
		for (const [name, { table, members }] of this.#wanted) {
			try {
				for (let more = true; more && !this.#closing; ) {
					more = await retrying(() =>
						this.#connections.transaction((transaction) => this.#step(transaction, table, members)),
					);
				}
			} catch (error) {
				this.#onFault('A member index could not be made.', String(error));
			}
			this.#wanted.delete(name);
		}
	}

	/** Makes the index, or builds a bounded piece of it. @returns whether there is more to build. */
	async #step(transaction: Transaction, { accountId, table }: TableOf, members: string): Promise<boolean> {
		const { ask, send } = transaction;
		const [locked, counted, defined] = await Promise.all([
			ask('SELECT index_no FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', [accountId]),
			ask('SELECT rows FROM pumadb.tables WHERE account_id = $1 AND name = $2', [accountId, table]),
			ask(
				`SELECT index_no, members, state, built_through, used_at FROM pumadb.member_indexes
					WHERE account_id = $1 AND table_name = $2 AND state <> 'dropping'`,
				[accountId, table],
			),
		]);
		if (locked.rows[0] === undefined) return false;
		const own = defined.rows.find((row) => row.members === members);
		if (own?.state === 'ready') return false;
		const now = this.#clock();
		if (own !== undefined) return build(transaction, { accountId, table }, own.index_no, own.built_through, members);
		const existing = defined.rows.map(
			(row): KnownIndex => ({ indexNo: row.index_no, members: row.members, usedAt: row.used_at }),
		);
		const { make, giveUp } = newIndex(existing, members, counted.rows[0]?.rows ?? 0, now);
		if (!make) return false;
		if (giveUp !== undefined) {
			send(`UPDATE pumadb.member_indexes SET state = 'dropping' WHERE account_id = $1 AND index_no = $2`, [
				accountId,
				giveUp,
			]);
		}
		const indexNo = locked.rows[0].index_no + 1;
		await endEpoch(ask, accountId);
		send('UPDATE pumadb.accounts SET index_no = $2 WHERE account_id = $1', [accountId, indexNo]);
		send(
			`INSERT INTO pumadb.member_indexes (account_id, index_no, table_name, members, state, built_through, used_at)
				VALUES ($1, $2, $3, $4, 'building', '00000000-0000-0000-0000-000000000000', $5)`,
			[accountId, indexNo, table, members, now],
		);
		return true;
	}
}

async function build(
	transaction: Transaction,
	{ accountId, table }: TableOf,
	indexNo: number,
	builtThrough: string,
	members: string,
): Promise<boolean> {
	const { ask, send } = transaction;
	const names = JSON.parse(members) as string[];
	const { rows } = await ask(
		`SELECT id, text FROM pumadb.rows WHERE account_id = $1 AND table_name = $2 AND id > $3 ORDER BY id LIMIT $4`,
		[accountId, table, builtThrough, INDEX_STEP],
	);
	const changes = new Changes();
	for (const { id, text } of rows) {
		const key = rowKey(parseJson(text) as JsonObject, names);
		if (key !== undefined) changes.add('putEntry', accountId, indexNo, key, id);
	}
	changes.send(transaction);
	const more = rows.length === INDEX_STEP;
	await endEpoch(ask, accountId);
	send(
		'UPDATE pumadb.member_indexes SET state = $3, built_through = $4::uuid WHERE account_id = $1 AND index_no = $2',
		[accountId, indexNo, more ? 'building' : 'ready', more ? rows.at(-1).id : null],
	);
	return more;
}

/** Removes a bounded piece of what indexes held that were given up. @returns how much. */
export async function dropSome(ask: Ask): Promise<number> {
	const { rows } = await ask(`SELECT account_id, index_no FROM pumadb.member_indexes WHERE state = 'dropping' LIMIT 1`);
	if (rows[0] === undefined) return 0;
	const index = [rows[0].account_id, rows[0].index_no];
	const { rowCount } = await ask(
		`DELETE FROM pumadb.index_entries WHERE (account_id, index_no, key, id) IN
			(SELECT account_id, index_no, key, id FROM pumadb.index_entries WHERE account_id = $1 AND index_no = $2 LIMIT $3)`,
		[...index, INDEX_STEP],
	);
	if (rowCount !== 0) return rowCount ?? 0;
	await ask('DELETE FROM pumadb.member_indexes WHERE account_id = $1 AND index_no = $2', index);
	return 1;
}
