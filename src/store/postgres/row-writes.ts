import { IdSequence, isRowId } from '../../domain/id.ts';
import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { identityOf } from '../../domain/row.ts';
import { rowKey } from '../../domain/value.ts';
import {
	type ArchivedRow,
	archiveOverflow,
	type Change,
	decide,
	type KeptAnswer,
	type Loaded,
	lastUnkeptVersion,
	type Moment,
	needs,
	needsRoom,
	type RowOperation,
	requireAnswerFits,
	type StoredRow,
	storedBytes,
	type Usage,
	usageAfter,
	versionsKeptSince,
} from '../../domain/writes.ts';
import { Refusal } from '../../errors.ts';
import { KEPT_ANSWER_MS, KEPT_ANSWER_PROTECTED_MS, type WriteLimits } from '../../limits.ts';
import { RandomBytes } from '../random-bytes.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import { Changes } from './changes.ts';
import type { Transaction } from './connections.ts';
import type { Finder, FoundRow } from './finder.ts';

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

/** One outcome a call; undefined where the account's row was locked by somebody else. */
export type GroupOutcomes = ReadonlyMap<string, readonly RowsOutcome[] | undefined>;

export interface RowWritesOptions {
	readonly limits: WriteLimits;
	readonly finder: Finder;
}

/** An account whose row is locked, as the group changes it. */
interface Account {
	readonly id: string;
	/** Never before the account's last write, whatever this node's clock says. */
	readonly now: number;
	readonly ids: IdSequence;
	readonly tables: Map<string, Table>;
	lastId: string | null;
	seq: number;
	usage: Omit<Usage, 'tableRows'>;
	changed: boolean;
}

interface Table {
	readonly name: string;
	readonly indexes: readonly Definition[];
	rows: number;
	changed: boolean;
}

interface Definition {
	readonly indexNo: number;
	readonly members: readonly string[];
	/** Entries exist for rows up to this id; null once all have them. */
	readonly builtThrough: string | null;
}

/** What was loaded of the database for one operation, beside what the account's row says. */
type Found = Pick<Loaded, 'rows' | 'matched' | 'archived'>;

const NOTHING: Found = { rows: [], matched: 0 };
const random = new RandomBytes();
/** Archived things looked at in one step of making room. */
const GIVE_UP_AT_ONCE = 100;

/** May a call share a transaction with calls of other accounts? Those that may have to be taken back in the middle may not. */
export function mayShare({ operations }: RowsCall): boolean {
	return operations.length === 1 || operations.every(({ action }) => action === 'add');
}

/**
 * Loads, decides and applies a group of calls inside one transaction. It locks the rows of their accounts, in order of id, so
 * that no two groups wait for each other. What an operation needs is asked for together with sending what those before it changed.
 */
export class RowWrites {
	readonly #limits: WriteLimits;
	readonly #finder: Finder;

	constructor({ limits, finder }: RowWritesOptions) {
		this.#limits = limits;
		this.#finder = finder;
	}

	/** @param skipLocked leave accounts out that are locked, rather than wait for them. */
	async run(transaction: Transaction, group: readonly AccountCalls[], skipLocked: boolean): Promise<GroupOutcomes> {
		const locked = lock(transaction, group, skipLocked);
		const changes = new Changes();
		const runs = group.map(
			({ accountId, calls }) =>
				new AccountRun(
					accountId,
					calls,
					transaction,
					changes,
					this.#limits,
					this.#finder,
					group.length === 1 && calls.length === 1,
				),
		);
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
		return new Map(runs.map(({ accountId, outcomes, missing }) => [accountId, missing ? undefined : outcomes]));
	}
}

