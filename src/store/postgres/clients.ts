import type {
	Authorization,
	AuthorizationRequest,
	ClientMetadata,
	ClientRecord,
	Grant,
} from '../../accounts/grants.ts';
import type { Ask, Row } from './connections.ts';

/** What reads and writes both ask of OAuth clients, authorizations and grants. */

const COLUMNS = 'client_id, secret_hash, metadata, created_at, seen_at';

export async function clientById(ask: Ask, clientId: string): Promise<ClientRecord | undefined> {
	const { rows } = await ask(`SELECT ${COLUMNS} FROM pumadb.clients WHERE client_id = $1`, [clientId]);
	return clientRecord(rows[0]);
}

export async function clientByFingerprint(ask: Ask, fingerprint: string): Promise<ClientRecord | undefined> {
	const { rows } = await ask(`SELECT ${COLUMNS} FROM pumadb.clients WHERE fingerprint = $1`, [fingerprint]);
	return clientRecord(rows[0]);
}

function clientRecord(row: Row | undefined): ClientRecord | undefined {
	if (row === undefined) return undefined;
	return {
		id: row.client_id,
		secretHash: row.secret_hash,
		createdAt: row.created_at,
		seenAt: row.seen_at,
		...(JSON.parse(row.metadata) as ClientMetadata),
	};
}

export type WaitingAuthorization = Authorization & { readonly browserHash: string; readonly expiresAt: number };

/** An authorization that waits, expired or not. @param lock hold it until the transaction ends. */
export async function authorizationOf(
	ask: Ask,
	requestHash: string,
	lock: boolean,
): Promise<WaitingAuthorization | undefined> {
	const { rows } = await ask(
		`SELECT browser_hash, email, request, account_id, expires_at FROM pumadb.authorizations
			WHERE request_hash = $1 ${lock ? 'FOR UPDATE' : ''}`,
		[requestHash],
	);
	const [row] = rows;
	if (row === undefined) return undefined;
	return {
		browserHash: row.browser_hash,
		email: row.email,
		request: JSON.parse(row.request) as AuthorizationRequest,
		accountId: row.account_id ?? undefined,
		expiresAt: row.expires_at,
	};
}

/** The account's grants that can still be used, the newest first. */
export async function grantsOf(ask: Ask, accountId: string, now: number): Promise<Grant[]> {
	// Not by EXISTS, which the planner may answer by reading all tokens.
	const live = (table: 'tokens' | 'codes'): string => `(SELECT true FROM pumadb.${table} t
		WHERE t.account_id = g.account_id AND t.grant_id = g.grant_id AND t.used_at IS NULL AND t.expires_at > $2 LIMIT 1)`;
	const { rows } = await ask(
		`SELECT grant_id, client_id, client_name, redirect_uri, created_at, last_used_at FROM pumadb.grants g
			WHERE account_id = $1 AND (${live('tokens')} OR ${live('codes')}) ORDER BY created_at DESC, grant_id`,
		[accountId, now],
	);
	return rows.map((row) => ({
		id: row.grant_id,
		clientId: row.client_id,
		clientName: row.client_name,
		redirectUri: row.redirect_uri,
		createdAt: row.created_at,
		lastUsedAt: row.last_used_at,
	}));
}
