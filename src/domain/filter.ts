import { Refusal } from '../errors.ts';
import {
	checkMemberName,
	isObject,
	isScalar,
	type Json,
	type JsonDocument,
	type JsonObject,
	member,
	type Path,
	pathText,
	type Scalar,
} from './json.ts';
import type { RowText } from './row.ts';
import { equalityKey } from './value.ts';

/**
 * An equality filter: members, in order of name, and the values they must equal; all must hold. `members` empty means every
 * row.
 */
export interface Filter {
	readonly members: readonly string[];
	readonly values: readonly Scalar[];
}

export const EVERY_ROW: Filter = { members: [], values: [] };

const EXAMPLE = '{"status":"open"}';

/** A filter from members and values that were already checked. */
export function makeFilter(entries: readonly (readonly [string, Scalar])[]): Filter {
	const sorted = entries.toSorted((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
	return { members: sorted.map((entry) => entry[0]), values: sorted.map((entry) => entry[1]) };
}

/**
 * Reads the filter that stands at `path` in `document`.
 * @throws Refusal invalid_filter, or what {@link JsonDocument.checkStorable} refuses.
 */
export function readFilter(document: JsonDocument, value: Json, path: Path): Filter {
	if (!isObject(value)) {
		throw new Refusal('invalid_filter', `A filter is a JSON object of member and value. Send for example ${EXAMPLE}.`, {
			path: pathText(path),
		});
	}
	const entries: [string, Scalar][] = [];
	for (const name of Object.keys(value)) {
		checkMemberName(name, path);
		const wanted = value[name]!;
		const at = [...path, name];
		if (!isScalar(wanted)) {
			throw new Refusal(
				'invalid_filter',
				`The filter's value at ${pathText(at)} is ${Array.isArray(wanted) ? 'an array' : 'an object'}. Filters compare by equality: send a string, number, boolean or null, for example ${EXAMPLE}.`,
				{ field: name, path: pathText(at) },
			);
		}
		document.checkStorable(wanted, at);
		entries.push([name, wanted]);
	}
	return makeFilter(entries);
}

/** @throws Refusal filter_required where a filter would take in every row. */
export function requireFilter(filter: Filter, action: string): Filter {
	if (filter.members.length > 0) return filter;
	throw new Refusal(
		'filter_required',
		`To ${action}, the filter needs at least one member. Send for example {"filter":${EXAMPLE}}; to take every row, filter on a member they share.`,
	);
}

/** Does the row have every member with an equal value? `1` equals `1.0`; `null` equals an explicit null only. */
export function matches(filter: Filter, row: JsonObject): boolean {
	return filter.members.every((name, i) => member(row, name) === filter.values[i]);
}

/** Most texts that {@link marksOf} gives: the first ones leave few rows. */
const MAX_MARKS = 8;

/**
 * Texts that a row's text holds where the filter can match it: each member with its value. Rows are compact JSON (see
 * `domain/row.ts`), so each member is spelled in one way.
 */
export function marksOf(filter: Filter): string[] {
	return filter.members.slice(0, MAX_MARKS).map((name, i) => {
		const value = filter.values[i]!;
		// Great integers are stored with all their digits.
		const spelled = typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER ? '' : JSON.stringify(value);
		return `${JSON.stringify(name)}:${spelled}`;
	});
}

/** A quick look at rows' texts before they are parsed: one without all of {@link marksOf} cannot match. */
export function mayMatch(filter: Filter): (row: RowText) => boolean {
	const marks = marksOf(filter);
	return (row) => marks.every((mark) => row.includes(mark));
}

/** The filter's own key in an index on its members (see `domain/value.ts`). */
export function filterKey(filter: Filter): Uint8Array {
	return equalityKey(filter.values);
}

/** The filter's key in an index on these members: undefined where it does not filter on all of them. */
export function partialKey(filter: Filter, members: readonly string[]): Uint8Array | undefined {
	const values: Scalar[] = [];
	for (const name of members) {
		const at = placeOf(filter, name);
		if (at === -1) return undefined;
		values.push(filter.values[at]!);
	}
	return equalityKey(values);
}

/** Where a member stands in the filter, or -1. Members stand in order of name, and there may be tens of thousands. */
function placeOf({ members }: Filter, name: string): number {
	let [low, high] = [0, members.length - 1];
	while (low <= high) {
		const middle = (low + high) >>> 1;
		const here = members[middle]!;
		if (here === name) return middle;
		if (here < name) low = middle + 1;
		else high = middle - 1;
	}
	return -1;
}

/** The id that a filter asks for: undefined where it does not filter on `id`, null where no row can have what it asks. */
export function filterId(filter: Filter): string | null | undefined {
	const at = placeOf(filter, 'id');
	if (at === -1) return undefined;
	const id = filter.values[at];
	return typeof id === 'string' ? id : null;
}
