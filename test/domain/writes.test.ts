import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EVERY_ROW, makeFilter, matches } from '../../src/domain/filter.ts';
import { IdSequence } from '../../src/domain/id.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { assemble, identityOf, mergePatch, ownTextOf, rowBytes, stamp } from '../../src/domain/row.ts';
import {
	archiveOverflow,
	type Change,
	type Decision,
	decide,
	type Loaded,
	lastUnkeptVersion,
	needs,
	type RowOperation,
	type StoredRow,
	storedBytes,
	type Usage,
	usageAfter,
	versionsKeptSince,
} from '../../src/domain/writes.ts';
import { Refusal } from '../../src/errors.ts';
import { DEFAULT_LIMITS, type WriteLimits } from '../../src/limits.ts';

const UNLIMITED: WriteLimits = Object.fromEntries(
	[...Object.keys(DEFAULT_LIMITS), 'maxArchiveBytes'].map((name) => [name, Number.POSITIVE_INFINITY]),
) as unknown as WriteLimits;
const NOTHING: Usage = { tables: 0, tableRows: 0, bytes: 0, versionBytes: 0, keptBytes: 0 };
const NOW = Date.UTC(2026, 0, 1);

const sequence = new IdSequence(undefined);
const moment = { now: NOW, nextId: () => sequence.next(NOW, Buffer.alloc(10)) };

function stored(own: string, place = 1): StoredRow {
	const at = stamp(NOW - 1000);
	return { place, version: 0, text: assemble({ id: moment.nextId(), createdAt: at, updatedAt: at }, own) };
}

/** What the operation comes to: its decision, or the code of its refusal. */
function outcome(operation: RowOperation, loaded: Partial<Loaded>, limits: WriteLimits): Decision | string {
	const rows = loaded.rows ?? [];
	try {
		return decide(operation, { usage: NOTHING, matched: rows.length, ...loaded, rows }, limits, moment);
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		return error.code;
	}
}

/** The outcome must be a refusal with one of these codes, or a decision where there are none. */
function assertOutcome(found: Decision | string, broken: readonly string[]): void {
	if (broken.length === 0) assert.equal(typeof found, 'object', `refused: ${found}`);
	else assert.ok(broken.includes(found as string), `${JSON.stringify(found)} in place of ${broken}`);
}

const small = fc.nat(12);
/** Own members of so many bytes. */
const ofBytes = (bytes: number): string => `{"a":"${'x'.repeat(Math.max(0, bytes - 8))}"}`;
const own = fc.integer({ min: 8, max: 40 }).map(ofBytes);
const usages: fc.Arbitrary<Usage> = fc
	.record({ tables: small, tableRows: small, bytes: fc.nat(200), versionBytes: fc.nat(200), keptBytes: fc.nat(200) })
	.map((usage) => ({ ...usage, tables: Math.max(usage.tables, usage.tableRows > 0 ? 1 : 0) }));
const limitSets: fc.Arbitrary<WriteLimits> = fc
	.record({
		maxTables: fc.oneof(small, fc.constant(Number.POSITIVE_INFINITY)),
		maxRowsPerTable: fc.oneof(small, fc.constant(Number.POSITIVE_INFINITY)),
		maxRowBytes: fc.oneof(fc.nat(45), fc.constant(Number.POSITIVE_INFINITY)),
		maxAccountBytes: fc.oneof(fc.nat(240), fc.constant(Number.POSITIVE_INFINITY)),
	})
	.map((limits) => ({ ...UNLIMITED, ...limits }));

/** Limits that one more row breaks. */
function brokenByRow(bytes: number, usage: Usage, limits: WriteLimits): string[] {
	return [
		...(usage.tableRows === 0 && usage.tables + 1 > limits.maxTables ? ['table_limit_reached'] : []),
		...(usage.tableRows + 1 > limits.maxRowsPerTable ? ['row_limit_reached'] : []),
		...(bytes > limits.maxRowBytes ? ['row_too_large'] : []),
		...(usage.bytes + bytes > limits.maxAccountBytes ? ['account_full'] : []),
	];
}

