import {
	type ClientRecord,
	type CodeRecord,
	type GrantCommand,
	grantsToGiveUp,
	judgeCode,
	judgeRefresh,
	type NewTokens,
	type RefreshRecord,
	requireAuthorization,
	requireRoomForClient,
	reuseRefusal,
	signedInAccount,
} from '../../accounts/grants.ts';
import type { AccountDone, AccountOutcome } from '../../accounts/rules.ts';
import { sameHash } from '../../accounts/secrets.ts';
import { stamp } from '../../domain/row.ts';
import { Refusal, type RefusalData } from '../../errors.ts';
import {
	DAY_MS,
	MAX_LIVE_TOKENS,
	MAX_UNUSED_CLIENTS,
	MAX_USED_TOKENS,
	UNUSED_CLIENT_MS,
	USED_CLIENT_MS,
	USED_REFRESH_TOKEN_MS,
} from '../../limits.ts';
import { authorizationOf, clientByFingerprint } from './clients.ts';
import type { Database, Row, SQLInputValue } from './driver.ts';

/** What grants need of the account commands around them. */
export interface SignIns {
	/** Uses a magic link of this authorization. @returns the account of its address. @throws Refusal invalid_magic_link */
	signIn(tokenHash: string, requestHash: string, freshAccountId: string, now: number): string;
}

/** Loads, decides and applies commands on clients, authorizations and grants, inside the transaction that the writer holds open. */
export class GrantWrites {
	readonly #db: Database;
	readonly #signIns: SignIns;

	constructor(db: Database, signIns: SignIns) {
		this.#db = db;
		this.#signIns = signIns;
	}

	/** @throws Refusal before anything was changed. */
	run(command: GrantCommand, now: number): AccountOutcome {
		switch (command.command) {
			case 'registerClient':
				return this.#register(command, now);
			case 'beginAuthorization':
				this.#exec(
					'INSERT INTO authorizations (request_hash, browser_hash, email, request, expires_at) VALUES (?, ?, ?, ?, ?)',
					command.requestHash,
					command.browserHash,
					command.email,
					JSON.stringify(command.request),
					command.expiresAt,
				);
				this.#exec('UPDATE clients SET seen_at = ? WHERE client_id = ?', now, command.request.clientId);
				return {};
			case 'signInForAuthorization':
				return this.#signIn(command, now);
			case 'grantAuthorization':
				return this.#grant(command, now);
			case 'denyAuthorization': {
				requireAuthorization(authorizationOf(this.#db, command.requestHash), command.browserHash, now);
				this.#exec('DELETE FROM authorizations WHERE request_hash = ?', command.requestHash);
				return {};
			}
			case 'exchangeCode':
				return this.#exchange(command, now);
			case 'refreshGrant':
				return this.#refresh(command, now);
			case 'revokeToken':
				return this.#revokeToken(command);
			case 'revokeGrant': {
				const revoked = this.end(command.accountId, command.grantId);
				return { count: revoked.length, revoked };
			}
		}
	}

	/** Ends a grant with its tokens and the links it made. @returns its id, if it was there. */
	end(accountId: string, grantId: string): string[] {
		for (const table of ['tokens', 'codes'])
			this.#exec(`DELETE FROM ${table} WHERE account_id = ? AND grant_id = ?`, accountId, grantId);
		this.#exec('DELETE FROM links WHERE account_id = ? AND key_id = ?', accountId, grantId);
		const count = this.#exec('DELETE FROM grants WHERE account_id = ? AND grant_id = ?', accountId, grantId);
		return count === 0 ? [] : [grantId];
	}

	/** Ends everything that apps have of an account. @returns ids of its grants. */
	endAll(accountId: string, email: string): string[] {
		this.#exec('DELETE FROM authorizations WHERE email = ?', email);
		return this.#all('SELECT grant_id FROM grants WHERE account_id = ?', accountId).flatMap((row) =>
			this.end(accountId, row.grant_id as string),
		);
	}

