import {
	type AccountCommand,
	type AccountDone,
	type AccountOutcome,
	type KeyRecord,
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
import { versionsKeptSince } from '../../domain/writes.ts';
import { Refusal } from '../../errors.ts';
import { DAY_MS, KEPT_ANSWER_MS, MAX_LIVE_LINKS, type WriteLimits } from '../../limits.ts';
import type { Database, SQLInputValue } from './driver.ts';
import { GrantWrites } from './grant-writes.ts';
import { idBytes } from './ids.ts';
import { keysOf, liveKeysOf } from './keys.ts';
import type { MemberIndexes } from './member-indexes.ts';

/** Things one sweep removes at most: small enough that writes hardly wait for it. */
const SWEEP = 200;
const OF_ACCOUNT = 'account_no = (SELECT account_no FROM accounts WHERE account_id = ?)';

/** Loads, decides and applies commands on accounts, inside the transaction that the writer holds open. */
export class AccountWrites {
	readonly #db: Database;
	readonly #limits: WriteLimits;
	readonly #indexes: MemberIndexes;
	readonly #grants: GrantWrites;

	constructor(db: Database, limits: WriteLimits, indexes: MemberIndexes) {
		this.#db = db;
		this.#limits = limits;
		this.#indexes = indexes;
		this.#grants = new GrantWrites(db, { signIn: this.#signIn.bind(this) });
	}

	run(command: AccountCommand, now: number): AccountOutcome {
		try {
			return this.#run(command, now);
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			return { refusal: { code: error.code, message: error.message, details: error.details } };
		}
	}

	#run(command: AccountCommand, now: number): AccountOutcome {
		switch (command.command) {
			case 'createMagicLink':
				this.#exec(
					'INSERT INTO magic_links (token_hash, email, request_hash, expires_at) VALUES (?, ?, ?, ?)',
					command.tokenHash,
					command.email,
					command.requestHash,
					command.expiresAt,
				);
				return {};
			case 'dropMagicLink':
				return { count: this.#exec('DELETE FROM magic_links WHERE token_hash = ?', command.tokenHash) };
			case 'verifyMagicLink':
				return this.#verify(command.tokenHash, command.freshAccountId, command.key, now);
			case 'verifyMagicLinkForSession':
				return this.#beginSession(command.tokenHash, command.freshAccountId, command.session, now);
			case 'endSession': {
				const revoked = this.#endSession(command.accountId, command.secretHash);
				return { count: revoked.length, revoked };
			}
			case 'createKey':
				requireRoomForKey(this.#liveKeys(command.accountId));
				return this.#createKey(command.accountId, command.key, now);
			case 'createKeyForEmail': {
				const accountId = this.#ensureAccount(command.email, command.freshAccountId, now);
				requireRoomForKey(this.#liveKeys(accountId));
				return this.#createKey(accountId, command.key, now);
			}
			case 'revokeKey':
				return this.#revoke(command.accountId, command.keyId, now);
			case 'createLink':
				return this.#createLink(command, now);
			case 'touchKeys':
				for (const { accountId, keyId, at } of command.used) {
					const count = this.#exec(
						'UPDATE api_keys SET last_used_at = ? WHERE account_id = ? AND key_id = ?',
						at,
						accountId,
						keyId,
					);
					if (count > 0) continue;
					this.#exec('UPDATE grants SET last_used_at = ? WHERE account_id = ? AND grant_id = ?', at, accountId, keyId);
				}
				return { count: command.used.length };
			case 'eraseAccount':
				return this.#erase(command.accountId);
			case 'purgeRow':
				return this.#purge(command.accountId, command.table, command.id);
			case 'sweep':
				return command.only === 'erased' ? swept(this.#sweepErased()) : this.#sweep(now);
			default:
				return this.#grants.run(command, now);
		}
	}

	#exec(sql: string, ...values: SQLInputValue[]): number {
		return Number(this.#db.prepare(sql).run(...values).changes);
	}

	#liveKeys(accountId: string): KeyRecord[] {
		return liveKeysOf(this.#db, accountId);
	}

	/** @throws Refusal invalid_magic_link */
	#liveMagicLink(tokenHash: string, requestHash: string | null, now: number): MagicLink {
		const row = this.#db
			.prepare('SELECT email, expires_at, used_at, request_hash FROM magic_links WHERE token_hash = ?')
			.get(tokenHash);
		const found: MagicLink | undefined =
			row === undefined
				? undefined
				: {
						email: row.email as string,
						expiresAt: row.expires_at as number,
						usedAt: row.used_at as number | null,
						requestHash: row.request_hash as string | null,
					};
		return requireMagicLink(found, requestHash, now);
	}

	#useMagicLink(tokenHash: string, now: number): void {
		this.#exec('UPDATE magic_links SET used_at = ? WHERE token_hash = ?', now, tokenHash);
	}

	/** Uses a magic link of this authorization. @returns the account of its address. @throws Refusal invalid_magic_link */
	#signIn(tokenHash: string, requestHash: string, freshAccountId: string, now: number): string {
		const { email } = this.#liveMagicLink(tokenHash, requestHash, now);
		this.#useMagicLink(tokenHash, now);
		return this.#ensureAccount(email, freshAccountId, now);
	}

	#verify(tokenHash: string, freshAccountId: string, key: NewKey, now: number): AccountDone {
		const link = this.#liveMagicLink(tokenHash, null, now);
		const known = this.#db.prepare('SELECT account_id FROM accounts WHERE email = ?').get(link.email);
		const toGiveUp = known === undefined ? undefined : keyToGiveUp(this.#liveKeys(known.account_id as string));
		this.#useMagicLink(tokenHash, now);
		const accountId = this.#ensureAccount(link.email, freshAccountId, now);
		const revoked = toGiveUp === undefined ? [] : (this.#revoke(accountId, toGiveUp.id, now).revoked ?? []);
		return { ...this.#createKey(accountId, key, now), revoked };
	}

	#beginSession(tokenHash: string, freshAccountId: string, session: NewSession, now: number): AccountDone {
		const { email } = this.#liveMagicLink(tokenHash, null, now);
		this.#useMagicLink(tokenHash, now);
		const accountId = this.#ensureAccount(email, freshAccountId, now);
		const live = this.#db
			.prepare('SELECT secret_hash FROM sessions WHERE account_id = ? AND expires_at > ? ORDER BY expires_at')
			.all(accountId, now);
		const toGiveUp = sessionsToGiveUp(live.map((row) => row.secret_hash as string));
		const revoked = toGiveUp.flatMap((secretHash) => this.#endSession(accountId, secretHash));
		this.#exec(
			'INSERT INTO sessions (account_id, secret_hash, session_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)',
			accountId,
			session.secretHash,
			session.id,
			stamp(now),
			session.expiresAt,
		);
		return { accountId, revoked };
	}

	/** @returns the id of the session, if it was there. */
	#endSession(accountId: string, secretHash: string): string[] {
		return this.#db
			.prepare('DELETE FROM sessions WHERE account_id = ? AND secret_hash = ? RETURNING session_id')
			.all(accountId, secretHash)
			.map((row) => row.session_id as string);
	}

	#ensureAccount(email: string, freshAccountId: string, now: number): string {
		const known = this.#db.prepare('SELECT account_id FROM accounts WHERE email = ?').get(email);
		if (known !== undefined) return known.account_id as string;
		this.#exec(
			'INSERT INTO accounts (account_id, email, created_at) VALUES (?, ?, ?)',
			freshAccountId,
			email,
			stamp(now),
		);
		this.#exec(
			`INSERT INTO usage (account_no, tables, bytes, version_bytes, kept_bytes)
				SELECT account_no, 0, 0, 0, 0 FROM accounts WHERE account_id = ?`,
			freshAccountId,
		);
		return freshAccountId;
	}

	#createKey(accountId: string, key: NewKey, now: number): AccountDone {
		// The account may have been erased between the caller's check and this transaction.
		if (this.#db.prepare('SELECT 1 FROM accounts WHERE account_id = ?').get(accountId) === undefined) {
			throw new Refusal('invalid_api_key', 'The account of this API key was erased. Sign in again to make a new one.');
		}
		const prefix = keyPrefix(accountId, key.secretStart);
		this.#exec(
			'INSERT INTO api_keys (account_id, key_id, name, secret_hash, prefix, made_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
			accountId,
			key.id,
			key.name,
			key.secretHash,
			prefix,
			key.madeBy,
			stamp(now),
		);
		return { accountId, keyId: key.id, prefix };
	}

	#revoke(accountId: string, keyId: string, now: number): AccountDone {
		const count = this.#exec(
			'UPDATE api_keys SET revoked_at = ? WHERE account_id = ? AND key_id = ? AND revoked_at IS NULL',
			stamp(now),
			accountId,
			keyId,
		);
		// They died with the key, and must not take the places of live ones.
		if (count > 0) this.#exec('DELETE FROM links WHERE account_id = ? AND key_id = ?', accountId, keyId);
		return { count, revoked: count === 0 ? [] : [keyId] };
	}

	#createLink(command: Extract<AccountCommand, { command: 'createLink' }>, now: number): AccountDone {
		const { accountId, keyId, tokenHash, target, expiresAt } = command;
		// The key or grant may have been revoked between the caller's check and this transaction.
		const key = this.#db
			.prepare(
				`SELECT 1 FROM api_keys WHERE account_id = :account AND key_id = :key AND revoked_at IS NULL
					UNION ALL SELECT 1 FROM grants WHERE account_id = :account AND grant_id = :key`,
			)
			.get({ account: accountId, key: keyId });
		if (key === undefined) {
			throw new Refusal('invalid_api_key', 'This API key was revoked. Send a live one.');
		}
		const live = this.#db
			.prepare('SELECT expires_at FROM links WHERE account_id = ? AND expires_at > ? ORDER BY expires_at LIMIT ?')
			.all(accountId, now, MAX_LIVE_LINKS);
		requireRoomForLink(
			live.map((row) => row.expires_at as number),
			now,
		);
		this.#exec(
			'INSERT INTO links (account_id, token_hash, key_id, target, expires_at) VALUES (?, ?, ?, ?, ?)',
			accountId,
			tokenHash,
			keyId,
			target,
			expiresAt,
		);
		return {};
	}

	#erase(accountId: string): AccountDone {
		const account = this.#db.prepare('SELECT email FROM accounts WHERE account_id = ?').get(accountId);
		if (account === undefined) return { count: 0 };
		const sessions = this.#db.prepare('DELETE FROM sessions WHERE account_id = ? RETURNING session_id').all(accountId);
		const revoked = [
			...keysOf(this.#db, accountId).map((key) => key.id),
			...sessions.map((row) => row.session_id as string),
			...this.#grants.endAll(accountId, account.email as string),
		];
		this.#exec('DELETE FROM magic_links WHERE email = ?', account.email!);
		this.#exec(`DELETE FROM usage WHERE ${OF_ACCOUNT}`, accountId);
		this.#exec('DELETE FROM links WHERE account_id = ?', accountId);
		this.#exec('DELETE FROM api_keys WHERE account_id = ?', accountId);
		this.#exec('DELETE FROM accounts WHERE account_id = ?', accountId);
		this.#exec('INSERT INTO erasures (account_id) VALUES (?)', accountId);
		return { count: 1, revoked };
	}

	#purge(accountId: string, tableName: string, id: string): AccountDone {
		const table = this.#db
			.prepare('SELECT table_no, rows FROM counted_tables WHERE account_id = ? AND name = ?')
			.get(accountId, tableName);
		if (table === undefined || !isRowId(id)) return { count: 0 };
		const tableNo = table.table_no as number;
		const bytes = idBytes(id);
		let count = 0;
		const row = this.#db
			.prepare('DELETE FROM rows WHERE table_no = ? AND id = ? RETURNING place, bytes, text')
			.get(tableNo, bytes);
		if (row !== undefined) {
			count++;
			this.#indexes.rowChanged(tableNo, row.place as number, id, row.text as string, undefined);
			this.#exec('UPDATE row_counts SET rows = rows - 1 WHERE table_no = ?', tableNo);
			const emptied = table.rows === 1 ? 1 : 0;
			this.#exec(
				`UPDATE usage SET bytes = bytes - ?, tables = tables - ? WHERE ${OF_ACCOUNT}`,
				row.bytes!,
				emptied,
				accountId,
			);
		}
		const versions = this.#db
			.prepare('DELETE FROM versions WHERE table_no = ? AND id = ? RETURNING bytes')
			.all(tableNo, bytes);
		const kept = this.#db
			.prepare(
				'DELETE FROM kept_answers WHERE account_id = ? AND table_no = ? AND substr(answer, 8, 36) = ? RETURNING bytes',
			)
			.all(accountId, tableNo, id);
		this.#freeArchive(accountId, sum(versions), sum(kept));
		return { count: count + versions.length + kept.length };
	}

	#freeArchive(accountId: string, versionBytes: number, keptBytes: number): void {
		if (versionBytes === 0 && keptBytes === 0) return;
		this.#exec(
			`UPDATE usage SET version_bytes = version_bytes - ?, kept_bytes = kept_bytes - ? WHERE ${OF_ACCOUNT}`,
			versionBytes,
			keptBytes,
			accountId,
		);
	}

	#sweep(now: number): AccountDone {
		const ofGrants = this.#grants.sweep(now, SWEEP);
		const count =
			ofGrants.count +
			this.#sweepArchive('versions', 'version_no', 'archived_at', versionsKeptSince(this.#limits, now)) +
			this.#sweepArchive('kept_answers', 'kept_no', 'created_at', now - KEPT_ANSWER_MS) +
			// A used or expired link stays recognisable for a day, so that its page can say what happened.
			this.#exec(
				'DELETE FROM magic_links WHERE token_hash IN (SELECT token_hash FROM magic_links WHERE expires_at < ? LIMIT ?)',
				now - DAY_MS,
				SWEEP,
			) +
			this.#sweepExpired('links', 'token_hash', now) +
			this.#sweepExpired('sessions', 'secret_hash', now) +
			this.#sweepTables() +
			this.#sweepErased();
		return { ...swept(count), revoked: ofGrants.revoked };
	}

	#sweepExpired(table: 'links' | 'sessions', hash: 'token_hash' | 'secret_hash', now: number): number {
		return this.#exec(
			`DELETE FROM ${table} WHERE (account_id, ${hash}) IN
				(SELECT account_id, ${hash} FROM ${table} WHERE expires_at <= ? LIMIT ?)`,
			now,
			SWEEP,
		);
	}

	/** Archives stand in order of time, so what has run out stands first. */
	#sweepArchive(table: 'versions' | 'kept_answers', order: string, time: string, since: string | number): number {
		const gone = this.#db
			.prepare(
				`DELETE FROM ${table} WHERE ${order} IN
					(SELECT ${order} FROM (SELECT ${order}, ${time} FROM ${table} ORDER BY ${order} LIMIT ?) WHERE ${time} < ?)
				RETURNING account_id, bytes`,
			)
			.all(SWEEP, since);
		for (const row of gone) {
			const bytes = row.bytes as number;
			this.#freeArchive(row.account_id as string, table === 'versions' ? bytes : 0, table === 'versions' ? 0 : bytes);
		}
		return gone.length;
	}

	/** Forgets tables of which nothing is left: no row, nothing to restore, no answer to repeat. */
	#sweepTables(): number {
		const gone = this.#db
			.prepare(
				`DELETE FROM row_counts WHERE table_no IN (SELECT t.table_no FROM row_counts t WHERE t.rows = 0
					AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.table_no = t.table_no)
					AND NOT EXISTS (SELECT 1 FROM kept_answers k WHERE k.table_no = t.table_no) LIMIT ?)
				RETURNING table_no`,
			)
			.all(SWEEP);
		for (const { table_no: tableNo } of gone) {
			this.#exec('DELETE FROM tables WHERE table_no = ?', tableNo!);
			this.#indexes.dropAll(tableNo as number);
		}
		return gone.length;
	}

	#sweepErased(): number {
		const erased = this.#db.prepare('SELECT account_id FROM erasures LIMIT 1').get();
		if (erased === undefined) return 0;
		const accountId = erased.account_id as string;
		for (const [table, key] of [
			['versions', 'version_no'],
			['kept_answers', 'kept_no'],
		] as const) {
			const count = this.#exec(
				`DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE account_id = ? LIMIT ?)`,
				accountId,
				SWEEP,
			);
			if (count > 0) return count;
		}
		const table = this.#db.prepare('SELECT table_no FROM tables WHERE account_id = ? LIMIT 1').get(accountId);
		if (table === undefined) return this.#exec('DELETE FROM erasures WHERE account_id = ?', accountId);
		const tableNo = table.table_no as number;
		this.#indexes.dropAll(tableNo);
		const count = this.#exec(
			'DELETE FROM rows WHERE place IN (SELECT place FROM rows WHERE table_no = ? LIMIT ?)',
			tableNo,
			SWEEP,
		);
		if (count > 0) return count;
		this.#exec('DELETE FROM row_counts WHERE table_no = ?', tableNo);
		return this.#exec('DELETE FROM tables WHERE table_no = ?', tableNo);
	}
}

function swept(count: number): AccountDone {
	return { count, more: count > 0 };
}

function sum(rows: readonly Record<string, unknown>[]): number {
	return rows.reduce((total, row) => total + (row.bytes as number), 0);
}
