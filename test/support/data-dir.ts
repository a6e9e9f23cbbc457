import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openReader, type Row } from '../../src/store/sqlite/driver.ts';
import { findFaults } from '../../src/store/sqlite/faults.ts';
import { DATABASE_FILE } from '../../src/store/sqlite/store.ts';

/** Everything that is wrong with the database in a data directory; the server may run. */
export function faultsOf(dataDir: string): string[] {
	const db = openReader(join(dataDir, DATABASE_FILE));
	try {
		return [...findFaults(db)];
	} finally {
		db.close();
	}
}

/** Rows of a query on the database itself. */
export function queryDatabase(dataDir: string, sql: string): Row[] {
	const db = openReader(join(dataDir, DATABASE_FILE));
	try {
		return db.prepare(sql).all() as Row[];
	} finally {
		db.close();
	}
}

/** The files of a data directory whose bytes hold the text. */
export function filesHolding(dataDir: string, text: string): string[] {
	return readdirSync(dataDir).filter((name) => {
		const path = join(dataDir, name);
		return statSync(path).isFile() && readFileSync(path).includes(text);
	});
}
