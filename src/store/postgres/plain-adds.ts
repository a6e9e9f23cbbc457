import { decidePlainAdd, isPlainAdd, mostBytesBefore, mostRowsBefore, type PlainAdd } from '../../domain/plain-adds.ts';
import type { Moment } from '../../domain/writes.ts';
import { Refusal } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import { RandomBytes } from '../random-bytes.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import type { AccountCalls } from './account-lock.ts';
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
	readonly name: string;
	readonly rows: (PlainAdd['insert'] & { readonly id: string })[];
	bytes: number;
	/** Its number within the statement, from 1 on. */
	no: number;
}

/** What is added to an account. */
interface Plan {
	readonly accountId: string;
	readonly known: KnownAccount;
	readonly tables: ReadonlyMap<string, Added>;
	/** What each call adds to, and its result. */
	readonly calls: readonly (readonly [Added, result: string])[];
	readonly firstId: string;
	readonly lastId: string;
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
			return plan.calls.map(([{ no }, result]) => {
				if (applied.has(no)) return { results: [result], replayed: false };
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
		let firstId: string | undefined;
		let lastId = '';
		const moment = {
			now: clock,
			nextId: () => {
				lastId = known.ids.next(clock, random.next());
				firstId ??= lastId;
				return lastId;
			},
		};
		const tables = new Map<string, Added>();
		const done: [Added, string][] = [];
		for (const { call } of calls) {
			if (!covers(known, call)) return undefined;
			const add = this.#decide(call, moment);
			if (add === undefined) return undefined;
			const added = tables.get(call.table) ?? { name: call.table, rows: [], bytes: 0, no: 0 };
			tables.set(call.table, added);
			added.rows.push({ ...add.insert, id: lastId });
			added.bytes += add.insert.bytes;
			done.push([added, add.result]);
		}
		return { accountId, known, tables, calls: done, firstId: firstId!, lastId, clock };
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
		const accountIds: string[] = [];
		const epochs: number[] = [];
		const mostBytes: number[] = [];
		const firstIds: string[] = [];
		const lastIds: string[] = [];
		const clocks: number[] = [];
		const tablesOf: string[] = [];
		const names: string[] = [];
		const counts: number[] = [];
		const mostRows: number[] = [];
		const tableBytes: number[] = [];
		const rowsOf: number[] = [];
		const ids: string[] = [];
		const bytes: number[] = [];
		const texts: string[] = [];
		const entriesIn: number[] = [];
		const indexes: number[] = [];
		const keys: Uint8Array[] = [];
		const entryIds: string[] = [];
		let no = 0;
		for (const { accountId, known, tables, firstId, lastId, clock } of plans) {
			let accountBytes = 0;
			for (const added of tables.values()) {
				added.no = ++no;
				tablesOf.push(accountId);
				names.push(added.name);
				counts.push(added.rows.length);
				mostRows.push(asBigint(mostRowsBefore(added.rows.length, this.#limits)));
				tableBytes.push(added.bytes);
				accountBytes += added.bytes;
				for (const row of added.rows) {
					rowsOf.push(no);
					ids.push(row.id);
					bytes.push(row.bytes);
					texts.push(row.text);
					for (const { indexNo, key } of entriesOf(known.tables.get(added.name)!, row.id, row.text)) {
						entriesIn.push(no);
						indexes.push(indexNo);
						keys.push(key);
						entryIds.push(row.id);
					}
				}
			}
			accountIds.push(accountId);
			epochs.push(known.epoch);
			mostBytes.push(asBigint(mostBytesBefore(accountBytes, this.#limits)));
			firstIds.push(firstId);
			lastIds.push(lastId);
			clocks.push(clock);
		}
		const values = [
			...[array(accountIds), array(epochs), array(mostBytes), array(firstIds), array(lastIds), array(clocks)],
			...[array(tablesOf), names, array(counts), array(mostRows), array(tableBytes)],
			...[array(rowsOf), array(ids), array(bytes), texts],
		];
		if (keys.length === 0) return [WITHOUT_ENTRIES, values];
		return [WITH_ENTRIES, [...values, array(entriesIn), array(indexes), keys, array(entryIds)]];
	}
}

/**
 * An array of numbers or ids as PostgreSQL reads it (manual section 8.15.2). None of them needs quoting, which the driver would do
 * at several times the cost.
 */
function array(values: readonly (number | string)[]): string {
	return `{${values.join(',')}}`;
}

function covers({ tables, keys }: KnownAccount, { table, keyId }: RowsCall): boolean {
	return tables.has(table) && (keyId === undefined || keys.has(keyId));
}

/** No limit is more than any number that is stored. */
function asBigint(limit: number): number {
	return Math.min(limit, Number.MAX_SAFE_INTEGER);
}