test('[4.2] [4.1] [2.3] a new row is refused exactly where it breaks a limit, by add, upsert or restore', () => {
	fc.assert(
		fc.property(own, usages, limitSets, (text, usage, limits) => {
			const bytes = Buffer.byteLength(text);
			const broken = brokenByRow(bytes, usage, limits);
			const match = makeFilter([['a', 'none']]);
			const archived = { ...stored(text), newest: 3 };
			for (const [operation, loaded] of [
				[{ action: 'add', own: text }, {}],
				[{ action: 'upsert', own: text, match }, {}],
				[{ action: 'restore', id: identityOf(archived.text).id, version: 2 }, { archived }],
			] as const) {
				const found = outcome(operation, { usage, ...loaded }, limits);
				assertOutcome(found, broken);
				if (typeof found === 'string') continue;
				const after = usageAfter(usage, found.changes[0]!);
				assert.equal(after.bytes, usage.bytes + bytes);
				assert.equal(after.tableRows, usage.tableRows + 1);
				assert.equal(after.tables, usage.tables + (usage.tableRows === 0 ? 1 : 0));
			}
		}),
		{ numRuns: 2000 },
	);
});

test('[4.2] [2.3] [4.4] a change is refused exactly where a row or the account grows beyond its limit', () => {
	fc.assert(
		fc.property(
			fc.array(own, { minLength: 1, maxLength: 4 }),
			own,
			usages,
			limitSets,
			(texts, patch, usage, limits) => {
				const rows = texts.map((text, i) => stored(text, i));
				const grown = texts.map(
					(text) => [text, mergePatch(text, JSON.parse(patch) as JsonObject)].map(rowBytes) as [number, number],
				);
				const growth = grown.reduce((sum, [before, after]) => sum + after - before, 0);
				const broken = [
					...(grown.some(([before, after]) => after > before && after > limits.maxRowBytes) ? ['row_too_large'] : []),
					...(growth > 0 && usage.bytes + growth > limits.maxAccountBytes ? ['account_full'] : []),
				];
				const filter = EVERY_ROW;
				const found = outcome({ action: 'update_where', filter, patch, allowMultiple: true }, { rows, usage }, limits);
				assertOutcome(found, broken);
				if (typeof found === 'object') {
					assert.equal(found.changes.length, rows.length);
					assert.equal(found.changes.reduce(usageAfter, usage).bytes, usage.bytes + growth);
					assert.equal((JSON.parse(found.result) as { updated: number }).updated, rows.length);
				}
				if (rows.length > 1) {
					const one = { action: 'update_where', filter, patch, allowMultiple: false } as const;
					assert.equal(
						outcome(one, { rows: rows.slice(0, 1), matched: rows.length, usage }, limits),
						'multiple_matches',
					);
					return;
				}
				const { id } = identityOf(rows[0]!.text);
				assertOutcome(outcome({ action: 'update_row', id, patch }, { rows, usage }, limits), broken);
				assertOutcome(outcome({ action: 'upsert', match: filter, own: patch }, { rows, usage }, limits), broken);
				const archived = { ...stored(patch), newest: 1 };
				assertOutcome(outcome({ action: 'restore', id, version: 1 }, { rows, usage, archived }, limits), broken);
			},
		),
		{ numRuns: 2000 },
	);
});

test('[4.5] a delete is refused by no limit, and gives back what the rows took', () => {
	fc.assert(
		fc.property(fc.array(own, { maxLength: 5 }), usages, (texts, usage) => {
			const rows = texts.map((text, i) => stored(text, i));
			const none: WriteLimits = { ...UNLIMITED, maxTables: 0, maxRowsPerTable: 0, maxRowBytes: 0, maxAccountBytes: 0 };
			const full = { ...usage, tableRows: usage.tableRows + rows.length, tables: usage.tables + 1 };
			const found = outcome({ action: 'delete', filter: EVERY_ROW }, { rows, usage: full }, none) as Decision;
			assert.equal(found.result, `{"deleted":${rows.length}}`);
			const after = found.changes.reduce(usageAfter, full);
			assert.equal(after.tableRows, usage.tableRows);
			assert.equal(
				full.bytes - after.bytes,
				texts.reduce((sum, text) => sum + rowBytes(text), 0),
			);
			assert.equal(
				after.versionBytes - full.versionBytes,
				rows.reduce((sum, row) => sum + storedBytes(row.text), 0),
			);
			assert.equal(full.tables - after.tables, rows.length > 0 && usage.tableRows === 0 ? 1 : 0);
		}),
		{ numRuns: 500 },
	);
});

