import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalText, type Json, JsonDocument, type JsonObject, pathText } from '../../src/domain/json.ts';
import { Refusal } from '../../src/errors.ts';
import * as any from '../support/arbitraries.ts';
import { readJson } from '../support/read-json.ts';

/** What a check of the whole document refuses: code and path; undefined where it passes. */
function refusalOf(text: string): { code: string; path: unknown } | undefined {
	const document = JsonDocument.fromText(text, 'text');
	try {
		document.checkStorable(document.value, []);
		return undefined;
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		return { code: error.code, path: error.details?.path };
	}
}

/**
 * Would this number change on its way into a double? Judged by exact arithmetic on the digits: integers must have at most 53
 * significant bits; decimals may round, but neither to infinity (from half a step above the greatest double on) nor to zero
 * (up to half of the smallest).
 */
function losesMuch(token: string): boolean {
	const [, whole, fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token)!;
	const digits = BigInt(whole! + fraction);
	if (digits === 0n) return false;
	const power = Number(exponent) - fraction.length;
	if (!/[.eE]/.test(token)) {
		let odd = digits;
		while (odd % 2n === 0n) odd /= 2n;
		return odd >= 2n ** 53n || digits >= 2n ** 1024n;
	}
	const length = digits.toString().length + power;
	if (length > 400) return true;
	if (length < -400) return true;
	const up = power > 0 ? 10n ** BigInt(power) : 1n;
	const down = power < 0 ? 10n ** BigInt(-power) : 1n;
	const overflows = digits * up >= (2n ** 1024n - 2n ** 970n) * down;
	const underflows = digits * up * 2n ** 1075n <= down;
	return overflows || underflows;
}

const digits = (maxLength: number) =>
	fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength, size: 'max' });
const exponent = fc.oneof(fc.integer({ min: -30, max: 30 }), fc.integer({ min: -420, max: 420 }), fc.integer());

/** Number tokens of every form, many of them at the edges. */
const token: fc.Arbitrary<string> = fc.oneof(
	fc
		.tuple(fc.boolean(), digits(30), fc.option(digits(30)), fc.option(exponent), fc.constantFrom('e', 'E', 'e+'))
		.map(([minus, whole, fraction, power, e]) => {
			const sign = e === 'e+' && power !== null && power < 0 ? 'e' : e;
			const head = `${minus ? '-' : ''}${BigInt(whole)}${fraction === null ? '' : `.${fraction}`}`;
			return power === null ? head : `${head}${sign}${power}`;
		}),
	// Around powers of two and of ten.
	fc
		.tuple(fc.constantFrom(2n, 10n), fc.integer({ min: 1, max: 310 }), fc.integer({ min: -3, max: 3 }))
		.map(([base, power, delta]) => String(base ** BigInt(power) + BigInt(delta))),
	fc
		.tuple(fc.bigInt({ min: 2n ** 52n, max: 2n ** 54n }), fc.integer({ min: 0, max: 980 }), fc.boolean())
		.map(([odd, shift, minus]) => `${minus ? '-' : ''}${odd * 2n ** BigInt(shift)}`),
	// One step to either side of where decimals become infinite, and of where they become zero.
	fc.integer({ min: -2, max: 2 }).map((delta) => `${2n ** 1024n - 2n ** 970n + BigInt(delta)}e0`),
	fc.integer({ min: -2, max: 2 }).map((delta) => `${5n ** 1075n + BigInt(delta)}e-1075`),
	fc.integer({ min: 300, max: 420 }).map((zeros) => `0.${'0'.repeat(zeros)}7`),
	fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);

test('[2.4] [2.5] a number is refused exactly where a double would lose it', () => {
	fc.assert(
		fc.property(token, (number) => {
			const expected = losesMuch(number) ? { code: 'number_not_exact', path: '$[1].n' } : undefined;
			assert.deepEqual(refusalOf(`[0, {"n" :${number}}]`), expected);
		}),
		{ numRuns: 3000 },
	);
});

/** A JSON text as it is written: names may come twice. */
type Written = { token: string } | { items: Written[] } | { members: [string, Written][] };

