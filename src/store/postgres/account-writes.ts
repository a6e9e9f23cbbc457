import {
	type AccountCommand,
	type AccountDone,
	type AccountOutcome,
	keyPrefix,
	keyToGiveUp,
	type MagicLink,
	type NewKey,
	type NewSession,
	requireMagicLink,
	requireRoomForKey,
	sessionsToGiveUp,
} from '../../accounts/rules.ts';
import { isRowId } from '../../domain/id.ts';
import { requireRoomForLink } from '../../domain/link.ts';
import { stamp } from '../../domain/row.ts';
import { Refusal } from '../../errors.ts';
import { MAX_LIVE_LINKS, type WriteLimits } from '../../limits.ts';
import type { Ask, Connections, Result } from './connections.ts';
import { endEpoch, newEpoch } from './epochs.ts';
import { refusalOf, retrying } from './faults.ts';
import { endGrant, GrantWrites } from './grant-writes.ts';
import { keysOf } from './keys.ts';
import { requireLive } from './live-keys.ts';
import { sweep } from './sweep.ts';
import { Turns } from './turns.ts';

/** Commands that may wait before further ones are refused. */
const MAX_WAITING = 20_000;
/** How often an account that is erased at the same time is looked for again. */
const LOOKS = 5;

/**
 * Loads, decides and applies commands on accounts, each in a transaction that locks the account's row: so what is counted
 * against a limit cannot grow meanwhile. A refused command is taken back as a whole.
 */
export class AccountWrites {
	readonly #connections: Connections;
	readonly #limits: WriteLimits;
	readonly #turns: Turns;

	/** @param slots commands that run at once. */
	constructor(connections: Connections, limits: WriteLimits, slots: number) {
		this.#turns = new Turns(slots, MAX_WAITING);
		this.#connections = connections;
		this.#limits = limits;
	}

	/** @param now milliseconds since the epoch. @throws Refusal where the database fails. */
	run(command: AccountCommand, now: number): Promise<AccountOutcome> {
		return this.#turns.take(() => this.#run(command, now));
	}

	async #run(command: AccountCommand, now: number): Promise<AccountOutcome> {
		try {
			return await retrying(() => this.#runOnce(command, now));
		} catch (error) {
			if (!(error instanceof Refusal)) throw refusalOf(error, 'write');
			return { refusal: { code: error.code, message: error.message, details: error.details } };
		}
	}

	#runOnce(command: AccountCommand, now: number): Promise<AccountDone> {
		if (command.command === 'sweep') return sweep(this.#connections, this.#limits, now, command.only === 'erased');
		return this.#connections.transaction(async ({ ask, begun }) => {
			// The first statement of some commands writes.
			await begun;
			return new Command(ask, now).run(command);
		});
	}
}

/** One command in its transaction. */
class Command {
	readonly #ask: Ask;
	readonly #now: number;

	constructor(ask: Ask, now: number) {
		this.#ask = ask;
		this.#now = now;
	}

