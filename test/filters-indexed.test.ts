import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addAll } from './support/add-all.ts';
import { type Any, type Client, signIn } from './support/client.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { TWO_NODES } from './support/nodes.ts';
import { randomFrom } from './support/random.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { startServer, type TestServer } from './support/server.ts';

/** Filters on tables that are large enough for member indexes: an answer must not depend on whether one is used. */

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

const DEADLINE_MS = 30_000;

/** States of a table's indexes on these members. */
function statesOf(dataDir: string, accountId: string, table: string, members?: readonly string[]): string[] {
	const wanted = members === undefined ? '' : `AND members = '${JSON.stringify(members)}'`;
	const [join, name] = TWO_NODES ? ['', 'table_name'] : ['JOIN tables USING (table_no)', 'name'];
	return queryDatabase(
		dataDir,
		`SELECT state FROM member_indexes ${join} WHERE account_id = '${accountId}' AND ${name} = '${table}' ${wanted}`,
	).map(({ state }) => String(state));
}

/** Asks until the index on the members of this filter is ready. */
async function untilIndexed(client: Client, dataDir: string, table: string, filter: object): Promise<void> {
	const members = Object.keys(filter).sort();
	for (const end = Date.now() + DEADLINE_MS; Date.now() < end; ) {
		await client.get(`/v1/${table}/count`, { filter });
		if (statesOf(dataDir, client.accountId, table, members).includes('ready')) return;
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	throw new Error(`No index on ${members} was made.`);
}

const LONG = 'x'.repeat(120);
/** Values that indexes could confuse: by type, by spelling, by a common beginning, at the lengths where keys become hashes. */
const VALUES: readonly unknown[] = [
	...[null, true, false, 0, -0, 1, -1, 1.5, 2 ** 53, 1e300, 5e-324, '', '0', '1', 'true', 'null', 'a', 'A', 'é', '😀'],
	...[28, 29, 30, 31, 32, 33, 34, 99, 100, 101].map((length) => 'x'.repeat(length)),
	...[`${LONG}a`, `${LONG}b`, `${LONG} `, '€'.repeat(10), '€'.repeat(11), '\uff5e', 'a\u0001b', '\u0005'],
];
const NO_SCALARS: readonly unknown[] = [undefined, undefined, [], {}, [1], { a: 1 }];

function rowAt(n: number): Record<string, unknown> {
	const pick = (list: readonly unknown[], at: number) => list[at % list.length];
	const all = [...VALUES, ...NO_SCALARS];
	return { n, a: pick(all, n), b: pick(all, n * 7 + Math.floor(n / 44)), c: n % 3, even: n % 2 === 0 };
}

/** What the table must hold, kept by the test: rows by id. */
class Model {
	readonly rows = new Map<string, Any>();

	put(...rows: Any[]): void {
		for (const row of rows) this.rows.set(row.id, row);
	}

	/** The rows that match, in order of creation. */
	find(filter: Readonly<Record<string, unknown>>): Any[] {
		const holds = (row: Any) =>
			Object.entries(filter).every(([name, value]) => Object.hasOwn(row, name) && row[name] === value);
		return [...this.rows.values()].filter(holds).sort((a, b) => (a.id < b.id ? -1 : 1));
	}
}

const FILTERS: readonly Record<string, unknown>[] = [
	...VALUES.map((a) => ({ a })),
	...VALUES.map((b) => ({ b })),
	...VALUES.map((b, i) => ({ b, a: VALUES[(i * 5 + 3) % VALUES.length] })),
	...Array.from({ length: 60 }, (_, n) => ({ b: rowAt(n).b, a: rowAt(n).a })).filter(
		({ a, b }) => isScalar(a) && isScalar(b),
	),
	...VALUES.slice(0, 12).map((a, i) => ({ a, c: i % 3 })),
	...[0, 1, 2, 3, '1', null].map((c) => ({ c })),
	{ even: true },
	{ missing: null },
	{ n: 17 },
];

function isScalar(value: unknown): boolean {
	return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

let round = 0;

/** Every filter must find what the model finds, in rows, counted and sorted. */
async function assertSame(client: Client, table: string, model: Model, filters = FILTERS): Promise<void> {
	// An answer is remembered by its query: another limit asks the tables again.
	const limit = 1000 - ++round;
	for (const filter of filters) {
		const expected = model.find(filter);
		const told = JSON.stringify(filter);
		assert.deepEqual(await client.rows(table, { filter, limit }), expected.slice(0, limit), told);
		assert.equal((await client.get(`/v1/${table}/count`, { filter })).body.count, expected.length, told);
		if (expected.length < 2) continue;
		assert.deepEqual(await client.rows(table, { filter, limit: 1 + (round % 3) }), expected.slice(0, 1 + (round % 3)));
		assert.deepEqual(
			await client.rows(table, { filter, limit, sort: '-n' }),
			expected.toSorted((a, b) => b.n - a.n).slice(0, limit),
		);
	}
}

async function fill(client: Client, table: string, model: Model, from: number, to: number): Promise<void> {
	for (let n = from; n < to; n += 100) {
		const rows = Array.from({ length: Math.min(100, to - n) }, (_, i) => rowAt(n + i));
		model.put(...(await addAll(client, table, rows)));
	}
}

test('[3.1] [3.3] answers are the same before and after an index is made, and after every kind of write', async () => {
	const model = new Model();
	await fill(ada, 'things', model, 0, 700);
	// Filters on two members first: with an index on one of them they would need none.
	const onTwo = FILTERS.filter((filter) => Object.keys(filter).length > 1);
	await assertSame(ada, 'things', model, onTwo);
	for (const filter of [
		{ a: 1, b: 1 },
		{ a: 1, c: 1 },
	]) {
		await untilIndexed(ada, server.dataDir, 'things', filter);
	}
	await assertSame(ada, 'things', model);
	for (const filter of [{ a: 1 }, { b: 1 }, { c: 1 }]) {
		await untilIndexed(ada, server.dataDir, 'things', filter);
	}
	await assertSame(ada, 'things', model);
	for (const filter of ['{"a":-0}', '{"a":0.0}', '{"a":0e7}']) {
		assert.deepEqual(await ada.rows('things', { filter }), model.find({ a: 0 }));
	}
	const all = [...model.rows.values()];
	for (const [i, { id }] of all.slice(100, 160).entries()) {
		const patch = { a: VALUES[(i * 3) % VALUES.length], ...(i % 2 === 0 ? { b: { not: 'scalar' } } : { b: LONG }) };
		model.put(assertStatus(await ada.post('/v1/things/update_row', { id, patch }), 200).row);
	}
	for (const filter of [{ a: `${LONG}a` }, { a: null, b: 1 }, { c: 2, a: '1' }]) {
		const patch = { b: 'moved', c: '1' };
		const answer = await ada.post('/v1/things/update_where', { filter, patch, allowMultiple: true });
		assert.equal(assertStatus(answer, 200).updated, model.find(filter).length);
		assert.deepEqual(
			answer.body.rows.map(({ id }: Any) => id),
			model.find(filter).map(({ id }) => id),
		);
		model.put(...answer.body.rows);
	}
	await assertSame(ada, 'things', model);
	const gone: Any[] = [];
	for (const filter of [{ a: true }, { a: 'x'.repeat(33) }, { b: false, a: 0 }, { c: '1' }, { id: all[650].id }]) {
		const expected = model.find(filter);
		assert.deepEqual((await ada.del('/v1/things', { filter })).body, { deleted: expected.length });
		for (const row of expected) model.rows.delete(row.id);
		gone.push(...expected);
	}
	assert.ok(gone.length > 20);
	await assertSame(ada, 'things', model);
	for (const { id } of gone.toReversed()) {
		const [newest] = (await ada.get('/v1/things/versions', { id })).body.versions;
		const answer = await ada.post('/v1/things/restore', {
			id,
			version: Math.max(1, newest.version - (newest.version % 2)),
		});
		model.put(assertStatus(answer, 200).row);
	}
	await fill(ada, 'things', model, 700, 760);
	await assertSame(ada, 'things', model);
	await assertSame(ada, 'things', model, [{}]);
});

test('[3.1] answers are right while an index is being made and rows change', async () => {
	const model = new Model();
	const random = randomFrom(20_261_124);
	const eve = await signIn(server);
	await fill(eve, 'busy', model, 0, 900);
	const ids = [...model.rows.keys()];
	const writes = Array.from({ length: 120 }, async (_, i) => {
		const id = ids[(i * 7) % ids.length]!;
		if (i % 3 === 0) {
			assert.deepEqual((await eve.del('/v1/busy', { filter: { id } })).body, { deleted: 1 });
			model.rows.delete(id);
		} else if (i % 3 === 1) {
			const patch = { a: random.pick(VALUES), late: true };
			model.put(assertStatus(await eve.post('/v1/busy/update_row', { id, patch }), 200).row);
		} else model.put(await eve.add('busy', { n: 2000 + i, a: random.pick(VALUES), late: true }));
	});
	// Each asks for an index on other members, while the writes run.
	const indexed = (filter: object) => untilIndexed(eve, server.dataDir, 'busy', filter);
	const reads = indexed({ a: 1, late: true }).then(() =>
		Promise.all([{ a: 1 }, { late: true }, { b: 1 }].map(indexed)),
	);
	await Promise.all([...writes, reads]);
	await assertSame(eve, 'busy', model, [
		...FILTERS,
		{ late: true },
		{ late: false },
		...VALUES.map((a) => ({ a, late: true })),
	]);
});

test('[3.1] answers are right when a table shrinks below the size of an index and grows again', async () => {
	const model = new Model();
	const eve = await signIn(server);
	await fill(eve, 'tide', model, 0, 100);
	await untilIndexed(eve, server.dataDir, 'tide', { a: 1 });
	await untilIndexed(eve, server.dataDir, 'tide', { c: 1 });
	for (const keep of [20, 0]) {
		for (const { id } of [...model.rows.values()].slice(keep)) {
			await eve.del('/v1/tide', { filter: { id } });
			model.rows.delete(id);
		}
		await assertSame(eve, 'tide', model);
		for (const { id } of [...model.rows.values()].slice(0, 10)) {
			model.put((await eve.post('/v1/tide/update_row', { id, patch: { a: 'changed', c: null } })).body.row);
		}
		await fill(eve, 'tide', model, 200, 300);
		await assertSame(eve, 'tide', model, [...FILTERS, { a: 'changed' }]);
	}
});

test('[3.1] more sets of members than a table has indexes for are filtered on rightly, an hour later too', async () => {
	const clocked: ClockedServer = await startClocked();
	try {
		const eve = await signIn(clocked);
		const members = Array.from({ length: 12 }, (_, i) => `m${i}`);
		const model = new Model();
		const row = (n: number) => Object.fromEntries([['n', n], ...members.map((name, i) => [name, (n * (i + 1)) % 5])]);
		model.put(
			...(await addAll(
				eve,
				'wide',
				Array.from({ length: 100 }, (_, n) => row(n)),
			)),
		);
		const filters = members.flatMap((name) => [{ [name]: 1 }, { [name]: 4, m0: 2 }]);
		const settled = () => statesOf(clocked.dataDir, eve.accountId, 'wide').every((state) => state === 'ready');
		for (const hours of [0, 2, 2, 2]) {
			clocked.advance(hours * 3_600_000);
			// Rows change while indexes come and go.
			const { body } = await eve.post('/v1/wide/update_where', { filter: { n: hours }, patch: { m3: 1, m7: 4 } });
			model.put(...(body.rows ?? []));
			await assertSame(eve, 'wide', model, filters);
			for (const end = Date.now() + DEADLINE_MS; !settled() && Date.now() < end; ) {
				await new Promise((resolve) => setTimeout(resolve, 10));
			}
			assert.ok(settled());
			await assertSame(eve, 'wide', model, filters);
			assert.ok(statesOf(clocked.dataDir, eve.accountId, 'wide').length <= 8);
		}
		assert.deepEqual(faultsOf(clocked.dataDir), []);
	} finally {
		await clocked.stop();
	}
});

test('[3.1] where an index on some members leaves few rows, the others need none of their own', async () => {
	const model = new Model();
	const eve = await signIn(server);
	await fill(eve, 'narrow', model, 0, 300);
	await untilIndexed(eve, server.dataDir, 'narrow', { n: 1 });
	for (let n = 0; n < 300; n += 37) {
		for (const filter of [
			{ n, c: n % 3 },
			{ n, c: 3 },
			{ n, even: n % 2 === 0, c: n % 3 },
			{ n: '1', c: 1 },
		]) {
			assert.deepEqual(await eve.rows('narrow', { filter }), model.find(filter));
			assert.equal((await eve.get('/v1/narrow/count', { filter })).body.count, model.find(filter).length);
		}
	}
	// What reads ask for is heard by the time a later write is answered.
	await eve.add('narrow', {});
	assert.deepEqual(statesOf(server.dataDir, eve.accountId, 'narrow'), ['ready']);
});

test('[4.3] [3.1] natural keys find their row in a large table', async () => {
	const eve = await signIn(server);
	const key = ['user', 'day'];
	const row = (n: number, v: number) => ({ user: n % 20 === 0 ? n : `${LONG}${n % 20}`, day: Math.floor(n / 20), v });
	const upsert = async (n: number, v: number) =>
		assertStatus(await eve.post('/v1/days/upsert', { key, row: row(n, v) }), 200);
	for (let n = 0; n < 200; n++) assert.equal((await upsert(n, 1)).created, true);
	await untilIndexed(eve, server.dataDir, 'days', { day: 1, user: 'x' });
	for (let n = 0; n < 200; n += 3) assert.equal((await upsert(n, 2)).created, false);
	assert.equal((await eve.rows('days')).length, 200);
	assert.equal((await eve.rows('days', { filter: { v: 2 } })).length, 67);
	// Other types, and half of the key, are other keys.
	for (const other of [
		{ user: '0', day: 0 },
		{ user: 0, day: '0' },
		{ user: false, day: 0 },
		{ user: 1, day: 0 },
	]) {
		assert.equal((await eve.post('/v1/days/upsert', { key, row: other })).body.created, true);
	}
	const parallel = await Promise.all(
		Array.from({ length: 20 }, (_, v) => eve.post('/v1/days/upsert', { key, row: row(1000, v) })),
	);
	assert.equal(parallel.filter(({ body }) => body.created).length, 1);
	await eve.add('days', row(40, 3));
	assertRefused(await eve.post('/v1/days/upsert', { key, row: row(40, 4) }), 400, 'key_not_unique');
	const several = { filter: { user: 40, day: 2 }, patch: { v: 5 } };
	assert.equal(assertRefused(await eve.post('/v1/days/update_where', several), 409, 'multiple_matches').matched, 2);
	assertRefused(
		await eve.post('/v1/days/update_where', { ...several, filter: { user: 40, day: 3 } }),
		404,
		'row_not_found',
	);
});

test('[3.1] the indexes of all these tables agree with their rows', () => {
	assert.deepEqual(faultsOf(server.dataDir), []);
});
