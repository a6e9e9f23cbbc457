import { decidePlainAdd, isPlainAdd, mostBytesBefore, mostRowsBefore } from '../../domain/plain-adds.ts';
import type { Insert, Moment } from '../../domain/writes.ts';
import { Refusal } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import { RandomBytes } from '../random-bytes.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import type { AccountCalls, IndexDefinition } from './account-lock.ts';
import type { Connections, Result } from './connections.ts';
import { entriesOf } from './entries.ts';
import type { KnownAccount, KnownAccounts } from './known-accounts.ts';

/**
 * Adds the rows of many accounts in one statement, without loading anything first. An account takes part if nobody else holds its
 * lock, its epoch is the one that the node knows (so the keys are live and the indexes are these), it has room, and ids and moments
 * go on from where it stands: what was decided is then what would have been decided under its lock. Accounts are locked in order,
 * and none is waited for.
 *
 * A statement sees the database as it was when it began, but each lock and UPDATE of a row that has changed since looks at the
 * newest version and checks its conditions again (PostgreSQL manual, section 13.2.1, Read Committed Isolation Level).
 */
const SQL = `WITH mine AS MATERIALIZED (
		SELECT a.account_id, w.last_id, w.clock
			FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[])
				AS w (account_id, epoch, most, first_id, last_id, clock)
			CROSS JOIN LATERAL (
				SELECT account_id FROM pumadb.accounts a
					WHERE a.account_id = w.account_id AND a.epoch = w.epoch AND a.bytes <= w.most
						AND a.last_id < w.first_id AND a.clock <= w.clock
					FOR NO KEY UPDATE SKIP LOCKED) a),
	counted AS (
		UPDATE pumadb.tables t SET rows = t.rows + w.rows
			FROM unnest($7::text[], $8::text[], $9::integer[], $10::bigint[], $11::bigint[]) WITH ORDINALITY
				AS w (account_id, name, rows, most, bytes, no)
			JOIN mine USING (account_id)
			WHERE t.account_id = w.account_id AND t.name = w.name AND t.rows BETWEEN 1 AND w.most
			RETURNING w.no, t.account_id, t.name, w.bytes, mine.last_id, mine.clock),
	saved AS (
		UPDATE pumadb.accounts a SET bytes = a.bytes + c.bytes, last_id = c.last_id, clock = c.clock
			FROM (SELECT account_id, last_id, clock, sum(bytes) AS bytes FROM counted GROUP BY account_id, last_id, clock) c
			WHERE a.account_id = c.account_id),
	added AS (
		INSERT INTO pumadb.rows (account_id, table_name, id, version, bytes, text)
			SELECT c.account_id, c.name, w.id, 0, w.bytes, w.text
				FROM unnest($12::bigint[], $13::uuid[], $14::integer[], $15::text[]) AS w (no, id, bytes, text)
				JOIN counted c USING (no))$entered
	SELECT string_agg(no::text, ',') AS applied FROM counted`;

const ENTERED = `,
	entered AS (
		INSERT INTO pumadb.index_entries (account_id, index_no, key, id)
			SELECT c.account_id, w.index_no, w.key, w.id
				FROM unnest($16::bigint[], $17::integer[], $18::bytea[], $19::uuid[]) AS w (no, index_no, key, id)
				JOIN counted c USING (no))`;

const NOTHING: Pick<Result, 'rows'> = { rows: [] };
const WITHOUT_ENTRIES = SQL.replace('$entered', '');
const WITH_ENTRIES = SQL.replace('$entered', () => ENTERED);

/** What is added to a table. */
interface Added {
	readonly accountId: string;
	readonly name: string;
	readonly indexes: readonly IndexDefinition[];
	readonly rows: NewRow[];
	bytes: number;
	/** Its number within the statement, from 1 on. */
	no: number;
}

interface NewRow {
	readonly added: Added;
	readonly id: string;
	readonly bytes: number;
	readonly text: string;
}

/** What is added to an account. */
interface Plan {
	readonly accountId: string;
	readonly known: KnownAccount;
	readonly tables: ReadonlyMap<string, Added>;
	/** The row that each call adds; its text is the result. */
	readonly rows: readonly NewRow[];
	readonly bytes: number;
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
		if (call.operations.length !== 1 || !isPlainAdd(call.operations[0]!)) return false;
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
		for (const { call } of calls) {
			const insert = covers(known, call) ? this.#decide(call, moment) : undefined;
			if (insert === undefined) return undefined;
			const { bytes, text } = insert;
			const added = tables.get(call.table) ?? newTable(accountId, call.table, known);
			const row = { added, id, bytes, text };
			tables.set(call.table, added);
			added.rows.push(row);
			added.bytes += bytes;
			rows.push(row);
			sum += bytes;
		}
		return { accountId, known, tables, rows, bytes: sum, clock };
	}

	#decide({ operations }: RowsCall, moment: Moment): Insert | undefined {
		try {
			return decidePlainAdd(operations[0]!, this.#limits, moment);
		} catch (error) {
			if (error instanceof Refusal) return undefined;
			throw error;
		}
	}

	#statement(plans: readonly Plan[]): [text: string, values: unknown[]] {
		const limits = this.#limits;
		const tables = plans.flatMap((plan) => [...plan.tables.values()]);
		for (const [i, added] of tables.entries()) added.no = i + 1;
		const rows = tables.flatMap((added) => added.rows);
		const values: unknown[] = [
			array(plans, ({ accountId }) => accountId),
			array(plans, ({ known }) => known.epoch),
			array(plans, ({ bytes }) => asBigint(mostBytesBefore(bytes, limits))),
			array(plans, (plan) => plan.rows[0]!.id),
			array(plans, (plan) => plan.rows.at(-1)!.id),
			array(plans, ({ clock }) => clock),
			array(tables, ({ accountId }) => accountId),
			tables.map(({ name }) => name),
			array(tables, (added) => added.rows.length),
			array(tables, (added) => asBigint(mostRowsBefore(added.rows.length, limits))),
			array(tables, ({ bytes }) => bytes),
			array(rows, ({ added }) => added.no),
			array(rows, ({ id }) => id),
			array(rows, ({ bytes }) => bytes),
			rows.map(({ text }) => text),
		];
		const entries = rows.flatMap(({ added, id, text }) =>
			entriesOf(added.indexes, id, text).map((entry) => ({ ...entry, id, no: added.no })),
		);
		if (entries.length === 0) return [WITHOUT_ENTRIES, values];
		values.push(
			array(entries, ({ no }) => no),
			array(entries, ({ indexNo }) => indexNo),
			entries.map(({ key }) => key),
			array(entries, ({ id }) => id),
		);
		return [WITH_ENTRIES, values];
	}
}

function newTable(accountId: string, name: string, { tables }: KnownAccount): Added {
	return { accountId, name, indexes: tables.get(name)!, rows: [], bytes: 0, no: 0 };
}

/**
 * An array of numbers or ids as PostgreSQL reads it (manual section 8.15.2). None of them needs quoting, which the driver would do
 * at several times the cost.
 */
function array<Item>(items: readonly Item[], value: (item: Item) => number | string): string {
	return `{${items.map(value).join(',')}}`;
}

function covers({ tables, keys }: KnownAccount, { table, keyId }: RowsCall): boolean {
	return tables.has(table) && (keyId === undefined || keys.has(keyId));
}

/** No limit is more than any number that is stored. */
function asBigint(limit: number): number {
	return Math.min(limit, Number.MAX_SAFE_INTEGER);
}
