import { Refusal } from '../errors.ts';
import { KEPT_ANSWER_PROTECTED_MS, MAX_RESULT_CHARACTERS, type WriteLimits } from '../limits.ts';
import type { Filter } from './filter.ts';
import type { JsonObject } from './json.ts';
import { parseJson } from './json-text.ts';
import { assemble, identityOf, mergePatch, ownTextOf, type RowText, rowBytes, stamp, stampAfter } from './row.ts';

/**
 * Every rule of changing rows, as pure functions over data. A write is told in four steps that an engine repeats for each
 * operation of a call, inside one transaction:
 *
 *   needs(operation)               what the engine must load
 *   decide(operation, loaded, …)   the changes and the answer, or a refusal
 *   usageAfter(usage, change)      what the account holds then
 *   archiveOverflow(usage, …)      what the engine must give up to stay within the archive's bound
 */

/** One change asked for. Texts are compact JSON of own members, already checked. */
export type RowOperation =
	| { readonly action: 'add'; readonly own: string; readonly idempotency?: Idempotency | undefined }
	/** `own` has the values that `match` asks for. */
	| { readonly action: 'upsert'; readonly match: Filter; readonly own: string }
	| {
			readonly action: 'update_row';
			readonly id: string;
			readonly patch: string;
			readonly ifUnchanged?: RowState | undefined;
	  }
	/** Replaces all own members, for an editor that saw the whole row. */
	| { readonly action: 'replace_row'; readonly id: string; readonly own: string; readonly ifUnchanged: RowState }
	| {
			readonly action: 'update_where';
			readonly filter: Filter;
			readonly patch: string;
			readonly allowMultiple: boolean;
	  }
	| { readonly action: 'delete'; readonly filter: Filter }
	| {
			readonly action: 'restore';
			readonly id: string;
			readonly version: number;
			readonly ifUnchanged?: RowState | undefined;
	  }
	/** An operation of a batch that validation refused: those before it run first, because theirs is the first failure. */
	| {
			readonly action: 'refuse';
			readonly refusal: { code: Refusal['code']; message: string; details?: Refusal['details'] };
	  };

/**
 * Names one state of a live row: the number of its newest archived version, which every change moves on and nothing moves back.
 * Unlike a hash of the row it tells nothing of what the row holds.
 */
export type RowState = number;

export interface Idempotency {
	readonly key: string;
	/** Equal for equal JSON, whatever the order of members. */
	readonly fingerprint: string;
}

/** What an account holds now. */
export interface Usage {
	/** Tables with live rows. */
	readonly tables: number;
	/** Live rows of the table that is written. */
	readonly tableRows: number;
	/** Bytes of live rows. */
	readonly bytes: number;
	/** Bytes of archived versions. */
	readonly versionBytes: number;
	/** Bytes of kept answers. */
	readonly keptBytes: number;
}

export interface StoredRow {
	/** The engine's own name for the row's place; it means nothing here. */
	readonly place: number;
	/** Number of the newest archived version; 0 for none yet. */
	readonly version: number;
	readonly text: RowText;
}

export interface ArchivedRow {
	readonly place: number;
	readonly text: RowText;
	/** Number of the newest version ever archived of this row. */
	readonly newest: number;
}

export interface KeptAnswer {
	readonly fingerprint: string;
	readonly answer: RowText;
}

export interface Needs {
	/** Live rows that match, in order of creation. */
	readonly match?: Filter;
	/** How many of them a decision looks at; beyond that their number is enough. */
	readonly matchLimit?: number;
	/** The live row of this id. */
	readonly id?: string;
	/** The kept answer of this idempotency key. */
	readonly kept?: string;
	/** The archived version, if it is kept. */
	readonly archived?: { readonly id: string; readonly version: number };
}

export interface Loaded {
	readonly usage: Usage;
	readonly rows: readonly StoredRow[];
	/** How many live rows match, {@link rows} or more. */
	readonly matched: number;
	readonly kept?: KeptAnswer | undefined;
	readonly archived?: ArchivedRow | undefined;
	/** Bytes of kept answers old enough to be given up; loaded where {@link needsRoom} says so. */
	readonly oldKeptBytes?: number | undefined;
}

