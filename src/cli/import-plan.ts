import { hash } from 'node:crypto';
import { type Limits, stringifyExact } from '../../client/src/index.ts';
import { JsonDocument, type JsonObject } from '../domain/json.ts';
import { checkRow, ownText, rowBytes, SYSTEM_MEMBERS } from '../domain/row.ts';
import { Refusal } from '../errors.ts';
import { checkTableName } from '../operations/input.ts';
import { UsageError } from './command.ts';
import type { FoundRow, Group } from './import-formats.ts';
import { isId, type Members } from './members.ts';
import { counted } from './table-text.ts';

/** One row that is to be sent. */
export interface PlannedRow {
	readonly table: string;
	readonly key: readonly string[] | undefined;
	readonly members: Members;
	readonly place: string;
	readonly bytes: number;
	/** Of what is in it, and of how many such rows came before: the same in every run, wherever the row stands. */
	readonly fingerprint: string;
}

export interface Plan {
	readonly rows: readonly PlannedRow[];
	/** Rows that came with an id and times of a pumaDB, which they get anew. */
	readonly renewed: number;
	/** Rows that are not sent, for a later one has the same key; those of a memory file are merged into it. */
	readonly superseded: number;
}

/** Rows of a table, by their keys: what is there already, for those that are merged. */
export type Known = ReadonlyMap<string, ReadonlyMap<string, Members>>;

/** What one row must pass to be stored, by the service's own rules. @throws Error that names the place */
export function planImport(
	groups: readonly Group[],
	limits: Limits,
	rename: ReadonlyMap<string, string>,
	known: Known = new Map(),
): Plan {
	const rows: PlannedRow[] = [];
	const seen = new Map<string, number>();
	let [renewed, superseded] = [0, 0];
	const used = new Set<string>();
	for (const group of groups) {
		const { table, key } = group;
		inPlace(table, () => checkTableName(table));
		const named = group.rows.map(({ members: given, place }) => {
			const own = withoutIdentity(given, rename);
			if (own !== given) renewed++;
			for (const name of rename.keys()) if (Object.hasOwn(own, name)) used.add(name);
			return { members: renamed(own, rename, place), place };
		});
		const distinct = key === undefined ? named : oneForEachKey(named, key, group.merge, known.get(table));
		superseded += named.length - distinct.length;
		for (const { members, place } of distinct) {
			const text = checked(members, place, limits);
			const digest = hash('sha256', `${table}\n${text}`, 'base64url');
			const before = seen.get(digest) ?? 0;
			seen.set(digest, before + 1);
			rows.push({ table, key, members, place, bytes: rowBytes(text), fingerprint: `${digest}-${before}` });
		}
	}
	const unused = [...rename.keys()].find((name) => !used.has(name));
	if (unused !== undefined && rows.length > 0) {
		throw new UsageError(`--rename ${unused}=${rename.get(unused)}: no row has a member "${unused}".`);
	}
	return { rows, renewed, superseded };
}

/** Of rows with the same key the last, or what becomes of them together with the row that is in the table. */
function oneForEachKey(
	rows: readonly FoundRow[],
	key: readonly string[],
	merge: Group['merge'],
	there: ReadonlyMap<string, Members> | undefined,
): FoundRow[] {
	const byKey = new Map<string, FoundRow>();
	for (const { members, place } of rows) {
		checkKey(members, key, place);
		const name = keyText(members, key);
		const before = byKey.get(name)?.members ?? there?.get(name);
		byKey.set(name, { members: before === undefined || merge === undefined ? members : merge(before, members), place });
	}
	return [...byKey.values()];
}

/** What tells a row from others by its key; as {@link Known} has it. */
export function keyText(members: Members, key: readonly string[]): string {
	return stringifyExact(key.map((name) => members[name] ?? null));
}

