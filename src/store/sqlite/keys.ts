import type { KeyRecord } from '../../accounts/rules.ts';
import type { Database, Row } from './driver.ts';

const COLUMNS = 'key_id, account_id, name, prefix, made_by, created_at, last_used_at, revoked_at';

function keyRecord(row: Row): KeyRecord {
	return {
		id: row.key_id as string,
		accountId: row.account_id as string,
		name: row.name as string,
		prefix: row.prefix as string,
		madeBy: row.made_by as KeyRecord['madeBy'],
		createdAt: row.created_at as string,
		lastUsedAt: row.last_used_at as string | null,
		revokedAt: row.revoked_at as string | null,
	};
}

/** The keys of an account that are not revoked, oldest first. */
export function liveKeysOf(db: Database, accountId: string): KeyRecord[] {
	const sql = `SELECT ${COLUMNS} FROM api_keys WHERE account_id = ? AND revoked_at IS NULL ORDER BY key_no`;
	return (db.prepare(sql).all(accountId) as Row[]).map(keyRecord);
}

/** Every key of an account, oldest first, revoked ones included. */
export function keysOf(db: Database, accountId: string): KeyRecord[] {
	const rows = db.prepare(`SELECT ${COLUMNS} FROM api_keys WHERE account_id = ? ORDER BY key_no`).all(accountId);
	return (rows as Row[]).map(keyRecord);
}
