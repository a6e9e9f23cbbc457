import type { Json } from './json-text.ts';

/** The order of JSON values, once: for the service, and for the pages that let a person sort. */

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
