import { type Filter, filterId, filterKey, matches, mayMatch, partialKey } from '../../domain/filter.ts';
import { isRowId } from '../../domain/id.ts';
import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import type { StoredRow } from '../../domain/writes.ts';
import { INDEX_FROM_ROWS, USE_NOTED_EVERY_MS } from '../index-policy.ts';
import type { BatchLookup } from './batch-lookup.ts';
import type { Database, Statement } from './driver.ts';
import { idBytes } from './ids.ts';

export interface Found {
	/** In order of creation, at most the limit asked for. */
	readonly rows: readonly StoredRow[];
	/** All matches. */
	readonly matched: number;
}

/** What the finder tells the writer, which alone may act on it. */
export interface IndexHints {
	/** A filter on these members had no index. */
	wanted(tableNo: number, members: string): void;
	/** The index was used. */
	used(indexNo: number): void;
}

interface FoundRow {
	place: number;
	version: number;
	text: string;
}

/**
 * Finds the rows that a filter matches, at the cost of those rows: by id, or in an index on the filter's members. Where that
 * index is not there, the rows are looked through that an index on some of the members gives, and without one the table.
 */
export class Finder {
	readonly #index: Statement;
	readonly #indexes: Statement;
	readonly #byId: Statement;
	readonly #byPlace: Statement;
	readonly #byKey: Statement;
	readonly #keyCount: Statement;
	readonly #all: Statement;
	readonly #joinedByKey: Statement;
	readonly #hints: IndexHints;
	readonly #noted = new Map<number, number>();
	readonly #clock: () => number;

