import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newAccountId } from '../src/accounts/secrets.ts';
import { readConfig } from '../src/config.ts';
import { makeFilter } from '../src/domain/filter.ts';
import type { Scalar } from '../src/domain/json.ts';
import { identityOf } from '../src/domain/row.ts';
import type { RowOperation } from '../src/domain/writes.ts';
import { openStore } from '../src/store/open.ts';
import type { RowsOutcome, Store } from '../src/store/seam.ts';
import { database } from './support/postgres.ts';
import { seedFrom } from './support/random.ts';
import { type Env, temporaryDir } from './support/server.ts';

/** The two engines side by side: the same calls at the same moments must have the same outcomes. */

const NOW = Date.parse('2026-01-01T00:00:00Z');
let databases = 0;

async function open(env: Env, clock: () => number): Promise<Store> {
	return openStore({
		config: readConfig({ PUMADB_DATABASE_CONNECTIONS: '6', ...env }, {}),
		clock,
		onFault: (message, cause) => assert.fail(`${message} ${cause}`),
		onFatal: () => assert.fail('The writer failed.'),
	});
}

async function emptyDatabase(): Promise<string> {
	return database(`stores_${process.pid}_${++databases}`);
}

/** Makes an account. @returns its id. */
async function account(store: Store, email: string): Promise<string> {
	const key = {
		id: `key_${email}`,
		name: 'k',
		secretHash: 'a'.repeat(64),
		secretStart: 'abcd',
		madeBy: 'api',
	} as const;
	const outcome = await store.writeAccounts({
		command: 'createKeyForEmail',
		email,
		freshAccountId: newAccountId(),
		key,
	});
	assert.ok('accountId' in outcome);
	return outcome.accountId!;
}

const scalar = fc.oneof(
	fc.constantFrom<Scalar>(null, true, false, 0, 1, -1.5, 1e300, '', 'a', 'A', 'é', '😀', '"\\', 'x'.repeat(40)),
);
const own = fc
	.record({ k: fc.constantFrom('a', 'b', 'c'), v: scalar, more: fc.constantFrom('', 'y'.repeat(30)) })
	.map((row) => JSON.stringify(row));
const filter = fc.oneof(
	fc.constantFrom('a', 'b', 'c').map((k) => makeFilter([['k', k]])),
	scalar.map((v) => makeFilter([['v', v]])),
	fc.tuple(fc.constantFrom('a', 'b'), scalar).map(([k, v]) =>
		makeFilter([
			['k', k],
			['v', v],
		]),
	),
);
/** Rows are named by the order in which they came: ids differ from engine to engine. */
type Named = RowOperation & { readonly ref?: number };
const NOWHERE = 12;
const named = fc.nat(NOWHERE);
/** An upsert is found by values of the row that it brings. */
function upsert(own: string, key: readonly string[]): Named {
	const row = JSON.parse(own) as Readonly<Record<string, Scalar>>;
	return { action: 'upsert', match: makeFilter(key.map((name) => [name, row[name]!])), own };
}
const operation: fc.Arbitrary<Named> = fc.oneof(
	own.map((text): Named => ({ action: 'add', own: text })),
	fc
		.tuple(own, fc.constantFrom('i', 'j'))
		.map(([text, key]): Named => ({ action: 'add', own: text, idempotency: { key, fingerprint: text } })),
	fc.tuple(own, fc.constantFrom(['k'], ['v'], ['k', 'v'])).map(([text, key]) => upsert(text, key)),
	fc.tuple(named, own).map(([ref, patch]): Named => ({ action: 'update_row', id: '', patch, ref })),
	fc
		.tuple(filter, own, fc.boolean())
		.map(([where, patch, all]): Named => ({ action: 'update_where', filter: where, patch, allowMultiple: all })),
	filter.map((where): Named => ({ action: 'delete', filter: where })),
	fc
		.tuple(named, fc.integer({ min: 1, max: 4 }))
		.map(([ref, version]): Named => ({ action: 'restore', id: '', version, ref })),
);
/** Rows of a few natural keys, and changes of a few rows: what may be loaded together, and what may not. */
const some = fc.nat(NOWHERE - 1);
const related: fc.Arbitrary<Named> = fc.oneof(
	{
		weight: 3,
		arbitrary: own.map((text) => upsert(text, ['k'])),
	},
	{
		weight: 6,
		arbitrary: fc.tuple(some, own).map(([ref, patch]): Named => ({ action: 'update_row', id: '', patch, ref })),
	},
	{
		weight: 1,
		arbitrary: fc
			.tuple(some, fc.integer({ min: 1, max: 3 }))
			.map(([ref, version]): Named => ({ action: 'restore', id: '', version, ref })),
	},
	{ weight: 1, arbitrary: own.map((text): Named => ({ action: 'add', own: text })) },
);
/** Calls at once, each of one operation or a batch, then hours that pass. */
const calls = fc.array(
	fc.record({
		table: fc.constantFrom('one', 'two'),
		operations: fc.oneof(
			{ weight: 3, arbitrary: fc.tuple(operation) },
			fc.array(operation, { minLength: 2, maxLength: 6 }),
		),
		hours: fc.constantFrom(0, 0, 0, 1, 23),
	}),
	{ minLength: 1, maxLength: 25 },
);

/** One table, whose rows batches look at and change again and again. */
const batches = fc.array(
	fc.record({
		table: fc.constant('one'),
		operations: fc.array(related, { minLength: 1, maxLength: 8 }),
		hours: fc.constantFrom(0, 0, 1),
	}),
	{ minLength: 1, maxLength: 15 },
);

