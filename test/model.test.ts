import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { signIn } from './support/client.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { startClocked } from './support/in-process.ts';
import { Model, type ModelLimits } from './support/model.ts';
import { type Scope, type Side, STRINGS, type Step, stepsOf, take } from './support/model-steps.ts';
import { seedFrom } from './support/random.ts';
import { type Env, NO_RATE_LIMITS, startServer } from './support/server.ts';

/**
 * Random sequences of calls over two accounts, each answer held whole against a model that was written from the rules alone.
 * MODEL_RUNS raises the number of sequences; MODEL_SEED repeats those of an earlier run.
 */

const HOUR_MS = 3_600_000;
const SHRINK_MS = 60_000;
const DEFAULTS: ModelLimits = {
	maxTables: 20,
	maxRowsPerTable: 1000,
	maxRowBytes: 65_536,
	maxAccountBytes: 26_214_400,
	maxBatchOperations: 100,
	maxQueryLimit: 1000,
	maxVersionsPerRow: 10,
	versionRetentionDays: 30,
	maxArchiveBytes: 104_857_600,
};

interface Kind {
	readonly limits: ModelLimits;
	readonly scope: Scope;
	readonly runs: number;
	/** Rows that table "one" of each account has from the start. */
	readonly prefill: number;
}

/** The limits as settings: `maxTables` is PUMADB_MAX_TABLES. */
function settingsOf(limits: ModelLimits): Env {
	const settings = Object.entries(limits).map(([name, limit]) => [
		`PUMADB_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
		String(limit),
	]);
	return { ...NO_RATE_LIMITS, ...Object.fromEntries(settings) };
}

interface Target {
	readonly url: string;
	readonly dataDir: string;
	advance(milliseconds: number): void;
}

async function run(server: Target, { limits, prefill }: Kind, steps: readonly Step[]): Promise<void> {
	const sides: Side[] = [];
	for (let who = 0; who < 2; who++) {
		sides.push({ client: await signIn(server), model: new Model(limits), lastId: '', lastStamp: '' });
	}
	const all: Step[] = [...filling(prefill), ...steps, ...closing(sides)];
	for (const step of all) await take(step, sides, (hours) => server.advance(hours * HOUR_MS));
	for (const step of histories(sides)) await take(step, sides, () => {});
	assert.deepEqual(faultsOf(server.dataDir), []);
}

/** Rows for both accounts, with every string. */
function filling(rows: number): Step[] {
	if (rows === 0) return [];
	const operations = Array.from({ length: rows }, (_, n) => ({
		action: 'add',
		row: [
			['k', n % 40],
			['v', STRINGS[n % STRINGS.length]],
		],
	}));
	return [0, 1].map((who) => ({ who, table: 'one', call: { action: 'batch', operations } }));
}

/** At the end of a run, everything is compared. */
function closing(sides: readonly Side[]): Step[] {
	return sides.flatMap((_, who) =>
		['export', 'tables'].map((action): Step => ({ who, table: 'one', call: { action } })),
	);
}

function histories(sides: readonly Side[]): Step[] {
	return sides.flatMap(({ model }, who) =>
		['one', 'two', 'three'].flatMap((table) =>
			model.ids.map((_, ref): Step => ({ who, table, call: { action: 'versions', id: { ref } } })),
		),
	);
}

/** Runs the kind's sequences and says with which seed. @returns the number of steps taken. */
async function check(kind: Kind, server: Target, say: (line: string) => void): Promise<void> {
	const seed = seedFrom('MODEL_SEED');
	const numRuns = Number(process.env.MODEL_RUNS || kind.runs);
	let taken = 0;
	let failedAt: number | undefined;
	const property = fc.asyncProperty(stepsOf(kind.scope), async (steps) => {
		// Shrinking ends here: what was found by then is small enough.
		if (failedAt !== undefined && Date.now() > failedAt + SHRINK_MS) return;
		try {
			await run(server, kind, steps);
		} catch (error) {
			failedAt ??= Date.now();
			throw error;
		}
		taken += steps.length;
	});
	await fc.assert(property, { seed, numRuns });
	say(`MODEL_SEED=${seed} MODEL_RUNS=${numRuns}: ${taken} steps`);
}

test('[4.2] [4.6] [4.7] [5.1] [5.3] [5.5] [8.2] under tight limits the server answers as the model does', async (t) => {
	const limits = {
		...DEFAULTS,
		maxTables: 2,
		maxRowsPerTable: 3,
		maxRowBytes: 120,
		maxAccountBytes: 230,
		maxBatchOperations: 4,
		maxQueryLimit: 3,
		maxVersionsPerRow: 3,
		maxArchiveBytes: 550,
	};
	const server = await startServer(settingsOf(limits));
	try {
		const kind = { limits, scope: { keys: 3, idempotencyKeys: 5, hours: [], steps: 80 }, runs: 40, prefill: 0 };
		await check(kind, { ...server, advance: () => {} }, (line) => t.diagnostic(line));
	} finally {
		await server.stop();
	}
	assert.deepEqual(faultsOf(server.dataDir), []);
});

test('[4.1] [4.7] [5.2] [5.5] over months the server answers as the model does', async (t) => {
	const limits = { ...DEFAULTS, maxVersionsPerRow: 4 };
	const server = await startClocked(settingsOf(limits));
	try {
		// No sum of a few of these hours is 24, or 30 days.
		const kind = {
			limits,
			scope: { keys: 4, idempotencyKeys: 2, hours: [7, 22, 745], steps: 80 },
			runs: 25,
			prefill: 0,
		};
		await check(kind, server, (line) => t.diagnostic(line));
	} finally {
		await server.stop();
	}
	assert.deepEqual(faultsOf(server.dataDir), []);
});

test('[3.1] [3.3] [3.4] [4.3] [4.4] [4.5] with indexed tables the server answers as the model does', async (t) => {
	const limits = { ...DEFAULTS, maxVersionsPerRow: 3, maxRowsPerTable: 70 };
	const server = await startServer(settingsOf(limits));
	try {
		const kind = { limits, scope: { keys: 40, idempotencyKeys: 3, hours: [], steps: 80 }, runs: 15, prefill: 60 };
		await check(kind, { ...server, advance: () => {} }, (line) => t.diagnostic(line));
		const [indexes] = queryDatabase(server.dataDir, "SELECT count(*) AS n FROM member_indexes WHERE state = 'ready'");
		assert.ok((indexes!.n as number) > 10, 'indexes were made');
	} finally {
		await server.stop();
	}
	assert.deepEqual(faultsOf(server.dataDir), []);
});
