import type {
	Authorization,
	AuthorizationRequest,
	ClientMetadata,
	ClientRecord,
	Grant,
} from '../../accounts/grants.ts';
import type { Database, Row } from './driver.ts';

/** What both threads read of OAuth clients, authorizations and grants. */

const COLUMNS = 'client_id, secret_hash, metadata, created_at, seen_at';

export function clientById(db: Database, clientId: string): ClientRecord | undefined {
	return clientRecord(
		db.prepare(`SELECT ${COLUMNS} FROM clients WHERE client_id = ?`).get(clientId) as Row | undefined,
	);
}

export function clientByFingerprint(db: Database, fingerprint: string): ClientRecord | undefined {
	const row = db.prepare(`SELECT ${COLUMNS} FROM clients WHERE fingerprint = ?`).get(fingerprint);
	return clientRecord(row as Row | undefined);
}

function clientRecord(row: Row | undefined): ClientRecord | undefined {
	if (row === undefined) return undefined;
	return {
		id: row.client_id as string,
		secretHash: row.secret_hash as string | null,
		createdAt: row.created_at as number,
		seenAt: row.seen_at as number,
		...(JSON.parse(row.metadata as string) as ClientMetadata),
	};
}

/** An authorization that waits, expired or not. */
export function authorizationOf(
	db: Database,
	requestHash: string,
): (Authorization & { readonly browserHash: string; readonly expiresAt: number }) | undefined {
	const row = db
		.prepare('SELECT browser_hash, email, request, account_id, expires_at FROM authorizations WHERE request_hash = ?')
		.get(requestHash) as Row | undefined;
	if (row === undefined) return undefined;
	return {
		browserHash: row.browser_hash as string,
		email: row.email as string,
		request: JSON.parse(row.request as string) as AuthorizationRequest,
		accountId: (row.account_id as string | null) ?? undefined,
		expiresAt: row.expires_at as number,
	};
}

/** The account's grants that can still be used, the newest first. */
export function grantsOf(db: Database, accountId: string, now: number): Grant[] {
	const live = (
		table: 'tokens' | 'codes',
	): string => `EXISTS (SELECT 1 FROM ${table} t WHERE t.account_id = g.account_id
		AND t.grant_id = g.grant_id AND t.used_at IS NULL AND t.expires_at > :now)`;
	const rows = db
		.prepare(
			`SELECT grant_id, client_id, client_name, redirect_uri, created_at, last_used_at FROM grants g
				WHERE account_id = :account AND (${live('tokens')} OR ${live('codes')}) ORDER BY created_at DESC, grant_id`,
		)
		.all({ account: accountId, now }) as Row[];
	return rows.map((row) => ({
		id: row.grant_id as string,
		clientId: row.client_id as string,
		clientName: row.client_name as string | null,
		redirectUri: row.redirect_uri as string,
		createdAt: row.created_at as string,
		lastUsedAt: row.last_used_at as string | null,
	}));
}
