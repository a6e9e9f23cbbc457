import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeFilter } from '../../src/domain/filter.ts';
import { IdSequence } from '../../src/domain/id.ts';
import { decidePlainAdd, isPlainAdd, mostBytesBefore, mostRowsBefore } from '../../src/domain/plain-adds.ts';
import { rowBytes } from '../../src/domain/row.ts';
import {
	type Change,
	decide,
	type Moment,
	type RowOperation,
	type Usage,
	usageAfter,
} from '../../src/domain/writes.ts';
import { Refusal } from '../../src/errors.ts';
import { DEFAULT_LIMITS, type WriteLimits } from '../../src/limits.ts';

const NOW = Date.UTC(2026, 0, 1);

/** A moment whose ids are the same each time it is made. */
function sameMoment(): Moment {
	const sequence = new IdSequence(undefined);
	return { now: NOW, nextId: () => sequence.next(NOW, Buffer.alloc(10)) };
}

/** What is answered and inserted for each, or undefined where one is refused. */
function allOf(count: number, one: (i: number) => Decided): Decided[] | undefined {
	try {
		return Array.from({ length: count }, (_, i) => one(i));
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		return undefined;
	}
}

interface Decided {
	readonly result: string;
	readonly changes: readonly Change[];
}

/** Bounds close to what is used, so that each is met and missed; and none. */
const bound = (max: number) => fc.oneof({ weight: 6, arbitrary: fc.nat(max) }, fc.constant(Number.POSITIVE_INFINITY));
const limits: fc.Arbitrary<WriteLimits> = fc.record({
	...Object.fromEntries(Object.entries(DEFAULT_LIMITS).map(([name, value]) => [name, fc.constant(value)])),
	maxTables: bound(3),
	maxRowsPerTable: bound(14),
	maxAccountBytes: bound(240),
	maxRowBytes: fc.oneof({ weight: 1, arbitrary: fc.integer({ min: 8, max: 40 }) }, fc.constant(40)),
	maxArchiveBytes: bound(100),
}) as fc.Arbitrary<WriteLimits>;
const usage: fc.Arbitrary<Usage> = fc.record({
	tables: fc.integer({ min: 1, max: 4 }),
	tableRows: fc.integer({ min: 1, max: 12 }),
	bytes: fc.nat(160),
	versionBytes: fc.nat(200),
	keptBytes: fc.nat(200),
});
const own = fc.integer({ min: 8, max: 40 }).map((bytes) => `{"a":"${'é'.repeat((bytes - 8) >> 1)}"}`);

test('[4.2] adds to a table with rows fit one by one exactly where there is room for all of them, and come out the same', () => {
	let fitted = 0;
	let refused = 0;
	fc.assert(
		fc.property(limits, usage, fc.array(own, { minLength: 1, maxLength: 5 }), (most, before, texts) => {
			const adds = texts.map((text): RowOperation => ({ action: 'add', own: text }));
			const inTurn = sameMoment();
			let now = before;
			const oneByOne = allOf(adds.length, (i) => {
				const { result, changes } = decide(adds[i]!, { usage: now, rows: [], matched: 0 }, most, inTurn);
				now = changes.reduce(usageAfter, now);
				return { result, changes };
			});
			const together = sameMoment();
			const plain = allOf(adds.length, (i) => {
				const insert = decidePlainAdd(adds[i]!, most, together);
				return { result: insert.text, changes: [insert] };
			});
			const bytes = texts.reduce((sum, text) => sum + rowBytes(text), 0);
			const room =
				before.tableRows <= mostRowsBefore(adds.length, most) && before.bytes <= mostBytesBefore(bytes, most);
			assert.deepEqual(room ? plain : undefined, oneByOne);
			// Where there is room, only a row that is too large by itself is refused.
			if (room)
				assert.equal(
					plain === undefined,
					texts.some((text) => rowBytes(text) > most.maxRowBytes),
				);
			if (oneByOne === undefined) refused++;
			else fitted++;
			if (oneByOne === undefined) return;
			assert.equal(now.tableRows, before.tableRows + adds.length);
			assert.deepEqual({ ...now, tableRows: 0, bytes: 0 }, { ...before, tableRows: 0, bytes: 0 });
			assert.equal(now.bytes, before.bytes + bytes);
		}),
		{ numRuns: 3000 },
	);
	assert.ok(fitted > 300 && refused > 300, `${fitted} fitted and ${refused} did not`);
});

const filter = makeFilter([['a', 1]]);
/** One of each action, so that a new one must be thought of here. */
const OTHERS: { readonly [A in Exclude<RowOperation['action'], 'add'>]: Extract<RowOperation, { action: A }> } = {
	upsert: { action: 'upsert', match: filter, own: '{"a":1}' },
	update_row: { action: 'update_row', id: 'x', patch: '{}' },
	replace_row: { action: 'replace_row', id: 'x', own: '{}', ifUnchanged: 0 },
	update_where: { action: 'update_where', filter, patch: '{}', allowMultiple: true },
	delete: { action: 'delete', filter },
	restore: { action: 'restore', id: 'x', version: 1 },
	refuse: { action: 'refuse', refusal: { code: 'invalid_request', message: 'no' } },
};

test('[4.7] plain is an add without an idempotency key, and nothing else', () => {
	assert.ok(isPlainAdd({ action: 'add', own: '{}' }));
	assert.ok(isPlainAdd({ action: 'add', own: '{}', idempotency: undefined }));
	assert.ok(!isPlainAdd({ action: 'add', own: '{}', idempotency: { key: 'k', fingerprint: 'f' } }));
	for (const operation of Object.values(OTHERS)) assert.ok(!isPlainAdd(operation), operation.action);
});