const identifier = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
const written: fc.Arbitrary<Written> = fc.letrec<{ value: Written }>((tie) => ({
	value: fc.oneof(
		{ depthSize: 'medium' },
		fc
			.constantFrom('1e400', '1e-400', '9007199254740993', '0', '-0.0', '1152921504606846976', '"1e400"', 'null')
			.map((token) => ({ token })),
		fc.array(tie('value'), { maxLength: 4 }).map((items) => ({ items })),
		fc.array(fc.tuple(identifier, tie('value')), { maxLength: 5 }).map((members) => ({ members })),
	),
})).value;

function write(value: Written, space: string): string {
	if ('token' in value) return value.token;
	if ('items' in value) return `[${space}${value.items.map((item) => write(item, space)).join(`${space},`)}${space}]`;
	const members = value.members.map(([name, inner]) => {
		const escaped = name === 'b' ? '\\u0062' : name;
		return `"${escaped}"${space}:${space}${write(inner, space)}`;
	});
	return `{${members.join(`,${space}`)}}`;
}

/** Paths of the lost numbers that count: of a name that comes twice, only the last value does. */
function lostIn(value: Written, path: string): string[] {
	if ('token' in value) return /^[-\d]/.test(value.token) && losesMuch(value.token) ? [path] : [];
	if ('items' in value) return value.items.flatMap((item, i) => lostIn(item, `${path}[${i}]`));
	return [...new Map(value.members)].flatMap(([name, inner]) => lostIn(inner, `${path}.${name}`));
}

test('[2.2] [2.5] a lost number is found at its path, in any document, and not where its name came again', () => {
	fc.assert(
		fc.property(written, fc.constantFrom('', ' ', '\n\t'), (value, space) => {
			const refused = refusalOf(write(value, space));
			const lost = lostIn(value, '$');
			if (lost.length === 0) assert.equal(refused, undefined);
			else
				assert.ok(
					refused?.code === 'number_not_exact' && lost.includes(refused.path as string),
					`${refused?.path} in ${lost}`,
				);
		}),
		{ numRuns: 3000 },
	);
});

/** Any UTF-16 units: with half pairs and U+0000. */
const units = fc
	.array(fc.constantFrom(0, 0x41, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0x22, 0x5c), { maxLength: 6 })
	.map((codes) => String.fromCharCode(...codes));
const HALF_PAIR = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

test('[2.5] a string or name is refused exactly where it has half a surrogate pair or U+0000', () => {
	fc.assert(
		fc.property(units, (value) => {
			const bad = HALF_PAIR.test(value) || value.includes('\0');
			const text = JSON.stringify(value);
			assert.deepEqual(refusalOf(`{"a":[1,${text}]}`), bad ? { code: 'invalid_string', path: '$.a[1]' } : undefined);
			if (value === '') return;
			assert.deepEqual(
				refusalOf(`{"a":[1,{${text}:1}]}`),
				bad ? { code: 'invalid_string', path: '$.a[1]' } : undefined,
			);
		}),
		{ numRuns: 1000 },
	);
});

test('[2.5] a name is refused exactly where it has no byte or more than 256', () => {
	fc.assert(
		fc.property(
			fc.constantFrom('x', 'é', '€', '😀'),
			fc.integer({ min: 0, max: 260 }),
			fc.boolean(),
			(unit, length, more) => {
				const name = unit.repeat(length) + (more ? 'y' : '');
				const bytes = Buffer.byteLength(name);
				const refused = refusalOf(JSON.stringify({ a: { [name]: 1 } }));
				assert.equal(refused?.code, bytes === 0 || bytes > 256 ? 'invalid_member_name' : undefined);
			},
		),
		{ numRuns: 1000 },
	);
});

test('[2.5] 64 levels are kept and 65 are not, arrays and objects in any mixture', () => {
	fc.assert(
		fc.property(
			fc.array(fc.boolean(), { minLength: 55, maxLength: 75, size: 'max' }),
			fc.constantFrom<Json[]>(null, 1, 'x'),
			(arrays, inner) => {
				let value: Json = inner;
				for (const array of arrays) value = array ? [value] : { a: value };
				const refused = refusalOf(JSON.stringify(value));
				assert.equal(refused?.code, arrays.length > 64 ? 'nesting_too_deep' : undefined);
			},
		),
		{ numRuns: 300 },
	);
});

