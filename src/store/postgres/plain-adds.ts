import {
	decidePlainAdd,
	mostArchivedBefore,
	mostBytesBefore,
	mostRowsBefore,
	type PlainAdd,
} from '../../domain/plain-adds.ts';
import { type Moment, storedBytes } from '../../domain/writes.ts';
import { Refusal } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import { RandomBytes } from '../random-bytes.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import type { AccountCalls, IndexDefinition } from './account-lock.ts';
import { ADD_ALL, ADD_ROWS } from './add-statement.ts';
import type { Connections, Result } from './connections.ts';
import { entriesOf } from './entries.ts';
import type { KnownAccount, KnownAccounts } from './known-accounts.ts';

const NOTHING: Pick<Result, 'rows'> = { rows: [] };

/** What is added to a table. */
interface Added {
	readonly name: string;
	readonly indexes: readonly IndexDefinition[];
	readonly rows: NewRow[];
	/** Idempotency keys among them, if there are any. */
	keys: Set<string> | undefined;
	bytes: number;
	keptBytes: number;
	/** Its number within the statement, from 1 on. */
	no: number;
}

interface NewRow {
	readonly added: Added;
	readonly id: string;
	readonly bytes: number;
	readonly text: string;
	/** The answer that is kept under a key, as the account's nth of these. */
	readonly kept:
		| { readonly key: string; readonly fingerprint: string; readonly bytes: number; readonly nth: number }
		| undefined;
}

/** What is added to an account. */
interface Plan {
	readonly accountId: string;
	readonly known: KnownAccount;
	readonly tables: ReadonlyMap<string, Added>;
	/** The row that each call adds; its text is the result. */
	readonly rows: readonly NewRow[];
	readonly bytes: number;
	readonly kept: number;
	readonly keptBytes: number;
	readonly clock: number;
}

const random = new RandomBytes();

/** Plain adds to accounts that this node knows. */
export class PlainAdds {
	readonly #connections: Connections;
	readonly #known: KnownAccounts;
	readonly #limits: WriteLimits;

	constructor(connections: Connections, known: KnownAccounts, limits: WriteLimits) {
		this.#connections = connections;
		this.#known = known;
		this.#limits = limits;
	}

	/** Is the call a plain add, and enough known of its account? */
	takes(call: RowsCall): boolean {
		if (call.operations.length !== 1 || call.operations[0]!.action !== 'add') return false;
		const known = this.#known.get(call.accountId);
		return known !== undefined && covers(known, call);
	}

	/**
	 * @param group calls that were taken.
	 * @returns for each account one outcome a call; undefined where it is to be decided under the account's lock.
	 * @throws what {@link Connections.write} does
	 */
	async run(group: readonly AccountCalls[]): Promise<(RowsOutcome | undefined)[][]> {
		const planned = group.map((calls) => this.#plan(calls));
		const plans = planned.filter((plan) => plan !== undefined);
		const { rows } = plans.length === 0 ? NOTHING : await this.#connections.write(...this.#statement(plans));
		const applied = new Set((rows[0]?.applied ?? '').split(',').map(Number));
		return planned.map((plan, i) => {
			if (plan === undefined) return group[i]!.calls.map(() => undefined);
			plan.known.clock = plan.clock;
			return plan.rows.map(({ added, text }) => {
				if (applied.has(added.no)) return { results: [text], replayed: false };
				this.#known.forget(plan.accountId);
				return undefined;
			});
		});
	}

	/** @returns undefined where a call is refused, or less is known than when it was taken: then it is decided under the lock. */
	#plan({ accountId, calls }: AccountCalls): Plan | undefined {
		const known = this.#known.get(accountId);
		if (known === undefined) return undefined;
		let clock = known.clock;
		for (const { now } of calls) if (now > clock) clock = now;
		let id = '';
		const moment = {
			now: clock,
			nextId: () => {
				id = known.ids.next(clock, random.next());
				return id;
			},
		};
		const tables = new Map<string, Added>();
		const rows: NewRow[] = [];
		let sum = 0;
		let kept = 0;
		let keptBytes = 0;
		for (const { call } of calls) {
			const add = covers(known, call) ? this.#decide(call, moment) : undefined;
			const added = tables.get(call.table) ?? newTable(call.table, known);
			// The second of two with the same key is answered as the first was.
			if (add === undefined || (add.keep !== undefined && added.keys?.has(add.keep.key))) return undefined;
			const { insert, keep } = add;
			tables.set(call.table, added);
			const answer = keep && {
				key: keep.key,
				fingerprint: keep.fingerprint,
				bytes: storedBytes(keep.answer),
				nth: ++kept,
			};
			const row = { added, id, bytes: insert.bytes, text: insert.text, kept: answer };
			rows.push(row);
			added.rows.push(row);
			added.bytes += row.bytes;
			sum += row.bytes;
			if (answer === undefined) continue;
			added.keys = (added.keys ?? new Set()).add(answer.key);
			added.keptBytes += answer.bytes;
			keptBytes += answer.bytes;
		}
		return { accountId, known, tables, rows, bytes: sum, kept, keptBytes, clock };
	}