	/** Removes at most `most` of each kind of thing that has run out. */
	sweep(now: number, most: number): { count: number; revoked: string[] } {
		let count = this.#exec(
			`DELETE FROM authorizations WHERE request_hash IN
				(SELECT request_hash FROM authorizations WHERE expires_at <= ? LIMIT ?)`,
			now,
			most,
		);
		const gone = (['tokens', 'codes'] as const).flatMap((table) => {
			const hash = table === 'tokens' ? 'token_hash' : 'code_hash';
			return this.#all(
				`DELETE FROM ${table} WHERE (account_id, ${hash}) IN
					(SELECT account_id, ${hash} FROM ${table} WHERE expires_at <= ? LIMIT ?) RETURNING account_id, grant_id`,
				now,
				most,
			);
		});
		count += gone.length;
		const touched = new Map(gone.map((row) => [row.grant_id as string, row.account_id as string]));
		const revoked = [...touched].flatMap(([grantId, accountId]) =>
			this.#isAlive(accountId, grantId, now) ? [] : this.end(accountId, grantId),
		);
		count += this.#sweepClients('seen_at', 'used_at IS NULL', now - UNUSED_CLIENT_MS, most);
		count += this.#sweepClients('used_at', 'used_at IS NOT NULL', now - USED_CLIENT_MS, most);
		return { count, revoked };
	}

	#sweepClients(time: 'seen_at' | 'used_at', which: string, before: number, most: number): number {
		return this.#exec(
			`DELETE FROM clients WHERE client_id IN (SELECT client_id FROM clients WHERE ${which} AND ${time} < ? ORDER BY ${time} LIMIT ?)`,
			before,
			most,
		);
	}

	/** Has it a code or token left that can be used? */
	#isAlive(accountId: string, grantId: string, now: number): boolean {
		return ['tokens', 'codes'].some(
			(table) =>
				this.#db
					.prepare(
						`SELECT 1 FROM ${table} WHERE account_id = ? AND grant_id = ? AND used_at IS NULL AND expires_at > ? LIMIT 1`,
					)
					.get(accountId, grantId, now) !== undefined,
		);
	}

	#exec(sql: string, ...values: SQLInputValue[]): number {
		return Number(this.#db.prepare(sql).run(...values).changes);
	}

	#all(sql: string, ...values: SQLInputValue[]): Row[] {
		return this.#db.prepare(sql).all(...values) as Row[];
	}

	#register({ client }: Extract<GrantCommand, { command: 'registerClient' }>, now: number): AccountDone {
		if (client.fingerprint !== null) {
			const known = clientByFingerprint(this.#db, client.fingerprint);
			if (known !== undefined) {
				this.#exec('UPDATE clients SET seen_at = ? WHERE client_id = ?', now, known.id);
				return { client: { ...known, seenAt: now } };
			}
		}
		this.#makeRoomForClient(now);
		const { id, secretHash, fingerprint, createdAt, seenAt, ...metadata } = client;
		this.#exec(
			'INSERT INTO clients (client_id, secret_hash, metadata, fingerprint, created_at, seen_at) VALUES (?, ?, ?, ?, ?, ?)',
			id,
			secretHash,
			JSON.stringify(metadata),
			fingerprint,
			createdAt,
			seenAt,
		);
		const made: ClientRecord = { id, secretHash, createdAt, seenAt, ...metadata };
		return { client: made };
	}

	/** @throws Refusal overloaded */
	#makeRoomForClient(now: number): void {
		const unused = 'FROM clients WHERE used_at IS NULL ORDER BY seen_at LIMIT 1';
		const full = this.#db.prepare(`SELECT 1 ${unused} OFFSET ?`).get(MAX_UNUSED_CLIENTS - 1) !== undefined;
		if (!full) return;
		const oldest = this.#db.prepare(`SELECT client_id, seen_at ${unused}`).get() as Row;
		requireRoomForClient(oldest.seen_at as number, now);
		this.#exec('DELETE FROM clients WHERE client_id = ?', oldest.client_id!);
	}

	#signIn(command: Extract<GrantCommand, { command: 'signInForAuthorization' }>, now: number): AccountDone {
		const { requestHash, browserHash, tokenHash, freshAccountId } = command;
		const pending = authorizationOf(this.#db, requestHash);
		requireAuthorization(pending, browserHash, now);
		// A second press of the button is no second use of the link.
		if (pending!.accountId !== undefined) return { accountId: pending!.accountId };
		const accountId = this.#signIns.signIn(tokenHash, requestHash, freshAccountId, now);
		this.#exec('UPDATE authorizations SET account_id = ? WHERE request_hash = ?', accountId, requestHash);
		return { accountId };
	}

	#grant(command: Extract<GrantCommand, { command: 'grantAuthorization' }>, now: number): AccountDone {
		const { grantId, code } = command;
		const pending = authorizationOf(this.#db, command.requestHash);
		requireAuthorization(pending, command.browserHash, now);
		const accountId = signedInAccount(pending!);
		const { request } = pending!;
		this.#exec('DELETE FROM authorizations WHERE request_hash = ?', command.requestHash);
		const live = this.#all(
			'SELECT grant_id FROM grants WHERE account_id = ? ORDER BY coalesce(last_used_at, created_at)',
			accountId,
		);
		const revoked = grantsToGiveUp(live.map((row) => row.grant_id as string)).flatMap((id) => this.end(accountId, id));
		this.#exec(
			`INSERT INTO grants (account_id, grant_id, client_id, client_name, redirect_uri, audience, created_at)
				VALUES (?, ?, ?, ?, ?, ?, ?)`,
			accountId,
			grantId,
			request.clientId,
			request.clientName ?? null,
			request.redirectUri,
			request.audience,
			stamp(now),
		);
		this.#exec(
			'INSERT INTO codes (account_id, code_hash, grant_id, challenge, expires_at) VALUES (?, ?, ?, ?, ?)',
			accountId,
			code.hash,
			grantId,
			request.challenge,
			code.expiresAt,
		);
		return { accountId, revoked };
	}

	#exchange(command: Extract<GrantCommand, { command: 'exchangeCode' }>, now: number): AccountOutcome {
		const { accountId, codeHash, tokens } = command;
		const row = this.#db
			.prepare(
				`SELECT c.code_hash, c.grant_id, c.challenge, c.expires_at, c.used_at, g.client_id, g.redirect_uri, g.audience
					FROM codes c JOIN grants g USING (account_id, grant_id) WHERE c.account_id = ? AND c.code_hash = ?`,
			)
			.get(accountId, codeHash) as Row | undefined;
		const code: CodeRecord | undefined =
			row === undefined || !sameHash(row.code_hash as string, codeHash)
				? undefined
				: {
						grantId: row.grant_id as string,
						clientId: row.client_id as string,
						redirectUri: row.redirect_uri as string,
						challenge: row.challenge as string,
						audience: row.audience as string,
						expiresAt: row.expires_at as number,
						usedAt: row.used_at as number | null,
					};
		if (judgeCode(code, command, now) === 'reused') return this.#endReused(accountId, code!.grantId, 'code');
		// It stays known for a day, so that a second use is seen.
		this.#exec(
			'UPDATE codes SET used_at = ?, expires_at = ? WHERE account_id = ? AND code_hash = ?',
			now,
			now + DAY_MS,
			accountId,
			codeHash,
		);
		this.#addTokens(accountId, code!.grantId, tokens);
		this.#clientUsed(command.clientId, now);
		return { accountId };
	}

	#refresh(command: Extract<GrantCommand, { command: 'refreshGrant' }>, now: number): AccountOutcome {
		const { accountId, tokenHash, tokens } = command;
		const row = this.#tokenRow(accountId, tokenHash, 'refresh');
		const token: RefreshRecord | undefined =
			row === undefined
				? undefined
				: {
						grantId: row.grant_id as string,
						clientId: row.client_id as string,
						audience: row.audience as string,
						expiresAt: row.expires_at as number,
						usedAt: row.used_at as number | null,
					};
		if (judgeRefresh(token, command, now) === 'reused') {
			return this.#endReused(accountId, token!.grantId, 'refresh token');
		}
		this.#exec(
			`UPDATE tokens SET used_at = ?, expires_at = min(expires_at, ?)
				WHERE account_id = ? AND token_hash = ? AND used_at IS NULL`,
			now,
			now + USED_REFRESH_TOKEN_MS,
			accountId,
			tokenHash,
		);
		this.#addTokens(accountId, token!.grantId, tokens);
		this.#clientUsed(command.clientId, now);
		return { accountId };
	}

	#revokeToken({ accountId, tokenHash, clientId }: Extract<GrantCommand, { command: 'revokeToken' }>): AccountDone {
		const row = this.#tokenRow(accountId, tokenHash, undefined);
		// A token that is not there is as ended as can be (RFC 7009 section 2.2).
		if (row === undefined) return { count: 0 };
		if (row.client_id !== clientId) {
			throw new Refusal('unauthorized_client', 'The token was given to another client, so it was not revoked.');
		}
		const grantId = row.grant_id as string;
		if (row.kind === 'refresh') {
			const revoked = this.end(accountId, grantId);
			return { count: revoked.length, revoked };
		}
		this.#exec('DELETE FROM tokens WHERE account_id = ? AND token_hash = ?', accountId, tokenHash);
		return { count: 1, revoked: [tokenHash] };
	}

	#tokenRow(accountId: string, tokenHash: string, kind: 'refresh' | undefined): Row | undefined {
		const row = this.#db
			.prepare(
				`SELECT t.token_hash, t.kind, t.grant_id, t.expires_at, t.used_at, g.client_id, g.audience
					FROM tokens t JOIN grants g USING (account_id, grant_id) WHERE t.account_id = ? AND t.token_hash = ?`,
			)
			.get(accountId, tokenHash) as Row | undefined;
		if (row === undefined || !sameHash(row.token_hash as string, tokenHash)) return undefined;
		return kind === undefined || row.kind === kind ? row : undefined;
	}

	#endReused(accountId: string, grantId: string, what: 'code' | 'refresh token'): AccountOutcome {
		const { code, message } = reuseRefusal(what);
		const refusal: RefusalData = { code, message };
		return { refusal, revoked: this.end(accountId, grantId) };
	}

	#addTokens(accountId: string, grantId: string, tokens: NewTokens): void {
		const add = this.#db.prepare(
			'INSERT INTO tokens (account_id, token_hash, grant_id, kind, expires_at) VALUES (?, ?, ?, ?, ?)',
		);
		add.run(accountId, tokens.accessHash, grantId, 'access', tokens.accessExpiresAt);
		add.run(accountId, tokens.refreshHash, grantId, 'refresh', tokens.refreshExpiresAt);
		// Whoever refreshes on and on piles nothing up.
		for (const [which, most] of [
			["kind = 'access'", MAX_LIVE_TOKENS],
			["kind = 'refresh' AND used_at IS NULL", MAX_LIVE_TOKENS],
			["kind = 'refresh' AND used_at IS NOT NULL", MAX_USED_TOKENS],
		] as const) {
			this.#exec(
				`DELETE FROM tokens WHERE account_id = ?1 AND token_hash IN (SELECT token_hash FROM tokens
					WHERE account_id = ?1 AND grant_id = ?2 AND ${which} ORDER BY expires_at DESC LIMIT -1 OFFSET ${most})`,
				accountId,
				grantId,
			);
		}
	}

	/** Noted once a day: it only keeps the client from being swept. */
	#clientUsed(clientId: string, now: number): void {
		this.#exec(
			'UPDATE clients SET used_at = ? WHERE client_id = ? AND (used_at IS NULL OR used_at < ?)',
			now,
			clientId,
			now - DAY_MS,
		);
	}
}
