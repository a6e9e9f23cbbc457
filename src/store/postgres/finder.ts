import { type Filter, filterId, filterKey, marksOf, matches, partialKey } from '../../domain/filter.ts';
import { isRowId } from '../../domain/id.ts';
import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import type { StoredRow } from '../../domain/writes.ts';
import { INDEX_FROM_ROWS, MAX_INDEX_MEMBERS } from '../index-policy.ts';
import type { Ask, Row } from './connections.ts';

/** A table of an account. */
export interface TableOf {
	readonly accountId: string;
	readonly table: string;
}

/** A row as it was found; its place is its id, so `place` says nothing. */
export interface FoundRow extends StoredRow {
	/** Bytes of versions that are no longer kept once this row is archived again. */
	readonly unkeptBytes: number;
}

export interface Found {
	/** In order of creation, at most the limit asked for. */
	readonly rows: readonly FoundRow[];
	/** All matches. */
	readonly matched: number;
}

/** What the finder tells about indexes. */
export interface IndexHints {
	/** A filter on these members (a JSON array) had no index. */
	wanted(table: TableOf, members: string): void;
	/** The index was used. */
	used(accountId: string, indexNo: number): void;
}

const NONE: Found = { rows: [], matched: 0 };

/** Bytes of the versions that one more archived version pushes out, of row `r`; `$3` is how many are kept. */
const UNKEPT = `CASE WHEN r.version < $3::integer THEN 0 ELSE (SELECT coalesce(sum(v.bytes), 0)::integer FROM pumadb.versions v
	WHERE v.account_id = r.account_id AND v.table_name = r.table_name AND v.id = r.id AND v.version <= r.version + 1 - $3::integer) END AS unkept`;
const COLUMNS = `r.version, r.text, ${UNKEPT}`;

/**
 * Finds the rows that a filter matches, in one statement and at the cost of those rows: by id, or in an index on exactly the
 * filter's members. Where there is no such index, a second statement asks for the rows whose texts may match, among those that
 * an index on some of the members gives, and without one in the table.
 */
export class Finder {
	readonly #hints: IndexHints;

	constructor(hints: IndexHints) {
		this.#hints = hints;
	}

	/** @param keptVersions versions kept of each row: for {@link FoundRow.unkeptBytes}. */
	async find(ask: Ask, table: TableOf, filter: Filter, limit: number, keptVersions: number): Promise<Found> {
		const { accountId, table: name } = table;
		const kept = asInteger(keptVersions);
		const max = limit === Number.POSITIVE_INFINITY ? null : limit;
		if (filter.members.length === 0) {
			const { rows } = await ask(
				`SELECT ${COLUMNS} FROM pumadb.rows r WHERE r.account_id = $1 AND r.table_name = $2 ORDER BY r.id`,
				[accountId, name, kept],
			);
			return { rows: rows.slice(0, max ?? rows.length).map(foundRow), matched: rows.length };
		}
		const id = filterId(filter);
		if (id !== undefined) {
			const row = id === null ? undefined : await this.byId(ask, table, id, keptVersions);
			return row !== undefined && matches(filter, parseJson(row.text) as JsonObject)
				? { rows: [row], matched: 1 }
				: NONE;
		}
		const members = JSON.stringify(filter.members);
		const marks = marksOf(filter);
		const { rows } = await ask(exactSql(marks.length), [
			accountId,
			name,
			kept,
			members,
			Buffer.from(filterKey(filter)),
			max,
			...marks,
		]);
		const [{ table_rows: tableRows, index_no: indexNo, n, ready }, ...found] = rows;
		if (indexNo !== null) {
			this.#hints.used(accountId, indexNo);
			return { rows: found.map(foundRow), matched: n };
		}
		const candidates =
			(tableRows ?? 0) < INDEX_FROM_ROWS
				? found
				: await this.#candidates(ask, table, filter, kept, tableRows, ready ?? []);
		const matching = candidates.filter((row) => matches(filter, parseJson(row.text) as JsonObject));
		return { rows: matching.slice(0, max ?? matching.length).map(foundRow), matched: matching.length };
	}

	/** Rows among which all matches are, in order of creation. Asks for an index where they are many. */
	async #candidates(
		ask: Ask,
		table: TableOf,
		filter: Filter,
		kept: number,
		tableRows: number,
		ready: readonly (readonly [indexNo: number, members: string])[],
	): Promise<Row[]> {
		const partial = ready.flatMap(([indexNo, members]) => {
			const key = partialKey(filter, JSON.parse(members) as string[]);
			return key === undefined ? [] : [{ indexNo, key: Buffer.from(key) }];
		});
		const marks = marksOf(filter);
		const { rows } = await ask(partialSql(marks.length), [
			table.accountId,
			table.table,
			kept,
			partial.map(({ indexNo }) => indexNo),
			partial.map(({ key }) => key),
			...marks,
		]);
		const [{ index_no: indexNo, n }, ...found] = rows;
		if (indexNo !== null) this.#hints.used(table.accountId, indexNo);
		if ((n ?? tableRows) >= INDEX_FROM_ROWS && filter.members.length <= MAX_INDEX_MEMBERS) {
			this.#hints.wanted(table, JSON.stringify(filter.members));
		}
		return found;
	}

	async byId(ask: Ask, { accountId, table }: TableOf, id: string, keptVersions: number): Promise<FoundRow | undefined> {
		if (!isRowId(id)) return undefined;
		const { rows } = await ask(
			`SELECT ${COLUMNS} FROM pumadb.rows r WHERE r.account_id = $1 AND r.table_name = $2 AND r.id = $4`,
			[accountId, table, asInteger(keptVersions), id],
		);
		return rows[0] === undefined ? undefined : foundRow(rows[0]);
	}
}