/** One engine, with what its ids are called. */
class Side {
	readonly #store: Store;
	readonly #accountId: string;
	readonly #ids: string[] = [];

	constructor(store: Store, accountId: string) {
		this.#store = store;
		this.#accountId = accountId;
	}

	async write(table: string, operations: readonly Named[]): Promise<unknown> {
		const asked = operations.map(({ ref, ...one }) =>
			ref === undefined ? one : { ...one, id: this.#idOf(ref) },
		) as RowOperation[];
		return this.#anonymous(await this.#store.writeRows({ accountId: this.#accountId, table, operations: asked }));
	}

	/** Mostly one that there was. */
	#idOf(ref: number): string {
		return (ref === NOWHERE ? undefined : this.#ids[ref % this.#ids.length]) ?? '0197a1b2-0000-7000-8000-000000000000';
	}

	async everything(): Promise<unknown> {
		const { read } = this.#store;
		const tables: unknown[] = [];
		for await (const piece of await read.export(this.#accountId)) tables.push(piece);
		const versions: unknown[] = [];
		for (const id of this.#ids) {
			for (const table of ['one', 'two']) versions.push(await read.versions(this.#accountId, table, id, '', 100));
		}
		return this.#anonymous([
			tables,
			versions,
			await read.tables(this.#accountId, ''),
			await read.usage(this.#accountId),
		]);
	}

	#anonymous(value: unknown): unknown {
		const text = JSON.stringify(value);
		for (const id of text.match(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g) ?? []) {
			if (!this.#ids.includes(id) && !id.startsWith('0197a1b2-0000')) this.#ids.push(id);
		}
		return JSON.parse(this.#ids.reduce((all, id, i) => all.replaceAll(id, `id-${i}`), text));
	}
}

/** Limits that most calls run into, and limits that none does but the archive's. */
const LIMITS = {
	PUMADB_MAX_TABLES: '2',
	PUMADB_MAX_ROWS_PER_TABLE: '8',
	PUMADB_MAX_ROW_BYTES: '80',
	PUMADB_MAX_ACCOUNT_BYTES: '600',
	PUMADB_MAX_VERSIONS_PER_ROW: '2',
	PUMADB_MAX_ARCHIVE_BYTES: '1500',
};
const WIDE = { PUMADB_MAX_VERSIONS_PER_ROW: '3', PUMADB_MAX_ARCHIVE_BYTES: '900' };

for (const [name, limits, history] of [
	['whatever is asked of them', LIMITS, calls],
	['whatever a batch has of the same rows', WIDE, batches],
] as const) {
	test(`[2.2] [4.6] [4.7] [5.1] [5.3] [5.5] both engines do the same, ${name}`, async (t) => {
		let now = NOW;
		const file = await open({ ...limits, PUMADB_DATA_DIR: temporaryDir() }, () => now);
		const server = await open({ ...limits, PUMADB_DATABASE_URL: await emptyDatabase() }, () => now);
		let accounts = 0;
		const seed = seedFrom('STORES_SEED');
		const numRuns = Number(process.env.STORES_RUNS || 60);
		try {
			await fc.assert(
				fc.asyncProperty(history, async (some) => {
					const email = `person-${++accounts}@example.com`;
					const sides = [new Side(file, await account(file, email)), new Side(server, await account(server, email))];
					for (const { table, operations, hours } of some) {
						const [one, other] = await Promise.all(sides.map((side) => side.write(table, operations)));
						assert.deepEqual(other, one);
						now += hours * 3_600_000 + 1;
					}
					const [one, other] = await Promise.all(sides.map((side) => side.everything()));
					assert.deepEqual(other, one);
				}),
				{ seed, numRuns },
			);
		} finally {
			await file.close();
			await server.close();
		}
		t.diagnostic(`STORES_SEED=${seed} STORES_RUNS=${numRuns}`);
	});
}

function idIn(outcome: RowsOutcome): string {
	assert.ok('results' in outcome);
	return identityOf(outcome.results[0]!).id;
}

test('[2.1] [3.3] [6.8] clocks of nodes may differ: ids grow, time does not run backwards, windows are counted once', async () => {
	const url = await emptyDatabase();
	const env = { PUMADB_DATABASE_URL: url };
	let now = NOW;
	const stores = [await open(env, () => now), await open(env, () => now - 20_000), await open(env, () => now + 3)];
	const accountId = await account(stores[0]!, 'ada@example.com');
	const texts: string[] = [];
	for (let n = 0; n < 30; n++) {
		const add = { accountId, table: 'notes', operations: [{ action: 'add', own: `{"n":${n}}` }] } as const;
		const outcome = await stores[n % 3]!.writeRows(add);
		idIn(outcome);
		if ('results' in outcome) texts.push(outcome.results[0]!);
		now += 1;
	}
	const identities = texts.map(identityOf);
	assert.deepEqual(
		identities.map(({ id }) => id),
		identities.map(({ id }) => id).toSorted(),
	);
	const stamps = identities.map(({ createdAt }) => createdAt);
	assert.deepEqual(stamps, stamps.toSorted());
	const windows = stores.map((store) => store.windows(60_000));
	const counted: boolean[] = [];
	for (let n = 0; n < 15; n++) counted.push((await windows[n % 3]!.count(accountId, 'reads key', 10)).admitted);
	assert.deepEqual(counted, [...Array(10).fill(true), ...Array(5).fill(false)]);
	now += 60_001 + 20_000;
	assert.equal((await windows[1]!.count(accountId, 'reads key', 10)).remaining, 9);
	for (const store of stores) await store.close();
});
