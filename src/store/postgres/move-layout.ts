import { type ColumnType, columnsOf, type KindName, kindOf } from '../move/kinds.ts';

/** Where PostgreSQL keeps what a move carries: each kind in a table of its own name, with the same columns and these. */

interface Layout {
	/** A column that numbers the kind's rows within their account, and the account's column that counts them. */
	readonly numbered?: { readonly column: string; readonly counter: string };
	/** What was made first: columns, where it is not the key. */
	readonly order?: readonly string[];
	/** Columns that follow from others, as expressions over the record `c`. */
	readonly made?: Readonly<Record<string, string>>;
	/** Which records are carried. */
	readonly where?: string;
}

const LAYOUTS: Readonly<Partial<Record<KindName, Layout>>> = {
	accounts: {
		// Time does not run backwards within an account: the first 48 bits of an id are its milliseconds (RFC 9562 section 5.7).
		made: {
			clock: `coalesce(('x' || lpad(replace(left(c.last_id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint, 0)`,
		},
	},
	api_keys: { numbered: { column: 'key_no', counter: 'seq' }, order: ['account_id', 'key_no'] },
	tables: { made: { empty: 'c.rows = 0' } },
	// By time first: a file numbers them over all accounts, and sweeps the oldest by their numbers.
	versions: { numbered: { column: 'seq', counter: 'seq' }, order: ['archived_at', 'account_id', 'seq'] },
	kept_answers: { numbered: { column: 'seq', counter: 'seq' }, order: ['created_at', 'account_id', 'seq'] },
	member_indexes: {
		numbered: { column: 'index_no', counter: 'index_no' },
		made: { state: `'building'`, built_through: `'00000000-0000-0000-0000-000000000000'::uuid` },
		where: `k.state <> 'dropping'`,
	},
};

/** Kinds of which an account that is being erased may still hold some. */
const ERASED_LATER: readonly KindName[] = ['tables', 'versions', 'rows', 'kept_answers', 'member_indexes'];

/** What a schema holds that is not carried as it is, and why: tables, and columns of tables. */
export const NOT_CARRIED: Readonly<Record<string, string>> = {
	'accounts.seq': 'counts what is numbered, which is numbered anew',
	'accounts.index_no': 'counts indexes, which are numbered anew',
	'accounts.epoch': 'tells nodes what of theirs is out of date, and none knows the moved account',
	'accounts.clock': 'follows from the last id, and from the times of versions and kept answers',
	'api_keys.key_no': 'the order of keys, given anew in the same order',
	'tables.empty': 'follows from the number of rows',
	'versions.seq': 'the order of archiving, given anew in the same order',
	'kept_answers.seq': 'the order of keeping, given anew in the same order',
	'member_indexes.index_no': 'a number, given anew',
	'member_indexes.state': 'indexes are built anew',
	'member_indexes.built_through': 'indexes are built anew',
	emails: 'follow from the accounts',
	index_entries: 'follow from the rows: indexes are built anew',
	erasures: 'what is being erased is left behind',
	call_windows: 'rate limits begin new windows, as they do when a server on a file restarts',
	schema_version: 'the schema itself',
};

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
	text: 'text',
	integer: 'bigint',
	boolean: 'boolean',
	id: 'uuid',
};

export function layoutOf(kind: KindName): Layout {
	return LAYOUTS[kind] ?? {};
}

function whereOf(kind: KindName): string {
	const erased = ERASED_LATER.includes(kind)
		? ['NOT EXISTS (SELECT 1 FROM pumadb.erasures e WHERE e.account_id = k.account_id)']
		: [];
	const own = layoutOf(kind).where;
	return [...erased, ...(own === undefined ? [] : [own])].join(' AND ') || 'TRUE';
}

/** The number of a kind's records. */
export function countSql(kind: KindName): string {
	return `SELECT count(*) AS n FROM pumadb.${kind} k WHERE ${whereOf(kind)}`;
}

/** The columns in whose order records are carried. */
export function orderOf(kind: KindName): readonly string[] {
	return layoutOf(kind).order ?? kindOf(kind).key;
}

/**
 * A query of some of a kind's records.
 * @param order columns that no two have in common.
 * @param beyond go on behind values of these columns, which are the parameters from 2 on; the first is the most records.
 */
export function pageSql(kind: KindName, order: readonly string[], beyond: boolean): string {
	const columns = [...new Set([...columnsOf(kind), ...order])].map((column) => `k.${column}`).join(', ');
	const names = order.map((column) => `k.${column}`).join(', ');
	const marks = order.map((column, i) => `$${i + 2}::${SQL_TYPES[kindOf(kind).columns[column] ?? 'integer']}`);
	const after = beyond ? `AND (${names}) > (${marks.join(', ')})` : '';
	return `SELECT ${columns} FROM pumadb.${kind} k WHERE ${whereOf(kind)} ${after} ORDER BY ${names} LIMIT $1::bigint`;
}

/** A statement that stores records, given an array of values for each column. What is numbered is numbered from its account's count on. */
export function insertSql(kind: KindName): string {
	const { numbered, made = {} } = layoutOf(kind);
	const columns = columnsOf(kind);
	const arrays = columns.map((column, i) => `$${i + 1}::${SQL_TYPES[kindOf(kind).columns[column]!]}[]`);
	const names = [...columns, ...Object.keys(made), ...(numbered === undefined ? [] : [numbered.column])];
	const number =
		numbered === undefined
			? []
			: [`a.${numbered.counter} + row_number() OVER (PARTITION BY c.account_id ORDER BY c.nth)`];
	const values = [...columns.map((column) => `c.${column}`), ...Object.values(made), ...number];
	const join = numbered === undefined ? '' : 'JOIN pumadb.accounts a ON a.account_id = c.account_id';
	return `INSERT INTO pumadb.${kind} (${names.join(', ')}) SELECT ${values.join(', ')}
		FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS c (${[...columns, 'nth'].join(', ')}) ${join}`;
}

/** A statement that moves accounts' counts and clocks on, given arrays of account ids, of how many were numbered, and of milliseconds. */
export function countOnSql(counter: string): string {
	return `UPDATE pumadb.accounts a SET ${counter} = a.${counter} + c.n, clock = greatest(a.clock, c.clock)
		FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS c (account_id, n, clock) WHERE a.account_id = c.account_id`;
}
