import fc from 'fast-check';
import type { Json, JsonObject, Scalar } from '../../src/domain/json.ts';

/** Arbitrary JSON that may be stored, for property tests. */

/** Names that mean something in JavaScript, that sort oddly, or that need escapes. */
const STRANGE_NAMES = [
	'__proto__',
	'constructor',
	'toString',
	'toJSON',
	'then',
	'0',
	'10',
	'2',
	'01',
	'-1',
	'a',
	'b',
	'id',
];
const SEPARATORS = [
	'"',
	'\\',
	'},{',
	'","created_at":"',
	'{"id":"',
	'\u2028',
	'\u007f',
	'😀',
	'\uff5e',
	'\ud7ff',
	'\ue000',
];

/** Well-formed text without U+0000: all that is ever stored. */
export const text: fc.Arbitrary<string> = fc
	.oneof(
		{ weight: 4, arbitrary: fc.string({ unit: 'binary' }) },
		{ weight: 2, arbitrary: fc.string({ unit: 'grapheme' }) },
		{ weight: 1, arbitrary: fc.constantFrom(...SEPARATORS) },
		{
			weight: 1,
			arbitrary: fc.tuple(fc.string(), fc.integer({ min: 20, max: 140 })).map(([a, n]) => a + 'x'.repeat(n)),
		},
	)
	.map((value) => value.replaceAll('\0', ''));

export const name: fc.Arbitrary<string> = fc.oneof(
	fc.constantFrom(...STRANGE_NAMES),
	text.filter((value) => value !== '' && Buffer.byteLength(value) <= 256),
);

export const number: fc.Arbitrary<number> = fc.oneof(
	fc.integer(),
	fc.maxSafeInteger(),
	fc.double({ noDefaultInfinity: true, noNaN: true }),
	fc.constantFrom(0, -0, 1, -1, 5e-324, 1e308, 1e21),
);

export const scalar: fc.Arbitrary<Scalar> = fc.oneof(text, number, fc.boolean(), fc.constant(null));

export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
	value: fc.oneof(
		{ depthSize: 'small', withCrossShrink: true },
		scalar,
		fc.array(tie('value'), { maxLength: 4 }),
		objectOf(tie('value')),
	),
})).value;

/** A row's own members, or a patch. */
export const row: fc.Arbitrary<JsonObject> = objectOf(json);

/** Objects whose names are own members, `__proto__` included. */
export function objectOf(value: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject> {
	return fc.array(fc.tuple(name, value), { maxLength: 6 }).map((entries) => Object.fromEntries(entries));
}
