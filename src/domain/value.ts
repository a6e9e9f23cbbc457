import { hash } from 'node:crypto';
import { type Json, type JsonObject, member, type Scalar } from './json.ts';
import { parseJson } from './json-text.ts';
import { compareSorted, type Sort } from './order.ts';
import type { RowText } from './row.ts';

/**
 * What equality of JSON values means, once, for both engines: an engine compares the bytes of {@link equalityKey} and leaves
 * sorting to {@link sortRows}.
 */

const NULL = 1;
const FALSE = 2;
const TRUE = 3;
const NUMBER = 4;
const STRING = 5;
/** First byte of a key that is a hash; no tag of a value has it. */
const HASHED = 255;
const MAX_PLAIN_KEY_BYTES = 32;

/**
 * Bytes that are equal exactly when the values are equal one by one (JSON equality, no coercion). Long keys become SHA-256,
 * so that an index entry has at most 33 bytes. Strings never hold U+0000, which therefore ends them.
 */
export function equalityKey(values: readonly Scalar[]): Uint8Array {
	let bytes = 0;
	for (const value of values) {
		bytes += typeof value === 'string' ? Buffer.byteLength(value) + 2 : typeof value === 'number' ? 9 : 1;
	}
	const key = Buffer.allocUnsafe(bytes);
	let at = 0;
	for (const value of values) {
		if (typeof value === 'string') {
			key[at++] = STRING;
			at += key.write(value, at);
			key[at++] = 0;
		} else if (typeof value === 'number') {
			key[at++] = NUMBER;
			at = key.writeDoubleBE(value === 0 ? 0 : value, at);
		} else key[at++] = value === null ? NULL : value ? TRUE : FALSE;
	}
	if (bytes <= MAX_PLAIN_KEY_BYTES) return key;
	const digest = hash('sha256', key, 'buffer');
	return Buffer.concat([Buffer.of(HASHED), digest]);
}

/** The key of a row for an index on `members`, or undefined where no filter on them can match the row. */
export function rowKey(row: JsonObject, members: readonly string[]): Uint8Array | undefined {
	const values: Scalar[] = [];
	for (const name of members) {
		const value = member(row, name);
		if (value === undefined || (typeof value === 'object' && value !== null)) return undefined;
		values.push(value);
	}
	return equalityKey(values);
}

/** What a row is sorted by; undefined where it does not have the member. */
export function sortKey(row: RowText, { member: name }: Sort): Json | undefined {
	return member(parseJson(row) as JsonObject, name);
}

/**
 * Sorts row texts that stand in order of creation, which decides ties in both directions.
 * @param keys the {@link sortKey} of each.
 */
export function sortRows(
	texts: readonly RowText[],
	sort: Sort,
	keys = texts.map((text) => sortKey(text, sort)),
): RowText[] {
	const keyed = texts.map((text, i) => ({ text, key: keys[i] }));
	keyed.sort((a, b) => compareSorted(a.key, b.key, sort.descending));
	return keyed.map((entry) => entry.text);
}
