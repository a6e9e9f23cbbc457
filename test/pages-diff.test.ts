import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cellText, columnsOf, typedScalar } from '../pages/src/console/columns.ts';
import { diffLines, diffRows, type Line } from '../pages/src/console/diff.ts';
import { parse, print } from '../pages/src/shared/json.ts';

/** What the pages make of rows, without a browser. */

const texts = (lines: readonly Line[], without: Line['kind']): string[] =>
	lines.filter(({ kind }) => kind !== without).map(({ text }) => text);

test('a difference has both texts in it, and no line more than it must', () => {
	const lines = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 });
	fc.assert(
		fc.property(lines, lines, (before, after) => {
			const difference = diffLines(before, after);
			assert.deepEqual(texts(difference, 'added'), before);
			assert.deepEqual(texts(difference, 'removed'), after);
			const same = difference.filter(({ kind }) => kind === 'same').length;
			assert.equal(same, longestCommon(before, after));
		}),
	);
});

function longestCommon(a: readonly string[], b: readonly string[]): number {
	if (a.length === 0 || b.length === 0) return 0;
	const rows = a.map(() => b.map(() => 0));
	const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
	for (let i = 0; i < a.length; i++) {
		for (let j = 0; j < b.length; j++) {
			rows[i]![j] = a[i] === b[j] ? at(i - 1, j - 1) + 1 : Math.max(at(i - 1, j), at(i, j - 1));
		}
	}
	return at(a.length - 1, b.length - 1);
}

test('long texts that share nothing do not make a person wait', () => {
	const side = (name: string): string[] => Array.from({ length: 30_000 }, (_, at) => `${name}${at}`);
	const began = performance.now();
	assert.equal(diffLines(side('a'), side('b')).length, 60_000);
	assert.ok(performance.now() - began < 1000);
});

test('rows differ by member: new, gone, changed, with the lines around', () => {
	const before = { id: '1', updated_at: 'x', a: 1, b: 'one\ntwo\nthree\nfour\nfive\nsix', c: { d: [1] }, gone: null };
	const after = { id: '1', updated_at: 'y', a: 1, b: 'one\n2\nthree\nfour\nfive\nsix', c: { d: [1] }, fresh: 'x' };
	const changes = diffRows(before, after);
	assert.deepEqual(
		changes.map(({ name, kind }) => [name, kind]),
		[
			['b', 'changed'],
			['fresh', 'added'],
			['gone', 'removed'],
		],
	);
	assert.deepEqual(
		changes[0]!.lines.map(({ text }) => text),
		['one', 'two', '2', 'three', 'four', '…'],
	);
	// A text is told from the number that it looks like.
	assert.deepEqual(
		diffRows({ n: 1 }, { n: '1' })[0]!.lines.map(({ text }) => text),
		['1', '"1"'],
	);
});

test('what is typed as a filter is a JSON scalar, or else a text', () => {
	const cases: readonly (readonly [typed: string, text: string])[] = [
		['5', '5'],
		[' 1e2 ', '1e2'],
		['1152921504606846976', '1152921504606846976'],
		['true', 'true'],
		['null', 'null'],
		['"5"', '"5"'],
		['', '""'],
		['open', '"open"'],
		[' two words ', '" two words "'],
		['[1]', '"[1]"'],
		['{}', '"{}"'],
		['"half', '"\\"half"'],
	];
	for (const [typed, text] of cases) assert.equal(typedScalar(typed), text, typed);
});

test('a table shows the members that most rows have, folded and in their direction', () => {
	const rows = Array.from({ length: 40 }, (_, at) => ({ id: 'x', common: 1, [`rare${at}`]: at }));
	const { shown, left } = columnsOf(rows);
	assert.equal(shown[0], 'common');
	assert.deepEqual([shown.length, left], [30, 11]);
	assert.equal(cellText('x'.repeat(1000)).length, 161);
	assert.equal(cellText('\u202eevil'), '⟨U+202E⟩evil');
	assert.equal(cellText({ a: [1, null] }), '{"a":[1,null]}');
});

test('JSON is read and printed without changing a number', () => {
	for (const text of ['1152921504606846976', '1e400', '1e-400', '9007199254740993', '-0', '1.0', '0.1', '123']) {
		assert.equal(print(parse(`[${text}]`), 0), `[${text}]`);
	}
});
