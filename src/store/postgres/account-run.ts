import { isRowId } from '../../domain/id.ts';
import { Together } from '../../domain/together.ts';
import {
	type ArchivedRow,
	archiveOverflow,
	decide,
	type Loaded,
	lastUnkeptVersion,
	type Moment,
	needs,
	needsRoom,
	type RowOperation,
	requireAnswerFits,
	versionsKeptSince,
} from '../../domain/writes.ts';
import { Refusal } from '../../errors.ts';
import { KEPT_ANSWER_MS, KEPT_ANSWER_PROTECTED_MS, type WriteLimits } from '../../limits.ts';
import { RandomBytes } from '../random-bytes.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import { AccountChanges, type Kept, keptName } from './account-changes.ts';
import type { Account, AccountCalls, Table, TimedCall } from './account-lock.ts';
import type { Changes } from './changes.ts';
import type { Transaction } from './connections.ts';
import type { Finder } from './finder.ts';
import { keyEnded } from './live-keys.ts';

/** What the calls of a group have in common. */
export interface Shared {
	readonly transaction: Transaction;
	readonly changes: Changes;
	readonly limits: WriteLimits;
	readonly finder: Finder;
	/** The transaction has one call, so all of it may be taken back. */
	readonly alone: boolean;
}

/** What was loaded of the database for one operation, beside what the account's row says. */
type Found = Pick<Loaded, 'rows' | 'matched' | 'archived'>;

const NOTHING: Found = { rows: [], matched: 0 };
/** Operations whose rows are loaded at once; adds load none. */
const MAX_LOADED = 50;
const random = new RandomBytes();

/** May a call share a transaction with calls of other accounts? Those that may have to be taken back in the middle may not. */
export function mayShare({ operations }: RowsCall): boolean {
	return operations.length === 1 || operations.every(({ action }) => action === 'add');
}

/** Runs the calls of one account within a group: load, decide, and so on to the end, then save. */
export class AccountRun {
	readonly accountId: string;
	readonly outcomes: RowsOutcome[] = [];
	missing = false;
	readonly #calls: readonly TimedCall[];
	readonly #shared: Shared;
	#account: Account | undefined;
	#effects: AccountChanges | undefined;
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
	/** What was asked for the next operations, one by one. */
	#found: (Promise<Found> | Found)[] = [];
	/** Kept answers under the keys of the adds among them. */
	#kept: Promise<Map<string, Kept>> | undefined;
	/** What was loaded for operations that are still to be decided no longer holds. */
	#stale = false;

	constructor({ accountId, calls }: AccountCalls, shared: Shared) {
		this.accountId = accountId;
		this.#calls = calls;
		this.#shared = shared;
	}

	get done(): boolean {
		return this.missing || this.#call === this.#calls.length;
	}

	/** @param account undefined where it was not locked: it is locked elsewhere, or gone. */
	locked(account: Account | undefined): void {
		this.#account = account;
		this.missing = account === undefined;
		if (account === undefined) return;
		const { changes, transaction, limits } = this.#shared;
		this.#effects = new AccountChanges(account, changes, transaction, limits);
	}

	/** Asks for what the next operation needs, and those after it that may be loaded with it. */
	load(): void {
		if (this.done) return;
		const together = new Together();
		const keys: string[] = [];
		const tables: string[] = [];
		let loaded = 0;
		for (const { operation, call } of this.#upcoming()) {
			if (loaded === MAX_LOADED || !together.takes(call.table, operation)) break;
			if (operation.action !== 'add') {
				loaded++;
				const found = this.#find(call, operation);
				found.catch(() => {});
				this.#found.push(found);
				continue;
			}
			this.#found.push(NOTHING);
			if (operation.idempotency === undefined) continue;
			tables.push(call.table);
			keys.push(operation.idempotency.key);
		}
		this.#kept = keys.length === 0 ? undefined : this.#keptAnswers(tables, keys);
		this.#kept?.catch(() => {});
	}

