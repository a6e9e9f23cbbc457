import { IdSequence } from '../../domain/id.ts';
import { decidePlainAdd, isPlainAdd, mostBytesBefore, mostRowsBefore, type PlainAdd } from '../../domain/plain-adds.ts';
import { Refusal } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import { RandomBytes } from '../random-bytes.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import type { AccountCalls } from './account-lock.ts';
import type { Connections } from './connections.ts';
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
			JOIN pumadb.accounts a ON a.account_id = w.account_id
			WHERE a.epoch = w.epoch AND a.bytes <= w.most AND a.last_id < w.first_id AND a.clock <= w.clock
			ORDER BY a.account_id FOR NO KEY UPDATE OF a SKIP LOCKED),
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
			SELECT c.account_id, c.name, w.id, w.version, w.bytes, w.text
				FROM unnest($12::bigint[], $13::uuid[], $14::integer[], $15::integer[], $16::text[]) AS w (no, id, version, bytes, text)
				JOIN counted c USING (no)),
	entered AS (
		INSERT INTO pumadb.index_entries (account_id, index_no, key, id)
			SELECT c.account_id, w.index_no, w.key, w.id
				FROM unnest($17::bigint[], $18::integer[], $19::bytea[], $20::uuid[]) AS w (no, index_no, key, id)
				JOIN counted c USING (no))
	SELECT no FROM counted`;

/** One outcome a call; undefined where the call is to be decided under its account's lock. */
export type PlainOutcomes = ReadonlyMap<string, readonly (RowsOutcome | undefined)[]>;

/** What is added to a table. */
interface Added {
	readonly rows: (PlainAdd['insert'] & { readonly id: string })[];
	/** The calls' places among those of their account, with their results. */
	readonly results: (readonly [place: number, result: string])[];
	bytes: number;
}

/** What is added to an account. */
interface Plan {
	readonly accountId: string;
	readonly known: KnownAccount;
	readonly tables: ReadonlyMap<string, Added>;
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
	takes({ accountId, table, keyId, operations }: RowsCall): boolean {
		if (operations.length !== 1 || !isPlainAdd(operations[0]!)) return false;
		const known = this.#known.get(accountId);
		return known?.tables.has(table) === true && (keyId === undefined || known.keys.has(keyId));
	}

	/** @param group calls that were taken. @throws what {@link Connections.transaction} does */
	async run(group: readonly AccountCalls[]): Promise<PlainOutcomes> {
		const outcomes = new Map(
			group.map(({ accountId, calls }) => [
				accountId,
				new Array<RowsOutcome | undefined>(calls.length).fill(undefined),
			]),
		);
		const plans = group.map((calls) => this.#plan(calls)).filter((plan) => plan !== undefined);
		if (plans.length === 0) return outcomes;
		// The commit is on its way with the statement.
		const values = this.#valuesOf(plans);
		const { answer } = await this.#connections.transaction(async ({ ask }) => ({ answer: ask(SQL, values) }));
		const applied = new Set((await answer).rows.map(({ no }) => no as number));
		let no = 0;
		for (const { accountId, known, tables, lastId, clock } of plans) {
			known.lastId = lastId;
			known.clock = clock;
			for (const { results } of tables.values()) {
				if (!applied.has(++no)) this.#known.forget(accountId);
				else
					for (const [place, result] of results)
						outcomes.get(accountId)![place] = { results: [result], replayed: false };
			}
		}
		return outcomes;
	}

	/** @returns undefined where a call is refused, or less is known than when it was taken: then it is decided under the lock. */
	#plan({ accountId, calls }: AccountCalls): Plan | undefined {
		const known = this.#known.get(accountId);
		if (known === undefined || !calls.every(({ call }) => this.takes(call))) return undefined;
		const clock = Math.max(known.clock, ...calls.map(({ now }) => now));
		const ids = new IdSequence(known.lastId);
		let firstId: string | undefined;
		let lastId = known.lastId;
		const moment = {
			now: clock,
			nextId: () => {
				lastId = ids.next(clock, random.next());
				firstId ??= lastId;
				return lastId;
			},
		};
		const tables = new Map<string, Added>();
		try {
			for (const [place, { call }] of calls.entries()) {
				const { insert, result } = decidePlainAdd(call.operations[0]!, this.#limits, moment);
				const added = tables.get(call.table) ?? { rows: [], results: [], bytes: 0 };
				tables.set(call.table, added);
				added.results.push([place, result]);
				added.rows.push({ ...insert, id: lastId });
				added.bytes += insert.bytes;
			}
		} catch (error) {
			if (error instanceof Refusal) return undefined;
			throw error;
		}
		return { accountId, known, tables, firstId: firstId!, lastId, clock };
	}

	#valuesOf(plans: readonly Plan[]): unknown[][] {
		const accounts = columns(6);
		const counts = columns(5);
		const rows = columns(5);
		const entries = columns(4);
		let no = 0;
		for (const { accountId, known, tables, firstId, lastId, clock } of plans) {
			let accountBytes = 0;
			for (const [name, added] of tables) {
				no++;
				accountBytes += added.bytes;
				const most = asBigint(mostRowsBefore(added.rows.length, this.#limits));
				push(counts, accountId, name, added.rows.length, most, added.bytes);
				for (const { id, version, bytes, text } of added.rows) {
					push(rows, no, id, version, bytes, text);
					for (const { indexNo, key } of entriesOf(known.tables.get(name)!, id, text))
						push(entries, no, indexNo, key, id);
				}
			}
			const most = asBigint(mostBytesBefore(accountBytes, this.#limits));
			push(accounts, accountId, known.epoch, most, firstId, lastId, clock);
		}
		return [...accounts, ...counts, ...rows, ...entries];
	}
}

function columns(count: number): unknown[][] {
	return Array.from({ length: count }, () => []);
}

function push(to: unknown[][], ...values: unknown[]): void {
	for (const [i, value] of values.entries()) to[i]!.push(value);
}

/** No limit is more than any number that is stored. */
function asBigint(limit: number): number {
	return Math.min(limit, Number.MAX_SAFE_INTEGER);
}