test('[2.5] [2.6] everything else is kept: what may be stored passes', () => {
	fc.assert(
		fc.property(any.row, (row) => {
			// ECMAScript writes great integers without exponent, and then the digits count.
			const text = JSON.stringify(row, (_name, value) =>
				typeof value === 'number' && Math.abs(value) > 2 ** 53 ? 0.5 : value,
			);
			assert.equal(refusalOf(text), undefined);
		}),
	);
});

/** The same value with the members of every object in another order. */
function reversed(value: Json): Json {
	if (Array.isArray(value)) return value.map(reversed);
	if (value === null || typeof value !== 'object') return value;
	return Object.fromEntries(
		Object.entries(value)
			.map(([name, inner]) => [name, reversed(inner)] as const)
			.reverse(),
	);
}

/** Equality of JSON, member by member; numbers by value. */
function same(a: Json | undefined, b: Json | undefined): boolean {
	if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
	if (Array.isArray(a) || Array.isArray(b) || a === null || b === null) return a === b;
	if (typeof a !== 'object' || typeof b !== 'object') return a === b;
	const names = Object.keys(a);
	return (
		names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]))
	);
}

test('[4.7] canonical text is the same for the same JSON whatever the order of members, and for nothing else', () => {
	fc.assert(
		fc.property(any.json, any.json, fc.boolean(), (a, other, related) => {
			const b = related ? reversed(a) : other;
			assert.equal(canonicalText(a) === canonicalText(b), same(a, b));
			assert.ok(same(readJson(canonicalText(a)), a));
		}),
		{ numRuns: 500 },
	);
	assert.equal(canonicalText([-0, 1.0, 1e2]), '[0,1,100]');
	assert.notEqual(canonicalText({ a: [1, 2] }), canonicalText({ a: [2, 1] }));
	assert.notEqual(canonicalText({ a: 1 }), canonicalText({ a: '1' }));
});

test('[1.3] bytes are read as JSON in UTF-8, or refused', () => {
	const readable = (bytes: Buffer): boolean => {
		try {
			JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
			return true;
		} catch {
			return false;
		}
	};
	const nearly = fc.tuple(any.json, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
		const bytes = Buffer.from(JSON.stringify(value));
		bytes[at % bytes.length] = byte;
		return bytes;
	});
	fc.assert(
		fc.property(
			fc.oneof(
				nearly,
				any.json.map((value) => Buffer.from(JSON.stringify(value))),
			),
			(bytes) => {
				let value: Json | undefined;
				try {
					value = JsonDocument.fromBytes(bytes).value;
				} catch (error) {
					assert.ok(error instanceof Refusal && error.code === 'invalid_json');
				}
				assert.equal(value !== undefined, readable(bytes));
				if (value !== undefined) assert.deepEqual(value, readJson(bytes.toString()));
			},
		),
		{ numRuns: 1000 },
	);
});

test('[2.5] paths are JSONPath', () => {
	for (const [path, text] of [
		[[], '$'],
		[['a', 0, 'b_1', 12], '$.a[0].b_1[12]'],
		[['odd name', '1', ''], "$['odd name']['1']['']"],
		[["it's", '"', '\\', '\n'], "$['it\\'s']['\"']['\\\\']['\\n']"],
		[['é', '__proto__'], "$['é'].__proto__"],
	] as const) {
		assert.equal(pathText(path), text);
	}
});

test('[2.6] a document keeps __proto__ as a member, at every level', () => {
	const { value } = JsonDocument.fromText('{"__proto__":{"__proto__":[{"__proto__":1}]}}', 'text');
	assert.equal(JSON.stringify(value), '{"__proto__":{"__proto__":[{"__proto__":1}]}}');
	assert.equal(Object.getPrototypeOf(value as JsonObject), Object.prototype);
});