	/** Decides the operations that were loaded for. */
	async decide(): Promise<void> {
		const found = this.#found;
		this.#found = [];
		// Everything, so that nothing is asked of the connection any more once the transaction goes on, or ends.
		await Promise.allSettled(found);
		const kept = (await this.#kept) ?? new Map<string, Kept>();
		this.#stale = false;
		for (const one of found) {
			if (this.done || this.#stale) return;
			const { call } = this.#calls[this.#call]!;
			if (call.keyId !== undefined && !this.#account!.keys.get(call.keyId)) this.#refuseCall(call);
			else await this.#decideOne(call, call.operations[this.#operation]!, await one, kept);
		}
	}

	/** Adds what the account's own rows say now to the changes. */
	save(): void {
		this.#effects?.save();
	}

	*#upcoming(): Generator<{ operation: RowOperation; call: RowsCall }> {
		for (let at = this.#call; at < this.#calls.length; at++) {
			const { call } = this.#calls[at]!;
			const { operations } = call;
			for (let n = at === this.#call ? this.#operation : 0; n < operations.length; n++) {
				yield { operation: operations[n]!, call };
			}
		}
	}

	async #find(call: RowsCall, operation: RowOperation): Promise<Found> {
		const need = needs(operation);
		const { transaction, finder, limits } = this.#shared;
		const { ask } = transaction;
		const { maxVersionsPerRow } = limits;
		const archived = need.archived === undefined ? undefined : this.#archived(call, need.archived);
		if (need.match !== undefined) {
			return finder.find(ask, call, need.match, need.matchLimit ?? Number.POSITIVE_INFINITY, maxVersionsPerRow);
		}
		if (need.id === undefined) return NOTHING;
		const row = finder.byId(ask, call, need.id, maxVersionsPerRow);
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
		const { rows } = await this.#shared.transaction.ask(
			`SELECT v.text, v.archived_at, (SELECT max(n.version) FROM pumadb.versions n
					WHERE n.account_id = v.account_id AND n.table_name = v.table_name AND n.id = v.id) AS newest
				FROM pumadb.versions v WHERE v.account_id = $1 AND v.table_name = $2 AND v.id = $3 AND v.version = $4`,
			[accountId, table, id, version],
		);
		if (rows[0] === undefined) return undefined;
		const { text, newest, archived_at: archivedAt } = rows[0];
		if (version <= lastUnkeptVersion(newest, this.#shared.limits)) return undefined;
		return { place: 0, text, newest, archivedAt } as ArchivedRow & { archivedAt: string };
	}

	async #keptAnswers(tables: readonly string[], keys: readonly string[]): Promise<Map<string, Kept>> {
		const { rows } = await this.#shared.transaction.ask(
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
		const { changes, limits } = this.#shared;
		this.#before ??= { mark: changes.mark(), usage: account.usage, rows: table.rows };
		try {
			const loaded: Loaded = {
				...found,
				archived: this.#stillKept(found.archived, account.now),
				usage: { ...account.usage, tableRows: table.rows },
				kept: keptFor(operation, call.table, kept, account.now),
				oldKeptBytes: await this.#oldKeptBytes(operation, account, table),
			};
			const decision = decide(operation, loaded, limits, momentOf(account));
			this.#characters += decision.result.length;
			requireAnswerFits(this.#characters);
			for (const change of decision.changes) this.#effects!.apply(table, change, kept);
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

	/** Its key has ended: nothing of it is decided. */
	#refuseCall({ operations }: RowsCall): void {
		const { code, message } = keyEnded();
		this.#stale = operations.length > 1;
		this.#finish({ refusal: { code, message } });
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
			this.#shared.changes.takeBack(this.#before!.mark);
			account.usage = this.#before!.usage;
			table.rows = this.#before!.rows;
			// The operations that follow in this call are not decided any more.
			this.#stale = true;
		}
		this.#finish(outcome);
	}

	#stillKept(archived: ArchivedRow | undefined, now: number): ArchivedRow | undefined {
		if (archived === undefined) return undefined;
		const { archivedAt } = archived as ArchivedRow & { archivedAt: string };
		return archivedAt >= versionsKeptSince(this.#shared.limits, now) ? archived : undefined;
	}

	async #oldKeptBytes(operation: RowOperation, account: Account, table: Table): Promise<number | undefined> {
		if (!needsRoom(operation, { ...account.usage, tableRows: table.rows }, this.#shared.limits)) return undefined;
		this.#sendNow();
		const { rows } = await this.#shared.transaction.ask(
			'SELECT coalesce(sum(bytes), 0) AS bytes FROM pumadb.kept_answers WHERE account_id = $1 AND created_at <= $2',
			[account.id, account.now - KEPT_ANSWER_PROTECTED_MS],
		);
		return Number(rows[0].bytes);
	}

	async #shrinkArchive(account: Account): Promise<void> {
		const overflow = archiveOverflow({ ...account.usage, tableRows: 0 }, this.#shared.limits, account.now);
		if (overflow === undefined) return;
		this.#sendNow();
		// Versions go that operations to come may have been loaded with.
		this.#stale = true;
		const { bytes, keptBefore } = overflow;
		const effects = this.#effects!;
		const freedVersions = await effects.giveUp('versions', bytes, undefined);
		const freedKept =
			freedVersions >= bytes ? 0 : await effects.giveUp('kept_answers', bytes - freedVersions, keptBefore);
		const { versionBytes, keptBytes } = account.usage;
		account.usage = {
			...account.usage,
			versionBytes: versionBytes - freedVersions,
			keptBytes: keptBytes - freedKept,
		};
	}

	/** Sends what waits, so that it is there for what is asked next. What was sent can only be taken back as a whole. */
	#sendNow(): void {
		const several = this.#calls[this.#call]!.call.operations.length > 1;
		if (several && !this.#shared.alone) throw new NeedsAlone();
		this.#sent ||= several;
		this.#shared.changes.send(this.#shared.transaction);
	}
}

function momentOf(account: Account): Moment {
	return {
		now: account.now,
		nextId: () => {
			account.lastId = account.ids.next(account.now, random.next());
			return account.lastId;
		},
	};
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
