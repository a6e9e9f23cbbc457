import { timingSafeEqual } from 'node:crypto';
import { type Authorization, type ClientRecord, type Grant, requireAuthorization } from '../../accounts/grants.ts';
import type { Caller, KeyRecord, Session } from '../../accounts/rules.ts';
import type { Filter } from '../../domain/filter.ts';
import { isRowId } from '../../domain/id.ts';
import type { Link, LinkTarget } from '../../domain/link.ts';
import type { AccessToken, ExportPiece, LiveRow, Pieces, Reader, Usage, VersionText } from '../seam.ts';
import { Callers } from './callers.ts';
import { authorizationOf, clientByFingerprint, clientById, grantsOf } from './clients.ts';
import type { Ask, Connections } from './connections.ts';
import { Exports } from './exports.ts';
import { refusalOf } from './faults.ts';
import type { Finder, TableOf } from './finder.ts';
import { Gathered } from './gathered.ts';
import { keysOf } from './keys.ts';

/** A table of which the first rows are asked for. */
interface FirstRows extends TableOf {
	readonly limit: number;
}

/** Tables read by one statement at most, and statements on their way at once. */
const TABLES_TOGETHER = 16;
const TABLES_ON_THE_WAY = 4;

/**
 * Reads, each in one statement that begins after the call came in: it sees every write that any node answered before. None goes by
 * what is remembered of keys, sessions and links, so what was revoked on one node is dead on all of them.
 */
