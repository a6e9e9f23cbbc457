import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, codeOf, signIn } from './support/client.ts';
import { faultsOf } from './support/data-dir.ts';
import { assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

const AT_ONCE = 50;

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_ROWS_PER_TABLE: '100', PUMADB_MAX_VERSIONS_PER_ROW: '0' });
	ada = await signIn(server);
});
after(async () => {
	await server.stop();
	assert.deepEqual(faultsOf(server.dataDir), []);
});

function atOnce<T>(call: (n: number) => Promise<T>, count = AT_ONCE): Promise<T[]> {
	return Promise.all(Array.from({ length: count }, (_, n) => call(n)));
}

/** How many answers had each status and code. */
function tally(answers: readonly Answer[]): Record<string, number> {
	const names = answers.map((answer) => [answer.status, codeOf(answer)].join(' ').trim());
	return Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
}

test('[4.3] parallel upserts of one key make one row', async () => {
	const answers = await atOnce((n) => ada.post('/v1/upserts/upsert', { key: 'k', row: { k: 'one', n } }));
	assert.deepEqual(tally(answers), { 200: AT_ONCE });
	assert.equal(answers.filter((answer) => answer.body.created).length, 1);
	const rows = await ada.rows('upserts');
	assert.equal(rows.length, 1);
	assert.deepEqual([...new Set(answers.map((answer) => answer.body.row.id))], [rows[0].id]);
	// Each upsert left the one before it in the archive: none was lost.
	const { versions } = (await ada.get('/v1/upserts/versions', { id: rows[0].id })).body;
	const values = [rows[0].n, ...versions.map((version: Any) => version.row.n)];
	assert.deepEqual(
		values.toSorted((a, b) => a - b),
		Array.from({ length: AT_ONCE }, (_, n) => n),
	);
	assert.deepEqual(
		versions.map((version: Any) => version.version),
		Array.from({ length: AT_ONCE - 1 }, (_, n) => AT_ONCE - 1 - n),
	);
});

test('[4.3] [4.6] parallel upserts make one row for each of several keys, in batches and alone', async () => {
	const keys = ['a', 'b', 'c'];
	const upsert = (user: string, n: number) => ({ key: ['user', 'day'], row: { user, day: 1, n } });
	const answers = await atOnce((n) => {
		if (n % 2 === 0) return ada.post('/v1/several/upsert', upsert(keys[n % 3]!, n));
		const operations = keys.map((user) => ({ action: 'upsert', ...upsert(user, n) }));
		return ada.post('/v1/several/batch', { operations });
	});
	assert.deepEqual(tally(answers), { 200: AT_ONCE });
	const rows = await ada.rows('several', { sort: 'user' });
	assert.deepEqual(
		rows.map((row) => row.user),
		keys,
	);
	assert.equal((await ada.get('/v1/several/count')).body.count, 3);
});

test('[4.7] parallel adds under one idempotency key make one row', async () => {
	const answers = await atOnce((n) =>
		n % 5 === 0
			? ada.post('/v1/keyed/batch', { operations: [{ action: 'add', row: { a: 1 }, idempotencyKey: 'k' }] })
			: ada.post('/v1/keyed', { a: 1 }, { 'idempotency-key': 'k' }),
	);
	const rows = answers.map((answer) => answer.body.results?.[0].result ?? answer.body);
	assert.deepEqual(tally(answers), { 200: AT_ONCE / 5, 201: (AT_ONCE * 4) / 5 });
	assert.deepEqual(await ada.rows('keyed'), [rows[0]]);
	for (const row of rows) assert.deepEqual(row, rows[0]);
	const first = answers.filter((answer) => answer.status === 201 && !answer.headers.has('idempotency-replayed'));
	assert.ok(first.length <= 1, 'one is the first, unless a batch was');
});

test('[4.7] of parallel adds of other JSON under one key, one wins', async () => {
	const answers = await atOnce((n) => ada.post('/v1/reused', { n: n % 5 }, { 'idempotency-key': 'k' }));
	const rows = await ada.rows('reused');
	assert.equal(rows.length, 1);
	assert.deepEqual(tally(answers), { 201: AT_ONCE / 5, '400 idempotency_key_reused': (AT_ONCE * 4) / 5 });
	for (const [n, answer] of answers.entries()) assert.equal(answer.status === 201, n % 5 === rows[0].n);
});

test('[4.2] parallel adds fill a table to its limit, and not beyond', async () => {
	const answers = await atOnce((n) => {
		const row = { n };
		if (n % 3 === 0) return ada.post('/v1/limited', row);
		if (n % 3 === 1) return ada.post('/v1/limited/upsert', { key: 'n', row });
		return ada.post('/v1/limited/batch', { operations: [{ action: 'add', row }] });
	}, 150);
	const { '400 row_limit_reached': refused, ...taken } = tally(answers);
	assert.deepEqual([refused, Object.keys(taken).toSorted()], [50, ['200', '201']]);
	assert.equal((await ada.rows('limited')).length, 100);
	assert.equal((await ada.get('/v1/limited/count')).body.count, 100);
});