/** A limit as a 32-bit integer: no number that is compared with it is greater. */
function asInteger(limit: number): number {
	return Math.min(limit, 0x7fff_ffff);
}

function foundRow({ version, text, unkept }: Row): FoundRow {
	return { place: 0, version, text, unkeptBytes: unkept };
}

/** The statement for each number of marks. */
function byMarks(make: (holds: string) => string, firstMark: number): (marks: number) => string {
	const made: string[] = [];
	return (marks) => {
		made[marks] ??= make(
			Array.from({ length: marks }, (_, i) => ` AND strpos(r.text, $${firstMark + i}) > 0`).join(''),
		);
		return made[marks];
	};
}

/** The rows of entries `e`, one by one: a plan for many would read the whole table. */
const ROWS_OF_ENTRIES = `CROSS JOIN LATERAL (SELECT r.id, ${COLUMNS} FROM pumadb.rows r
	WHERE r.account_id = $1 AND r.table_name = $2 AND r.id = e.id OFFSET 0) r`;

/**
 * First one row that says how many rows the table has, which index on exactly these members there is, how many entries it has
 * for the key, and which other indexes there are; then the rows that the index gives. Of a small table without that index, the
 * rows whose texts hold every mark. Within a write the number of rows is that from before it: it only chooses the way.
 */
const exactSql = byMarks(
	(holds) => `WITH i AS (SELECT index_no FROM pumadb.member_indexes
			WHERE account_id = $1 AND table_name = $2 AND members = $4 AND state = 'ready'),
		t AS (SELECT rows FROM pumadb.tables WHERE account_id = $1 AND name = $2)
		SELECT NULL::uuid AS id, NULL::integer AS version, NULL AS text, NULL::integer AS unkept,
			(SELECT rows FROM t) AS table_rows, (SELECT index_no FROM i) AS index_no,
			(SELECT count(*) FROM pumadb.index_entries e
				WHERE e.account_id = $1 AND e.index_no = (SELECT index_no FROM i) AND e.key = $5)::integer AS n,
			(SELECT json_agg(json_build_array(m.index_no, m.members)) FROM pumadb.member_indexes m
				WHERE m.account_id = $1 AND m.table_name = $2 AND m.state = 'ready') AS ready
		UNION ALL (SELECT r.id, r.version, r.text, r.unkept, NULL, NULL, NULL, NULL FROM
			(SELECT e.id FROM pumadb.index_entries e WHERE e.account_id = $1 AND e.index_no = (SELECT index_no FROM i) AND e.key = $5
				ORDER BY e.id LIMIT $6::bigint) e ${ROWS_OF_ENTRIES})
		UNION ALL (SELECT r.id, ${COLUMNS}, NULL, NULL, NULL, NULL FROM pumadb.rows r
			WHERE (SELECT index_no FROM i) IS NULL AND coalesce((SELECT rows FROM t), 0) < ${INDEX_FROM_ROWS}
				AND r.account_id = $1 AND r.table_name = $2${holds})
		ORDER BY id NULLS FIRST`,
	7,
);

/**
 * First one row that says which of the indexes offered leaves fewest rows, and how many; then those of them whose texts hold every
 * mark. Where none is offered, or none is left, the whole table is looked through.
 */
const partialSql = byMarks(
	(holds) => `WITH i AS (SELECT o.index_no, o.key, (SELECT count(*) FROM pumadb.index_entries e
				WHERE e.account_id = $1 AND e.index_no = o.index_no AND e.key = o.key)::integer AS n
			FROM unnest($4::integer[], $5::bytea[]) AS o (index_no, key)
			JOIN pumadb.member_indexes m ON m.account_id = $1 AND m.index_no = o.index_no AND m.state = 'ready' ORDER BY n LIMIT 1)
		SELECT NULL::uuid AS id, NULL::integer AS version, NULL AS text, NULL::integer AS unkept,
			(SELECT index_no FROM i) AS index_no, (SELECT n FROM i) AS n
		UNION ALL (SELECT r.id, r.version, r.text, r.unkept, NULL, NULL FROM
			(SELECT e.id FROM pumadb.index_entries e WHERE e.account_id = $1 AND e.index_no = (SELECT index_no FROM i)
				AND e.key = (SELECT key FROM i) OFFSET 0) e ${ROWS_OF_ENTRIES} WHERE true${holds})
		UNION ALL (SELECT r.id, ${COLUMNS}, NULL, NULL FROM pumadb.rows r
			WHERE (SELECT index_no FROM i) IS NULL AND r.account_id = $1 AND r.table_name = $2${holds})
		ORDER BY id NULLS FIRST`,
	6,
);
