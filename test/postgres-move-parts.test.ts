import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { newAccountId } from '../src/accounts/secrets.ts';
import { makeFilter } from '../src/domain/filter.ts';
import type { RowOperation } from '../src/domain/writes.ts';
import { compareKind, encoded } from '../src/store/move/compare.ts';
import { columnsOf, type Fields, KIND_NAMES, type KindName, kindOf } from '../src/store/move/kinds.ts';
import { move, type Teller } from '../src/store/move/move.ts';
import { openSource, openTarget, placeOf } from '../src/store/move/open.ts';
import * as postgres from '../src/store/postgres/move-layout.ts';
import { DatabaseTarget } from '../src/store/postgres/move-target.ts';
import { faultsOf as postgresFaults } from '../src/store/postgres/store.ts';
import { openWriter } from '../src/store/sqlite/driver.ts';
import { migrate as migrateFile } from '../src/store/sqlite/migrate.ts';
import * as file from '../src/store/sqlite/move-layout.ts';
import { json } from './support/arbitraries.ts';
import { clientWith, send } from './support/client.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { type Filled, fill } from './support/move.ts';
import { database, query } from './support/postgres.ts';
import { seedFrom } from './support/random.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startNode, temporaryDir } from './support/server.ts';
import { openStoreOn } from './support/store.ts';

/** What a move is made of: what it carries, how it compares, and any accounts whatever. */

const QUIET: Teller = { begins() {}, carried() {}, compared() {} };
let databases = 0;
const emptyDatabase = (): Promise<string> => database(`parts_${process.pid}_${++databases}`);

/** Moves within this process. @returns the differences. */
async function moved(from: string, to: string): Promise<readonly string[]> {
	const source = await openSource(placeOf(from)!);
	const target = await openTarget(placeOf(to)!);
	try {
		const stopped = new AbortController().signal;
		const comparisons = await move({ source, target, stopped, tell: QUIET });
		return comparisons.flatMap(({ differences }) => differences);
	} finally {
		await target.close();
		await source.close();
	}
}

const dataDir = temporaryDir();
let url: string;
let filled: Filled;

before(async () => {
	const server = await startNode(NO_RATE_LIMITS, dataDir);
	try {
		filled = await fill(server);
	} finally {
		await server.stop();
	}
	url = await emptyDatabase();
	assert.deepEqual(await moved(dataDir, url), []);
});

/** Every table of a schema with its columns, as `table.column`. */
async function schemas(): Promise<{ file: string[]; postgres: string[] }> {
	const db = openWriter(join(temporaryDir(), 'empty'));
	migrateFile(db);
	const inFile = db
		.prepare(
			`SELECT t.name || '.' || c.name AS name FROM sqlite_schema t, pragma_table_info(t.name) c
				WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'`,
		)
		.all();
	db.close();
	const inDatabase = await query(
		url,
		`SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'pumadb'`,
	);
	return { file: inFile.map(({ name }) => String(name)), postgres: inDatabase.map(({ name }) => name as string) };
}

test('[13.12] every table and column of both schemas is carried, or named with the reason why not', async () => {
	const { file: inFile, postgres: inDatabase } = await schemas();
	for (const [engine, all, left, tables] of [
		['the file', inFile, file.NOT_CARRIED, file.TABLES],
		['PostgreSQL', inDatabase, postgres.NOT_CARRIED, {}],
	] as const) {
		const carried = new Set(
			KIND_NAMES.flatMap((kind) => {
				const places = (tables as Partial<Record<KindName, readonly string[]>>)[kind] ?? [kind];
				return places.flatMap((table) => columnsOf(kind).map((column) => `${table}.${column}`));
			}),
		);
		const forgotten = all.filter(
			(name) => !carried.has(name) && !(name in left) && !((name.split('.')[0] ?? '') in left),
		);
		assert.deepEqual(forgotten, [], `"pumadb move" does not carry these of ${engine}: see src/store/move/kinds.ts`);
		const stale = Object.keys(left).filter((name) => !all.some((one) => one === name || one.startsWith(`${name}.`)));
		assert.deepEqual(stale, [], `${engine} does not have these any more`);
	}
});

