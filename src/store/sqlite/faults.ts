import { isObject, type JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { identityOf, ownTextOf, rowBytes } from '../../domain/row.ts';
import { rowKey } from '../../domain/value.ts';
import { storedBytes } from '../../domain/writes.ts';
import type { Database } from './driver.ts';
import { idBytes } from './ids.ts';
import { schemaOf } from './migrate.ts';

/** Queries that answer a row for each broken invariant; `fault` says which. */
const INVARIANTS: readonly string[] = [
	`SELECT 'account ' || a.account_id || ' has no usage' AS fault FROM accounts a LEFT JOIN usage u USING (account_no) WHERE u.account_no IS NULL`,
	`SELECT 'usage ' || u.account_no || ' has no account' AS fault FROM usage u LEFT JOIN accounts a USING (account_no) WHERE a.account_no IS NULL`,
	`SELECT 'table ' || t.table_no || ' has no row count' AS fault FROM tables t LEFT JOIN row_counts c USING (table_no) WHERE c.table_no IS NULL`,
	`SELECT 'row count ' || c.table_no || ' has no table' AS fault FROM row_counts c LEFT JOIN tables t USING (table_no) WHERE t.table_no IS NULL`,
	`SELECT 'key ' || k.key_id || ' has no account' AS fault FROM api_keys k LEFT JOIN accounts a USING (account_id) WHERE a.account_id IS NULL`,
	`SELECT 'table ' || t.table_no || ' has no account' AS fault FROM tables t LEFT JOIN accounts a USING (account_id)
		WHERE a.account_id IS NULL AND t.account_id NOT IN (SELECT account_id FROM erasures)`,
	`SELECT 'row at place ' || r.place || ' has no table' AS fault FROM rows r LEFT JOIN tables t USING (table_no) WHERE t.table_no IS NULL`,
	`SELECT 'version ' || v.version_no || ' has no table of its account' AS fault FROM versions v LEFT JOIN tables t USING (table_no)
		WHERE t.account_id IS NOT v.account_id`,
	`SELECT 'kept answer ' || k.kept_no || ' has no table of its account' AS fault FROM kept_answers k LEFT JOIN tables t USING (table_no)
		WHERE t.account_id IS NOT k.account_id`,
	`SELECT 'table ' || t.table_no || ' counts ' || t.rows || ' rows and has ' || count(r.place) AS fault
		FROM counted_tables t LEFT JOIN rows r USING (table_no) WHERE t.account_id NOT IN (SELECT account_id FROM erasures)
		GROUP BY t.table_no HAVING t.rows <> count(r.place)`,
	`SELECT 'account ' || u.account_id || ' counts ' || u.tables || ' tables and has ' || count(t.table_no) AS fault
		FROM account_usage u LEFT JOIN counted_tables t ON t.account_id = u.account_id AND t.rows > 0 GROUP BY u.account_id HAVING u.tables <> count(t.table_no)`,
	`SELECT 'account ' || u.account_id || ' counts ' || u.bytes || ' bytes and holds ' || coalesce(s.bytes, 0) AS fault
		FROM account_usage u LEFT JOIN (SELECT t.account_id, sum(r.bytes) AS bytes FROM tables t JOIN rows r USING (table_no) GROUP BY t.account_id) s USING (account_id)
		WHERE u.bytes <> coalesce(s.bytes, 0)`,
	`SELECT 'account ' || u.account_id || ' counts ' || u.version_bytes || ' bytes of versions and holds ' || coalesce(s.bytes, 0) AS fault
		FROM account_usage u LEFT JOIN (SELECT account_id, sum(bytes) AS bytes FROM versions GROUP BY account_id) s USING (account_id)
		WHERE u.version_bytes <> coalesce(s.bytes, 0)`,
	`SELECT 'account ' || u.account_id || ' counts ' || u.kept_bytes || ' bytes of kept answers and holds ' || coalesce(s.bytes, 0) AS fault
		FROM account_usage u LEFT JOIN (SELECT account_id, sum(bytes) AS bytes FROM kept_answers GROUP BY account_id) s USING (account_id)
		WHERE u.kept_bytes <> coalesce(s.bytes, 0)`,
	`SELECT 'row at place ' || r.place || ' has version ' || r.version || ' and an archived version ' || max(v.version) AS fault
		FROM rows r JOIN versions v ON v.table_no = r.table_no AND v.id = r.id GROUP BY r.place HAVING max(v.version) > r.version`,
	`SELECT 'place ' || max(place) || ' is above the sequence' AS fault FROM rows HAVING max(place) > (SELECT place FROM sequence)`,
	`SELECT 'index ' || index_no || ' has no table' AS fault FROM member_indexes i LEFT JOIN tables t USING (table_no)
		WHERE t.table_no IS NULL AND i.state <> 'dropping'`,
	`SELECT 'entry of index ' || e.index_no || ' at place ' || e.place || ' has no row' AS fault
		FROM index_entries e JOIN member_indexes i USING (index_no) LEFT JOIN rows r USING (place) WHERE r.place IS NULL AND i.state <> 'dropping'`,
	`SELECT 'index entries of ' || e.index_no || ' have no index' AS fault FROM index_entries e LEFT JOIN member_indexes i USING (index_no)
		WHERE i.index_no IS NULL GROUP BY e.index_no`,
];

/** What came with each schema after the first: invariants, or another one in place of an older. */
const SINCE: Readonly<Record<number, Readonly<Record<string, string>>>> = {
	2: {
		links: `SELECT 'link of key ' || l.key_id || ' has no such key' AS fault FROM links l LEFT JOIN api_keys k USING (account_id, key_id) WHERE k.key_id IS NULL`,
		sessions: `SELECT 'session ' || s.session_id || ' has no account' AS fault FROM sessions s LEFT JOIN accounts a USING (account_id) WHERE a.account_id IS NULL`,
	},
	3: {
		links: `SELECT 'link of ' || l.key_id || ' has no such key or grant' AS fault FROM links l LEFT JOIN api_keys k USING (account_id, key_id)
			LEFT JOIN grants g ON g.account_id = l.account_id AND g.grant_id = l.key_id WHERE k.key_id IS NULL AND g.grant_id IS NULL`,
		grants: `SELECT 'grant ' || g.grant_id || ' has no account' AS fault FROM grants g LEFT JOIN accounts a USING (account_id) WHERE a.account_id IS NULL`,
		tokens: `SELECT 'token of ' || t.grant_id || ' has no such grant' AS fault FROM tokens t LEFT JOIN grants g USING (account_id, grant_id) WHERE g.grant_id IS NULL`,
		codes: `SELECT 'code of ' || c.grant_id || ' has no such grant' AS fault FROM codes c LEFT JOIN grants g USING (account_id, grant_id) WHERE g.grant_id IS NULL`,
		authorizations: `SELECT 'an authorization of ' || w.account_id || ' is for an account of another address' AS fault FROM authorizations w
			LEFT JOIN accounts a USING (account_id) WHERE w.account_id IS NOT NULL AND w.email IS NOT a.email`,
	},
};

/** The invariants of a file with this schema: one that no newer version has opened yet has an older. */
function invariantsOf(schema: number): readonly string[] {
	const numbers = Object.keys(SINCE).map(Number);
	const since = Object.assign({}, ...numbers.filter((number) => number <= schema).map((number) => SINCE[number]));
	return [...INVARIANTS, ...(Object.values(since) as string[])];
}

/** Everything that is wrong with a database, one sentence each, as of one moment. */
export function* findFaults(db: Database): Generator<string> {
	db.exec('BEGIN');
	try {
		for (const row of db.prepare('PRAGMA integrity_check').all()) {
			if (row.integrity_check !== 'ok') yield String(row.integrity_check);
		}
		for (const sql of invariantsOf(schemaOf(db))) for (const row of db.prepare(sql).iterate()) yield String(row.fault);
		yield* sequenceFaults(db);
		yield* rowFaults(db);
		yield* versionFaults(db);
		yield* indexFaults(db);
	} finally {
		db.exec('ROLLBACK');
	}
}

/** Texts must say what the columns say, and order of place must be order of id. */
function* rowFaults(db: Database): Generator<string> {
	let before: { tableNo: unknown; place: number } | undefined;
	for (const row of db.prepare('SELECT place, table_no, id, bytes, text FROM rows ORDER BY table_no, id').iterate()) {
		const place = row.place as number;
		const text = row.text as string;
		const faults = [...textFaults(`row at place ${place}`, text, row.id as Uint8Array)];
		yield* faults;
		if (faults.length === 0 && rowBytes(ownTextOf(text)) !== row.bytes) {
			yield `row at place ${place} counts ${row.bytes} bytes and has ${rowBytes(ownTextOf(text))}`;
		}
		if (before !== undefined && before.tableNo === row.table_no && before.place >= place)
			yield `row at place ${place} is out of order`;
		before = { tableNo: row.table_no, place };
	}
}

function* versionFaults(db: Database): Generator<string> {
	for (const row of db.prepare('SELECT version_no, id, bytes, text FROM versions').iterate()) {
		const name = `version ${row.version_no}`;
		yield* textFaults(name, row.text as string, row.id as Uint8Array);
		if (storedBytes(row.text as string) !== row.bytes)
			yield `${name} counts ${row.bytes} bytes and has ${storedBytes(row.text as string)}`;
	}
}

function* textFaults(name: string, text: string, id: Uint8Array): Generator<string> {
	const parsed = parse(text);
	if (parsed === undefined) {
		yield `${name} is not a JSON object`;
		return;
	}
	const identity = identityOf(text);
	const same =
		parsed.id === identity.id && parsed.created_at === identity.createdAt && parsed.updated_at === identity.updatedAt;
	if (!same) yield `${name} does not have its system members where they belong`;
	if (Buffer.compare(idBytes(identity.id), id) !== 0) yield `${name} has another id in its text`;
}

function parse(text: string): JsonObject | undefined {
	try {
		const value: unknown = parseJson(text);
		return isObject(value) ? value : undefined;
	} catch {
		return undefined;
	}
}

/** Ids come from a sequence that only grows: one above it could be given out again. */
function* sequenceFaults(db: Database): Generator<string> {
	const last = db.prepare('SELECT row_id FROM sequence').get()?.row_id as string | null;
	for (const table of ['rows', 'versions']) {
		const greatest = db.prepare(`SELECT max(id) AS id FROM ${table}`).get()?.id as Uint8Array | null;
		if (greatest === null) continue;
		if (last === null || Buffer.compare(greatest, idBytes(last)) > 0) yield `an id in ${table} is above the sequence`;
	}
}

/** Each built index must have exactly the entries that its table's rows call for. */
function* indexFaults(db: Database): Generator<string> {
	const entry = db.prepare('SELECT 1 FROM index_entries WHERE index_no = ? AND key = ? AND place = ?');
	for (const index of db
		.prepare("SELECT index_no, table_no, members FROM member_indexes WHERE state = 'ready'")
		.all()) {
		const members = JSON.parse(index.members as string) as string[];
		let expected = 0;
		for (const row of db.prepare('SELECT place, text FROM rows WHERE table_no = ?').iterate(index.table_no!)) {
			const parsed = parse(row.text as string);
			const key = parsed === undefined ? undefined : rowKey(parsed, members);
			if (key === undefined) continue;
			expected++;
			if (entry.get(index.index_no!, key, row.place!) === undefined)
				yield `index ${index.index_no} lacks the row at place ${row.place}`;
		}
		const count = db.prepare('SELECT count(*) AS n FROM index_entries WHERE index_no = ?').get(index.index_no!)!
			.n as number;
		if (count !== expected) yield `index ${index.index_no} has ${count} entries and should have ${expected}`;
	}
}
