import { timingSafeEqual } from 'node:crypto';
import { type Authorization, type ClientRecord, type Grant, requireAuthorization } from '../../accounts/grants.ts';
import type { Caller, KeyRecord, Session } from '../../accounts/rules.ts';
import type { Filter } from '../../domain/filter.ts';
import { isRowId } from '../../domain/id.ts';
import type { Link, LinkTarget } from '../../domain/link.ts';
import { Refusal } from '../../errors.ts';
import type { AccessToken, ExportPiece, LiveRow, Pieces, Usage, VersionText } from '../seam.ts';
import { authorizationOf, clientByFingerprint, clientById, grantsOf } from './clients.ts';
import { type Database, openReader, type Statement } from './driver.ts';
import { Finder, type IndexHints, sqlLimit } from './finder.ts';
import { idBytes } from './ids.ts';
import { keysOf } from './keys.ts';

/** An export reads and hands out this many rows at a time. */
const EXPORT_ROWS = 50;
/** Snapshots that may be open at once, one an account; further exports wait for so long, then they are refused. */
const MAX_SNAPSHOTS = 16;
const MAX_SNAPSHOT_WAIT_MS = 5000;

/** Reads on the thread that answers, on read-only connections. */
export class SqliteReader {
	readonly #path: string;
	readonly #db: Database;
	readonly #finder: Finder;
	readonly #begin: Statement;
	readonly #commit: Statement;
	readonly #table: Statement;
	readonly #joined: Statement;
	readonly #caller: Statement;
	readonly #link: Statement;
	readonly #session: Statement;
	readonly #accessToken: Statement;
	readonly #versions: Statement;
	readonly #tables: Statement;
	/** Accounts whose snapshot is open. */
	readonly #snapshots = new Set<string>();
	#waiting: (() => void)[] = [];