/** What an engine applies. Bytes of rows are those of own members; of versions and kept answers, of the stored text. */
export type Change =
	| {
			readonly kind: 'insert';
			readonly text: RowText;
			readonly bytes: number;
			readonly version: number;
			readonly place?: number;
	  }
	| {
			readonly kind: 'update';
			readonly row: StoredRow;
			readonly text: RowText;
			readonly bytesBefore: number;
			readonly bytes: number;
			readonly at: string;
	  }
	| { readonly kind: 'delete'; readonly row: StoredRow; readonly bytesBefore: number; readonly at: string }
	| { readonly kind: 'keep'; readonly key: string; readonly fingerprint: string; readonly answer: RowText };

export interface Decision {
	readonly changes: readonly Change[];
	/** The operation's result as JSON text. */
	readonly result: string;
	/** True where the result is a kept answer. */
	readonly replayed: boolean;
}

/** What a decision takes from outside: the moment and fresh ids. */
export interface Moment {
	/** Milliseconds since the epoch. */
	readonly now: number;
	/** A row id greater than every one the account had. */
	nextId(): string;
}

export function needs(operation: RowOperation): Needs {
	switch (operation.action) {
		case 'add':
			return operation.idempotency === undefined ? {} : { kept: operation.idempotency.key };
		case 'upsert':
			return { match: operation.match, matchLimit: 1 };
		case 'update_row':
		case 'replace_row':
			return { id: operation.id };
		case 'update_where':
			return operation.allowMultiple ? { match: operation.filter } : { match: operation.filter, matchLimit: 1 };
		case 'delete':
			return { match: operation.filter };
		case 'restore':
			return { id: operation.id, archived: { id: operation.id, version: operation.version } };
		case 'refuse':
			return {};
	}
}

/** Must the engine load {@link Loaded.oldKeptBytes}? Only for a keyed add whose answer does not simply fit. */
export function needsRoom(operation: RowOperation, usage: Usage, limits: WriteLimits): boolean {
	if (operation.action !== 'add' || operation.idempotency === undefined) return false;
	// An assembled row is its own members and fixed members of fewer than 256 bytes.
	const answerBytes = rowBytes(operation.own) + 256;
	return usage.keptBytes + answerBytes > limits.maxArchiveBytes;
}

/** @throws Refusal where a rule refuses the operation; then nothing of it may be applied. */
export function decide(operation: RowOperation, loaded: Loaded, limits: WriteLimits, moment: Moment): Decision {
	switch (operation.action) {
		case 'add':
			return decideAdd(operation, loaded, limits, moment);
		case 'upsert':
			return decideUpsert(operation, loaded, limits, moment);
		case 'update_row':
			return decideUpdateRow(operation, loaded, limits, moment);
		case 'replace_row':
			return decideReplaceRow(operation, loaded, limits, moment);
		case 'update_where':
			return decideUpdateWhere(operation, loaded, limits, moment);
		case 'delete':
			return decideDelete(loaded, moment);
		case 'restore':
			return decideRestore(operation, loaded, limits, moment);
		case 'refuse':
			throw Refusal.from(operation.refusal);
	}
}

type Of<A extends RowOperation['action']> = Extract<RowOperation, { action: A }>;

function decideAdd(operation: Of<'add'>, loaded: Loaded, limits: WriteLimits, moment: Moment): Decision {
	const { idempotency } = operation;
	const kept = loaded.kept;
	if (idempotency !== undefined && kept !== undefined) {
		if (kept.fingerprint === idempotency.fingerprint) return { changes: [], result: kept.answer, replayed: true };
		throw new Refusal(
			'idempotency_key_reused',
			'This idempotency key was used for other JSON within the last 24 hours. Send a new key for a new row, or the same JSON to get the first answer again.',
		);
	}
	const insert = newRow(operation.own, loaded.usage, limits, moment);
	const changes: Change[] = [insert];
	if (idempotency !== undefined) {
		requireRoomForAnswer(insert.text, loaded, limits);
		changes.push({ kind: 'keep', key: idempotency.key, fingerprint: idempotency.fingerprint, answer: insert.text });
	}
	return { changes, result: insert.text, replayed: false };
}

