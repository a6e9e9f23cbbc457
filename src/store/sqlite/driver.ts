import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

/** The only file that knows the driver, Node's own `node:sqlite`, whose API is a release candidate. */

export type Value = null | number | string | Uint8Array;
export type Row = Record<string, Value>;
export type Statement = StatementSync;
export type Database = DatabaseSync;
export type { SQLInputValue };

/** Marks the file as ours (SQLite's `application_id`): "puma". */
export const APPLICATION_ID = 0x70756d61;

/** What is not in these caches is in the system's: a miss costs a copy, not a wait. */
const READER_CACHE_KIB = 8192;
const WRITER_CACHE_KIB = 8192;

/** A read-only connection. In WAL mode it neither waits for the writer nor makes it wait. */
export function openReader(path: string): Database {
	const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
	db.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}; PRAGMA query_only = ON;`);
	return db;
}

/**
 * The write connection. `synchronous = FULL` makes each commit wait for the disk (https://sqlite.org/pragma.html#pragma_synchronous);
 * checkpoints are left to the checkpoint thread; deleted content is overwritten, because an erased row must be gone.
 */
export function openWriter(path: string): Database {
	const db = new DatabaseSync(path, { timeout: 5000 });
	chmodSync(path, 0o600);
	db.exec(`
		PRAGMA journal_mode = WAL;
		PRAGMA synchronous = FULL;
		PRAGMA wal_autocheckpoint = 0;
		PRAGMA secure_delete = ON;
		PRAGMA temp_store = MEMORY;
		PRAGMA cache_size = -${WRITER_CACHE_KIB};
	`);
	return db;
}

/** A connection that only checkpoints. */
export function openCheckpointer(path: string): Database {
	const db = new DatabaseSync(path, { timeout: 0 });
	db.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;');
	return db;
}

/** Is this error the disk's (full, failing, read-only) and not a fault of ours? SQLite result codes FULL, IOERR, READONLY, CANTOPEN. */
export function isDiskError(error: unknown): boolean {
	const code = (error as { errcode?: number } | undefined)?.errcode;
	return code !== undefined && [13, 10, 8, 14].includes(code & 0xff);
}

/** The file is no SQLite database (result code NOTADB). */
export function isNoDatabase(error: unknown): boolean {
	return ((error as { errcode?: number } | undefined)?.errcode ?? 0) % 256 === 26;
}

/** Another connection holds what was asked for (result code BUSY). */
export function isBusy(error: unknown): boolean {
	const code = (error as { errcode?: number } | undefined)?.errcode;
	return code !== undefined && (code & 0xff) === 5;
}
