import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openReader, type Row } from '../../src/store/sqlite/driver.ts';
import { findFaults } from '../../src/store/sqlite/faults.ts';
import { DATABASE_FILE } from '../../src/store/sqlite/store.ts';
import { databaseOf } from './nodes.ts';

/** Everything that is wrong with the database in a data directory; the server may run. */
export function faultsOf(dataDir: string): string[] {
	const url = databaseOf(dataDir);
	if (url !== undefined) return askPostgres('faults', url) as string[];
	const db = openReader(join(dataDir, DATABASE_FILE));
	try {
		return [...findFaults(db)];
	} finally {
		db.close();
	}
}

function askPostgres(...question: string[]): unknown {
	const program = join(import.meta.dirname, 'ask-postgres.ts');
	const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...question], { encoding: 'utf8' });
	if (status !== 0) throw new Error(`The database could not be asked: ${stderr}`);
	return JSON.parse(stdout);
}

/** Rows of a query on the database itself. */
export function queryDatabase(dataDir: string, sql: string): Row[] {
	const url = databaseOf(dataDir);
	if (url !== undefined) return askPostgres('query', url, sql) as Row[];
	const db = openReader(join(dataDir, DATABASE_FILE));
	try {
		return db.prepare(sql).all() as Row[];
	} finally {
		db.close();
	}
}

/**
 * The files of a data directory whose bytes hold the text, or the tables of the database that stands for it. Another process reads them: closing a file gives up the locks that a
 * process has on it (fcntl(2)), and the server may be in this one.
 */
export function filesHolding(dataDir: string, text: string): string[] {
	const url = databaseOf(dataDir);
	if (url !== undefined) return askPostgres('holding', url, text) as string[];
	const names = readdirSync(dataDir).filter((name) => statSync(join(dataDir, name)).isFile());
	const { status, stdout, stderr } = spawnSync('grep', ['-lF', '--', text, ...names], {
		cwd: dataDir,
		encoding: 'utf8',
	});
	// 1: none of them does.
	if (status !== 0 && status !== 1) throw new Error(`grep ended with ${status}: ${stderr}`);
	return stdout.split('\n').filter((name) => name !== '');
}
