import { CsvError, parse as parseCsv } from 'csv-parse/sync';
import { PumaError, parseExact, stringifyExact } from '../../client/src/index.ts';
import { UsageError } from './command.ts';
import type { Source } from './import-source.ts';
import type { Members } from './members.ts';

/** A row as it was found. */
export interface FoundRow {
	readonly members: Members;
	/** Where, for people: "line 5", "row 3". */
	readonly place: string;
}

/** Rows for one table. */
export interface Group {
	readonly table: string;
	/** Members that identify a row: then rows are upserted. */
	readonly key: readonly string[] | undefined;
	readonly rows: readonly FoundRow[];
	/** What becomes of a row whose key another one has, in the file or the table, in place of being replaced. */
	readonly merge?: ((before: Members, next: Members) => Members) | undefined;
}

export const FORMATS = ['json', 'jsonl', 'csv', 'memory'] as const;
export type Format = (typeof FORMATS)[number];

export interface ReadOptions {
	readonly format: Format | undefined;
	readonly table: string | undefined;
	readonly key: readonly string[] | undefined;
	/** CSV: cells that are JSON numbers, true, false or null are read as such. */
	readonly typed: boolean;
	readonly delimiter: string | undefined;
}

/** Where the MCP reference memory server's entities and relations go, and what identifies them. */
const MEMORY_TABLES = {
	entity: ['entities', ['name']],
	relation: ['relations', ['from', 'to', 'relationType']],
} as const;

/** The rows of a file, by table. @throws UsageError, Error, PumaError with the place of what is wrong */
export function readGroups(source: Source, options: ReadOptions): Group[] {
	const format = options.format ?? guessFormat(source);
	const needTable = (): string => {
		if (options.table !== undefined) return options.table;
		throw new UsageError('--table is missing: name the table that the rows go to.');
	};
	const into = (rows: readonly FoundRow[]): Group[] => [{ table: needTable(), key: options.key, rows }];
	switch (format) {
		case 'csv':
			return into(readCsv(source, options));
		case 'jsonl':
			return into(readLines(source));
		case 'memory':
			return readMemory(source, options);
		case 'json': {
			const value = parsedDocument(source.text, source.name);
			const { tables, rows } = (isObject(value) ? value : {}) as { tables?: unknown; rows?: unknown };
			if (isObject(tables)) return readExport(tables, options);
			return into(rowsIn(rows ?? value, source.name));
		}
	}
}

function guessFormat({ name, text }: Source): Format {
	if (/\.(csv|tsv)$/i.test(name)) return 'csv';
	const start = /^\s*(.)/s.exec(text)?.[1];
	if (start === '[') return 'json';
	if (start !== '{') throw new UsageError(`${name} looks neither like JSON nor like CSV. Say which by --format.`);
	const [first, ...more] = text.trim().split('\n', 2);
	if (!isJson(first!)) return 'json';
	if (isMemoryLine(first!)) return 'memory';
	// One object alone may be a document with rows in it, or a line.
	const line = more.length > 0 || /\.(jsonl|ndjson)$/i.test(name) || !(/\.json$/i.test(name) || hasRows(first!));
	return line ? 'jsonl' : 'json';
}

function hasRows(text: string): boolean {
	const { tables, rows } = JSON.parse(text);
	return isObject(tables) || Array.isArray(rows);
}

function isJson(text: string): boolean {
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}

function isMemoryLine(line: string): boolean {
	const { type } = JSON.parse(line);
	return type === 'entity' || type === 'relation';
}

function readExport(tables: Members, { table, key }: ReadOptions): Group[] {
	const chosen = Object.entries(tables).filter(([name]) => table === undefined || table === name);
	if (chosen.length === 0) throw new UsageError(`There is no table ${table} in this export.`);
	return chosen.map(([name, rows]) => ({ table: name, key, rows: rowsIn(rows, name) }));
}

function rowsIn(value: unknown, what: string): FoundRow[] {
	if (!Array.isArray(value)) throw new UsageError(`${what} must hold an array of JSON objects.`);
	return value.map((members, index) => found(members, `row ${index + 1}`));
}

function readLines({ text, name }: Source): FoundRow[] {
	return text.split('\n').flatMap((line, index) => {
		if (line.trim() === '') return [];
		const place = `line ${index + 1}`;
		return [found(parsed(line, `${place} of ${name}`), place)];
	});
}

