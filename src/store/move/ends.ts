import type { Fields, KindName } from './kinds.ts';

/** What a move needs of an engine: a database to read from, and one to write to. */

/** A step carries this many records at most, and about as many as have so many characters together. */
export const STEP_RECORDS = 1000;
export const STEP_CHARACTERS = 2_000_000;

/** How far something is carried: what stands in an end's own order. Goes through JSON; only the end that made it reads it. */
export type Position = readonly (string | number)[];

export type Counts = Readonly<Record<KindName, number>>;

/** Records that are carried in one step, with the position behind the last. Never empty. */
export interface Page {
	readonly records: readonly Fields[];
	readonly after: Position;
}

export interface End {
	/** Names the database, without user and password. */
	readonly name: string;
	/** Records of each kind, those of accounts that are being erased left out. */
	counts(): Promise<Counts>;
	/** All records of a kind in the order of its key, some at a time. */
	inOrder(kind: KindName): AsyncIterable<readonly Fields[]>;
	close(): Promise<void>;
}

/** Is read, never changed. */
export interface Source extends End {
	/**
	 * The records of a kind from a position on, in the order in which they are to be carried: what was made first comes first, where
	 * the target numbers them.
	 */
	pages(kind: KindName, after: Position | undefined): AsyncIterable<Page>;
}

/** A move that was begun into a target and has not ended. */
export interface Begun {
	/** The source's name. */
	readonly source: string;
	/** What the source held when the move began. */
	readonly counts: Counts;
	/** The kind and position of what was last carried; undefined where nothing was. */
	readonly last: { readonly kind: KindName; readonly position: Position } | undefined;
}

export interface Target extends End {
	/** The move that has not ended here. @throws Error with a sentence where the database holds data and no such move. */
	begun(): Promise<Begun | undefined>;
	/** Makes the database where there is none, marks it, so that nobody serves it, and takes it for this run of the move. @returns the mark, which may be an earlier run's */
	begin(source: string, counts: Counts): Promise<Begun>;
	/** Stores the records and how far the move is, both or neither, on disk. */
	put(kind: KindName, records: readonly Fields[], position: Position): Promise<void>;
	/** Does what can only be done once everything is there. May be done again. */
	complete(): Promise<void>;
	/** Takes the mark away. */
	end(): Promise<void>;
}

/** What an operator is to do is said in one sentence; the exit code is that of a failure. */
export class MoveError extends Error {}

/** Refuses a database into which a move has not ended. @param name begins the sentence */
export function notEnded(name: string, source: string): MoveError {
	return new MoveError(
		`${name} is the target of a move from ${source} that has not ended: run the same "pumadb move" again, which goes on where it stopped, or empty the target.`,
	);
}

/** Refuses a target that holds data. */
export function notEmpty(name: string, what: string): MoveError {
	return new MoveError(
		`${name} holds data already (${what}), and a move needs an empty target. If an earlier move brought it there, that move has ended and it can be served.`,
	);
}

/** The mark of a move that has not ended: a table of one row, which is no part of the schema. @param table its name, with schema where it has one. */
export function markTable(table: string): string {
	return `CREATE TABLE ${table} (one integer PRIMARY KEY CHECK (one = 1), run text NOT NULL, source text NOT NULL, counts text NOT NULL, kind text, position text)`;
}

/** Reads the mark's row. */
export function readMark(row: Readonly<Record<string, unknown>>): Begun {
	const { source, counts, kind, position } = row;
	return {
		source: String(source),
		counts: JSON.parse(String(counts)) as Counts,
		last:
			kind === null || kind === undefined
				? undefined
				: { kind: kind as KindName, position: JSON.parse(String(position)) as Position },
	};
}
