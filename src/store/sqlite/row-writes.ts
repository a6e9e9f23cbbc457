import { IdSequence, isRowId } from '../../domain/id.ts';
import { identityOf } from '../../domain/row.ts';
import {
	type ArchivedRow,
	archiveOverflow,
	type Change,
	type Decision,
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
import { BatchLookup } from './batch-lookup.ts';
import type { Database, Statement } from './driver.ts';
import { Finder, type IndexHints } from './finder.ts';
import { idBytes } from './ids.ts';
import type { MemberIndexes } from './member-indexes.ts';

/** What a call works on, as its operations change it. */
interface State {
	readonly accountNo: number;
	readonly table: TableState;
	/** Undefined for a call of one operation. */
	readonly lookup: BatchLookup | undefined;
	usage: Usage;
}

interface TableState {
	/** 0 until the table's first row. */
	no: number;
	rows: number;
}

/**
 * Loads, decides and applies writes of rows, inside the transaction that the writer holds open. A call of several operations
 * has a savepoint of its own: a refused one takes back only itself.
 */
export class RowWrites {
	readonly #db: Database;
	readonly #limits: WriteLimits;
	readonly #indexes: MemberIndexes;
	readonly #finder: Finder;
	readonly #sql: Readonly<Record<keyof typeof SQL, Statement>>;
	readonly #ids: IdSequence;
	readonly #random = new RandomBytes();
	#place: number;
	#lastId: string | null;
	#sequenceChanged = false;

	constructor(db: Database, limits: WriteLimits, indexes: MemberIndexes, hints: IndexHints, clock: () => number) {
		this.#db = db;
		this.#limits = limits;
		this.#indexes = indexes;
		this.#finder = new Finder(db, hints, clock);
		this.#sql = Object.fromEntries(Object.entries(SQL).map(([name, sql]) => [name, db.prepare(sql)])) as Record<
			keyof typeof SQL,
			Statement
		>;
		const sequence = db.prepare('SELECT place, row_id FROM sequence').get()!;
		this.#place = sequence.place as number;
		this.#lastId = sequence.row_id as string | null;
		this.#ids = new IdSequence(this.#lastId ?? undefined);
	}

	/** Runs one call. Never leaves anything of a refused call behind. */
	run(call: RowsCall, now: number): RowsOutcome {
		const { operations } = call;
		// An operation is refused before it changes anything, so only those before it have to be taken back.
		const several = operations.length > 1;
		if (several) this.#db.exec('SAVEPOINT call');
		let index = 0;
		try {
			const state = this.#loadAccount(call, several ? new BatchLookup(operations) : undefined);
			const before = state.usage;
			const results: string[] = [];
			let replayed = false;
			let characters = 0;
			for (; index < operations.length; index++) {
				const decision = this.#decide(call, operations[index]!, state, now);
				characters += decision.result.length;
				requireAnswerFits(characters);
				for (const change of decision.changes) this.#apply(call, change, state, now);
				this.#shrinkArchive(call.accountId, state, now);
				results.push(decision.result);
				replayed = decision.replayed;
			}
			this.#saveAccount(before, state);
			if (several) this.#db.exec('RELEASE call');
			return { results, replayed };
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			if (several) this.#db.exec('ROLLBACK TO call; RELEASE call');
			return { refusal: { code: error.code, message: error.message, details: error.details }, index };
		}
	}

	/** Writes down the ids and places given out since the last commit. */
	saveSequence(): void {
		if (!this.#sequenceChanged) return;
		this.#sql.saveSequence.run(this.#place, this.#lastId);
		this.#sequenceChanged = false;
	}

	/** After a rollback, what was given out stays given out; it only has to be written down again. */
	rolledBack(): void {
		this.#sequenceChanged = true;
	}

	#loadAccount(call: RowsCall, lookup: BatchLookup | undefined): State {
		const row = this.#sql.account.get(call.table, call.accountId);
		if (row === undefined) {
			throw new Refusal('invalid_api_key', 'The account of this API key was erased. Sign in again to make a new one.');
		}
		const table = { no: (row.table_no as number | null) ?? 0, rows: (row.rows as number | null) ?? 0 };
		return {
			accountNo: row.account_no as number,
			table,
			lookup,
			usage: {
				tables: row.tables as number,
				tableRows: table.rows,
				bytes: row.bytes as number,
				versionBytes: row.version_bytes as number,
				keptBytes: row.kept_bytes as number,
			},
		};
	}

	#saveAccount(before: Usage, { accountNo, usage, table }: State): void {
		if (usage === before) return;
		if (usage.tableRows !== table.rows) this.#sql.saveRowCount.run(usage.tableRows, table.no);
		this.#sql.saveUsage.run(usage.tables, usage.bytes, usage.versionBytes, usage.keptBytes, accountNo);
	}

	#decide(call: RowsCall, operation: RowOperation, state: State, now: number): Decision {
		return decide(operation, this.#load(call, operation, state, now), this.#limits, this.#moment(now));
	}

	#load(call: RowsCall, operation: RowOperation, { usage, table, lookup }: State, now: number): Loaded {
		const need = needs(operation);
		let rows: readonly StoredRow[] = [];
		let matched = 0;
		let kept: KeptAnswer | undefined;
		let archived: ArchivedRow | undefined;
		if (need.match !== undefined && table.no !== 0) {
			({ rows, matched } = this.#finder.find(
				table.no,
				usage.tableRows,
				need.match,
				need.matchLimit ?? Number.POSITIVE_INFINITY,
				lookup,
			));
		}
		if (need.id !== undefined && table.no !== 0) {
			const row = this.#finder.byId(table.no, need.id);
			if (row !== undefined) rows = [row];
			matched = rows.length;
		}
		if (need.kept !== undefined && table.no !== 0) {
			kept = this.#sql.kept.get(table.no, need.kept, now - KEPT_ANSWER_MS) as unknown as KeptAnswer | undefined;
		}
		if (need.archived !== undefined && table.no !== 0) {
			archived = this.#archived(table.no, need.archived.id, need.archived.version, now);
		}
		const oldKeptBytes = needsRoom(operation, usage, this.#limits)
			? (this.#sql.oldKeptBytes.get(call.accountId, now - KEPT_ANSWER_PROTECTED_MS)!.bytes as number)
			: undefined;
		return { usage, rows, matched, kept, archived, oldKeptBytes };
	}

	#archived(tableNo: number, id: string, version: number, now: number): ArchivedRow | undefined {
		if (!isRowId(id)) return undefined;
		const bytes = idBytes(id);
		const newest = (this.#sql.newestVersion.get(tableNo, bytes)?.version as number | null | undefined) ?? 0;
		if (version <= lastUnkeptVersion(newest, this.#limits)) return undefined;
		const row = this.#sql.version.get(tableNo, bytes, version, versionsKeptSince(this.#limits, now));
		return row === undefined ? undefined : { place: row.place as number, text: row.text as string, newest };
	}

	#moment(now: number): Moment {
		return {
			now,
			nextId: () => {
				this.#lastId = this.#ids.next(now, this.#random.next());
				this.#sequenceChanged = true;
				return this.#lastId;
			},
		};
	}

	#apply(call: RowsCall, change: Change, state: State, now: number): void {
		const { table, lookup } = state;
		switch (change.kind) {
			case 'insert': {
				const place = this.#insert(call, change, table);
				lookup?.rowChanged(place, undefined, change.text);
				break;
			}
			case 'update': {
				const { row } = change;
				const { id } = identityOf(row.text);
				this.#sql.update.run(row.version + 1, change.bytes, change.text, row.place);
				this.#indexes.rowChanged(table.no, row.place, id, row.text, change.text);
				lookup?.rowChanged(row.place, row.text, change.text);
				this.#archive(call.accountId, table.no, row, id, change.at, false, state);
				break;
			}
			case 'delete': {
				const { row } = change;
				const { id } = identityOf(row.text);
				this.#sql.delete.run(row.place);
				this.#indexes.rowChanged(table.no, row.place, id, row.text, undefined);
				lookup?.rowChanged(row.place, row.text, undefined);
				this.#archive(call.accountId, table.no, row, id, change.at, true, state);
				break;
			}
			case 'keep': {
				const bytes = storedBytes(change.answer);
				// An answer that has run out but was not swept yet makes room for the new one.
				const old = this.#sql.dropKept.get(table.no, change.key);
				if (old !== undefined)
					state.usage = { ...state.usage, keptBytes: state.usage.keptBytes - (old.bytes as number) };
				this.#sql.keep.run(call.accountId, table.no, change.key, change.fingerprint, now, bytes, change.answer);
				break;
			}
		}
		state.usage = usageAfter(state.usage, change);
	}

	/** @returns the row's place. */
	#insert(call: RowsCall, change: Extract<Change, { kind: 'insert' }>, table: TableState): number {
		if (table.no === 0) {
			// The row count is right from the start, so that the index of empty tables is not touched.
			table.no = Number(this.#sql.newTable.run(call.accountId, call.table).lastInsertRowid);
			this.#sql.newRowCount.run(table.no);
			table.rows = 1;
		}
		const place = change.place ?? ++this.#place;
		const { id } = identityOf(change.text);
		this.#sequenceChanged = true;
		this.#sql.insert.run(place, table.no, idBytes(id), change.version, change.bytes, change.text);
		this.#indexes.rowChanged(table.no, place, id, undefined, change.text);
		return place;
	}

	#archive(
		accountId: string,
		tableNo: number,
		row: StoredRow,
		id: string,
		at: string,
		deleted: boolean,
		state: { usage: Usage },
	): void {
		const version = row.version + 1;
		const bytes = idBytes(id);
		this.#sql.archive.run(
			accountId,
			tableNo,
			bytes,
			version,
			at,
			deleted ? 1 : 0,
			row.place,
			storedBytes(row.text),
			row.text,
		);
		const last = lastUnkeptVersion(version, this.#limits);
		if (last === 0) return;
		let freed = 0;
		for (const dropped of this.#sql.dropVersions.all(tableNo, bytes, last)) freed += dropped.bytes as number;
		if (freed > 0) state.usage = { ...state.usage, versionBytes: state.usage.versionBytes - freed };
	}

	#shrinkArchive(accountId: string, state: { usage: Usage }, now: number): void {
		const overflow = archiveOverflow(state.usage, this.#limits, now);
		if (overflow === undefined) return;
		let left = overflow.bytes;
		let { versionBytes, keptBytes } = state.usage;
		while (left > 0 && versionBytes > 0) {
			const freed = this.#sql.dropOldestVersion.get(accountId)!.bytes as number;
			versionBytes -= freed;
			left -= freed;
		}
		while (left > 0) {
			const dropped = this.#sql.dropOldestKept.get(accountId, overflow.keptBefore);
			if (dropped === undefined) break;
			keptBytes -= dropped.bytes as number;
			left -= dropped.bytes as number;
		}
		state.usage = { ...state.usage, versionBytes, keptBytes };
	}
}