	constructor(path: string, hints: IndexHints, clock: () => number) {
		this.#path = path;
		this.#db = openReader(path);
		this.#finder = new Finder(this.#db, hints, clock);
		this.#begin = this.#db.prepare('BEGIN');
		this.#commit = this.#db.prepare('COMMIT');
		this.#joined = this.#db.prepare(
			`SELECT group_concat(text, ',') AS text FROM (SELECT r.text FROM tables t JOIN rows r ON r.table_no = t.table_no
				WHERE t.account_id = ? AND t.name = ? ORDER BY r.id LIMIT ?)`,
		);
		// An array costs less than an object with a name looked up.
		this.#joined.setReturnArrays(true);
		this.#table = this.#db.prepare('SELECT table_no, rows FROM counted_tables WHERE account_id = ? AND name = ?');
		this.#caller = this.#db.prepare(
			'SELECT key_id, secret_hash FROM api_keys WHERE account_id = ? AND secret_hash = ? AND revoked_at IS NULL',
		);
		this.#link = this.#db.prepare(
			// Links of a grant go with it.
			`SELECT l.token_hash, l.key_id, l.target, l.expires_at FROM links l LEFT JOIN api_keys k USING (account_id, key_id)
				WHERE l.account_id = ? AND l.token_hash = ? AND l.expires_at > ? AND k.revoked_at IS NULL`,
		);
		this.#session = this.#db.prepare(
			`SELECT s.session_id, s.secret_hash, s.expires_at, a.email FROM sessions s JOIN accounts a USING (account_id)
				WHERE s.account_id = ? AND s.secret_hash = ? AND s.expires_at > ?`,
		);
		this.#accessToken = this.#db.prepare(
			`SELECT t.token_hash, t.grant_id, t.expires_at, g.audience FROM tokens t JOIN grants g USING (account_id, grant_id)
				WHERE t.account_id = ? AND t.token_hash = ? AND t.kind = 'access' AND t.expires_at > ?`,
		);
		this.#versions = this.#db.prepare(
			`SELECT version, archived_at, deleted, text FROM versions
				WHERE table_no = ? AND id = ? AND archived_at >= ? ORDER BY version DESC LIMIT ?`,
		);
		this.#tables = this.#db.prepare(
			`SELECT name, rows FROM counted_tables t WHERE account_id = ? AND (rows > 0 OR EXISTS
				(SELECT 1 FROM versions v WHERE v.table_no = t.table_no AND v.archived_at >= ?)) ORDER BY name`,
		);
	}

	caller(accountId: string, secretHash: string): Caller | undefined {
		const row = this.#caller.get(accountId, secretHash);
		if (row === undefined) return undefined;
		const same = timingSafeEqual(Buffer.from(row.secret_hash as string), Buffer.from(secretHash));
		return same ? { accountId, keyId: row.key_id as string } : undefined;
	}

	link(accountId: string, tokenHash: string, now: number): Link | undefined {
		const row = this.#link.get(accountId, tokenHash, now);
		if (row === undefined) return undefined;
		const same = timingSafeEqual(Buffer.from(row.token_hash as string), Buffer.from(tokenHash));
		if (!same) return undefined;
		const target = JSON.parse(row.target as string) as LinkTarget;
		return { accountId, keyId: row.key_id as string, target, expiresAt: row.expires_at as number };
	}

	session(accountId: string, secretHash: string, now: number): Session | undefined {
		const row = this.#session.get(accountId, secretHash, now);
		if (row === undefined) return undefined;
		const same = timingSafeEqual(Buffer.from(row.secret_hash as string), Buffer.from(secretHash));
		if (!same) return undefined;
		return {
			accountId,
			id: row.session_id as string,
			email: row.email as string,
			expiresAt: row.expires_at as number,
		};
	}

	accessToken(accountId: string, tokenHash: string, now: number): AccessToken | undefined {
		const row = this.#accessToken.get(accountId, tokenHash, now);
		if (row === undefined) return undefined;
		const same = timingSafeEqual(Buffer.from(row.token_hash as string), Buffer.from(tokenHash));
		if (!same) return undefined;
		return {
			caller: { accountId, keyId: row.grant_id as string },
			audience: row.audience as string,
			expiresAt: row.expires_at as number,
		};
	}

	grants(accountId: string, now: number): Grant[] {
		return grantsOf(this.#db, accountId, now);
	}

	client(clientId: string): ClientRecord | undefined {
		return clientById(this.#db, clientId);
	}

	clientByFingerprint(fingerprint: string): ClientRecord | undefined {
		return clientByFingerprint(this.#db, fingerprint);
	}

	authorization(requestHash: string, browserHash: string, now: number): Authorization {
		const found = authorizationOf(this.#db, requestHash);
		requireAuthorization(found, browserHash, now);
		return found!;
	}

	usage(accountId: string): Usage | undefined {
		const row = this.#db.prepare('SELECT tables, bytes FROM account_usage WHERE account_id = ?').get(accountId);
		return row === undefined ? undefined : { tables: row.tables as number, bytes: row.bytes as number };
	}

	keys(accountId: string): KeyRecord[] {
		return keysOf(this.#db, accountId);
	}

	accountOf(email: string): string | undefined {
		return this.#db.prepare('SELECT account_id FROM accounts WHERE email = ?').get(email)?.account_id as
			| string
			| undefined;
	}

	rows(accountId: string, table: string, filter: Filter, limit: number): string {
		if (filter.members.length === 0) return joinedText(this.#joined.get(accountId, table, sqlLimit(limit)));
		return this.#onTable(accountId, table, '', ({ tableNo, rows }) =>
			this.#finder.joined(tableNo, rows, filter, limit),
		);
	}

	row(accountId: string, table: string, id: string): LiveRow | undefined {
		return this.#onTable<LiveRow | undefined>(accountId, table, undefined, ({ tableNo }) => {
			const row = this.#finder.byId(tableNo, id);
			return row === undefined ? undefined : { text: row.text, state: row.version };
		});
	}

	rowTexts(accountId: string, table: string, filter: Filter): string[] {
		return this.#onTable(accountId, table, [], ({ tableNo, rows }) =>
			this.#finder.find(tableNo, rows, filter, Number.POSITIVE_INFINITY).rows.map((row) => row.text),
		);
	}

	count(accountId: string, table: string, filter: Filter): number {
		return this.#onTable(accountId, table, 0, ({ tableNo, rows }) => this.#finder.count(tableNo, rows, filter));
	}

	versions(accountId: string, table: string, id: string, since: string, limit: number): VersionText[] {
		if (!isRowId(id)) return [];
		return this.#onTable(accountId, table, [], ({ tableNo }) =>
			this.#versions.all(tableNo, idBytes(id), since, sqlLimit(limit)).map((row) => ({
				version: row.version as number,
				archivedAt: row.archived_at as string,
				deleted: row.deleted === 1,
				row: row.text as string,
			})),
		);
	}

	tables(accountId: string, since: string): { name: string; rows: number }[] {
		return this.#tables.all(accountId, since).map((row) => ({ name: row.name as string, rows: row.rows as number }));
	}

	/** One read transaction on a connection of its own: the export is of one moment, and memory holds a piece at a time. */
	async export(accountId: string): Promise<Pieces<ExportPiece>> {
		await this.#snapshotFree(accountId);
		const db = openReader(this.#path);
		const snapshot = { open: true };
		const close = (): void => {
			if (!snapshot.open) return;
			snapshot.open = false;
			db.close();
			this.#snapshots.delete(accountId);
			const waiting = this.#waiting;
			this.#waiting = [];
			for (const look of waiting) look();
		};
		try {
			// A deferred transaction gets its snapshot by its first read.
			db.exec('BEGIN');
			const tables = db
				.prepare('SELECT table_no, name FROM counted_tables WHERE account_id = ? AND rows > 0 ORDER BY name')
				.all(accountId) as unknown as ExportedTable[];
			return { [Symbol.asyncIterator]: () => piecesOf(db, tables, snapshot, close), close };
		} catch (error) {
			close();
			throw error;
		}
	}

	async #snapshotFree(accountId: string): Promise<void> {
		const until = performance.now() + MAX_SNAPSHOT_WAIT_MS;
		const own = (): boolean => this.#snapshots.has(accountId);
		while (own() || this.#snapshots.size >= MAX_SNAPSHOTS) {
			const left = until - performance.now();
			if (left <= 0) {
				throw new Refusal(
					'overloaded',
					own()
						? 'Another export of this account is still being read. Read it to its end, or close its connection, and try again.'
						: `The server is sending ${MAX_SNAPSHOTS} other exports. Try again after the seconds in Retry-After.`,
				);
			}
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, left);
				this.#waiting.push(() => {
					clearTimeout(timer);
					resolve();
				});
			});
		}
		this.#snapshots.add(accountId);
	}

	ping(): void {
		this.#db.prepare('SELECT 1 FROM sequence').get();
	}

	close(): void {
		this.#db.close();
	}

	/** Runs a read of several statements as of one moment; `empty` is the answer where there is no such table. */
	#onTable<T>(accountId: string, name: string, empty: T, read: (table: { tableNo: number; rows: number }) => T): T {
		this.#begin.run();
		try {
			const row = this.#table.get(accountId, name);
			return row === undefined ? empty : read({ tableNo: row.table_no as number, rows: row.rows as number });
		} finally {
			this.#commit.run();
		}
	}
}

interface ExportedTable {
	readonly table_no: number;
	readonly name: string;
}

async function* piecesOf(
	db: Database,
	tables: readonly ExportedTable[],
	snapshot: { readonly open: boolean },
	close: () => void,
): AsyncGenerator<ExportPiece> {
	try {
		const some = db.prepare('SELECT id, text FROM rows WHERE table_no = ? AND id > ? ORDER BY id LIMIT ?');
		for (const table of tables) {
			yield { table: table.name };
			let after: unknown = Buffer.alloc(0);
			while (snapshot.open) {
				const rows = some.all(table.table_no, after as Uint8Array, EXPORT_ROWS);
				if (rows.length > 0) yield { rows: rows.map((row) => row.text as string) };
				if (rows.length < EXPORT_ROWS) break;
				after = rows.at(-1)!.id;
				// Other calls are answered between two pieces.
				await new Promise(setImmediate);
			}
		}
	} finally {
		close();
	}
}

function joinedText(row: unknown): string {
	return ((row as unknown[] | undefined)?.[0] as string | null | undefined) ?? '';
}
