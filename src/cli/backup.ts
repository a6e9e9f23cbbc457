import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { openReader } from '../store/sqlite/driver.ts';
import { requireOurs } from '../store/sqlite/migrate.ts';
import { DATABASE_FILE } from '../store/sqlite/store.ts';
import { print } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * Copies the database as of one moment into a new file, which is complete and on disk once it has its name. The server may run:
 * the copy is one read transaction (https://sqlite.org/lang_vacuum.html, VACUUM INTO).
 */
export async function backup({ dataDir, databaseUrl }: Config, file: string, around: Surroundings): Promise<number> {
	if (databaseUrl !== undefined) {
		throw new Error(
			'The data is in the database of PUMADB_DATABASE_URL: copy it with "pg_dump --schema=pumadb", or as its server is backed up.',
		);
	}
	const source = join(dataDir, DATABASE_FILE);
	if (!existsSync(source))
		throw new Error(`There is no database in ${dataDir}. Set --data-dir to the server's data directory.`);
	requireOurs(source);
	if (!existsSync(dirname(resolve(file)))) throw new Error(`There is no directory for ${file}. Make it first.`);
	if (existsSync(file)) throw new Error(`${file} exists already. Name a file that does not.`);
	const partial = `${file}.partial`;
	rmSync(partial, { force: true });
	// Made first, so that the copy is never readable by others.
	closeSync(openSync(partial, 'wx', 0o600));
	const db = openReader(source);
	try {
		db.exec('PRAGMA query_only = OFF');
		db.prepare('VACUUM INTO ?').run(resolve(partial));
		sync(partial);
		renameSync(partial, file);
		sync(dirname(resolve(file)));
	} finally {
		db.close();
		rmSync(partial, { force: true });
	}
	await print(
		around,
		`Wrote ${file} (${statSync(file).size} bytes). To restore it, stop the server and put it in place of ${source}, without -wal and -shm files.`,
	);
	return 0;
}

function sync(path: string): void {
	const fd = openSync(path, 'r');
	try {
		fsyncSync(fd);
	} finally {
		closeSync(fd);
	}
}