test('[4.7] a kept answer is given again whatever the limits say, to the same JSON only', () => {
	fc.assert(
		fc.property(own, usages, limitSets, fc.boolean(), (text, usage, limits, same) => {
			const kept = { fingerprint: 'one', answer: stored(text).text };
			const idempotency = { key: 'k', fingerprint: same ? 'one' : 'two' };
			const found = outcome(
				{ action: 'add', own: text, idempotency },
				{ usage, kept },
				{ ...limits, maxArchiveBytes: 0 },
			);
			if (same) assert.deepEqual(found, { changes: [], result: kept.answer, replayed: true });
			else assert.equal(found, 'idempotency_key_reused');
		}),
		{ numRuns: 300 },
	);
});

test('[5.3] a keyed add needs room for its answer beside the younger kept answers; versions give way', () => {
	fc.assert(
		fc.property(own, usages, fc.nat(200), fc.nat(600), (text, usage, old, maxArchiveBytes) => {
			const oldKeptBytes = Math.min(old, usage.keptBytes);
			const idempotency = { key: 'k', fingerprint: 'one' };
			const found = outcome(
				{ action: 'add', own: text, idempotency },
				{ usage, oldKeptBytes },
				{ ...UNLIMITED, maxArchiveBytes },
			);
			const answer = storedBytes(stored(text).text);
			const room = usage.keptBytes - oldKeptBytes + answer <= maxArchiveBytes;
			assertOutcome(found, room ? [] : ['archive_full']);
			if (typeof found === 'object')
				assert.equal(found.changes.reduce(usageAfter, usage).keptBytes, usage.keptBytes + answer);
		}),
		{ numRuns: 1000 },
	);
});

test('[5.2] [5.3] what must go from an archive, and which versions are kept', () => {
	fc.assert(
		fc.property(usages, fc.nat(500), fc.nat(30), fc.nat(12), (usage, maxArchiveBytes, newest, maxVersionsPerRow) => {
			const limits = { ...UNLIMITED, maxArchiveBytes, maxVersionsPerRow };
			const over = usage.versionBytes + usage.keptBytes - maxArchiveBytes;
			const overflow = archiveOverflow(usage, limits, NOW);
			assert.deepEqual(overflow, over > 0 ? { bytes: over, keptBefore: NOW - 3_600_000 } : undefined);
			const kept = Array.from({ length: newest }, (_, i) => i + 1).filter(
				(version) => version > lastUnkeptVersion(newest, limits),
			);
			assert.equal(kept.length, Math.min(newest, maxVersionsPerRow));
			assert.equal(lastUnkeptVersion(newest, UNLIMITED), 0);
		}),
	);
	assert.equal(versionsKeptSince({ ...UNLIMITED, versionRetentionDays: 30 }, NOW), stamp(NOW - 30 * 86_400_000));
	assert.ok(versionsKeptSince(UNLIMITED, NOW) < stamp(0));
});

/** An engine in memory, as plain as can be: what the rules decide must add up in it. */
class Engine {
	readonly rows = new Map<number, StoredRow>();
	readonly versions: { id: string; version: number; place: number; text: string }[] = [];
	usage: Usage = NOTHING;
	#place = 0;
	#now = NOW;