function requireRoomForAnswer(answer: RowText, loaded: Loaded, limits: WriteLimits): void {
	const { usage, oldKeptBytes = 0 } = loaded;
	// Every version may go to make room, but of the kept answers only the old ones.
	if (usage.keptBytes - oldKeptBytes + storedBytes(answer) <= limits.maxArchiveBytes) return;
	throw new Refusal(
		'archive_full',
		`There is no room to keep the answer of another keyed add: kept answers may take ${limits.maxArchiveBytes} bytes. Wait an hour, or send the add without an idempotency key.`,
		{ limit: limits.maxArchiveBytes },
	);
}

function decideUpsert(operation: Of<'upsert'>, loaded: Loaded, limits: WriteLimits, moment: Moment): Decision {
	const { matched } = loaded;
	if (matched > 1) {
		throw new Refusal(
			'key_not_unique',
			`This key is in ${matched} rows already, so none was changed. Choose a key whose values are unique, or delete the duplicates first.`,
			{ matched, key: operation.match.members },
		);
	}
	const row = loaded.rows[0];
	if (row === undefined) {
		const insert = newRow(operation.own, loaded.usage, limits, moment);
		return { changes: [insert], result: `{"created":true,"row":${insert.text}}`, replayed: false };
	}
	const update = changedRow(row, operation.own, moment);
	requireRoomForRows([update], loaded.usage, limits);
	return { changes: [update], result: `{"created":false,"row":${update.text}}`, replayed: false };
}

function decideUpdateRow(operation: Of<'update_row'>, loaded: Loaded, limits: WriteLimits, moment: Moment): Decision {
	const row = loaded.rows[0];
	if (row === undefined) throw rowNotFound(operation.id);
	if (operation.ifUnchanged !== undefined) requireUnchanged(row, operation.ifUnchanged);
	const update = patchedRow(row, parseJson(operation.patch) as JsonObject, moment);
	requireRoomForRows([update], loaded.usage, limits);
	return { changes: [update], result: `{"row":${update.text}}`, replayed: false };
}

function decideReplaceRow(operation: Of<'replace_row'>, loaded: Loaded, limits: WriteLimits, moment: Moment): Decision {
	const row = loaded.rows[0];
	if (row === undefined) throw rowNotFound(operation.id);
	requireUnchanged(row, operation.ifUnchanged);
	const update = changedRow(row, operation.own, moment);
	requireRoomForRows([update], loaded.usage, limits);
	return { changes: [update], result: `{"row":${update.text}}`, replayed: false };
}

/** @throws Refusal row_changed unless the row is still in the state that the caller saw (RFC 9110 section 13.1.1). */
function requireUnchanged(row: StoredRow, seen: RowState): void {
	if (row.version === seen) return;
	throw new Refusal(
		'row_changed',
		'The row was changed meanwhile, so nothing was saved. Read it again, bring both states together, and save that.',
		{ updated_at: identityOf(row.text).updatedAt, state: row.version },
	);
}

/** The refusal for an id that names no live row. */
export function rowNotFound(id: string): Refusal {
	return new Refusal(
		'row_not_found',
		'No live row of this table has this id. Query the table for current ids, or restore the row if it was deleted.',
		{ id: id.slice(0, 64) },
	);
}

function decideUpdateWhere(
	operation: Of<'update_where'>,
	loaded: Loaded,
	limits: WriteLimits,
	moment: Moment,
): Decision {
	const { matched } = loaded;
	if (!operation.allowMultiple && matched === 0) {
		throw new Refusal(
			'row_not_found',
			'No row matches the filter. Query the table with the same filter to see what it holds.',
			{
				matched,
			},
		);
	}
	if (!operation.allowMultiple && matched > 1) {
		throw new Refusal(
			'multiple_matches',
			`The filter matches ${matched} rows and none was changed. Narrow the filter to one row, or send "allowMultiple": true.`,
			{ matched },
		);
	}
	const patch = parseJson(operation.patch) as JsonObject;
	const changes = loaded.rows.map((row) => patchedRow(row, patch, moment));
	requireRoomForRows(changes, loaded.usage, limits);
	const rows = changes.map((change) => change.text).join(',');
	return { changes, result: `{"updated":${matched},"rows":[${rows}]}`, replayed: false };
}

