import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { APPLICATION_ID, type Database } from './driver.ts';

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

function pragma(db: Database, name: string): number {
	return Number(Object.values(db.prepare(`PRAGMA ${name}`).get()!)[0]);
}

/** @throws Error with a sentence for the operator where the file is not ours or newer than this version. */
export function requireOurs(db: Database, path: string): void {
	const schema = pragma(db, 'user_version');
	if (pragma(db, 'application_id') !== APPLICATION_ID) {
		throw new Error(`${path} is not a pumaDB database. Set PUMADB_DATA_DIR to another directory.`);
	}
	if (schema > currentSchema()) {
		throw new Error(
			`${path} has schema ${schema}, and this version of pumaDB knows schemas up to ${currentSchema()}. Start the newer version that wrote it.`,
		);
	}
}

/** Brings the schema up to date, each step in one transaction. */
export function migrate(db: Database, path: string): void {
	const empty = pragma(db, 'user_version') === 0 && db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
	if (empty) db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
	requireOurs(db, path);
	for (const name of migrations()) {
		const number = Number(name.slice(0, 4));
		if (number <= pragma(db, 'user_version')) continue;
		db.exec('BEGIN IMMEDIATE');
		db.exec(readFileSync(join(DIRECTORY, name), 'utf8'));
		db.exec(`PRAGMA user_version = ${number}`);
		db.exec('COMMIT');
	}
}