test('[4.2] [4.1] parallel first rows begin maxTables tables', async () => {
	const client = await signIn(server);
	const answers = await atOnce((n) => client.post(`/v1/table${n % 25}`, { n }));
	assert.equal(tally(answers)['400 table_limit_reached'], 10);
	const { tables } = (await client.get('/v1/_tables')).body;
	assert.deepEqual(
		tables.map((table: Any) => table.rows),
		Array(20).fill(2),
	);
});

test('[4.6] [4.4] money moved between two rows by batches is never made or lost', async () => {
	const total = 60;
	for (const who of ['a', 'b']) await ada.add('money', { who, balance: total / 2 });
	const balances = async () => {
		const rows = await ada.rows('money');
		return Object.fromEntries(rows.map((row) => [row.who, row.balance]));
	};
	let moves = 0;
	const move = async (n: number): Promise<void> => {
		const [from, to] = n % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
		for (let done = false; !done; ) {
			const seen = await balances();
			assert.equal(seen.a + seen.b, total);
			// Each patch holds only for the balance that was seen; the second fails where the first was overtaken in between.
			const step = (who: string, amount: number) => ({
				action: 'update_where',
				filter: { who, balance: seen[who] },
				patch: { balance: seen[who] + amount },
			});
			const answer = await ada.post('/v1/money/batch', { operations: [step(from!, -1), step(to!, 1)] });
			assert.ok(answer.status === 200 || answer.status === 404, answer.text);
			done = answer.status === 200;
		}
		moves++;
	};
	await atOnce(move, 12);
	assert.equal(moves, 12);
	assert.deepEqual(await balances(), { a: total / 2, b: total / 2 });
	const [{ id }] = await ada.rows('money');
	assert.equal((await ada.get('/v1/money/versions', { id })).body.versions.length, 12);
});

test('[4.6] readers see a batch whole or not at all', async () => {
	await ada.post('/v1/whole/batch', { operations: [0, 1, 2].map((part) => ({ action: 'add', row: { part, n: 0 } })) });
	let writing = true;
	const read = async (): Promise<void> => {
		while (writing) {
			const [rows, exported] = [await ada.rows('whole'), (await ada.get('/v1/_export')).body.tables.whole];
			for (const seen of [rows, exported]) {
				assert.equal(seen.length, 3);
				assert.equal(new Set(seen.map((row: Any) => row.n)).size, 1);
			}
		}
	};
	const write = async (): Promise<void> => {
		for (let n = 1; n <= 60; n++) {
			const operations = [0, 1, 2].map((part) => ({ action: 'update_where', filter: { part }, patch: { n } }));
			assertStatus(await ada.post('/v1/whole/batch', { operations }), 200);
		}
		writing = false;
	};
	await Promise.all([write(), read(), read()]);
});

test('[4.4] [4.5] of parallel calls that take the same row, one gets it', async () => {
	for (let n = 0; n < 10; n++) await ada.add('jobs', { n, state: 'open' });
	const claims = await atOnce((who) =>
		ada.post('/v1/jobs/update_where', { filter: { n: who % 10, state: 'open' }, patch: { state: 'taken', who } }),
	);
	assert.deepEqual(tally(claims), { 200: 10, '404 row_not_found': AT_ONCE - 10 });
	for (const claim of claims.filter((answer) => answer.status === 200)) {
		const { n, who } = claim.body.rows[0];
		assert.equal((await ada.rows('jobs', { filter: { n } }))[0].who, who);
	}
	const deletes = await atOnce((n) => ada.del('/v1/jobs', { filter: { n: n % 10 } }));
	assert.equal(
		deletes.map((answer) => answer.body.deleted).reduce((sum, one) => sum + one, 0),
		10,
	);
	assert.equal((await ada.get('/v1/jobs/count')).body.count, 0);
});

test('[2.1] [3.3] ids grow in the order of creation, whatever comes at once', async () => {
	const answers = await atOnce((n) => ada.post('/v1/ids', { n }));
	const rows = await ada.rows('ids');
	const ids = rows.map((row) => row.id);
	assert.equal(new Set(ids).size, AT_ONCE);
	assert.deepEqual(ids, ids.toSorted());
	assert.deepEqual(new Set(answers.map((answer) => answer.body.id)), new Set(ids));
	const next = await ada.add('ids', {});
	assert.ok(next.id > ids.at(-1)!);
});