const SQL = {
	account: `SELECT u.account_no, u.tables, u.bytes, u.version_bytes, u.kept_bytes, t.table_no, c.rows
		FROM account_usage u LEFT JOIN tables t ON t.account_id = u.account_id AND t.name = ?
		LEFT JOIN row_counts c ON c.table_no = t.table_no WHERE u.account_id = ?`,
	saveUsage: 'UPDATE usage SET tables = ?, bytes = ?, version_bytes = ?, kept_bytes = ? WHERE account_no = ?',
	saveRowCount: 'UPDATE row_counts SET rows = ? WHERE table_no = ?',
	newTable: 'INSERT INTO tables (account_id, name) VALUES (?, ?)',
	newRowCount: 'INSERT INTO row_counts (table_no, rows) VALUES (?, 1)',
	saveSequence: 'UPDATE sequence SET place = ?, row_id = ?',
	insert: 'INSERT INTO rows (place, table_no, id, version, bytes, text) VALUES (?, ?, ?, ?, ?, ?)',
	update: 'UPDATE rows SET version = ?, bytes = ?, text = ? WHERE place = ?',
	delete: 'DELETE FROM rows WHERE place = ?',
	archive: `INSERT INTO versions (account_id, table_no, id, version, archived_at, deleted, place, bytes, text)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	dropVersions: 'DELETE FROM versions WHERE table_no = ? AND id = ? AND version <= ? RETURNING bytes',
	dropOldestVersion: `DELETE FROM versions WHERE version_no =
		(SELECT version_no FROM versions WHERE account_id = ? ORDER BY version_no LIMIT 1) RETURNING bytes`,
	newestVersion: 'SELECT max(version) AS version FROM versions WHERE table_no = ? AND id = ?',
	version: 'SELECT place, text FROM versions WHERE table_no = ? AND id = ? AND version = ? AND archived_at >= ?',
	kept: 'SELECT fingerprint, answer FROM kept_answers WHERE table_no = ? AND key = ? AND created_at > ?',
	keep: `INSERT INTO kept_answers (account_id, table_no, key, fingerprint, created_at, bytes, answer)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
	dropKept: 'DELETE FROM kept_answers WHERE table_no = ? AND key = ? RETURNING bytes',
	oldKeptBytes: 'SELECT coalesce(sum(bytes), 0) AS bytes FROM kept_answers WHERE account_id = ? AND created_at <= ?',
	dropOldestKept: `DELETE FROM kept_answers WHERE kept_no =
		(SELECT kept_no FROM kept_answers WHERE account_id = ? AND created_at <= ? ORDER BY kept_no LIMIT 1) RETURNING bytes`,
} as const;
