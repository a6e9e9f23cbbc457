import type { KeyRecord } from '../../accounts/rules.ts';
import type { Ask } from './connections.ts';

/** The keys of an account, oldest first; revoked ones too unless only the live ones are asked for. */
export async function keysOf(ask: Ask, accountId: string, which: 'all' | 'live' = 'all'): Promise<KeyRecord[]> {
	const { rows } = await ask(
		`SELECT key_id, account_id, name, prefix, made_by, created_at, last_used_at, revoked_at FROM pumadb.api_keys
			WHERE account_id = $1 ${which === 'live' ? 'AND revoked_at IS NULL' : ''} ORDER BY key_no`,
		[accountId],
	);
	return rows.map((row) => ({
		id: row.key_id,
		accountId: row.account_id,
		name: row.name,
		prefix: row.prefix,
		madeBy: row.made_by,
		createdAt: row.created_at,
		lastUsedAt: row.last_used_at,
		revokedAt: row.revoked_at,
	}));
}