export class PostgresReader implements Reader {
	readonly #ask: Ask;
	readonly #finder: Finder;
	readonly #exports: Exports;
	readonly #callers: Callers;
	readonly #tables = new Gathered<FirstRows, string>({
		askAll: (asked) => this.#firstRows(asked),
		together: TABLES_TOGETHER,
		onTheWay: TABLES_ON_THE_WAY,
	});

	constructor(connections: Connections, finder: Finder, maxExports: number) {
		this.#ask = asRead(connections.ask);
		this.#callers = new Callers(asRead(connections.askShort));
		this.#finder = finder;
		this.#exports = new Exports(connections, maxExports);
	}

	caller(accountId: string, secretHash: string): Promise<Caller | undefined> {
		return this.#callers.find(accountId, secretHash);
	}

	lastCaller(accountId: string, secretHash: string): Caller | undefined {
		return this.#callers.last(accountId, secretHash);
	}

	/** Other nodes end keys too, so that each call asks. */
	revocations(): undefined {
		return undefined;
	}

	async link(accountId: string, tokenHash: string, now: number): Promise<Link | undefined> {
		const { rows } = await this.#ask(
			// Links of a grant go with it.
			`SELECT l.token_hash, l.key_id, l.target, l.expires_at FROM pumadb.links l LEFT JOIN pumadb.api_keys k USING (account_id, key_id)
				WHERE l.account_id = $1 AND l.token_hash = $2 AND l.expires_at > $3 AND k.revoked_at IS NULL`,
			[accountId, tokenHash, now],
		);
		const [row] = rows;
		if (row === undefined || !same(row.token_hash, tokenHash)) return undefined;
		return { accountId, keyId: row.key_id, target: JSON.parse(row.target) as LinkTarget, expiresAt: row.expires_at };
	}

	async session(accountId: string, secretHash: string, now: number): Promise<Session | undefined> {
		const { rows } = await this.#ask(
			`SELECT s.session_id, s.secret_hash, s.expires_at, a.email FROM pumadb.sessions s JOIN pumadb.accounts a USING (account_id)
				WHERE s.account_id = $1 AND s.secret_hash = $2 AND s.expires_at > $3`,
			[accountId, secretHash, now],
		);
		const [row] = rows;
		if (row === undefined || !same(row.secret_hash, secretHash)) return undefined;
		return { accountId, id: row.session_id, email: row.email, expiresAt: row.expires_at };
	}

	async accessToken(accountId: string, tokenHash: string, now: number): Promise<AccessToken | undefined> {
		const { rows } = await this.#ask(
			`SELECT t.token_hash, t.grant_id, t.expires_at, g.audience
				FROM pumadb.tokens t JOIN pumadb.grants g USING (account_id, grant_id)
				WHERE t.account_id = $1 AND t.token_hash = $2 AND t.kind = 'access' AND t.expires_at > $3`,
			[accountId, tokenHash, now],
		);
		const [row] = rows;
		if (row === undefined || !same(row.token_hash, tokenHash)) return undefined;
		return { caller: { accountId, keyId: row.grant_id }, audience: row.audience, expiresAt: row.expires_at };
	}

	grants(accountId: string, now: number): Promise<Grant[]> {
		return grantsOf(this.#ask, accountId, now);
	}

	client(clientId: string): Promise<ClientRecord | undefined> {
		return clientById(this.#ask, clientId);
	}

	clientByFingerprint(fingerprint: string): Promise<ClientRecord | undefined> {
		return clientByFingerprint(this.#ask, fingerprint);
	}

	async authorization(requestHash: string, browserHash: string, now: number): Promise<Authorization> {
		const found = await authorizationOf(this.#ask, requestHash, false);
		requireAuthorization(found, browserHash, now);
		return found!;
	}

	keys(accountId: string): Promise<KeyRecord[]> {
		return keysOf(this.#ask, accountId);
	}

	async usage(accountId: string): Promise<Usage | undefined> {
		const { rows } = await this.#ask('SELECT tables, bytes FROM pumadb.accounts WHERE account_id = $1', [accountId]);
		return rows[0] === undefined ? undefined : { tables: rows[0].tables, bytes: rows[0].bytes };
	}

	async accountOf(email: string): Promise<string | undefined> {
		const { rows } = await this.#ask('SELECT account_id FROM pumadb.emails WHERE email = $1', [email]);
		return rows[0]?.account_id;
	}

	async rows(accountId: string, table: string, filter: Filter, limit: number): Promise<string> {
		if (filter.members.length > 0) {
			const { rows } = await this.#find(accountId, table, filter, limit);
			return rows.map((row) => row.text).join(',');
		}
		return this.#tables.ask({ accountId, table, limit });
	}

	/** Texts of the first rows of tables, joined by commas. */
	async #firstRows(asked: readonly FirstRows[]): Promise<string[]> {
		const { rows } = await this.#ask(
			`SELECT (SELECT string_agg(r.text, ',' ORDER BY r.id) FROM (SELECT id, text FROM pumadb.rows
					WHERE account_id = w.account_id AND table_name = w.name ORDER BY id LIMIT w.most) r) AS text
				FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS w (account_id, name, most, n) ORDER BY w.n`,
			[
				asked.map(({ accountId }) => accountId),
				asked.map(({ table }) => table),
				asked.map(({ limit }) => (limit === Number.POSITIVE_INFINITY ? null : limit)),
			],
		);
		return rows.map(({ text }) => text ?? '');
	}

	async rowTexts(accountId: string, table: string, filter: Filter): Promise<string[]> {
		const { rows } = await this.#find(accountId, table, filter, Number.POSITIVE_INFINITY);
		return rows.map((row) => row.text);
	}

	async row(accountId: string, table: string, id: string): Promise<LiveRow | undefined> {
		const row = await this.#finder.byId(this.#ask, { accountId, table }, id, Number.POSITIVE_INFINITY);
		return row === undefined ? undefined : { text: row.text, state: row.version };
	}

	async count(accountId: string, table: string, filter: Filter): Promise<number> {
		if (filter.members.length > 0) return (await this.#find(accountId, table, filter, 0)).matched;
		const { rows } = await this.#ask('SELECT rows FROM pumadb.tables WHERE account_id = $1 AND name = $2', [
			accountId,
			table,
		]);
		return rows[0]?.rows ?? 0;
	}

	async versions(accountId: string, table: string, id: string, since: string, limit: number): Promise<VersionText[]> {
		if (!isRowId(id)) return [];
		const { rows } = await this.#ask(
			`SELECT version, archived_at, deleted, text FROM pumadb.versions
				WHERE account_id = $1 AND table_name = $2 AND id = $3 AND archived_at >= $4 ORDER BY version DESC LIMIT $5::bigint`,
			[accountId, table, id, since, limit === Number.POSITIVE_INFINITY ? null : limit],
		);
		return rows.map((row) => ({
			version: row.version,
			archivedAt: row.archived_at,
			deleted: row.deleted,
			row: row.text,
		}));
	}

	async tables(accountId: string, since: string): Promise<{ name: string; rows: number }[]> {
		const { rows } = await this.#ask(
			// Not by EXISTS, which the planner may answer by reading all versions.
			`SELECT t.name, t.rows FROM pumadb.tables t WHERE t.account_id = $1 AND (t.rows > 0 OR (SELECT true FROM pumadb.versions v
				WHERE v.account_id = t.account_id AND v.table_name = t.name AND v.archived_at >= $2 LIMIT 1)) ORDER BY t.name`,
			[accountId, since],
		);
		return rows.map(({ name, rows: count }) => ({ name, rows: count }));
	}

	export(accountId: string): Promise<Pieces<ExportPiece>> {
		return this.#exports.open(accountId);
	}

	/** Other nodes write too, so that no answer can be kept. */
	generation(): undefined {
		return undefined;
	}

	#find(accountId: string, table: string, filter: Filter, limit: number) {
		return this.#finder.find(this.#ask, { accountId, table }, filter, limit, Number.POSITIVE_INFINITY);
	}
}

function same(found: string, presented: string): boolean {
	return found.length === presented.length && timingSafeEqual(Buffer.from(found), Buffer.from(presented));
}

/** What the database fails with is told as a read's refusal. */
function asRead(ask: Ask): Ask {
	return async (text, values) => {
		try {
			return await ask(text, values);
		} catch (error) {
			throw refusalOf(error, 'read');
		}
	};
}