function decideDelete(loaded: Loaded, moment: Moment): Decision {
	const at = stamp(moment.now);
	const changes = loaded.rows.map(
		(row): Change => ({ kind: 'delete', row, bytesBefore: rowBytes(ownTextOf(row.text)), at }),
	);
	return { changes, result: `{"deleted":${changes.length}}`, replayed: false };
}

function decideRestore(operation: Of<'restore'>, loaded: Loaded, limits: WriteLimits, moment: Moment): Decision {
	const { archived } = loaded;
	if (archived === undefined) {
		throw new Refusal(
			'version_not_found',
			`Version ${operation.version} of this row is not kept. List the row's versions and restore one of those.`,
			{ id: operation.id.slice(0, 64), version: operation.version },
		);
	}
	const own = ownTextOf(archived.text);
	const row = loaded.rows[0];
	if (row !== undefined) {
		if (operation.ifUnchanged !== undefined) requireUnchanged(row, operation.ifUnchanged);
		const update = changedRow(row, own, moment);
		requireRoomForRows([update], loaded.usage, limits);
		return { changes: [update], result: `{"row":${update.text}}`, replayed: false };
	}
	const before = identityOf(archived.text);
	const text = assemble({ ...before, updatedAt: stampAfter(moment.now, before.updatedAt) }, own);
	const insert = {
		kind: 'insert',
		text,
		bytes: rowBytes(own),
		version: archived.newest,
		place: archived.place,
	} as const;
	requireRoomForNewRow(insert.bytes, loaded.usage, limits);
	return { changes: [insert], result: `{"row":${text}}`, replayed: false };
}

export type Insert = Extract<Change, { kind: 'insert' }>;
export type Keep = Extract<Change, { kind: 'keep' }>;
type Update = Extract<Change, { kind: 'update' }>;

function newRow(own: string, usage: Usage, limits: WriteLimits, moment: Moment): Insert {
	const bytes = rowBytes(own);
	requireRoomForNewRow(bytes, usage, limits);
	const createdAt = stamp(moment.now);
	const text = assemble({ id: moment.nextId(), createdAt, updatedAt: createdAt }, own);
	return { kind: 'insert', text, bytes, version: 0 };
}

function changedRow(row: StoredRow, own: string, moment: Moment): Update {
	const before = identityOf(row.text);
	const at = stampAfter(moment.now, before.updatedAt);
	return {
		kind: 'update',
		row,
		text: assemble({ ...before, updatedAt: at }, own),
		bytesBefore: rowBytes(ownTextOf(row.text)),
		bytes: rowBytes(own),
		at,
	};
}

function patchedRow(row: StoredRow, patch: JsonObject, moment: Moment): Update {
	return changedRow(row, mergePatch(ownTextOf(row.text), patch), moment);
}

function requireRoomForNewRow(bytes: number, usage: Usage, limits: WriteLimits): void {
	if (usage.tableRows === 0 && usage.tables >= limits.maxTables) {
		throw new Refusal(
			'table_limit_reached',
			`The account has ${usage.tables} tables of at most ${limits.maxTables}. Use an existing table, or delete every row of one you no longer need.`,
			{ limit: limits.maxTables },
		);
	}
	if (usage.tableRows >= limits.maxRowsPerTable) {
		throw new Refusal(
			'row_limit_reached',
			`The table has ${usage.tableRows} rows of at most ${limits.maxRowsPerTable}. Delete rows you no longer need, or use another table.`,
			{ limit: limits.maxRowsPerTable },
		);
	}
	requireRowFits(bytes, limits);
	requireAccountFits(usage.bytes + bytes, limits);
}

