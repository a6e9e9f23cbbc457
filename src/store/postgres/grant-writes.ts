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
import { Refusal } from '../../errors.ts';
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
import type { Ask, Row } from './connections.ts';
import { endEpoch } from './epochs.ts';

type Of<C extends GrantCommand['command']> = Extract<GrantCommand, { command: C }>;

/** Registrations take turns: so their number cannot grow beyond its bound. */
const REGISTER_LOCK = 0x70756d616464;

/** What grants need of the account commands around them. */
export interface SignIns {
	/** Locks the account's row. @returns false where there is no such account. */
	lock(accountId: string): Promise<boolean>;
	/** Uses a magic link of this authorization. @returns the locked account of its address. @throws Refusal invalid_magic_link */
	signIn(tokenHash: string, requestHash: string, freshAccountId: string): Promise<string>;
}

/** Loads, decides and applies a command on clients, authorizations and grants, inside its transaction. */
export class GrantWrites {
	readonly #ask: Ask;
	readonly #now: number;
	readonly #signIns: SignIns;

	constructor(ask: Ask, now: number, signIns: SignIns) {
		this.#ask = ask;
		this.#now = now;
		this.#signIns = signIns;
	}

	/** A refusal that is thrown takes all back; one that is returned stands beside what it changed. @throws Refusal */
	async run(command: GrantCommand): Promise<AccountOutcome> {
		switch (command.command) {
			case 'registerClient':
				return this.#register(command);
			case 'beginAuthorization':
				await this.#do(
					`INSERT INTO pumadb.authorizations (request_hash, browser_hash, email, request, expires_at) VALUES ($1, $2, $3, $4, $5)`,
					command.requestHash,
					command.browserHash,
					command.email,
					JSON.stringify(command.request),
					command.expiresAt,
				);
				await this.#seen(command.request.clientId);
				return {};
			case 'signInForAuthorization':
				return this.#signIn(command);
			case 'grantAuthorization':
				return this.#grant(command);
			case 'denyAuthorization': {
				requireAuthorization(
					await authorizationOf(this.#ask, command.requestHash, true),
					command.browserHash,
					this.#now,
				);
				await this.#do('DELETE FROM pumadb.authorizations WHERE request_hash = $1', command.requestHash);
				return {};
			}
			case 'exchangeCode':
				return this.#exchange(command);
			case 'refreshGrant':
				return this.#refresh(command);
			case 'revokeToken':
				return this.#revokeToken(command);
			case 'revokeGrant': {
				await this.#signIns.lock(command.accountId);
				const revoked = await endGrant(this.#ask, command.accountId, command.grantId);
				return { count: revoked.length, revoked };
			}
		}
	}

	async #do(sql: string, ...values: unknown[]): Promise<Row[]> {
		return (await this.#ask(sql, values)).rows;
	}

	async #register({ client }: Of<'registerClient'>): Promise<AccountDone> {
		await this.#do('SELECT pg_advisory_xact_lock($1)', REGISTER_LOCK);
		if (client.fingerprint !== null) {
			const known = await clientByFingerprint(this.#ask, client.fingerprint);
			if (known !== undefined) {
				await this.#seen(known.id);
				return { client: { ...known, seenAt: this.#now } };
			}
		}
		await this.#makeRoomForClient();
		const { id, secretHash, fingerprint, createdAt, seenAt, ...metadata } = client;
		await this.#do(
			'INSERT INTO pumadb.clients (client_id, secret_hash, metadata, fingerprint, created_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6)',
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
	async #makeRoomForClient(): Promise<void> {
		const unused = 'FROM pumadb.clients WHERE used_at IS NULL ORDER BY seen_at LIMIT 1';
		const full = await this.#do(`SELECT 1 ${unused} OFFSET $1`, MAX_UNUSED_CLIENTS - 1);
		if (full.length === 0) return;
		const [oldest] = await this.#do(`SELECT client_id, seen_at ${unused}`);
		requireRoomForClient(oldest.seen_at, this.#now);
		await this.#do('DELETE FROM pumadb.clients WHERE client_id = $1', oldest.client_id);
	}

	async #signIn(command: Of<'signInForAuthorization'>): Promise<AccountDone> {
		const { requestHash, browserHash, tokenHash, freshAccountId } = command;
		const pending = await authorizationOf(this.#ask, requestHash, true);
		requireAuthorization(pending, browserHash, this.#now);
		// A second press of the button is no second use of the link.
		if (pending!.accountId !== undefined) return { accountId: pending!.accountId };
		const accountId = await this.#signIns.signIn(tokenHash, requestHash, freshAccountId);
		await this.#do('UPDATE pumadb.authorizations SET account_id = $2 WHERE request_hash = $1', requestHash, accountId);
		return { accountId };
	}

	async #grant(command: Of<'grantAuthorization'>): Promise<AccountDone> {
		const { grantId, code } = command;
		const pending = await authorizationOf(this.#ask, command.requestHash, true);
		requireAuthorization(pending, command.browserHash, this.#now);
		const accountId = signedInAccount(pending!);
		const { request } = pending!;
		await this.#do('DELETE FROM pumadb.authorizations WHERE request_hash = $1', command.requestHash);
		await this.#signIns.lock(accountId);
		const live = await this.#do(
			'SELECT grant_id FROM pumadb.grants WHERE account_id = $1 ORDER BY coalesce(last_used_at, created_at)',
			accountId,
		);
		const revoked: string[] = [];
		for (const id of grantsToGiveUp(live.map((row) => row.grant_id as string))) {
			revoked.push(...(await endGrant(this.#ask, accountId, id)));
		}
		await this.#do(
			`INSERT INTO pumadb.grants (account_id, grant_id, client_id, client_name, redirect_uri, audience, created_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			accountId,
			grantId,
			request.clientId,
			request.clientName ?? null,
			request.redirectUri,
			request.audience,
			stamp(this.#now),
		);
		await this.#do(
			'INSERT INTO pumadb.codes (account_id, code_hash, grant_id, challenge, expires_at) VALUES ($1, $2, $3, $4, $5)',
			accountId,
			code.hash,
			grantId,
			request.challenge,
			code.expiresAt,
		);
		return { accountId, revoked };
	}

	async #exchange(command: Of<'exchangeCode'>): Promise<AccountOutcome> {
		const { accountId, codeHash, tokens } = command;
		// Of two that present one code at once, the second sees that the first used it.
		await this.#signIns.lock(accountId);
		const [row] = await this.#do(
			`SELECT c.code_hash, c.grant_id, c.challenge, c.expires_at, c.used_at, g.client_id, g.redirect_uri, g.audience
				FROM pumadb.codes c JOIN pumadb.grants g USING (account_id, grant_id) WHERE c.account_id = $1 AND c.code_hash = $2`,
			accountId,
			codeHash,
		);
		const code: CodeRecord | undefined =
			row === undefined || !sameHash(row.code_hash, codeHash)
				? undefined
				: {
						grantId: row.grant_id,
						clientId: row.client_id,
						redirectUri: row.redirect_uri,
						challenge: row.challenge,
						audience: row.audience,
						expiresAt: row.expires_at,
						usedAt: row.used_at,
					};
		if (judgeCode(code, command, this.#now) === 'reused') return this.#endReused(accountId, code!.grantId, 'code');
		// It stays known for a day, so that a second use is seen.
		await this.#do(
			'UPDATE pumadb.codes SET used_at = $3, expires_at = $4 WHERE account_id = $1 AND code_hash = $2',
			accountId,
			codeHash,
			this.#now,
			this.#now + DAY_MS,
		);
		await this.#addTokens(accountId, code!.grantId, tokens);
		await this.#clientUsed(command.clientId);
		return { accountId };
	}

	async #refresh(command: Of<'refreshGrant'>): Promise<AccountOutcome> {
		const { accountId, tokenHash, tokens } = command;
		await this.#signIns.lock(accountId);
		const row = await this.#tokenRow(accountId, tokenHash);
		const token: RefreshRecord | undefined =
			row?.kind !== 'refresh'
				? undefined
				: {
						grantId: row.grant_id,
						clientId: row.client_id,
						audience: row.audience,
						expiresAt: row.expires_at,
						usedAt: row.used_at,
					};
		if (judgeRefresh(token, command, this.#now) === 'reused') {
			return this.#endReused(accountId, token!.grantId, 'refresh token');
		}
		await this.#do(
			`UPDATE pumadb.tokens SET used_at = $3, expires_at = least(expires_at, $4)
				WHERE account_id = $1 AND token_hash = $2 AND used_at IS NULL`,
			accountId,
			tokenHash,
			this.#now,
			this.#now + USED_REFRESH_TOKEN_MS,
		);
		await this.#addTokens(accountId, token!.grantId, tokens);
		await this.#clientUsed(command.clientId);
		return { accountId };
	}

	async #revokeToken({ accountId, tokenHash, clientId }: Of<'revokeToken'>): Promise<AccountDone> {
		await this.#signIns.lock(accountId);
		const row = await this.#tokenRow(accountId, tokenHash);
		// A token that is not there is as ended as can be (RFC 7009 section 2.2).
		if (row === undefined) return { count: 0 };
		if (row.client_id !== clientId) {
			throw new Refusal('unauthorized_client', 'The token was given to another client, so it was not revoked.');
		}
		if (row.kind === 'refresh') {
			const revoked = await endGrant(this.#ask, accountId, row.grant_id);
			return { count: revoked.length, revoked };
		}
		await this.#do('DELETE FROM pumadb.tokens WHERE account_id = $1 AND token_hash = $2', accountId, tokenHash);
		return { count: 1, revoked: [tokenHash] };
	}

	async #tokenRow(accountId: string, tokenHash: string): Promise<Row | undefined> {
		const [row] = await this.#do(
			`SELECT t.token_hash, t.kind, t.grant_id, t.expires_at, t.used_at, g.client_id, g.audience
				FROM pumadb.tokens t JOIN pumadb.grants g USING (account_id, grant_id) WHERE t.account_id = $1 AND t.token_hash = $2`,
			accountId,
			tokenHash,
		);
		return row === undefined || !sameHash(row.token_hash, tokenHash) ? undefined : row;
	}

	async #endReused(accountId: string, grantId: string, what: 'code' | 'refresh token'): Promise<AccountOutcome> {
		const { code, message } = reuseRefusal(what);
		return { refusal: { code, message }, revoked: await endGrant(this.#ask, accountId, grantId) };
	}

	async #addTokens(accountId: string, grantId: string, tokens: NewTokens): Promise<void> {
		await this.#do(
			`INSERT INTO pumadb.tokens (account_id, token_hash, grant_id, kind, expires_at)
				VALUES ($1, $3, $2, 'access', $4), ($1, $5, $2, 'refresh', $6)`,
			accountId,
			grantId,
			tokens.accessHash,
			tokens.accessExpiresAt,
			tokens.refreshHash,
			tokens.refreshExpiresAt,
		);
		// Whoever refreshes on and on piles nothing up.
		for (const [which, most] of [
			["kind = 'access'", MAX_LIVE_TOKENS],
			["kind = 'refresh' AND used_at IS NULL", MAX_LIVE_TOKENS],
			["kind = 'refresh' AND used_at IS NOT NULL", MAX_USED_TOKENS],
		] as const) {
			await this.#do(
				`DELETE FROM pumadb.tokens WHERE account_id = $1 AND token_hash IN (SELECT token_hash FROM pumadb.tokens
					WHERE account_id = $1 AND grant_id = $2 AND ${which} ORDER BY expires_at DESC OFFSET ${most})`,
				accountId,
				grantId,
			);
		}
	}

	async #seen(clientId: string): Promise<void> {
		await this.#do('UPDATE pumadb.clients SET seen_at = $2 WHERE client_id = $1', clientId, this.#now);
	}

	/** Noted once a day: it only keeps the client from being swept. */
	async #clientUsed(clientId: string): Promise<void> {
		await this.#do(
			'UPDATE pumadb.clients SET used_at = $1 WHERE client_id = $2 AND (used_at IS NULL OR used_at < $3)',
			this.#now,
			clientId,
			this.#now - DAY_MS,
		);
	}
}

/** Ends a grant of a locked account, with its tokens and the links it made. @returns its id, if it was there. */
export async function endGrant(ask: Ask, accountId: string, grantId: string): Promise<string[]> {
	const values = [accountId, grantId];
	const [, , , gone] = await Promise.all([
		ask('DELETE FROM pumadb.tokens WHERE account_id = $1 AND grant_id = $2', values),
		ask('DELETE FROM pumadb.codes WHERE account_id = $1 AND grant_id = $2', values),
		ask('DELETE FROM pumadb.links WHERE account_id = $1 AND key_id = $2', values),
		ask('DELETE FROM pumadb.grants WHERE account_id = $1 AND grant_id = $2', values),
		endEpoch(ask, accountId),
	]);
	return gone.rowCount === 0 ? [] : [grantId];
}

/** Removes at most `most` of each kind of thing that has run out. @returns how many. */
export async function sweepGrants(ask: Ask, now: number, most: number): Promise<number> {
	const authorizations = await ask(
		`DELETE FROM pumadb.authorizations WHERE request_hash IN (SELECT request_hash FROM pumadb.authorizations
			WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		[now, most],
	);
	let count = authorizations.rowCount ?? 0;
	for (const [table, hash] of [
		['tokens', 'token_hash'],
		['codes', 'code_hash'],
	] as const) {
		const due = await ask(`SELECT account_id FROM pumadb.${table} WHERE expires_at <= $1 LIMIT $2`, [now, most]);
		if (due.rows.length === 0) continue;
		const locked = await ask(
			'SELECT account_id FROM pumadb.accounts WHERE account_id = ANY($1::text[]) ORDER BY account_id FOR UPDATE SKIP LOCKED',
			[due.rows.map((row) => row.account_id)],
		);
		const gone = await ask(
			`DELETE FROM pumadb.${table} WHERE (account_id, ${hash}) IN (SELECT account_id, ${hash} FROM pumadb.${table}
				WHERE account_id = ANY($3::text[]) AND expires_at <= $1 LIMIT $2) RETURNING account_id, grant_id`,
			[now, most, locked.rows.map((row) => row.account_id)],
		);
		count += gone.rows.length;
		const touched = new Map(gone.rows.map((row) => [row.grant_id as string, row.account_id as string]));
		for (const [grantId, accountId] of touched) {
			if (!(await isAlive(ask, accountId, grantId, now))) await endGrant(ask, accountId, grantId);
		}
	}
	count += await sweepClients(ask, 'seen_at', 'used_at IS NULL', now - UNUSED_CLIENT_MS, most);
	count += await sweepClients(ask, 'used_at', 'used_at IS NOT NULL', now - USED_CLIENT_MS, most);
	return count;
}

/** Has it a code or token left that can be used? */
async function isAlive(ask: Ask, accountId: string, grantId: string, now: number): Promise<boolean> {
	const live = 'account_id = $1 AND grant_id = $2 AND used_at IS NULL AND expires_at > $3';
	const { rows } = await ask(
		`SELECT 1 FROM pumadb.tokens WHERE ${live} UNION ALL SELECT 1 FROM pumadb.codes WHERE ${live} LIMIT 1`,
		[accountId, grantId, now],
	);
	return rows.length > 0;
}

async function sweepClients(
	ask: Ask,
	time: 'seen_at' | 'used_at',
	which: string,
	before: number,
	most: number,
): Promise<number> {
	const { rowCount } = await ask(
		`DELETE FROM pumadb.clients WHERE client_id IN
			(SELECT client_id FROM pumadb.clients WHERE ${which} AND ${time} < $1 ORDER BY ${time} LIMIT $2)`,
		[before, most],
	);
	return rowCount ?? 0;
}
