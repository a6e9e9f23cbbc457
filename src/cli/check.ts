import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openReader } from '../store/sqlite/driver.ts';
import { findFaults } from '../store/sqlite/faults.ts';
import { requireOurs } from '../store/sqlite/migrate.ts';
import { DATABASE_FILE } from '../store/sqlite/store.ts';
import type { Surroundings } from './surroundings.ts';

/** Prints every fault of the database, as of one moment; the server may run. Exit code 1 where there is one. */
export async function check(dataDir: string, around: Surroundings): Promise<number> {
	const path = join(dataDir, DATABASE_FILE);
	if (!existsSync(path))
		throw new Error(`There is no database in ${dataDir}. Set --data-dir to the server's data directory.`);
	requireOurs(path);
	const db = openReader(path);
	try {
		let faults = 0;
		for (const fault of findFaults(db)) {
			faults++;
			around.complain(fault);
		}
		around.print(faults === 0 ? `${path} is sound.` : `${path} has ${faults} faults.`);
		return faults === 0 ? 0 : 1;
	} finally {
		db.close();
	}
}