/** Another value than the one that is there, which the column takes. */
function changed(kind: KindName, column: string): string {
	if (column === 'made_by') return `CASE made_by WHEN 'api' THEN 'operator' ELSE 'api' END`;
	if (kind === 'tokens' && column === 'kind') return `CASE kind WHEN 'access' THEN 'refresh' ELSE 'access' END`;
	const type = kindOf(kind).columns[column];
	if (type === 'integer') return `coalesce(${column}, 0) + 1`;
	if (type === 'boolean') return `NOT ${column}`;
	if (type === 'id') return `'00000000-0000-7000-8000-000000000000'::uuid`;
	return `coalesce(${column}, '') || ' '`;
}

test('[13.13] a difference in any column of any kind is found, and its account is named', async () => {
	const source = await openSource(placeOf(dataDir)!);
	const target = await openTarget(placeOf(url)!);
	try {
		for (const kind of KIND_NAMES) {
			const whole = await compareKind(kind, source, target, () => {});
			assert.ok(whole.same && whole.source.records > 0, `${kind}: ${whole.differences}`);
			await query(url, `CREATE TABLE public.kept AS SELECT * FROM ${kind}`);
			const restored = async (): Promise<void> => {
				await query(url, `DELETE FROM ${kind}`);
				await query(url, `INSERT INTO ${kind} SELECT * FROM public.kept`);
			};
			for (const column of columnsOf(kind)) {
				const [row] = await query(
					url,
					`UPDATE ${kind} SET ${column} = ${changed(kind, column)} WHERE ctid = (SELECT ctid FROM ${kind} LIMIT 1) RETURNING *`,
				);
				const { same, differences } = await compareKind(kind, source, target, () => {});
				assert.ok(!same, `${kind}.${column} was changed to ${row[column]}, and nobody noticed`);
				if (
					row.account_id !== undefined &&
					row.account_id !== null &&
					column !== 'account_id' &&
					kind !== 'authorizations'
				)
					assert.ok(differences[0]!.includes(`account ${row.account_id}:`), String(differences));
				await restored();
			}
			await query(url, `DELETE FROM ${kind} WHERE ctid = (SELECT ctid FROM ${kind} LIMIT 1)`);
			assert.equal((await compareKind(kind, source, target, () => {})).same, false, `a missing record of ${kind}`);
			await restored();
			await query(url, 'DROP TABLE public.kept');
			assert.equal((await compareKind(kind, source, target, () => {})).same, true);
		}
	} finally {
		await target.close();
		await source.close();
	}
});

const own = fc
	.record({ k: fc.constantFrom('a', 'b', 'ü'), v: json, more: fc.constantFrom('', 'y'.repeat(300)) })
	.map((row) => JSON.stringify(row));
const filter = fc.constantFrom('a', 'b', 'ü').map((k) => makeFilter([['k', k]]));
const operation: fc.Arbitrary<RowOperation> = fc.oneof(
	{ weight: 3, arbitrary: own.map((text): RowOperation => ({ action: 'add', own: text })) },
	fc
		.tuple(own, fc.string({ minLength: 1, maxLength: 3 }))
		.map(([text, key]): RowOperation => ({ action: 'add', own: text, idempotency: { key, fingerprint: text } })),
	fc
		.tuple(filter, own)
		.map(([match, patch]): RowOperation => ({ action: 'update_where', filter: match, patch, allowMultiple: true })),
	filter.map((match): RowOperation => ({ action: 'delete', filter: match })),
);
/** Accounts, each with what is done in its tables. */
const services = fc.array(fc.array(fc.tuple(fc.constantFrom('one', 'two', 'three'), operation), { maxLength: 25 }), {
	minLength: 1,
	maxLength: 4,
});

