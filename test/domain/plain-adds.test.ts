import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IdSequence } from '../../src/domain/id.ts';
import { decidePlainAdd, mostArchivedBefore, mostBytesBefore, mostRowsBefore } from '../../src/domain/plain-adds.ts';
import { rowBytes } from '../../src/domain/row.ts';
import {
	archiveOverflow,
	type Change,
	decide,
	type Moment,
	type RowOperation,
	storedBytes,
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
	maxArchiveBytes: bound(1200),
}) as fc.Arbitrary<WriteLimits>;
const usage: fc.Arbitrary<Usage> = fc.record({
	tables: fc.integer({ min: 1, max: 4 }),
	tableRows: fc.integer({ min: 1, max: 12 }),
	bytes: fc.nat(160),
	versionBytes: fc.nat(200),
	keptBytes: fc.nat(200),
});
const own = fc.integer({ min: 8, max: 40 }).map((bytes) => `{"a":"${'é'.repeat((bytes - 8) >> 1)}"}`);

const add = fc.record({ own, keyed: fc.boolean() });

test('[4.2] [4.7] adds to a table with rows fit one by one where there is room for all of them, without keys exactly there, and come out the same', () => {
	const seen = { fitted: 0, refused: 0, keyed: 0 };
	fc.assert(
		fc.property(limits, usage, fc.array(add, { minLength: 1, maxLength: 5 }), (most, before, asked) => {
			const adds = asked.map(
				({ own: text, keyed }, i): RowOperation => ({
					action: 'add',
					own: text,
					...(keyed ? { idempotency: { key: `k${i}`, fingerprint: `f${i}` } } : {}),
				}),
			);
			const inTurn = sameMoment();
			let now = before;
			const oneByOne = allOf(adds.length, (i) => {
				const { result, changes } = decide(adds[i]!, { usage: now, rows: [], matched: 0 }, most, inTurn);
				now = changes.reduce(usageAfter, now);
				return { result, changes };
			});
			const together = sameMoment();
			const plain = allOf(adds.length, (i) => {
				const { insert, keep } = decidePlainAdd(adds[i]!, most, together);
				return { result: insert.text, changes: keep === undefined ? [insert] : [insert, keep] };
			});
			const bytes = asked.reduce((sum, { own: text }) => sum + rowBytes(text), 0);
			const kept = (plain ?? [])
				.flatMap(({ changes }) => changes)
				.reduce((sum, change) => sum + (change.kind === 'keep' ? storedBytes(change.answer) : 0), 0);
			const room =
				before.tableRows <= mostRowsBefore(adds.length, most) && before.bytes <= mostBytesBefore(bytes, most);
			const keyed = asked.some((one) => one.keyed);
			const archived = before.versionBytes + before.keptBytes <= mostArchivedBefore(kept, most);
			// A keyed add may also be accepted because older answers are given up.
			if (!room) assert.equal(oneByOne, undefined);
			else if (!keyed || (plain !== undefined && archived)) assert.deepEqual(plain, oneByOne);
			if (oneByOne === undefined) {
				seen.refused++;
				return;
			}
			seen.fitted++;
			assert.equal(now.tableRows, before.tableRows + adds.length);
			assert.equal(now.bytes, before.bytes + bytes);
			if (plain === undefined || !archived) return;
			if (keyed) {
				seen.keyed++;
				assert.equal(archiveOverflow(now, most, NOW), undefined);
			}
			const rest = { tableRows: 0, bytes: 0, keptBytes: 0 };
			assert.deepEqual({ ...now, ...rest }, { ...before, ...rest });
			assert.equal(now.keptBytes, before.keptBytes + kept);
		}),
		{ numRuns: 3000 },
	);
	assert.ok(
		Object.values(seen).every((n) => n > 100),
		JSON.stringify(seen),
	);
});
