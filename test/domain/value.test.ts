import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Filter, filterKey, makeFilter, matches, readFilter } from '../../src/domain/filter.ts';
import { IdSequence, isRowId } from '../../src/domain/id.ts';
import { type Json, JsonDocument, type JsonObject, type Scalar } from '../../src/domain/json.ts';
import { compareSorted, compareStrings, compareValues } from '../../src/domain/order.ts';
import { ownText } from '../../src/domain/row.ts';
import { equalityKey, rowKey, sortRows } from '../../src/domain/value.ts';
import * as any from '../support/arbitraries.ts';
import { readObject } from '../support/read-json.ts';

const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Two lists of scalars that are equal, or nearly. */
const pairs: fc.Arbitrary<[Scalar[], Scalar[]]> = fc
	.tuple(fc.array(any.scalar, { minLength: 1, maxLength: 4 }), fc.nat(), any.scalar, fc.nat(5))
	.map(([values, at, other, how]) => {
		const changed = [...values];
		const i = at % values.length;
		const value = values[i]!;
		if (how === 1) changed[i] = other;
		if (how === 2) changed[i] = typeof value === 'string' ? `${value} ` : String(value);
		if (how === 3) changed[i] = typeof value === 'number' ? -value : value === null ? '' : !value;
		// The same texts, cut at another place.
		if (how === 4 && typeof value === 'string' && typeof values[i + 1] === 'string') {
			changed[i] = value + (values[i + 1] as string);
			changed[i + 1] = '';
		}
		if (how === 5) changed.reverse();
		return [values, changed] as [Scalar[], Scalar[]];
	});

test('[3.1] equality keys are equal exactly where the values are, one by one', () => {
	fc.assert(
		fc.property(pairs, ([a, b]) => {
			const same = a.every((value, i) => value === b[i]);
			assert.equal(bytesEqual(equalityKey(a), equalityKey(b)), same);
			assert.ok(equalityKey(a).length <= 33);
		}),
		{ numRuns: 5000 },
	);
	const distinct: Scalar[] = [null, true, false, 0, 1, -1, '', '0', 'null', 'true', '\u0001', '\u0005', 5, 2 ** 53];
	distinct.push(...Array.from({ length: 140 }, (_, i) => 'x'.repeat(i + 1)));
	assert.equal(
		new Set(distinct.map((value) => Buffer.from(equalityKey([value])).toString('hex'))).size,
		distinct.length,
	);
	assert.ok(bytesEqual(equalityKey([0]), equalityKey([-0])));
});

/** Filters and rows that share names and values often. */
const names = ['a', 'b', '__proto__', 'toString'];
const few = fc.oneof(fc.constantFrom<Json[]>(null, true, 0, 1, '1', '', 'x'.repeat(40), [], [1], {}), any.json);
const fewRows: fc.Arbitrary<JsonObject> = fc
	.array(fc.tuple(fc.constantFrom(...names), few), { maxLength: 4 })
	.map((entries) => Object.fromEntries(entries));
const fewFilters: fc.Arbitrary<Filter> = fc
	.uniqueArray(
		fc.tuple(
			fc.constantFrom(...names),
			fc.oneof(fc.constantFrom<Scalar[]>(null, true, 0, 1, '1', '', 'x'.repeat(40)), any.scalar),
		),
		{
			minLength: 1,
			maxLength: 3,
			selector: ([name]) => name,
		},
	)
	.map(makeFilter);

test('[3.1] a filter matches a row exactly where their keys are equal, and where every member is', () => {
	fc.assert(
		fc.property(fewFilters, fewRows, (filter, row) => {
			const key = rowKey(row, filter.members);
			const holds = filter.members.every((name, i) => Object.hasOwn(row, name) && row[name] === filter.values[i]);
			assert.equal(matches(filter, row), holds);
			assert.equal(key !== undefined && bytesEqual(key, filterKey(filter)), holds);
			const indexed = filter.members.every((name) => Object.hasOwn(row, name) && Object(row[name]) !== row[name]);
			assert.equal(key !== undefined, indexed);
		}),
		{ numRuns: 3000 },
	);
});

test('[3.1] a filter is the same in whatever order its members are sent', () => {
	fc.assert(
		fc.property(
			fc.uniqueArray(fc.tuple(any.name, any.scalar), { selector: ([name]) => name, maxLength: 6 }),
			(entries) => {
				const filter = makeFilter(entries);
				assert.deepEqual(makeFilter(entries.toReversed()), filter);
				const document = JsonDocument.fromText(ownText(Object.fromEntries(entries)), 'filter');
				const read = readFilter(document, document.value, []);
				assert.deepEqual(read.members, filter.members);
				assert.ok(bytesEqual(filterKey(read), filterKey(filter)));
			},
		),
	);
});

/** -1, 0 or 1; never -0. */
const sign = (order: number): number => Math.sign(order) + 0;