	constructor(db: Database, hints: IndexHints, clock: () => number) {
		this.#hints = hints;
		this.#clock = clock;
		this.#index = db.prepare(
			"SELECT index_no FROM member_indexes WHERE table_no = ? AND members = ? AND state = 'ready'",
		);
		this.#indexes = db.prepare("SELECT index_no, members FROM member_indexes WHERE table_no = ? AND state = 'ready'");
		this.#byId = db.prepare('SELECT place, version, text FROM rows WHERE table_no = ? AND id = ?');
		this.#byPlace = db.prepare('SELECT place, version, text FROM rows WHERE place = ?');
		this.#byKey = db.prepare(
			'SELECT r.place, r.version, r.text FROM index_entries e JOIN rows r ON r.place = e.place WHERE e.index_no = ? AND e.key = ? ORDER BY e.place LIMIT ?',
		);
		this.#keyCount = db.prepare('SELECT count(*) AS n FROM index_entries WHERE index_no = ? AND key = ?');
		this.#all = db.prepare('SELECT place, version, text FROM rows WHERE table_no = ? ORDER BY id');
		this.#joinedByKey = db.prepare(
			"SELECT group_concat(text, ',') AS text FROM (SELECT r.text FROM index_entries e JOIN rows r ON r.place = e.place WHERE e.index_no = ? AND e.key = ? ORDER BY e.place LIMIT ?)",
		);
	}

	/**
	 * @param tableRows live rows of the table.
	 * @param lookup the batch's own, where the call is one.
	 */
	find(tableNo: number, tableRows: number, filter: Filter, limit: number, lookup?: BatchLookup): Found {
		if (filter.members.length === 0) {
			const rows = this.#all.all(tableNo) as unknown as StoredRow[];
			return { rows: rows.length > limit ? rows.slice(0, limit) : rows, matched: rows.length };
		}
		const id = filterId(filter);
		if (id !== undefined) {
			const row = id === null ? undefined : this.byId(tableNo, id);
			const rows = row !== undefined && matches(filter, parseJson(row.text) as JsonObject) ? [row] : [];
			return { rows, matched: rows.length };
		}
		const index = this.#indexFor(tableNo, tableRows, filter);
		if (index === undefined) return lookThrough(this.#candidates(tableNo, tableRows, filter, lookup), filter, limit);
		const key = filterKey(filter);
		const rows = this.#byKey.all(index, key, sqlLimit(limit)) as unknown as StoredRow[];
		const matched = rows.length < limit ? rows.length : (this.#keyCount.get(index, key)!.n as number);
		return { rows, matched };
	}

	byId(tableNo: number, id: string): StoredRow | undefined {
		return isRowId(id) ? (this.#byId.get(tableNo, idBytes(id)) as unknown as StoredRow | undefined) : undefined;
	}

	/** The texts of the rows that match, joined by commas: what an answer is made of, without a string for each row. */
	joined(tableNo: number, tableRows: number, filter: Filter, limit: number): string {
		if (filterId(filter) === undefined) {
			const index = this.#indexFor(tableNo, tableRows, filter);
			if (index !== undefined) return textOf(this.#joinedByKey.get(index, filterKey(filter), sqlLimit(limit)));
		}
		return this.find(tableNo, tableRows, filter, limit)
			.rows.map((row) => row.text)
			.join(',');
	}

	count(tableNo: number, tableRows: number, filter: Filter): number {
		if (filter.members.length === 0) return tableRows;
		return this.find(tableNo, tableRows, filter, 0).matched;
	}

	/** The index on exactly the filter's members. */
	#indexFor(tableNo: number, tableRows: number, filter: Filter): number | undefined {
		if (tableRows < INDEX_FROM_ROWS) return undefined;
		const indexNo = this.#index.get(tableNo, JSON.stringify(filter.members))?.index_no as number | undefined;
		if (indexNo !== undefined) this.#noteUse(indexNo);
		return indexNo;
	}

	/** Rows among which all matches are, in order of creation. Asks for an index where they are many. */
	#candidates(tableNo: number, tableRows: number, filter: Filter, lookup: BatchLookup | undefined): Iterable<FoundRow> {
		if (tableRows < INDEX_FROM_ROWS) return this.#every(tableNo);
		let fewest = tableRows;
		let narrowest: { indexNo: number; key: Uint8Array } | undefined;
		for (const row of this.#indexes.all(tableNo)) {
			const indexNo = row.index_no as number;
			const key = partialKey(filter, JSON.parse(row.members as string) as string[]);
			if (key === undefined) continue;
			const rows = this.#keyCount.get(indexNo, key)!.n as number;
			if (rows >= fewest) continue;
			fewest = rows;
			narrowest = { indexNo, key };
		}
		if (fewest >= INDEX_FROM_ROWS) this.#hints.wanted(tableNo, JSON.stringify(filter.members));
		if (fewest >= INDEX_FROM_ROWS && lookup?.fits(tableRows) === true) {
			return lookup
				.places(filter, this.#every(tableNo))
				.map((place) => this.#byPlace.get(place) as unknown as FoundRow);
		}
		if (narrowest === undefined) return this.#every(tableNo);
		this.#noteUse(narrowest.indexNo);
		return this.#byKey.iterate(narrowest.indexNo, narrowest.key, NO_LIMIT) as Iterable<unknown> as Iterable<FoundRow>;
	}

	#every(tableNo: number): Iterable<FoundRow> {
		return this.#all.iterate(tableNo) as Iterable<unknown> as Iterable<FoundRow>;
	}

	#noteUse(indexNo: number): void {
		const now = this.#clock();
		if (now - (this.#noted.get(indexNo) ?? 0) < USE_NOTED_EVERY_MS) return;
		if (this.#noted.size > 10_000) this.#noted.clear();
		this.#noted.set(indexNo, now);
		this.#hints.used(indexNo);
	}
}

function lookThrough(candidates: Iterable<FoundRow>, filter: Filter, limit: number): Found {
	const rows: StoredRow[] = [];
	let matched = 0;
	const mayHold = mayMatch(filter);
	for (const row of candidates) {
		if (!mayHold(row.text) || !matches(filter, parseJson(row.text) as JsonObject)) continue;
		if (matched++ < limit) rows.push(row);
	}
	return { rows, matched };
}

/** SQLite takes a negative LIMIT for none. */
const NO_LIMIT = -1;

export function sqlLimit(limit: number): number {
	return limit === Number.POSITIVE_INFINITY ? NO_LIMIT : limit;
}

function textOf(row: Record<string, unknown> | undefined): string {
	return (row?.text as string | null | undefined) ?? '';
}