	async run(command: Exclude<AccountCommand, { command: 'sweep' }>): Promise<AccountOutcome> {
		switch (command.command) {
			case 'createMagicLink':
				return this.#count(
					'INSERT INTO pumadb.magic_links (token_hash, email, request_hash, expires_at) VALUES ($1, $2, $3, $4)',
					command.tokenHash,
					command.email,
					command.requestHash,
					command.expiresAt,
				);
			case 'dropMagicLink':
				return this.#count('DELETE FROM pumadb.magic_links WHERE token_hash = $1', command.tokenHash);
			case 'verifyMagicLink':
				return this.#verify(command.tokenHash, command.freshAccountId, command.key);
			case 'verifyMagicLinkForSession':
				return this.#beginSession(command.tokenHash, command.freshAccountId, command.session);
			case 'endSession':
				// So that no write of it is decided meanwhile.
				await this.#lock(command.accountId);
				return this.#endSession(command.accountId, command.secretHash);
			case 'createKey':
				return this.#createKey(command.accountId, command.by, command.key);
			case 'createKeyForEmail':
				return this.#createKeyForEmail(command.email, command.freshAccountId, command.key);
			case 'revokeKey':
				return this.#revoke(command.accountId, command.keyId);
			case 'createLink':
				return this.#createLink(command);
			case 'touchKeys':
				return this.#touchKeys(command.used);
			case 'eraseAccount':
				return this.#erase(command.accountId);
			case 'purgeRow':
				return this.#purge(command.accountId, command.table, command.id);
			default:
				return new GrantWrites(this.#ask, this.#now, {
					lock: (accountId) => this.#lock(accountId),
					signIn: async (tokenHash, requestHash, freshAccountId) =>
						this.#ensureAccount(await this.#useMagicLink(tokenHash, requestHash), freshAccountId),
				}).run(command);
		}
	}

	#do(sql: string, ...values: unknown[]): Promise<Result> {
		return this.#ask(sql, values);
	}

	async #count(sql: string, ...values: unknown[]): Promise<AccountDone> {
		return { count: (await this.#ask(sql, values)).rowCount ?? 0 };
	}

	/** Locks the account's row. @returns false where there is no such account. */
	async #lock(accountId: string): Promise<boolean> {
		const { rows } = await this.#do('SELECT 1 FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', accountId);
		return rows.length > 0;
	}

	/**
	 * Uses a magic link up.
	 * @param requestHash the authorization that it is used for; null to sign in.
	 * @returns its address.
	 * @throws Refusal invalid_magic_link
	 */
	async #useMagicLink(tokenHash: string, requestHash: string | null): Promise<string> {
		const { rows } = await this.#do(
			'SELECT email, request_hash, expires_at, used_at FROM pumadb.magic_links WHERE token_hash = $1 FOR UPDATE',
			tokenHash,
		);
		const [row] = rows;
		const found: MagicLink | undefined =
			row === undefined
				? undefined
				: { email: row.email, requestHash: row.request_hash, expiresAt: row.expires_at, usedAt: row.used_at };
		const { email } = requireMagicLink(found, requestHash, this.#now);
		await this.#do('UPDATE pumadb.magic_links SET used_at = $2 WHERE token_hash = $1', tokenHash, this.#now);
		return email;
	}

	/** The locked account of an address, made where it is new. */
	async #ensureAccount(email: string, freshAccountId: string): Promise<string> {
		for (let look = 0; look < LOOKS; look++) {
			const made = await this.#do(
				'INSERT INTO pumadb.emails (email, account_id) VALUES ($1, $2) ON CONFLICT (email) DO NOTHING',
				email,
				freshAccountId,
			);
			if (made.rowCount === 1) {
				await this.#do(
					'INSERT INTO pumadb.accounts (account_id, email, created_at) VALUES ($1, $2, $3)',
					freshAccountId,
					email,
					stamp(this.#now),
				);
				return freshAccountId;
			}
			const { rows } = await this.#do('SELECT account_id FROM pumadb.emails WHERE email = $1', email);
			// It may be erased in this very moment: then the address is free again.
			if (rows[0] !== undefined && (await this.#lock(rows[0].account_id))) return rows[0].account_id;
		}
		throw new Error('The account of an address came and went.');
	}

	async #verify(tokenHash: string, freshAccountId: string, key: NewKey): Promise<AccountDone> {
		const accountId = await this.#ensureAccount(await this.#useMagicLink(tokenHash, null), freshAccountId);
		const toGiveUp = keyToGiveUp(await keysOf(this.#ask, accountId, 'live'));
		const revoked = toGiveUp === undefined ? [] : ((await this.#revokeLocked(accountId, toGiveUp.id)).revoked ?? []);
		return { ...(await this.#insertKey(accountId, key)), revoked };
	}

	async #beginSession(tokenHash: string, freshAccountId: string, session: NewSession): Promise<AccountDone> {
		const accountId = await this.#ensureAccount(await this.#useMagicLink(tokenHash, null), freshAccountId);
		const { rows } = await this.#do(
			'SELECT secret_hash FROM pumadb.sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY expires_at, created_at',
			accountId,
			this.#now,
		);
		const revoked: string[] = [];
		for (const secretHash of sessionsToGiveUp(rows.map((row) => row.secret_hash as string))) {
			revoked.push(...((await this.#endSession(accountId, secretHash)).revoked ?? []));
		}
		await this.#do(
			`INSERT INTO pumadb.sessions (account_id, secret_hash, session_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			accountId,
			session.secretHash,
			session.id,
			stamp(this.#now),
			session.expiresAt,
		);
		return { accountId, revoked };
	}

	async #endSession(accountId: string, secretHash: string): Promise<AccountDone> {
		const { rows } = await this.#do(
			'DELETE FROM pumadb.sessions WHERE account_id = $1 AND secret_hash = $2 RETURNING session_id',
			accountId,
			secretHash,
		);
		if (rows.length > 0) await endEpoch(this.#ask, accountId);
		return { count: rows.length, revoked: rows.map((row) => row.session_id as string) };
	}

	async #createKey(accountId: string, by: string, key: NewKey): Promise<AccountDone> {
		// The account may have been erased between the caller's check and this transaction.
		if (!(await this.#lock(accountId))) {
			throw new Refusal('invalid_api_key', 'The account of this API key was erased. Sign in again to make a new one.');
		}
		await requireLive(this.#ask, accountId, by);
		requireRoomForKey(await keysOf(this.#ask, accountId, 'live'));
		return this.#insertKey(accountId, key);
	}

	async #createKeyForEmail(email: string, freshAccountId: string, key: NewKey): Promise<AccountDone> {
		const accountId = await this.#ensureAccount(email, freshAccountId);
		requireRoomForKey(await keysOf(this.#ask, accountId, 'live'));
		return this.#insertKey(accountId, key);
	}

	/** In an account that is locked. */
	async #insertKey(accountId: string, key: NewKey): Promise<AccountDone> {
		const prefix = keyPrefix(accountId, key.secretStart);
		const { rows } = await this.#do(
			'UPDATE pumadb.accounts SET seq = seq + 1, epoch = $2 WHERE account_id = $1 RETURNING seq',
			accountId,
			newEpoch(),
		);
		await this.#do(
			`INSERT INTO pumadb.api_keys (account_id, key_id, key_no, name, secret_hash, prefix, made_by, created_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			accountId,
			key.id,
			rows[0].seq,
			key.name,
			key.secretHash,
			prefix,
			key.madeBy,
			stamp(this.#now),
		);
		return { accountId, keyId: key.id, prefix };
	}

	async #revoke(accountId: string, keyId: string): Promise<AccountDone> {
		// So that no link is made with the key meanwhile.
		await this.#lock(accountId);
		return this.#revokeLocked(accountId, keyId);
	}

	async #revokeLocked(accountId: string, keyId: string): Promise<AccountDone> {
		const { count } = await this.#count(
			'UPDATE pumadb.api_keys SET revoked_at = $3 WHERE account_id = $1 AND key_id = $2 AND revoked_at IS NULL',
			accountId,
			keyId,
			stamp(this.#now),
		);
		if (!count) return { count: 0, revoked: [] };
		await Promise.all([
			endEpoch(this.#ask, accountId),
			// They died with the key, and must not take the places of live ones.
			this.#do('DELETE FROM pumadb.links WHERE account_id = $1 AND key_id = $2', accountId, keyId),
		]);
		return { count, revoked: [keyId] };
	}

	async #createLink(command: Extract<AccountCommand, { command: 'createLink' }>): Promise<AccountDone> {
		const { accountId, keyId, tokenHash, target, expiresAt } = command;
		await this.#lock(accountId);
		const [live] = await Promise.all([
			this.#do(
				'SELECT expires_at FROM pumadb.links WHERE account_id = $1 AND expires_at > $2 ORDER BY expires_at LIMIT $3',
				accountId,
				this.#now,
				MAX_LIVE_LINKS,
			),
			requireLive(this.#ask, accountId, keyId),
		]);
		requireRoomForLink(
			live.rows.map((row) => row.expires_at as number),
			this.#now,
		);
		await this.#do(
			'INSERT INTO pumadb.links (account_id, token_hash, key_id, target, expires_at) VALUES ($1, $2, $3, $4, $5)',
			accountId,
			tokenHash,
			keyId,
			target,
			expiresAt,
		);
		return {};
	}

	async #touchKeys(used: readonly { accountId: string; keyId: string; at: string }[]): Promise<AccountDone> {
		if (used.length === 0) return { count: 0 };
		const columns = [used.map(({ accountId }) => accountId), used.map(({ keyId }) => keyId), used.map(({ at }) => at)];
		for (const [table, id] of [
			['api_keys', 'key_id'],
			['grants', 'grant_id'],
		]) {
			// Locked in one order on every node: they note the same keys at the same time.
			await this.#do(
				`WITH held AS (
					SELECT k.account_id, k.${id} AS id, u.at FROM unnest($1::text[], $2::text[], $3::text[]) AS u (account_id, id, at)
						JOIN pumadb.${table} k ON k.account_id = u.account_id AND k.${id} = u.id
						WHERE k.last_used_at IS NULL OR k.last_used_at < u.at
						ORDER BY k.account_id, k.${id} FOR NO KEY UPDATE OF k)
				UPDATE pumadb.${table} k SET last_used_at = h.at FROM held h WHERE k.account_id = h.account_id AND k.${id} = h.id`,
				...columns,
			);
		}
		return { count: used.length };
	}

	async #erase(accountId: string): Promise<AccountDone> {
		const { rows } = await this.#do('SELECT email FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', accountId);
		if (rows[0] === undefined) return { count: 0 };
		const { email } = rows[0];
		const grants = await this.#do('SELECT grant_id FROM pumadb.grants WHERE account_id = $1', accountId);
		const ended: string[] = [];
		for (const { grant_id: grantId } of grants.rows) ended.push(...(await endGrant(this.#ask, accountId, grantId)));
		const [sessions, keys] = await Promise.all([
			this.#do('DELETE FROM pumadb.sessions WHERE account_id = $1 RETURNING session_id', accountId),
			this.#do('DELETE FROM pumadb.api_keys WHERE account_id = $1 RETURNING key_id', accountId),
			this.#do('DELETE FROM pumadb.links WHERE account_id = $1', accountId),
			this.#do('DELETE FROM pumadb.call_windows WHERE account_id = $1', accountId),
			this.#do('DELETE FROM pumadb.magic_links WHERE email = $1', email),
			this.#do('DELETE FROM pumadb.authorizations WHERE email = $1', email),
			this.#do('DELETE FROM pumadb.emails WHERE email = $1', email),
			this.#do('DELETE FROM pumadb.accounts WHERE account_id = $1', accountId),
			this.#do('INSERT INTO pumadb.erasures (account_id) VALUES ($1)', accountId),
		]);
		const revoked = [
			...keys.rows.map((row) => row.key_id as string),
			...sessions.rows.map((row) => row.session_id as string),
			...ended,
		];
		return { count: 1, revoked };
	}

	async #purge(accountId: string, table: string, id: string): Promise<AccountDone> {
		if (!isRowId(id) || !(await this.#lock(accountId))) return { count: 0 };
		const [row, versions, kept] = await Promise.all([
			this.#do(
				'DELETE FROM pumadb.rows WHERE account_id = $1 AND table_name = $2 AND id = $3 RETURNING bytes',
				accountId,
				table,
				id,
			),
			this.#do(
				'DELETE FROM pumadb.versions WHERE account_id = $1 AND table_name = $2 AND id = $3 RETURNING bytes',
				accountId,
				table,
				id,
			),
			this.#do(
				`DELETE FROM pumadb.kept_answers WHERE account_id = $1 AND table_name = $2 AND substr(answer, 8, 36) = $3 RETURNING bytes`,
				accountId,
				table,
				id,
			),
		]);
		let emptied = 0;
		if (row.rows.length > 0) {
			await this.#do(
				`DELETE FROM pumadb.index_entries e USING pumadb.member_indexes i
					WHERE i.account_id = $1 AND i.table_name = $2 AND e.account_id = $1 AND e.index_no = i.index_no AND e.id = $3`,
				accountId,
				table,
				id,
			);
			const left = await this.#do(
				'UPDATE pumadb.tables SET rows = rows - 1, empty = rows = 1 WHERE account_id = $1 AND name = $2 RETURNING rows',
				accountId,
				table,
			);
			emptied = left.rows[0].rows === 0 ? 1 : 0;
		}
		await this.#do(
			`UPDATE pumadb.accounts SET bytes = bytes - $2, version_bytes = version_bytes - $3, kept_bytes = kept_bytes - $4,
				tables = tables - $5 WHERE account_id = $1`,
			accountId,
			sum(row),
			sum(versions),
			sum(kept),
			emptied,
		);
		return { count: row.rows.length + versions.rows.length + kept.rows.length };
	}
}

function sum({ rows }: Result): number {
	return rows.reduce((total, row) => total + row.bytes, 0);
}