	run(operation: RowOperation, limits: WriteLimits): string | undefined {
		const need = needs(operation);
		const all = [...this.rows.values()];
		const read = (row: StoredRow) => JSON.parse(row.text) as JsonObject;
		let rows = need.match === undefined ? [] : all.filter((row) => matches(need.match!, read(row)));
		if (need.id !== undefined) rows = all.filter((row) => identityOf(row.text).id === need.id);
		const matched = rows.length;
		const mine = this.versions.filter(({ id }) => id === need.archived?.id);
		const version = mine.find((one) => one.version === need.archived?.version);
		const archived = version && { ...version, newest: Math.max(...mine.map((one) => one.version)) };
		const now = ++this.#now;
		const loaded = { usage: this.usage, rows: rows.slice(0, need.matchLimit), matched, archived };
		try {
			const { changes } = decide(operation, loaded, limits, { ...moment, now });
			for (const change of changes) this.#apply(change);
			return undefined;
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			return error.code;
		}
	}

	#apply(change: Change): void {
		this.usage = usageAfter(this.usage, change);
		if (change.kind === 'insert') {
			const place = change.place ?? ++this.#place;
			this.rows.set(place, { place, version: change.version, text: change.text });
		} else if (change.kind === 'update' || change.kind === 'delete') {
			const { row } = change;
			this.versions.push({ ...identityOf(row.text), version: row.version + 1, place: row.place, text: row.text });
			if (change.kind === 'delete') this.rows.delete(row.place);
			else this.rows.set(row.place, { ...row, version: row.version + 1, text: change.text });
		}
	}
}

type Step = readonly [kind: number, own: string, pick: number];

/** An operation on what the engine holds now. */
function operationOf(engine: Engine, [kind, text, pick]: Step): RowOperation {
	const rows = [...engine.rows.values()];
	const row = rows[pick % Math.max(1, rows.length)];
	const id = row === undefined ? moment.nextId() : identityOf(row.text).id;
	const version = engine.versions[pick % Math.max(1, engine.versions.length)];
	const match = makeFilter([['a', (JSON.parse(text) as { a: string }).a]]);
	if (kind === 0) return { action: 'add', own: text };
	if (kind === 1) return { action: 'upsert', own: text, match };
	if (kind === 2) return { action: 'update_row', id, patch: pick % 2 === 0 ? text : '{"b":12}' };
	if (kind === 3) return { action: 'update_where', filter: match, patch: '{"c":null}', allowMultiple: pick % 2 === 0 };
	if (kind === 4) return { action: 'delete', filter: match };
	return { action: 'restore', id: version?.id ?? id, version: version?.version ?? 1 };
}

test('[4.1] [4.2] [2.3] [5.1] whatever is done, what an account is said to hold is what it holds, within its limits', () => {
	const steps = fc.array(fc.tuple(fc.nat(5), own, fc.nat(1000)), { maxLength: 60, size: 'max' });
	fc.assert(
		fc.property(steps, limitSets, (list, limits) => {
			const engine = new Engine();
			for (const step of list) {
				const before = { usage: engine.usage, rows: new Map(engine.rows) };
				const refused = engine.run(operationOf(engine, step), limits);
				const { usage, rows } = engine;
				if (refused !== undefined) assert.deepEqual({ usage, rows }, before);
				const sizes = [...rows.values()].map((row) => rowBytes(ownTextOf(row.text)));
				assert.equal(usage.tableRows, rows.size);
				assert.equal(usage.tables, rows.size > 0 ? 1 : 0);
				assert.equal(
					usage.bytes,
					sizes.reduce((sum, size) => sum + size, 0),
				);
				assert.equal(
					usage.versionBytes,
					engine.versions.reduce((sum, { text }) => sum + storedBytes(text), 0),
				);
				assert.ok(rows.size <= limits.maxRowsPerTable && usage.tables <= limits.maxTables);
				assert.ok(usage.bytes <= limits.maxAccountBytes && sizes.every((size) => size <= limits.maxRowBytes));
				const numbers = Map.groupBy(engine.versions, ({ id }) => id);
				for (const archived of numbers.values()) {
					assert.deepEqual(
						archived.map(({ version }) => version),
						archived.map((_, i) => i + 1),
					);
				}
			}
		}),
		{ numRuns: 500 },
	);
});
