import { PumaError } from './errors.ts';

/** The service takes 64 levels of a row; what is deeper than this contains itself, or is refused there. */
const MAX_DEPTH = 200;

/**
 * JSON text of a value, as `JSON.stringify` writes it, except where that would be another value:
 *
 * - Integers from 2^53 on get all their digits. `JSON.stringify` writes 2^60 as 1152921504606847000, which is not the number that
 *   the double holds, and the service refuses it. A bigint is written where a double holds it.
 * - NaN and infinities (which would become null), functions and symbols (left out), undefined in an array (null), and maps, sets and
 *   their like ({}) are refused. Members that are undefined are left out.
 *
 * @throws PumaError not_json, number_not_exact, with the path in `details.path`
 */
export function stringifyExact(value: unknown): string {
	const text = write(value, '$', 0);
	if (text === undefined) throw refusal(value, '$');
	return text;
}

function write(given: unknown, path: string, depth: number): string | undefined {
	const value =
		(given as { toJSON?: unknown } | null | undefined)?.toJSON instanceof Function ? (given as Date).toJSON() : given;
	switch (typeof value) {
		case 'string':
		case 'boolean':
			return JSON.stringify(value);
		case 'undefined':
			return undefined;
		case 'number':
			if (!Number.isFinite(value)) throw refusal(value, path);
			// From 1e21 on numbers are written with an exponent, and mean the double.
			return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${BigInt(value)}` : String(value);
		case 'bigint':
			if (BigInt(Number(value)) !== value) throw notExact(`${value}`, path);
			return `${value}`;
		case 'object':
			if (value === null) return 'null';
			break;
		default:
			throw refusal(value, path);
	}
	if (depth > MAX_DEPTH)
		throw new PumaError('not_json', 'The value contains itself, or is nested too deep.', { details: { path } });
	if (Array.isArray(value)) {
		const items = Array.from(value as unknown[], (item, index) => {
			const text = write(item, `${path}[${index}]`, depth + 1);
			if (text === undefined) throw refusal(item, `${path}[${index}]`);
			return text;
		});
		return `[${items.join(',')}]`;
	}
	if (Object.prototype.toString.call(value) !== '[object Object]') throw refusal(value, path);
	const members = Object.entries(value).flatMap(([name, item]) => {
		const text = write(item, `${path}.${name}`, depth + 1);
		return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`];
	});
	return `{${members.join(',')}}`;
}

/** A text that may hold a number that a double does not: 16 digits, or an exponent. A first look that costs little. */
const SUSPECT = /\d[\d.]{15}|\d[eE][+-]?\d/;

/**
 * Parses JSON as `JSON.parse` does, but refuses a number that would come out as another: an integer that a double does not hold
 * (2^53+1), one that overflows, or one that underflows to 0. What pumaDB answers never has such numbers; texts from elsewhere may.
 * Keep such a value as a string.
 * @throws SyntaxError where it is no JSON; PumaError number_not_exact
 */
export function parseExact(text: string): unknown {
	if (!SUSPECT.test(text)) return JSON.parse(text);
	return JSON.parse(text, (name: string, value: unknown, context?: { readonly source?: string }) => {
		if (typeof value !== 'number') return value;
		const source = context?.source;
		if (source === undefined) {
			throw new PumaError('not_json', 'This runtime does not tell how numbers were written.');
		}
		if (isLost(source, value)) throw notExact(source, name === '' ? '$' : `…${name}`);
		return value;
	});
}

function isLost(source: string, value: number): boolean {
	if (!Number.isFinite(value)) return true;
	if (/^-?\d+$/.test(source)) return BigInt(source) !== BigInt(value);
	return value === 0 && /[1-9]/.test(source.split(/e/i)[0]!);
}

function notExact(source: string, path: string): PumaError {
	return new PumaError(
		'number_not_exact',
		`The number ${source} at ${path} cannot be kept exactly as a double. Send it as a string.`,
		{ details: { path } },
	);
}

function refusal(value: unknown, path: string): PumaError {
	const what = typeof value === 'object' ? Object.prototype.toString.call(value).slice(8, -1) : String(value);
	return new PumaError('not_json', `${what} at ${path} cannot be sent as JSON.`, {
		details: { path },
	});
}
