import { isObject, type JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { identityOf, ownTextOf, rowBytes } from '../../domain/row.ts';
import { rowKey } from '../../domain/value.ts';
import { storedBytes } from '../../domain/writes.ts';
import type { Ask, Connections, Row } from './connections.ts';

/** Rows that are read at a time. */
const PAGE = 1000;

const notErased = 'NOT EXISTS (SELECT 1 FROM pumadb.erasures e WHERE e.account_id = t.account_id)';

/** What belongs to accounts, and may be left for a while only of one that is being erased. */
const OF_ACCOUNTS = ['tables', 'rows', 'versions', 'kept_answers', 'member_indexes', 'index_entries'].map(
	(table) => `SELECT DISTINCT '${table} of ' || t.account_id || ' have no account' AS fault FROM pumadb.${table} t
		WHERE NOT EXISTS (SELECT 1 FROM pumadb.accounts a WHERE a.account_id = t.account_id) AND ${notErased}`,
);

/** What dies at once with its account. */
const DEAD_WITH_ACCOUNTS = ['api_keys', 'sessions', 'links', 'grants', 'codes', 'tokens', 'emails'].map(
	(table) => `SELECT DISTINCT '${table} of ' || t.account_id || ' have no account' AS fault FROM pumadb.${table} t
		WHERE NOT EXISTS (SELECT 1 FROM pumadb.accounts a WHERE a.account_id = t.account_id)`,
);

/** Does what an account counts agree with what it holds? */
function counted(column: string, what: string, sum: string): string {
	return `SELECT 'account ' || a.account_id || ' counts ' || a.${column} || ' ${what} and has ' || coalesce(s.n, 0) AS fault
		FROM pumadb.accounts a LEFT JOIN (${sum}) s USING (account_id) WHERE a.${column} <> coalesce(s.n, 0)`;
}

/** Queries that answer a row for each broken invariant; `fault` says which. */
const INVARIANTS: readonly string[] = [
	...OF_ACCOUNTS,
	...DEAD_WITH_ACCOUNTS,
	`SELECT 'account ' || a.account_id || ' is not the one of its address' AS fault FROM pumadb.accounts a
		LEFT JOIN pumadb.emails e USING (email) WHERE e.account_id IS DISTINCT FROM a.account_id`,
	`SELECT 'table ' || t.name || ' of ' || t.account_id || ' counts ' || t.rows || ' rows and has ' || count(r.id) AS fault
		FROM pumadb.tables t LEFT JOIN pumadb.rows r ON r.account_id = t.account_id AND r.table_name = t.name WHERE ${notErased}
		GROUP BY t.account_id, t.name HAVING t.rows <> count(r.id) OR t.empty <> (count(r.id) = 0)`,
	...['rows', 'versions', 'kept_answers'].map(
		(
			table,
		) => `SELECT DISTINCT '${table} of ' || t.account_id || ' are in ' || t.table_name || ', which is no table' AS fault
			FROM pumadb.${table} t WHERE NOT EXISTS
				(SELECT 1 FROM pumadb.tables n WHERE n.account_id = t.account_id AND n.name = t.table_name)`,
	),
	counted('tables', 'tables', 'SELECT account_id, count(*) AS n FROM pumadb.tables WHERE rows > 0 GROUP BY account_id'),
	counted('bytes', 'bytes', 'SELECT account_id, sum(bytes) AS n FROM pumadb.rows GROUP BY account_id'),
	counted(
		'version_bytes',
		'bytes of versions',
		'SELECT account_id, sum(bytes) AS n FROM pumadb.versions GROUP BY account_id',
	),
	counted(
		'kept_bytes',
		'bytes of kept answers',
		'SELECT account_id, sum(bytes) AS n FROM pumadb.kept_answers GROUP BY account_id',
	),
	`SELECT 'row ' || r.id || ' has version ' || r.version || ' and an archived version ' || max(v.version) AS fault
		FROM pumadb.rows r JOIN pumadb.versions v USING (account_id, table_name, id)
		GROUP BY r.account_id, r.table_name, r.id HAVING max(v.version) > r.version`,
	...['rows', 'versions'].map(
		(
			table,
		) => `SELECT 'an id of account ' || a.account_id || ' in ${table} is above the last given out' AS fault FROM pumadb.accounts a
			JOIN pumadb.${table} t USING (account_id) GROUP BY a.account_id HAVING max(t.id::text) > coalesce(a.last_id::text, '')`,
	),
	...['versions', 'kept_answers'].map(
		(table) => `SELECT 'a number of account ' || a.account_id || ' in ${table} is above the last given out' AS fault
			FROM pumadb.accounts a JOIN pumadb.${table} t USING (account_id) GROUP BY a.account_id HAVING max(t.seq) > a.seq`,
	),
	`SELECT 'link of ' || l.key_id || ' has no such key or grant' AS fault FROM pumadb.links l
		LEFT JOIN pumadb.api_keys k USING (account_id, key_id)
		LEFT JOIN pumadb.grants g ON g.account_id = l.account_id AND g.grant_id = l.key_id WHERE k.key_id IS NULL AND g.grant_id IS NULL`,
	...['tokens', 'codes'].map(
		(table) => `SELECT '${table} of ' || t.grant_id || ' have no such grant' AS fault FROM pumadb.${table} t
			LEFT JOIN pumadb.grants g USING (account_id, grant_id) WHERE g.grant_id IS NULL`,
	),
	`SELECT 'index entries of ' || e.account_id || ' have no index ' || e.index_no AS fault FROM pumadb.index_entries e
		LEFT JOIN pumadb.member_indexes i USING (account_id, index_no) WHERE i.index_no IS NULL
			AND NOT EXISTS (SELECT 1 FROM pumadb.erasures x WHERE x.account_id = e.account_id) GROUP BY e.account_id, e.index_no`,
	`SELECT 'index ' || i.index_no || ' of ' || i.account_id || ' is above the last given out' AS fault
		FROM pumadb.member_indexes i JOIN pumadb.accounts a USING (account_id) WHERE i.index_no > a.index_no`,
];

/** Everything that is wrong with a database, one sentence each, as of one moment. */
export function findFaults(connections: Connections): Promise<string[]> {
	return connections.transaction(async ({ ask }) => {
		const faults: string[] = [];
		for (const sql of INVARIANTS) for (const { fault } of (await ask(sql)).rows) faults.push(fault);
		for await (const row of all(ask, 'rows', 'id', 'bytes')) {
			const name = `row ${row.id}`;
			const wrong = textFaults(name, row.text, row.id);
			faults.push(...wrong);
			const bytes = rowBytes(ownTextOf(row.text));
			if (wrong.length === 0 && bytes !== row.bytes) faults.push(`${name} counts ${row.bytes} bytes and has ${bytes}`);
		}
		for await (const row of all(ask, 'versions', 'version', 'bytes')) {
			const name = `version ${row.version} of ${row.id}`;
			faults.push(...textFaults(name, row.text, row.id));
			const bytes = storedBytes(row.text);
			if (bytes !== row.bytes) faults.push(`${name} counts ${row.bytes} bytes and has ${bytes}`);
		}
		faults.push(...(await indexFaults(ask)));
		return faults;
	}, 'snapshot');
}

/** Every row of a table of texts, a page at a time. */
async function* all(ask: Ask, table: 'rows' | 'versions', last: 'id' | 'version', more: string): AsyncGenerator<Row> {
	const key = last === 'id' ? 'account_id, table_name, id' : 'account_id, table_name, id, version';
	const marks = last === 'id' ? '$1, $2, $3::uuid' : '$1, $2, $3::uuid, $4::integer';
	let after = last === 'id' ? ['', '', ZERO] : ['', '', ZERO, 0];
	for (;;) {
		const { rows } = await ask(
			`SELECT ${key}, ${more}, text FROM pumadb.${table} WHERE (${key}) > (${marks}) ORDER BY ${key} LIMIT ${PAGE}`,
			after,
		);
		yield* rows;
		if (rows.length < PAGE) return;
		const row = rows.at(-1);
		after = key.split(', ').map((column) => row[column]);
	}
}

const ZERO = '00000000-0000-0000-0000-000000000000';

/** Texts must say what the columns say. */
function textFaults(name: string, text: string, id: string): string[] {
	const parsed = parse(text);
	if (parsed === undefined) return [`${name} is not a JSON object`];
	const identity = identityOf(text);
	const same =
		parsed.id === identity.id && parsed.created_at === identity.createdAt && parsed.updated_at === identity.updatedAt;
	return [
		...(same ? [] : [`${name} does not have its system members where they belong`]),
		...(identity.id === id ? [] : [`${name} has another id in its text`]),
	];
}

function parse(text: string): JsonObject | undefined {
	try {
		const value: unknown = parseJson(text);
		return isObject(value) ? value : undefined;
	} catch {
		return undefined;
	}
}

/** Each built index must have exactly the entries that its table's rows call for. */
async function indexFaults(ask: Ask): Promise<string[]> {
	const faults: string[] = [];
	const { rows: indexes } = await ask(
		`SELECT account_id, index_no, table_name, members FROM pumadb.member_indexes WHERE state = 'ready'`,
	);
	for (const { account_id: accountId, index_no: indexNo, table_name: table, members } of indexes) {
		const name = `index ${indexNo} of ${accountId}`;
		const entries = await ask(
			`SELECT id, encode(key, 'hex') AS key FROM pumadb.index_entries WHERE account_id = $1 AND index_no = $2`,
			[accountId, indexNo],
		);
		const left = new Map(entries.rows.map((entry) => [entry.id, entry.key]));
		if (left.size !== entries.rows.length) faults.push(`${name} has two entries of one row`);
		const { rows } = await ask('SELECT id, text FROM pumadb.rows WHERE account_id = $1 AND table_name = $2', [
			accountId,
			table,
		]);
		for (const { id, text } of rows) {
			const row = parse(text);
			const key = row === undefined ? undefined : rowKey(row, JSON.parse(members) as string[]);
			const expected = key === undefined ? undefined : Buffer.from(key).toString('hex');
			if (left.get(id) !== expected) faults.push(`${name} has another entry of row ${id} than its members ask for`);
			left.delete(id);
		}
		if (left.size > 0) faults.push(`${name} has ${left.size} entries without rows`);
	}
	return faults;
}
