import { type Filter, filterId, filterKey } from '../../domain/filter.ts';
import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { rowKey } from '../../domain/value.ts';
import { needs, type RowOperation } from '../../domain/writes.ts';

/** Entries that one lookup may have: beyond, each operation looks the table through. */
const MAX_ENTRIES = 500_000;

interface Row {
	readonly place: number;
	readonly text: string;
}

/**
 * Where rows are by the members that the operations of one batch match on, made by looking a table through once. A hundred
 * operations on members without an index would otherwise look it through a hundred times, while every other write waits.
 */
export class BatchLookup {
	/** Places by key, by the set of members. */
	readonly #sets = new Map<
		string,
		{ readonly members: readonly string[]; readonly places: Map<string, Set<number>> }
	>();
	#built = false;

	constructor(operations: readonly RowOperation[]) {
		for (const operation of operations) {
			const filter = needs(operation).match;
			if (filter === undefined || filter.members.length === 0 || filterId(filter) !== undefined) continue;
			const name = JSON.stringify(filter.members);
			if (!this.#sets.has(name)) this.#sets.set(name, { members: filter.members, places: new Map() });
		}
	}

	/** Would this table's rows fit? @param tableRows its live rows. */
	fits(tableRows: number): boolean {
		return this.#sets.size * tableRows <= MAX_ENTRIES;
	}

	/**
	 * Places of the rows that may match a filter of one of the batch's operations, in order of creation.
	 * @param rows the table's live rows; read only the first time.
	 */
	places(filter: Filter, rows: Iterable<Row>): readonly number[] {
		if (!this.#built) {
			for (const { place, text } of rows) this.#put(place, text);
			this.#built = true;
		}
		const found = this.#sets.get(JSON.stringify(filter.members))!.places.get(nameOf(filterKey(filter)));
		return found === undefined ? [] : [...found].sort((a, b) => a - b);
	}

	/** A row came, changed or went in the batch; the texts are its before and after. */
	rowChanged(place: number, before: string | undefined, after: string | undefined): void {
		if (!this.#built) return;
		if (before !== undefined) {
			const row = parseJson(before) as JsonObject;
			for (const { members, places } of this.#sets.values()) {
				const key = rowKey(row, members);
				if (key !== undefined) places.get(nameOf(key))?.delete(place);
			}
		}
		if (after !== undefined) this.#put(place, after);
	}

	#put(place: number, text: string): void {
		const row = parseJson(text) as JsonObject;
		for (const { members, places } of this.#sets.values()) {
			const key = rowKey(row, members);
			if (key === undefined) continue;
			const name = nameOf(key);
			const known = places.get(name);
			if (known === undefined) places.set(name, new Set([place]));
			else known.add(place);
		}
	}
}

function nameOf(key: Uint8Array): string {
	return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
