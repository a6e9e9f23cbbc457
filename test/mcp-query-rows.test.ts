import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { firstRows, MAX_BYTES, MAX_ROWS } from '../src/mcp/query.ts';

/** Texts of all that could be taken for the end of a row. */
const hostile = fc
	.array(fc.constantFrom('}', '{', ',', '[', ']', '"', '\\', '},{', '"},{"id":"', 'ü', '🐾'), { maxLength: 12 })
	.map((parts) => parts.join(''));
/** Long ones too, so that bytes run out before rows do. */
const long = fc.integer({ min: 0, max: 20_000 }).map((length) => 'x'.repeat(length));

function rowWith(text: fc.Arbitrary<string>): fc.Arbitrary<object> {
	const { value } = fc.letrec<{ value: unknown }>((tie) => ({
		value: fc.oneof(
			{ depthSize: 'small' },
			text,
			fc.integer(),
			fc.constant(null),
			fc.array(tie('value'), { maxLength: 4 }),
			fc.dictionary(hostile, tie('value'), { maxKeys: 4 }),
		),
	}));
	return fc.record({ id: fc.uuid(), value });
}

const around = { minLength: MAX_ROWS - 2, maxLength: MAX_ROWS + 2 };
const rows = fc.oneof(
	fc.array(rowWith(fc.oneof(hostile, long)), { maxLength: 6 }),
	fc.array(rowWith(hostile), around),
	fc.array(fc.record({ id: fc.uuid() }), around),
);

test('[11.6] of any rows the first are kept that are few and small enough, and one always', () => {
	fc.assert(
		fc.property(rows, (all) => {
			const texts = all.map((one) => JSON.stringify(one));
			let bytes = 0;
			const kept = texts.filter((one, n) => {
				bytes += Buffer.byteLength(one);
				return n === 0 || (n < MAX_ROWS && bytes <= MAX_BYTES);
			});
			const whole = `{"rows":[${texts.join(',')}]}`;
			const { end, more } = firstRows(whole);
			assert.equal(whole.slice(0, end), `{"rows":[${kept.join(',')}`);
			assert.equal(more, kept.length < texts.length);
		}),
		{ numRuns: 2000 },
	);
});
