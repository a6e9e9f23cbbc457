import { hash } from 'node:crypto';
import type { Json, JsonObject, Scalar } from './json.ts';
import { member } from './json.ts';
import { parseJson } from './json-text.ts';

/**
 * What equality and order of JSON values mean, once, for both engines: an engine compares the bytes of {@link equalityKey}
 * and leaves sorting to {@link compareRows}.
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

/** Code-point order: that of UTF-8 bytes, not of UTF-16 units. */
export function compareStrings(a: string, b: string): number {
	const length = Math.min(a.length, b.length);
	for (let i = 0; i < length; i++) {
		const x = a.charCodeAt(i);
		const y = b.charCodeAt(i);
		if (x === y) continue;
		// Surrogates (U+D800 to U+DFFF) stand for code points above all other units.
		const xSurrogate = (x & 0xf800) === 0xd800;
		const ySurrogate = (y & 0xf800) === 0xd800;
		return xSurrogate === ySurrogate ? x - y : xSurrogate ? 1 : -1;
	}
	return a.length - b.length;
}

function rank(value: Json): number {
	if (value === null) return 0;
	if (value === false) return 1;
	if (value === true) return 2;
	if (typeof value === 'number') return 3;
	return typeof value === 'string' ? 4 : 5;
}

/** Order of values under `sort`: null, false, true, numbers, strings, then arrays and objects, which are all equal. */
export function compareValues(a: Json, b: Json): number {
	const order = rank(a) - rank(b);
	if (order !== 0) return order;
	if (typeof a === 'number') return a - (b as number);
	return typeof a === 'string' ? compareStrings(a, b as string) : 0;
}

export interface Sort {
	readonly member: string;
	readonly descending: boolean;
}

/** Order of two sort values. Rows without the member (undefined) come last in either direction; ties are 0. */
export function compareSorted(a: Json | undefined, b: Json | undefined, descending: boolean): number {
	if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1;
	return descending ? compareValues(b, a) : compareValues(a, b);
}

/** Sorts row texts that stand in order of creation, which decides ties in both directions. */
export function sortRows(texts: readonly string[], sort: Sort): string[] {
	const keyed = texts.map((text) => ({ text, value: member(parseJson(text) as JsonObject, sort.member) }));
	keyed.sort((a, b) => compareSorted(a.value, b.value, sort.descending));
	return keyed.map((entry) => entry.text);
}
