import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isBusy } from './driver.ts';

/** Holds a data directory for one process. The operating system lets go of it when the process ends, however it ends. */
export interface Lock {
	release(): void;
}

/** Thrown where another process holds the data directory. */
export class LockedError extends Error {}

/**
 * Takes the lock of a data directory: an exclusive transaction on a database of its own, which needs no native code and leaves
 * nothing stale behind.
 * @throws LockedError with a sentence for the operator.
 */
export function lockDataDir(dataDir: string): Lock {
	const pidFile = join(dataDir, 'pumadb.pid');
	const lockFile = join(dataDir, 'pumadb.lock');
	const db = new DatabaseSync(lockFile, { timeout: 0 });
	chmodSync(lockFile, 0o600);
	try {
		db.exec('BEGIN EXCLUSIVE');
	} catch (error) {
		db.close();
		if (!isBusy(error)) throw error;
		throw new LockedError(
			`Another pumaDB process (${holder(pidFile)}) uses the data directory ${dataDir}. Stop it first, or set PUMADB_DATA_DIR to another directory.`,
		);
	}
	writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
	return { release: () => db.close() };
}

function holder(pidFile: string): string {
	try {
		return `process ${readFileSync(pidFile, 'utf8').trim()}`;
	} catch {
		return 'unknown process';
	}
}
