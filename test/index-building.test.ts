import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFilter } from '../src/domain/filter.ts';
import type { RowOperation } from '../src/domain/writes.ts';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import { DATABASE_FILE } from '../src/store/sqlite/store.ts';
import { Writer } from '../src/store/sqlite/writer.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { temporaryDir } from './support/server.ts';

/**
 * Rows that change between two steps of building an index. Through a server the steps follow too closely to be hit on
 * purpose, so the writer itself is run, on a real file.
 */

const ROWS = 1700;
const LIMITS = { ...DEFAULT_LIMITS, maxRowsPerTable: 5000, maxArchiveBytes: Number.POSITIVE_INFINITY };
const ACCOUNT = 'someone';

/** A writer on a new file with one table of {@link ROWS} rows, whose member `n` counts them from 0. */
function filled() {
	const dataDir = temporaryDir();
	const writer = new Writer(join(dataDir, DATABASE_FILE), LIMITS);
	const now = Date.UTC(2026, 0, 1);
	const key = { id: 'key_1', name: 'test', secretHash: 'x', secretStart: 'x', madeBy: 'operator' } as const;
	const command = { command: 'createKeyForEmail', email: 'a@example.com', freshAccountId: ACCOUNT, key } as const;
	writer.runGroup([{ call: { kind: 'account', command }, now }]);
	const run = (...operations: RowOperation[]): string[] => {
		const [outcome] = writer.runGroup([{ call: { kind: 'rows', accountId: ACCOUNT, table: 't', operations }, now }]);
		assert.ok(outcome !== undefined && 'results' in outcome, JSON.stringify(outcome));
		return [...outcome.results];
	};
	const added = Array.from(
		{ length: ROWS },
		(_, n): RowOperation => ({ action: 'add', own: `{"n":${n},"a":${n % 5}}` }),
	);
	const ids = run(...added).map((text) => (JSON.parse(text) as { id: string }).id);
	return { dataDir, writer, run, ids };
}

/** Rows where steps begin and end, among others. */
const EDGES = [0, 1, 498, 499, 500, 501, 998, 999, 1000, 1001, 1498, 1499, 1500, 1501, ROWS - 1];

test('[3.1] an index has exactly the rows that match, whatever changes between the steps of its making', () => {
	for (const steps of [0, 1, 2, 3]) {
		const { dataDir, writer, run, ids } = filled();
		const counted = (a: number): number => {
			const [text] = run({ action: 'update_where', filter: makeFilter([['a', a]]), patch: '{}', allowMultiple: true });
			return (JSON.parse(text!) as { updated: number }).updated;
		};
		// The first filter on the member asks for the index.
		assert.equal(counted(-1), 0);
		for (let i = 0; i < steps; i++) writer.backgroundStep();
		for (const at of EDGES) {
			const id = ids[at]!;
			const byId = makeFilter([['id', id]]);
			if (at % 3 === 0) run({ action: 'update_row', id, patch: '{"a":7}' });
			else if (at % 3 === 1) run({ action: 'delete', filter: byId });
			else {
				run({ action: 'delete', filter: byId });
				run({ action: 'restore', id, version: 1 });
			}
		}
		run({ action: 'add', own: '{"a":7}' });
		while (writer.hasBackgroundWork) writer.backgroundStep();
		assert.deepEqual(
			queryDatabase(dataDir, 'SELECT state FROM member_indexes').map(({ state }) => state),
			['ready'],
		);
		assert.deepEqual(faultsOf(dataDir), [], `after ${steps} steps`);
		assert.equal(counted(7), EDGES.filter((at) => at % 3 === 0).length + 1);
		const left = Array.from({ length: ROWS }, (_, n) => n).filter((n) => !EDGES.includes(n) || n % 3 === 2);
		for (const a of [0, 1, 2, 3, 4]) assert.equal(counted(a), left.filter((n) => n % 5 === a).length);
		writer.close();
	}
});