/** Locks the accounts' rows and reads them with the tables that the calls write. */
async function lock(
	{ ask }: Transaction,
	group: readonly AccountCalls[],
	skipLocked: boolean,
): Promise<ReadonlyMap<string, Account>> {
	const tables = group.flatMap(({ accountId, calls }) =>
		[...new Set(calls.map(({ call }) => call.table))].map((table) => [accountId, table] as const),
	);
	const [accountRows, tableRows] = await Promise.all([
		ask(
			`SELECT account_id, tables, bytes, version_bytes, kept_bytes, last_id, seq, clock FROM pumadb.accounts
				WHERE account_id = ANY($1::text[]) ORDER BY account_id FOR UPDATE ${skipLocked ? 'SKIP LOCKED' : ''}`,
			[group.map(({ accountId }) => accountId)],
		),
		ask(
			`SELECT w.account_id, w.name, t.rows, (SELECT json_agg(json_build_array(i.index_no, i.members, i.built_through))
					FROM pumadb.member_indexes i WHERE i.account_id = w.account_id AND i.table_name = w.name AND i.state <> 'dropping') AS indexes
				FROM unnest($1::text[], $2::text[]) AS w (account_id, name)
				LEFT JOIN pumadb.tables t ON t.account_id = w.account_id AND t.name = w.name`,
			[tables.map(([accountId]) => accountId), tables.map(([, table]) => table)],
		),
	]);
	const accounts = new Map<string, Account>();
	for (const row of accountRows.rows) {
		const calls = group.find(({ accountId }) => accountId === row.account_id)!.calls;
		accounts.set(row.account_id, {
			id: row.account_id,
			now: Math.max(row.clock, ...calls.map(({ now }) => now)),
			ids: new IdSequence(row.last_id ?? undefined),
			tables: new Map(),
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

/** Runs the calls of one account within a group. */
class AccountRun {
	readonly accountId: string;
	readonly outcomes: RowsOutcome[] = [];
	missing = false;
	readonly #calls: readonly TimedCall[];
	readonly #transaction: Transaction;
	readonly #changes: Changes;
	readonly #limits: WriteLimits;
	readonly #finder: Finder;
	/** The transaction has this one call, so all of it may be taken back. */
	readonly #alone: boolean;
	#account: Account | undefined;
	/** The call and, within it, the operation that are next. */
	#call = 0;
	#operation = 0;
	#results: string[] = [];
	#characters = 0;
	#replayed = false;
	/** Some of what the call changed was sent. */
	#sent = false;
	/** How things stood when the call began. */
	#before: { mark: ReturnType<Changes['mark']>; usage: Account['usage']; rows: number } | undefined;
	/** What was asked for the next operation; undefined where the next is an add. */
	#found: Promise<Found> | undefined;
	/** Kept answers under the keys of the adds from here on: the operation and those after it, as far as they are adds. */
	#kept: Promise<ReadonlyMap<string, Kept>> | undefined;

	constructor(
		accountId: string,
		calls: readonly TimedCall[],
		transaction: Transaction,
		changes: Changes,
		limits: WriteLimits,
		finder: Finder,
		alone: boolean,
	) {
		this.accountId = accountId;
		this.#calls = calls;
		this.#transaction = transaction;
		this.#changes = changes;
		this.#limits = limits;
		this.#finder = finder;
		this.#alone = alone;
	}

	get done(): boolean {
		return this.missing || this.#call === this.#calls.length;
	}

	/** @param account undefined where it was not locked: it is locked elsewhere, or gone. */
	locked(account: Account | undefined): void {
		this.#account = account;
		this.missing = account === undefined;
	}

	/** Asks for what the next operation needs, and the adds that follow it. */
	load(): void {
		if (this.done) return;
		const { call } = this.#calls[this.#call]!;
		const next = call.operations[this.#operation]!;
		this.#found = next.action === 'add' ? undefined : this.#find(call, next);
		this.#found?.catch(() => {});
		const keys: string[] = [];
		const tables: string[] = [];
		for (const { operation, table } of this.#upcoming(next.action !== 'add')) {
			if (operation.idempotency === undefined) continue;
			tables.push(table);
			keys.push(operation.idempotency.key);
		}
		this.#kept = keys.length === 0 ? undefined : this.#keptAnswers(tables, keys);
		this.#kept?.catch(() => {});
	}

	/** Decides the next operation, and the adds that follow it: those need nothing that changes before them could change. */
	async decide(): Promise<void> {
		if (this.done) return;
		const found = await this.#found;
		const kept = (await this.#kept) ?? new Map<string, Kept>();
		for (let first = true; !this.done; first = false) {
			const { call } = this.#calls[this.#call]!;
			const operation = call.operations[this.#operation]!;
			if (operation.action !== 'add' && !first) return;
			await this.#decideOne(call, operation, first && found !== undefined ? found : NOTHING, kept as Map<string, Kept>);
		}
	}

	/** Adds what the account's own rows say now to the changes. */
	save(): void {
		const account = this.#account;
		if (account === undefined || !account.changed) return;
		for (const table of account.tables.values()) {
			if (table.changed) this.#changes.add('saveTable', account.id, table.name, table.rows);
		}
		const { tables, bytes, versionBytes, keptBytes } = account.usage;
		this.#changes.add(
			'saveAccount',
			account.id,
			tables,
			bytes,
			versionBytes,
			keptBytes,
			account.lastId,
			account.seq,
			account.now,
		);
	}

	*#upcoming(skipFirst: boolean): Generator<{ operation: Extract<RowOperation, { action: 'add' }>; table: string }> {
		let skip = skipFirst;
		for (let call = this.#call; call < this.#calls.length; call++) {
			const { operations, table } = this.#calls[call]!.call;
			for (let at = call === this.#call ? this.#operation : 0; at < operations.length; at++) {
				const operation = operations[at]!;
				if (skip) skip = false;
				else if (operation.action !== 'add') return;
				else yield { operation, table };
			}
		}
	}

	async #find(call: RowsCall, operation: RowOperation): Promise<Found> {
		const need = needs(operation);
		const { ask } = this.#transaction;
		const { maxVersionsPerRow } = this.#limits;
		const archived = need.archived === undefined ? undefined : this.#archived(call, need.archived);
		if (need.match !== undefined) {
			return this.#finder.find(ask, call, need.match, need.matchLimit ?? Number.POSITIVE_INFINITY, maxVersionsPerRow);
		}
		if (need.id === undefined) return NOTHING;
		const row = this.#finder.byId(ask, call, need.id, maxVersionsPerRow);
		row.catch(() => {});
		archived?.catch(() => {});
		const live = await row;
		const rows = live === undefined ? [] : [live];
		return { rows, matched: rows.length, archived: await archived };
	}

	/** The version, if it is there. Whether it is still kept is known once the account's clock is: see {@link #decideOne}. */
	async #archived(
		{ accountId, table }: RowsCall,
		{ id, version }: { id: string; version: number },
	): Promise<ArchivedRow | undefined> {
		if (!isRowId(id) || !Number.isSafeInteger(version) || version > 0x7fff_ffff) return undefined;
		const { rows } = await this.#transaction.ask(
			`SELECT v.text, v.archived_at, (SELECT max(n.version) FROM pumadb.versions n
					WHERE n.account_id = v.account_id AND n.table_name = v.table_name AND n.id = v.id) AS newest
				FROM pumadb.versions v WHERE v.account_id = $1 AND v.table_name = $2 AND v.id = $3 AND v.version = $4`,
			[accountId, table, id, version],
		);
		if (rows[0] === undefined) return undefined;
		const { text, newest, archived_at: archivedAt } = rows[0];
		if (version <= lastUnkeptVersion(newest, this.#limits)) return undefined;
		return { place: 0, text, newest, archivedAt } as ArchivedRow & { archivedAt: string };
	}

	async #keptAnswers(tables: readonly string[], keys: readonly string[]): Promise<ReadonlyMap<string, Kept>> {
		const { rows } = await this.#transaction.ask(
			`SELECT k.table_name, k.key, k.fingerprint, k.created_at, k.bytes, k.answer
				FROM unnest($2::text[], $3::text[]) AS w (table_name, key)
				JOIN pumadb.kept_answers k ON k.account_id = $1 AND k.table_name = w.table_name AND k.key = w.key`,
			[this.accountId, tables, keys],
		);
		return new Map(
			rows.map(({ table_name: table, key, fingerprint, created_at: createdAt, bytes, answer }) => [
				keptName(table, key),
				{ fingerprint, createdAt, bytes, answer },
			]),
		);
	}

	async #decideOne(call: RowsCall, operation: RowOperation, found: Found, kept: Map<string, Kept>): Promise<void> {
		const account = this.#account!;
		const table = account.tables.get(call.table)!;
		this.#before ??= { mark: this.#changes.mark(), usage: account.usage, rows: table.rows };
		try {
			const loaded: Loaded = {
				...found,
				archived: this.#stillKept(found.archived, account.now),
				usage: { ...account.usage, tableRows: table.rows },
				kept: keptFor(operation, call.table, kept, account.now),
				oldKeptBytes: await this.#oldKeptBytes(operation, account, table),
			};
			const decision = decide(operation, loaded, this.#limits, this.#moment(account));
			this.#characters += decision.result.length;
			requireAnswerFits(this.#characters);
			for (const change of decision.changes) this.#apply(call.table, change, account, table, kept);
			await this.#shrinkArchive(account);
			this.#results.push(decision.result);
			this.#replayed = decision.replayed;
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			this.#refused(call, error, account, table);
			return;
		}
		if (++this.#operation < call.operations.length) return;
		this.#finish({ results: this.#results, replayed: this.#replayed });
	}

	#finish(outcome: RowsOutcome): void {
		this.outcomes.push(outcome);
		this.#call++;
		this.#operation = 0;
		this.#results = [];
		this.#characters = 0;
		this.#before = undefined;
	}

	#refused(call: RowsCall, { code, message, details }: Refusal, account: Account, table: Table): void {
		const outcome = { refusal: { code, message, details }, index: this.#operation };
		if (call.operations.length > 1) {
			// What was sent goes with the whole transaction; of adds nothing was.
			if (!mayShare(call) || this.#sent) throw new TakenBack(outcome);
			this.#changes.takeBack(this.#before!.mark);
			account.usage = this.#before!.usage;
			table.rows = this.#before!.rows;
		}
		this.#finish(outcome);
	}

	#stillKept(archived: ArchivedRow | undefined, now: number): ArchivedRow | undefined {
		if (archived === undefined) return undefined;
		const { archivedAt } = archived as ArchivedRow & { archivedAt: string };
		return archivedAt >= versionsKeptSince(this.#limits, now) ? archived : undefined;
	}

	async #oldKeptBytes(operation: RowOperation, account: Account, table: Table): Promise<number | undefined> {
		if (!needsRoom(operation, { ...account.usage, tableRows: table.rows }, this.#limits)) return undefined;
		this.#sendNow();
		const { rows } = await this.#transaction.ask(
			'SELECT coalesce(sum(bytes), 0) AS bytes FROM pumadb.kept_answers WHERE account_id = $1 AND created_at <= $2',
			[account.id, account.now - KEPT_ANSWER_PROTECTED_MS],
		);
		return Number(rows[0].bytes);
	}

	#moment(account: Account): Moment {
		return {
			now: account.now,
			nextId: () => {
				account.lastId = account.ids.next(account.now, random.next());
				return account.lastId;
			},
		};
	}

	#apply(tableName: string, change: Change, account: Account, table: Table, kept: Map<string, Kept>): void {
		account.changed = true;
		table.changed = true;
		switch (change.kind) {
			case 'insert': {
				const { id } = identityOf(change.text);
				this.#changes.add('insertRow', account.id, tableName, id, change.version, change.bytes, change.text);
				this.#index(account, table, id, undefined, change.text);
				break;
			}
			case 'update': {
				const { row, text, bytes, at } = change;
				const { id } = identityOf(row.text);
				this.#changes.add('updateRow', account.id, tableName, id, row.version + 1, bytes, text);
				this.#index(account, table, id, row.text, text);
				this.#archive(account, tableName, row, id, at, false);
				break;
			}
			case 'delete': {
				const { row, at } = change;
				const { id } = identityOf(row.text);
				this.#changes.add('deleteRow', account.id, tableName, id);
				this.#index(account, table, id, row.text, undefined);
				this.#archive(account, tableName, row, id, at, true);
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
	#index(account: Account, table: Table, id: string, before: string | undefined, after: string | undefined): void {
		if (table.indexes.length === 0) return;
		const old = before === undefined ? undefined : (parseJson(before) as JsonObject);
		const fresh = after === undefined ? undefined : (parseJson(after) as JsonObject);
		for (const { indexNo, members, builtThrough } of table.indexes) {
			if (builtThrough !== null && id > builtThrough) continue;
			const oldKey = old === undefined ? undefined : rowKey(old, members);
			const freshKey = fresh === undefined ? undefined : rowKey(fresh, members);
			if (oldKey !== undefined && freshKey !== undefined && Buffer.compare(oldKey, freshKey) === 0) continue;
			if (oldKey !== undefined) this.#changes.add('dropEntry', account.id, indexNo, oldKey, id);
			if (freshKey !== undefined) this.#changes.add('putEntry', account.id, indexNo, freshKey, id);
		}
	}

	#archive(account: Account, tableName: string, row: StoredRow, id: string, at: string, deleted: boolean): void {
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

	async #shrinkArchive(account: Account): Promise<void> {
		const overflow = archiveOverflow({ ...account.usage, tableRows: 0 }, this.#limits, account.now);
		if (overflow === undefined) return;
		this.#sendNow();
		const { bytes, keptBefore } = overflow;
		const freedVersions = await this.#giveUp(account.id, 'versions', bytes, undefined);
		const freedKept =
			freedVersions >= bytes ? 0 : await this.#giveUp(account.id, 'kept_answers', bytes - freedVersions, keptBefore);
		const { versionBytes, keptBytes } = account.usage;
		account.usage = {
			...account.usage,
			versionBytes: versionBytes - freedVersions,
			keptBytes: keptBytes - freedKept,
		};
	}

	/** Removes the oldest until so many bytes are free or nothing is left that may go. @returns the bytes freed. */
	async #giveUp(
		accountId: string,
		from: 'versions' | 'kept_answers',
		bytes: number,
		before: number | undefined,
	): Promise<number> {
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

	/** Sends what waits, so that it is there for what is asked next. What was sent can only be taken back as a whole. */
	#sendNow(): void {
		const several = this.#calls[this.#call]!.call.operations.length > 1;
		if (several && !this.#alone) throw new NeedsAlone();
		this.#sent ||= several;
		this.#changes.send(this.#transaction);
	}
}

interface Kept extends KeptAnswer {
	/** Milliseconds since the epoch. */
	readonly createdAt: number;
	readonly bytes: number;
}

function keptName(table: string, key: string): string {
	return `${table}/${key}`;
}

function keptFor(
	operation: RowOperation,
	table: string,
	kept: ReadonlyMap<string, Kept>,
	now: number,
): Kept | undefined {
	if (operation.action !== 'add' || operation.idempotency === undefined) return undefined;
	const found = kept.get(keptName(table, operation.idempotency.key));
	return found !== undefined && found.createdAt > now - KEPT_ANSWER_MS ? found : undefined;
}

/** A batch was refused after some of it was sent: its whole transaction is to be taken back, and this is its outcome. */
export class TakenBack extends Error {
	readonly outcome: RowsOutcome;

	constructor(outcome: RowsOutcome) {
		super('A batch was refused.');
		this.outcome = outcome;
	}
}

/** A call of several operations turned out to need a transaction of its own. */
export class NeedsAlone extends Error {}
