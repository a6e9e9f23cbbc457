import { type ColumnType, columnsOf, KINDS, type KindName, kindOf, type Value } from '../move/kinds.ts';
import type { SQLInputValue } from './driver.ts';
import { idBytes, idText } from './ids.ts';

/** Where the file keeps what a move carries. */

interface Layout {
	/** What stands in FROM, with `k` for the kind's own table; tables are joined in the order of the key. */
	readonly from: string;
	/** Columns that are not `k`'s. */
	readonly elsewhere?: Readonly<Record<string, string>>;
	readonly where?: string;
	/** What was made first, where `key` does not say: a column of `k` that numbers its rows. */
	readonly numbered?: string;
}

const NOT_ERASED = 'NOT EXISTS (SELECT 1 FROM erasures e WHERE e.account_id = t.account_id)';

/** What lies in a table of an account. CROSS: SQLite is to take the tables in this order (https://sqlite.org/optoverview.html#crossjoin). */
function ofTable(kind: KindName, more: Partial<Layout> = {}): Layout {
	return {
		from: `tables t CROSS JOIN ${kind} k ON k.table_no = t.table_no`,
		elsewhere: { account_id: 't.account_id', table_name: 't.name' },
		...more,
		where: [NOT_ERASED, ...(more.where === undefined ? [] : [more.where])].join(' AND '),
	};
}

const LAYOUTS: Readonly<Partial<Record<KindName, Layout>>> = {
	accounts: {
		from: 'accounts k CROSS JOIN usage u ON u.account_no = k.account_no',
		elsewhere: {
			tables: 'u.tables',
			bytes: 'u.bytes',
			version_bytes: 'u.version_bytes',
			kept_bytes: 'u.kept_bytes',
			last_id: '(SELECT row_id FROM sequence)',
		},
	},
	api_keys: { from: 'api_keys k', numbered: 'key_no' },
	tables: {
		from: 'tables t CROSS JOIN row_counts k ON k.table_no = t.table_no',
		elsewhere: { account_id: 't.account_id', name: 't.name' },
		where: NOT_ERASED,
	},
	versions: ofTable('versions', { numbered: 'version_no' }),
	rows: ofTable('rows'),
	kept_answers: ofTable('kept_answers', { numbered: 'kept_no' }),
	member_indexes: ofTable('member_indexes', { where: "k.state <> 'dropping'" }),
};

/** The tables in which each kind is, where they are not one of its own name. */
export const TABLES: Readonly<Partial<Record<KindName, readonly string[]>>> = {
	accounts: ['accounts', 'usage'],
	tables: ['tables', 'row_counts'],
};

/** What a schema holds that is not carried as it is, and why: tables, and columns of tables. */
export const NOT_CARRIED: Readonly<Record<string, string>> = {
	'accounts.account_no': 'a number, given anew',
	'usage.account_no': 'the number of an account, given anew',
	'api_keys.key_no': 'the order of keys, given anew in the same order',
	'tables.table_no': 'a number, given anew',
	'row_counts.table_no': 'the number of a table, given anew',
	'rows.table_no': 'the number of a table, given anew',
	'rows.place': 'the order of ids, given anew in the same order',
	'versions.version_no': 'the order of archiving, given anew in the same order',
	'versions.table_no': 'the number of a table, given anew',
	'versions.place': "its row's place, given anew",
	'kept_answers.kept_no': 'the order of keeping, given anew in the same order',
	'kept_answers.table_no': 'the number of a table, given anew',
	'member_indexes.index_no': 'a number, given anew',
	'member_indexes.table_no': 'the number of a table, given anew',
	'member_indexes.state': 'indexes are built anew',
	'member_indexes.built_through': 'indexes are built anew',
	index_entries: 'follow from the rows: indexes are built anew',
	sequence: 'carried as the last id of each account; places are given anew',
	erasures: 'what is being erased is left behind',
};

function layoutOf(kind: KindName): Layout {
	return LAYOUTS[kind] ?? { from: `${kind} k` };
}

function expression(kind: KindName, column: string): string {
	return layoutOf(kind).elsewhere?.[column] ?? `k.${column}`;
}

/** The number of a kind's records. */
export function countSql(kind: KindName): string {
	const { from, where = 'TRUE' } = layoutOf(kind);
	return `SELECT count(*) AS n FROM ${from} WHERE ${where}`;
}

/** A query of all records of a kind in the order of its key. */
export function inOrderSql(kind: KindName): string {
	const { from, where = 'TRUE' } = layoutOf(kind);
	const order = kindOf(kind).key.map((column) => expression(kind, column));
	return `SELECT ${selected(kind)} FROM ${from} WHERE ${where} ORDER BY ${order.join(', ')}`;
}

function selected(kind: KindName): string {
	return columnsOf(kind)
		.map((column) => expression(kind, column))
		.join(', ');
}

/** A query of a kind's records in the order in which they are carried. */
export interface PagesQuery {
	/** After the kind's columns, those of the position. */
	readonly sql: string;
	readonly values: readonly SQLInputValue[];
	/** Of the columns of the position. */
	readonly types: readonly ColumnType[];
}

/** @param after the position to go on behind; its values are those of {@link PagesQuery.types} */
export function pagesQuery(kind: KindName, after: readonly (string | number)[] | undefined): PagesQuery {
	const { where = 'TRUE', numbered, from } = layoutOf(kind);
	const order = numbered === undefined ? kindOf(kind).key.map((key) => expression(kind, key)) : [`k.${numbered}`];
	const types: ColumnType[] =
		numbered === undefined ? kindOf(kind).key.map((key) => kindOf(kind).columns[key]!) : ['integer'];
	const marks = order.map(() => '?').join(', ');
	// The first comparison alone finds the place in the index of the first table.
	const beyond = after === undefined ? '' : ` AND ${order[0]} >= ? AND (${order.join(', ')}) > (${marks})`;
	const values = after === undefined ? [] : after.map((value, index) => stored(value, types[index]!));
	return {
		sql: `SELECT ${selected(kind)}, ${order.join(', ')} FROM ${numbered === undefined ? from : inOrderOfNumbers(kind, from)} WHERE ${where}${beyond} ORDER BY ${order.join(', ')}`,
		values: after === undefined ? [] : [values[0]!, ...values],
		types,
	};
}

/** The numbered table first. */
function inOrderOfNumbers(kind: KindName, from: string): string {
	return from.includes('CROSS JOIN') ? `${kind} k CROSS JOIN tables t ON t.table_no = k.table_no` : from;
}

/** A value as SQLite keeps it. */
export function stored(value: Value, type: ColumnType): SQLInputValue {
	if (type === 'id' && value !== null) return idBytes(value as string);
	return typeof value === 'boolean' ? Number(value) : value;
}

/** A value that SQLite keeps. */
export function loaded(value: unknown, type: ColumnType): Value {
	if (value === null) return null;
	if (type === 'boolean') return value !== 0;
	return value instanceof Uint8Array ? idText(value) : (value as string | number);
}

export function typesOf(kind: KindName): readonly ColumnType[] {
	return Object.values(KINDS[kind].columns);
}