function readMemory(source: Source, { table, key }: ReadOptions): Group[] {
	if (table !== undefined || key !== undefined) {
		throw new UsageError('A memory file goes to the tables entities and relations: leave --table and --key out.');
	}
	const rows = readLines(source).map(({ members: { type, ...members }, place }) => {
		if (type === 'entity' || type === 'relation') return { type, members, place };
		throw new Error(`${place} of ${source.name} is neither an entity nor a relation.`);
	});
	return (['entity', 'relation'] as const).flatMap((kind) => {
		const [name, members] = MEMORY_TABLES[kind];
		const own = rows.filter(({ type }) => type === kind);
		const merge = kind === 'entity' ? mergeEntities : undefined;
		return own.length === 0 ? [] : [{ table: name, key: members, rows: own, merge }];
	});
}

/**
 * An entity that is known already and is told of again: what was observed before stays, what is new comes after it, as the
 * reference server adds observations.
 */
function mergeEntities(before: Members, next: Members): Members {
	const [old, added] = [before.observations, next.observations];
	if (!Array.isArray(old) || !Array.isArray(added)) return { ...before, ...next };
	const all = new Map([...old, ...added].map((observation) => [stringifyExact(observation), observation]));
	return { ...before, ...next, observations: [...all.values()] };
}

function readCsv({ text, name }: Source, { typed, delimiter }: ReadOptions): FoundRow[] {
	const separator = delimiter ?? (/\.tsv$/i.test(name) ? '\t' : ',');
	if (delimiter === undefined) requireDelimiter(text, name, separator);
	let records: { record: string[]; info: { lines: number } }[];
	try {
		records = parseCsv(text, {
			delimiter: separator,
			record_delimiter: lineEndsOf(text),
			skip_empty_lines: true,
			info: true,
		}) as never;
	} catch (error) {
		if (error instanceof CsvError) throw new Error(`${name} is not CSV: ${error.message}.`);
		throw error;
	}
	const [head, ...body] = records;
	if (head === undefined) throw new Error(`${name} is empty.`);
	const names = head.record.map((cell) => cell.trim());
	const twice = names.find((cell, index) => cell === '' || names.indexOf(cell) !== index);
	if (twice !== undefined) {
		throw new Error(
			twice === '' ? `A column of ${name} has no name in its first line.` : `${name} has two columns "${twice}".`,
		);
	}
	return body.map(({ record, info }) => ({
		// Own members even where one is called __proto__.
		members: Object.fromEntries(names.map((column, index) => [column, cellOf(record[index]!, typed)])),
		place: `line ${info.lines}`,
	}));
}

/** @throws UsageError where the heading would be one column, though it looks like several */
function requireDelimiter(text: string, name: string, separator: string): void {
	const heading = /^[^\r\n]*/.exec(text)![0];
	const other = heading.includes(separator) ? undefined : /[;\t|,]/.exec(heading)?.[0];
	if (other === undefined) return;
	const [looks, assumed] = [other, separator].map((character) => (character === '\t' ? '\\t' : character));
	throw new UsageError(
		`The heading of ${name} has no "${assumed}" and looks as if "${looks}" stood between its cells: say --delimiter "${looks}", or --delimiter "${assumed}" where it is one column.`,
	);
}

/** Lines may end in both of today's ways in one file. A lone carriage return is a part of its cell, unless the first line ends with one. */
function lineEndsOf(text: string): string[] {
	return /\r\n|\n|\r/.exec(text)?.[0] === '\r' ? ['\r\n', '\n', '\r'] : ['\r\n', '\n'];
}

/** A text; where types are wanted, the number, boolean or null that it spells, if that is spelled as JSON would. */
function cellOf(text: string, typed: boolean): unknown {
	if (!typed || !/^(-?\d[\d.eE+-]*|true|false|null)$/.test(text)) return text;
	try {
		return parseExact(text);
	} catch {
		return text;
	}
}

function found(value: unknown, place: string): FoundRow {
	if (isObject(value)) return { members: value, place };
	throw new Error(`${place} is not a JSON object.`);
}

function parsed(text: string, what: string): unknown {
	try {
		return parseExact(text);
	} catch (error) {
		if (error instanceof SyntaxError) throw new Error(`${what} is not JSON: ${error.message}.`);
		if (error instanceof PumaError)
			throw new PumaError(error.code, `${what}: ${error.message}`, { details: error.details });
		throw error;
	}
}

/**
 * The same of a document with many rows. A number that a double does not hold is left as what no row may have, a bigint or Infinity,
 * so that the check of the rows names the row and the member; one that underflows has nothing to be left as, and is refused here.
 */
function parsedDocument(text: string, what: string): unknown {
	try {
		return parsed(text, what);
	} catch (error) {
		if (!(error instanceof PumaError) || error.code !== 'number_not_exact') throw error;
		return JSON.parse(text, (_: string, value: unknown, context?: { readonly source?: string }) => {
			if (typeof value !== 'number') return value;
			const source = context!.source!;
			if (Number.isFinite(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)) return BigInt(source);
			if (value === 0) parsed(source, what);
			return value;
		});
	}
}

function isObject(value: unknown): value is Members {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
