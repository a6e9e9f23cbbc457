import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { openReader } from '../store/sqlite/driver.ts';
import { findFaults } from '../store/sqlite/faults.ts';
import { requireOurs } from '../store/sqlite/migrate.ts';
import { DATABASE_FILE } from '../store/sqlite/store.ts';
import { print } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Prints every fault of the database, as of one moment; the server may run. Exit code 1 where there is one. */
export async function check({ dataDir, databaseUrl }: Config, around: Surroundings): Promise<number> {
	if (databaseUrl !== undefined) {
		const { faultsOf } = await import('../store/postgres/store.ts');
		return tell('The database of PUMADB_DATABASE_URL', await faultsOf(databaseUrl), around);
	}
	const path = join(dataDir, DATABASE_FILE);
	if (!existsSync(path))
		throw new Error(`There is no database in ${dataDir}. Set --data-dir to the server's data directory.`);
	requireOurs(path);
	const db = openReader(path);
	try {
		return await tell(path, findFaults(db), around);
	} finally {
		db.close();
	}
}

async function tell(what: string, faults: Iterable<string>, around: Surroundings): Promise<number> {
	let count = 0;
	for (const fault of faults) {
		count++;
		around.complain(fault);
	}
	await print(around, count === 0 ? `${what} is sound.` : `${what} has ${count} faults.`);
	return count === 0 ? 0 : 1;
}
