import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { notEnded } from '../move/ends.ts';
import { APPLICATION_ID, type Database, isNoDatabase, openReader, type Row } from './driver.ts';

const MAGIC = 'SQLite format 3\0';
const DIRECTORY = join(import.meta.dirname, 'migrations');

/** Numbered files, each brings the schema from the number before it to its own. SQLite's `user_version` holds the number. */
function migrations(): string[] {
	return readdirSync(DIRECTORY)
		.filter((name) => /^\d{4}\.sql$/.test(name))
		.sort();
}

/** The schema number that this version of pumaDB writes. */
export function currentSchema(): number {
	return Number(migrations().at(-1)!.slice(0, 4));
}

/** The schema number of an open file. */
export function schemaOf(db: Database): number {
	return pragma(db, 'user_version');
}

function pragma(db: Database, name: string): number {
	return Number(Object.values(db.prepare(`PRAGMA ${name}`).get()!)[0]);
}

/**
 * Looks at a file without changing it.
 * @param mayBeMoving do not mind that a move into it has not ended.
 * @throws Error with a sentence for the operator where it is not a database of ours, or newer than this version, or half moved.
 */
export function requireOurs(path: string, mayBeMoving = false): void {
	if (!existsSync(path) || statSync(path).size === 0) return;
	if (!statSync(path).isFile() || !hasMagic(path)) throw notOurs(path);
	let db: Database | undefined;
	try {
		db = openReader(path);
		const schema = schemaOf(db);
		if (schema === 0 && isEmpty(db)) return;
		if (pragma(db, 'application_id') !== APPLICATION_ID) throw notOurs(path);
		const mark = mayBeMoving ? undefined : moveMark(db);
		if (mark !== undefined) throw notEnded(path, String(mark.source));
		if (schema > currentSchema()) {
			throw new Error(
				`${path} has schema ${schema}, and this version of pumaDB knows schemas up to ${currentSchema()}. Start the newer version that wrote it.`,
			);
		}
	} catch (error) {
		throw isNoDatabase(error) ? notOurs(path) : error;
	} finally {
		db?.close();
	}
}

/** Does the file begin as SQLite databases do (https://sqlite.org/fileformat.html)? SQLite itself takes a shorter file for an empty one. */
function hasMagic(path: string): boolean {
	const start = Buffer.alloc(MAGIC.length);
	const fd = openSync(path, 'r');
	try {
		readSync(fd, start);
	} finally {
		closeSync(fd);
	}
	return start.toString('latin1') === MAGIC;
}

function notOurs(path: string): Error {
	return new Error(`${path} is not a pumaDB database. Set PUMADB_DATA_DIR to another directory.`);
}

/** The mark of a move into the database that has not ended. */
export function moveMark(db: Database): Row | undefined {
	if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'move'").get() === undefined) return undefined;
	return db.prepare('SELECT source, counts, kind, position FROM move').get() as Row | undefined;
}

/** A file that was made and not yet filled. */
function isEmpty(db: Database): boolean {
	return db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
}

/** Brings the schema up to date, each step in one transaction. */
export function migrate(db: Database): void {
	if (isEmpty(db)) db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
	for (const name of migrations()) {
		const number = Number(name.slice(0, 4));
		if (number <= schemaOf(db)) continue;
		db.exec('BEGIN IMMEDIATE');
		db.exec(readFileSync(join(DIRECTORY, name), 'utf8'));
		db.exec(`PRAGMA user_version = ${number}`);
		db.exec('COMMIT');
	}
}