function requireRoomForRows(updates: readonly Update[], usage: Usage, limits: WriteLimits): void {
	let growth = 0;
	for (const update of updates) {
		// A row that shrinks stays allowed where the operator lowered the limit below what it has.
		if (update.bytes > update.bytesBefore) requireRowFits(update.bytes, limits);
		growth += update.bytes - update.bytesBefore;
	}
	if (growth > 0) requireAccountFits(usage.bytes + growth, limits);
}

function requireRowFits(bytes: number, limits: WriteLimits): void {
	if (bytes <= limits.maxRowBytes) return;
	throw new Refusal(
		'row_too_large',
		`The row would have ${bytes} bytes of at most ${limits.maxRowBytes}. Send a smaller row, or split it into several.`,
		{ bytes, limit: limits.maxRowBytes },
	);
}

function requireAccountFits(bytes: number, limits: WriteLimits): void {
	if (bytes <= limits.maxAccountBytes) return;
	throw new Refusal(
		'account_full',
		`The account would hold ${bytes} bytes of at most ${limits.maxAccountBytes}. Delete rows you no longer need, or send a smaller row.`,
		{ bytes, limit: limits.maxAccountBytes },
	);
}

/** @throws Refusal answer_too_large where the results so far, in characters, are more than one answer may have. */
export function requireAnswerFits(characters: number): void {
	if (characters <= MAX_RESULT_CHARACTERS) return;
	throw new Refusal(
		'answer_too_large',
		`The answer would have more than ${MAX_RESULT_CHARACTERS} characters. Change fewer rows in one call: narrow the filters, or send several batches.`,
		{ limit: MAX_RESULT_CHARACTERS },
	);
}

/** Bytes that an archived version or a kept answer counts for. */
export function storedBytes(text: RowText): number {
	return Buffer.byteLength(text);
}

/** What the account holds once `change` is applied. */
export function usageAfter(usage: Usage, change: Change): Usage {
	switch (change.kind) {
		case 'insert':
			return {
				...usage,
				tables: usage.tables + (usage.tableRows === 0 ? 1 : 0),
				tableRows: usage.tableRows + 1,
				bytes: usage.bytes + change.bytes,
			};
		case 'update':
			return {
				...usage,
				bytes: usage.bytes + change.bytes - change.bytesBefore,
				versionBytes: usage.versionBytes + storedBytes(change.row.text),
			};
		case 'delete':
			return {
				...usage,
				tables: usage.tables - (usage.tableRows === 1 ? 1 : 0),
				tableRows: usage.tableRows - 1,
				bytes: usage.bytes - change.bytesBefore,
				versionBytes: usage.versionBytes + storedBytes(change.row.text),
			};
		case 'keep':
			return { ...usage, keptBytes: usage.keptBytes + storedBytes(change.answer) };
	}
}

/** What must go to bring the archive back within its bound: versions oldest first, then kept answers from before a moment. */
export interface ArchiveOverflow {
	readonly bytes: number;
	/** Milliseconds since the epoch: younger kept answers stay. */
	readonly keptBefore: number;
}

export function archiveOverflow(usage: Usage, limits: WriteLimits, now: number): ArchiveOverflow | undefined {
	const bytes = usage.versionBytes + usage.keptBytes - limits.maxArchiveBytes;
	return bytes > 0 ? { bytes, keptBefore: now - KEPT_ANSWER_PROTECTED_MS } : undefined;
}

/** The newest version number that is no longer kept once `newest` exists; 0 for none. */
export function lastUnkeptVersion(newest: number, limits: WriteLimits): number {
	return Math.max(0, newest - limits.maxVersionsPerRow);
}

/** Versions archived before this stamp have run out. Unlimited retention gives a stamp before every other. */
export function versionsKeptSince(limits: WriteLimits, now: number): string {
	return limits.versionRetentionDays === Number.POSITIVE_INFINITY
		? ''
		: stamp(now - limits.versionRetentionDays * 86_400_000);
}
