import { type Filter, filterId, filterKey, marksOf, matches } from '../../domain/filter.ts';
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
 * filter's members. Where there is no such index, the database passes on the rows whose texts may match.
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
		const marks = marksOf(filter);
		const members = JSON.stringify(filter.members);
		const { rows } = await ask(findSql(marks.length), [
			accountId,
			name,
			kept,
			members,
			Buffer.from(filterKey(filter)),
			max,
			...marks,
		]);
		const [{ table_rows: tableRows, index_no: indexNo, n }, ...found] = rows;
		if (indexNo !== null) {
			this.#hints.used(accountId, indexNo);
			return { rows: found.map(foundRow), matched: n };
		}
		if (tableRows >= INDEX_FROM_ROWS && filter.members.length <= MAX_INDEX_MEMBERS) this.#hints.wanted(table, members);
		const matching = found.filter((row) => matches(filter, parseJson(row.text) as JsonObject));
		return { rows: matching.slice(0, max ?? matching.length).map(foundRow), matched: matching.length };
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

const statements: string[] = [];

/**
 * First one row that says how many rows the table has, which index there is, and how many entries it has for the key; then
 * either the rows that the index gives, or those whose texts hold every mark.
 */
function findSql(marks: number): string {
	const known = statements[marks];
	if (known !== undefined) return known;
	const holds = Array.from({ length: marks }, (_, i) => ` AND strpos(r.text, $${7 + i}) > 0`).join('');
	const sql = `WITH i AS (SELECT index_no FROM pumadb.member_indexes
			WHERE account_id = $1 AND table_name = $2 AND members = $4 AND state = 'ready')
		SELECT NULL::uuid AS id, NULL::integer AS version, NULL AS text, NULL::integer AS unkept,
			(SELECT rows FROM pumadb.tables WHERE account_id = $1 AND name = $2) AS table_rows, (SELECT index_no FROM i) AS index_no,
			(SELECT count(*) FROM pumadb.index_entries e
				WHERE e.account_id = $1 AND e.index_no = (SELECT index_no FROM i) AND e.key = $5)::integer AS n
		UNION ALL (SELECT r.id, r.version, r.text, r.unkept, NULL, NULL, NULL FROM
			(SELECT e.id FROM pumadb.index_entries e WHERE e.account_id = $1 AND e.index_no = (SELECT index_no FROM i) AND e.key = $5
				ORDER BY e.id LIMIT $6::bigint) e
			CROSS JOIN LATERAL (SELECT r.id, ${COLUMNS} FROM pumadb.rows r
				WHERE r.account_id = $1 AND r.table_name = $2 AND r.id = e.id OFFSET 0) r)
		UNION ALL (SELECT r.id, ${COLUMNS}, NULL, NULL, NULL FROM pumadb.rows r
			WHERE (SELECT index_no FROM i) IS NULL AND r.account_id = $1 AND r.table_name = $2${holds})
		ORDER BY id NULLS FIRST`;
	statements[marks] = sql;
	return sql;
}