	#decide({ operations }: RowsCall, moment: Moment): PlainAdd | undefined {
		try {
			return decidePlainAdd(operations[0]!, this.#limits, moment);
		} catch (error) {
			if (error instanceof Refusal) return undefined;
			throw error;
		}
	}

	#statement(plans: readonly Plan[]): [text: string, values: unknown[]] {
		const limits = this.#limits;
		const tables = plans.flatMap((plan) => Array.from(plan.tables.values(), (added) => ({ plan, added })));
		for (const [i, { added }] of tables.entries()) added.no = i + 1;
		const rows = tables.flatMap(({ added }) => added.rows);
		const values: unknown[] = [
			array(tables, ({ plan }) => plan.accountId),
			array(tables, ({ plan }) => plan.known.epoch),
			array(tables, ({ plan }) => asBigint(mostBytesBefore(plan.bytes, limits))),
			array(tables, ({ plan }) => plan.rows[0]!.id),
			array(tables, ({ plan }) => plan.rows.at(-1)!.id),
			array(tables, ({ plan }) => plan.clock),
			tables.map(({ added }) => added.name),
			array(tables, ({ added }) => added.rows.length),
			array(tables, ({ added }) => asBigint(mostRowsBefore(added.rows.length, limits))),
			array(tables, ({ added }) => added.bytes),
			array(rows, ({ added }) => added.no),
			array(rows, ({ id }) => id),
			array(rows, ({ bytes }) => bytes),
			array(rows, ({ text }) => quoted(text)),
		];
		const entries = rows.flatMap(({ added, id, text }) =>
			entriesOf(added.indexes, id, text).map((entry) => ({ ...entry, id, no: added.no })),
		);
		if (entries.length === 0 && plans.every(({ kept }) => kept === 0)) return [ADD_ROWS, values];
		values.push(
			array(tables, ({ plan: { keptBytes } }) =>
				asBigint(keptBytes === 0 ? Infinity : mostArchivedBefore(keptBytes, limits)),
			),
			array(tables, ({ plan }) => plan.kept),
			array(tables, ({ added }) => added.keptBytes),
			array(entries, ({ no }) => no),
			array(entries, ({ indexNo }) => indexNo),
			entries.map(({ key }) => key),
			array(entries, ({ id }) => id),
			rows.map(({ kept }) => kept?.key),
			rows.map(({ kept }) => kept?.fingerprint),
			array(rows, ({ kept }) => kept?.nth ?? 'NULL'),
			array(rows, ({ kept }) => kept?.bytes ?? 'NULL'),
		);
		return [ADD_ALL, values];
	}
}

function newTable(name: string, { tables }: KnownAccount): Added {
	return { name, indexes: tables.get(name)!, rows: [], keys: undefined, bytes: 0, keptBytes: 0, no: 0 };
}

/**
 * An array of numbers, ids or texts that were {@link quoted}, as PostgreSQL reads it (manual section 8.15.2): the driver would
 * quote each at several times the cost.
 */
function array<Item>(items: readonly Item[], value: (item: Item) => number | string): string {
	return `{${items.map(value).join(',')}}`;
}

/**
 * A row's text as an element of an array, where quotes and backslashes have a backslash in front. Compact JSON has no control
 * characters, and rows have no halves of surrogate pairs, so JSON.stringify escapes just these.
 */
function quoted(text: string): string {
	return JSON.stringify(text);
}

function covers({ tables, keys }: KnownAccount, { table, keyId }: RowsCall): boolean {
	return tables.has(table) && (keyId === undefined || keys.has(keyId));
}

/** No limit is more than any number that is stored. */
function asBigint(limit: number): number {
	return Math.min(limit, Number.MAX_SAFE_INTEGER);
}