function checked(members: Members, place: string, limits: Limits): string {
	return inPlace(place, () => {
		const document = JsonDocument.fromText(stringifyExact(members), 'row');
		checkRow(document, document.value as JsonObject, []);
		const text = ownText(document.value as JsonObject);
		if (limits.maxRowBytes !== null && rowBytes(text) > limits.maxRowBytes) {
			throw new Error(`The row has ${rowBytes(text)} bytes, and a row may have ${limits.maxRowBytes}.`);
		}
		return text;
	});
}

function checkKey(members: Members, key: readonly string[], place: string): void {
	for (const name of key) {
		if (['string', 'number', 'boolean'].includes(typeof members[name])) continue;
		throw new Error(`${place}: "${name}" identifies a row, so it must be there and be a text, a number or a boolean.`);
	}
}

/** Runs a check, and says of what it refuses where that stands. */
function inPlace<T>(place: string, check: () => T): T {
	try {
		return check();
	} catch (error) {
		const hint =
			error instanceof Refusal && error.code === 'reserved_field'
				? ` To keep it under another name: --rename ${error.details!.field}=other_name`
				: '';
		throw new Error(`${place}: ${(error as Error).message}${hint}`);
	}
}

/** A row of a pumaDB has an id and two times that belong to the place where it was stored; those that get other names are kept. */
function withoutIdentity(members: Members, names: ReadonlyMap<string, string>): Members {
	const { id, created_at: created, updated_at: updated } = members;
	const stamp = (value: unknown): boolean => typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);
	if (typeof id !== 'string' || !isId(id) || !stamp(created) || !stamp(updated)) return members;
	return Object.fromEntries(
		Object.entries(members).filter(([name]) => !SYSTEM_MEMBERS.includes(name) || names.has(name)),
	);
}

/** @throws UsageError where two members would have one name, and the value of one be lost */
function renamed(members: Members, names: ReadonlyMap<string, string>, place: string): Members {
	if (names.size === 0) return members;
	const taken = new Map<string, string>();
	const entries = Object.entries(members).map(([old, value]) => {
		const name = names.get(old) ?? old;
		const other = taken.get(name);
		if (other !== undefined) {
			throw new UsageError(
				`${place}: with these --rename both "${other}" and "${old}" would be "${name}". Take a name that no other member has.`,
			);
		}
		taken.set(name, old);
		return [name, value];
	});
	return Object.fromEntries(entries);
}

/**
 * What does not fit, before anything is sent. Not for an import that goes on: which of the rows that are there are its own, with those
 * whose answer was lost, only the service knows.
 * @throws Error
 */
export function requireRoom(
	plan: Plan,
	tables: readonly { readonly name: string; readonly rows: number }[],
	limits: Limits,
): void {
	const incoming = Map.groupBy(plan.rows, ({ table }) => table);
	for (const [table, rows] of incoming) {
		const there = tables.find(({ name }) => name === table)?.rows ?? 0;
		const most = limits.maxRowsPerTable;
		if (most === null) continue;
		// How many of them are there already is known only once they are sent.
		const upserted = rows[0]!.key !== undefined;
		const least = upserted ? 0 : there;
		if (least + rows.length <= most) continue;
		throw new Error(
			`${table} may have ${counted(most, 'row')} and has ${there}, so ${counted(rows.length, 'row')} more do not fit. Nothing was sent.`,
		);
	}
	const fresh = [...incoming.keys()].filter((table) => !tables.some(({ name, rows }) => name === table && rows > 0));
	const live = tables.filter(({ rows }) => rows > 0).length;
	if (limits.maxTables !== null && live + fresh.length > limits.maxTables) {
		throw new Error(
			`The account may have ${counted(limits.maxTables, 'table')} and has ${live}, so ${fresh.join(', ')} would be too many. Nothing was sent.`,
		);
	}
	const bytes = plan.rows.reduce((sum, row) => sum + row.bytes, 0);
	if (limits.maxAccountBytes !== null && bytes > limits.maxAccountBytes) {
		throw new Error(
			`The rows have ${counted(bytes, 'byte')}, and an account may have ${counted(limits.maxAccountBytes, 'byte')}. Nothing was sent.`,
		);
	}
}