test('[13.12] [13.13] any accounts whatever go to PostgreSQL and back, and both are sound', async (t) => {
	const seed = seedFrom('MOVE_SEED');
	t.diagnostic(`MOVE_SEED=${seed}`);
	const places = temporaryDir();
	let runs = 0;
	await fc.assert(
		fc.asyncProperty(services, async (accounts) => {
			const [from, there, back] = [join(places, `${++runs}`), await emptyDatabase(), join(places, `${runs}-back`)];
			const store = await openStoreOn(from, Date.now);
			const ids: string[] = [];
			for (const calls of accounts) {
				const key = { id: `key_${ids.length}`, name: 'k', secretHash: 'a'.repeat(64), secretStart: 'abcd' };
				const made = await store.writeAccounts({
					command: 'createKeyForEmail',
					email: `person-${ids.length}@example.com`,
					freshAccountId: newAccountId(),
					key: { ...key, madeBy: 'api' },
				});
				assert.ok('accountId' in made);
				ids.push(made.accountId!);
				for (const [table, one] of calls) {
					await store.writeRows({ accountId: made.accountId!, table, operations: [one] });
				}
			}
			await store.close();
			assert.deepEqual(await moved(from, there), []);
			assert.deepEqual(await moved(there, back), []);
			assert.deepEqual(await postgresFaults(there), []);
			assert.deepEqual(faultsOf(back), []);
			const ordered = `SELECT t.account_id, t.name, r.text FROM rows r JOIN tables t USING (table_no) ORDER BY t.account_id, t.name, place`;
			assert.deepEqual(queryDatabase(back, ordered), queryDatabase(from, ordered));
		}),
		{ seed, numRuns: Number(process.env.MOVE_RUNS || 12) },
	);
});

test('[13.13] different records are never told apart by nothing: their encoding is different', () => {
	const value = fc.oneof(
		fc.constantFrom<string | number | boolean | null>(null, '', 'n', 't1:a', 'i1;', 'b0', 0, -1, 1, true, false),
		fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
		fc.maxSafeInteger(),
	);
	const record = fc.array(value, { minLength: 1, maxLength: 5 });
	fc.assert(
		fc.property(record, record, (one, other) => {
			assert.equal(encoded(one) === encoded(other), JSON.stringify(one) === JSON.stringify(other));
		}),
		{ numRuns: 2000 },
	);
});

test('[13.13] of two runs into one database only the later goes on', async () => {
	const to = await emptyDatabase();
	const [early, late] = [await DatabaseTarget.open(to), await DatabaseTarget.open(to)];
	const counts = Object.fromEntries(KIND_NAMES.map((kind) => [kind, 0])) as Record<KindName, number>;
	const client: Fields = ['a', null, '{}', null, 1, 1, null];
	await early.begin('somewhere', counts);
	assert.equal((await late.begin('somewhere', counts)).last, undefined);
	await assert.rejects(early.put('clients', [client], ['a']), /has taken over/);
	await late.put('clients', [client], ['a']);
	assert.deepEqual((await late.begun())?.last, { kind: 'clients', position: ['a'] });
	assert.equal((await query(to, 'SELECT 1 FROM clients')).length, 1);
	await early.close();
	await late.close();
});

test('[13.14] a server that starts on the source meanwhile reads, and cannot write', async () => {
	const source = await openSource(placeOf(url)!);
	const server = await startNode({ ...NO_RATE_LIMITS, PUMADB_DATABASE_URL: url }, temporaryDir());
	try {
		assertRefused(
			await send(server.url, 'POST', '/auth/magic-link', { json: { email: 'x@example.com' } }),
			503,
			'storage_unavailable',
		);
		assertRefused(await clientWith(server, filled.keys[0]!).post('/v1/notes', { n: 1 }), 503, 'storage_unavailable');
		assertStatus(await clientWith(server, filled.keys[0]!).get('/v1/notes'), 200);
		await source.close();
		assertStatus(await clientWith(server, filled.keys[0]!).post('/v1/notes', { n: 1 }), 201);
	} finally {
		await server.kill();
	}
});