test('[3.4] strings are ordered by code point, as their UTF-8 bytes are', () => {
	const close = fc.string({
		unit: fc.constantFrom('a', '\ud7ff', '\ue000', '\uff5e', '\uffff', '😀', '\u{10000}', '\u{10ffff}'),
	});
	const strings = fc.oneof(any.text, close);
	fc.assert(
		fc.property(strings, strings, strings, (a, b, start) => {
			for (const [x, y] of [
				[a, b],
				[start + a, start + b],
				[start, start + a],
			] as const) {
				assert.equal(sign(compareStrings(x, y)), Buffer.compare(Buffer.from(x), Buffer.from(y)));
			}
		}),
		{ numRuns: 3000 },
	);
});

const RANKS: readonly ((value: Json) => boolean)[] = [
	(value) => value === null,
	(value) => value === false,
	(value) => value === true,
	(value) => typeof value === 'number',
	(value) => typeof value === 'string',
	(value) => typeof value === 'object',
];

test('[3.4] values are totally ordered: by type, then by value; arrays and objects are equal', () => {
	fc.assert(
		fc.property(few, few, few, (a, b, c) => {
			const order = sign(compareValues(a, b));
			assert.equal(sign(compareValues(b, a)), order === 0 ? 0 : -order);
			assert.equal(compareValues(a, a), 0);
			if (compareValues(a, b) <= 0 && compareValues(b, c) <= 0) assert.ok(compareValues(a, c) <= 0);
			const [x, y] = [a, b].map((value) => RANKS.findIndex((is) => is(value))) as [number, number];
			if (x !== y) assert.equal(order, sign(x - y));
			else if (x === 3) assert.equal(order, a === b ? 0 : (a as number) < (b as number) ? -1 : 1);
			else if (x === 4) assert.equal(order === 0, a === b);
			else assert.equal(order, 0);
		}),
		{ numRuns: 3000 },
	);
});

test('[3.4] rows without the member come last in both directions; descending reverses values, not ties', () => {
	const maybe = fc.option(few, { nil: undefined });
	fc.assert(
		fc.property(maybe, maybe, fc.boolean(), (a, b, descending) => {
			const order = sign(compareSorted(a, b, descending));
			if (a === undefined || b === undefined) assert.equal(order, Number(a === undefined) - Number(b === undefined));
			else assert.equal(order, sign(descending ? compareValues(b, a) : compareValues(a, b)));
		}),
		{ numRuns: 1000 },
	);
	fc.assert(
		fc.property(
			fc.array(fewRows, { maxLength: 30 }),
			fc.constantFrom(...names),
			fc.boolean(),
			(rows, member, descending) => {
				const texts = rows.map((row, n) => ownText(Object.fromEntries([...Object.entries(row), ['n', n]])));
				const sorted = sortRows(texts, { member, descending }).map((text) => readObject(text));
				assert.equal(new Set(sorted.map(({ n }) => n)).size, rows.length);
				const sortedBy = (row: JsonObject) => (Object.hasOwn(row, member) ? row[member] : undefined);
				for (const [i, row] of sorted.entries()) {
					const next = sorted[i + 1];
					if (next === undefined) break;
					const order = compareSorted(sortedBy(row), sortedBy(next), descending);
					assert.ok(order < 0 || (order === 0 && (row.n as number) < (next.n as number)));
				}
			},
		),
	);
});

const clock = fc.oneof(
	fc.integer({ min: 0, max: 2 ** 45 }),
	fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_003 }),
);
const randomBytes = fc.uint8Array({ minLength: 10, maxLength: 10 }).map((bytes) => Buffer.from(bytes));
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('[2.1] [3.3] ids are UUIDv7 in lower case and grow strictly, whatever the clock does and across restarts', () => {
	const restart = fc.boolean();
	fc.assert(
		fc.property(fc.array(fc.tuple(clock, randomBytes, restart), { minLength: 2, maxLength: 50 }), (calls) => {
			let sequence = new IdSequence(undefined);
			let last: string | undefined;
			let latest = 0;
			for (const [now, random, restarted] of calls) {
				if (restarted) sequence = new IdSequence(last);
				const id = sequence.next(now, random);
				assert.match(id, UUID_V7);
				assert.ok(isRowId(id));
				assert.ok(last === undefined || id > last, `${id} after ${last}`);
				const milliseconds = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
				// The time is the clock's where that moves on.
				if (now > latest) assert.equal(milliseconds, now);
				latest = Math.max(latest, milliseconds);
				last = id;
			}
		}),
		{ numRuns: 500 },
	);
});

test('[3.3] ids of one millisecond grow beyond the counter', () => {
	fc.assert(
		fc.property(clock, randomBytes, (now, random) => {
			const sequence = new IdSequence(undefined);
			let last = sequence.next(now, random);
			for (let i = 0; i < 9000; i++) {
				const id = sequence.next(now, random);
				assert.ok(id > last);
				last = id;
			}
			assert.match(last, UUID_V7);
		}),
		{ numRuns: 10 },
	);
});

test('[3.1] what is no id of a row is told from what could be one', () => {
	fc.assert(
		fc.property(fc.uuid(), any.text, (id, text) => {
			assert.equal(isRowId(id), true);
			for (const other of [id.slice(1), `${id}0`, id.replaceAll('-', ''), ` ${id}`, `${id}\n`, text]) {
				assert.equal(isRowId(other), false);
			}
			if (/[a-f]/.test(id)) assert.equal(isRowId(id.toUpperCase()), false);
		}),
	);
});
