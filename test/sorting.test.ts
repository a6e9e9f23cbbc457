import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addAll } from './support/add-all.ts';
import { type Any, type Client, signIn } from './support/client.ts';
import { startClocked } from './support/in-process.ts';
import { assertRefused } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
});
after(() => server.stop());

/** Values in the order of `sort`; those in one list are equal. */
const ORDER: readonly (readonly unknown[])[] = [
	[null, null],
	[false, false],
	[true],
	[-1.7976931348623157e308],
	[-10],
	[-9],
	[-5e-324],
	[0, -0, 0],
	[5e-324],
	[0.1],
	[1, 1],
	[9],
	[10],
	[2 ** 53],
	[1e308],
	['', ''],
	['\t'],
	[' '],
	['"'],
	['10'],
	['9'],
	['A'],
	['B'],
	['a', 'a'],
	['a '],
	['aa'],
	['ab'],
	['b'],
	['false'],
	['null'],
	['z'],
	['é'],
	['é\uff5e'],
	['é😀'],
	[`\u2000${'x'.repeat(40)}`],
	['\ud7ff'],
	['\ue000'],
	['\uff5e'],
	['\uff5ea'],
	['\uffff'],
	['\u{10000}'],
	['😀'],
	['😀😀'],
	['\u{10ffff}'],
	[[], {}, [1], { a: 1 }, [[]], { b: [] }, ['a']],
];

/** Rows of {@link ORDER} in an order of creation that is neither of the sorted ones, missing members among them. */
async function sortable(table: string): Promise<Any[]> {
	const values = ORDER.flatMap((equals, rank) => equals.map((v) => ({ rank, v })));
	const rows: object[] = [...values, { rank: 999 }, { rank: 999, w: 1 }, { rank: 999 }];
	const shuffled = rows.map((_, i) => rows[(i * 37 + 11) % rows.length]!);
	assert.equal(new Set(shuffled).size, rows.length);
	return addAll(ada, table, shuffled);
}

test('[3.4] sort orders values of every type in both directions, missing last, ties by creation', async () => {
	const rows = await sortable('sorted');
	const ascending = rows.toSorted((a, b) => a.rank - b.rank);
	const missing = rows.filter(({ rank }) => rank === 999);
	const descending = rows.filter(({ rank }) => rank !== 999).toSorted((a, b) => b.rank - a.rank);
	const ranks = (list: Any[]) => list.map(({ rank, id }) => `${rank} ${id}`);
	assert.deepEqual(ranks(await ada.rows('sorted', { sort: 'v' })), ranks(ascending));
	assert.deepEqual(ranks(await ada.rows('sorted', { sort: '-v' })), ranks([...descending, ...missing]));
	for (const limit of [1, 5, 40]) {
		assert.deepEqual(await ada.rows('sorted', { sort: 'v', limit }), ascending.slice(0, limit));
		assert.deepEqual(await ada.rows('sorted', { sort: '-v', limit }), descending.slice(0, limit));
	}
	const none = await ada.rows('sorted', { sort: 'nothing' });
	assert.deepEqual(none, rows);
	assert.deepEqual(await ada.rows('sorted', { sort: '-nothing' }), rows);
	assert.deepEqual(
		await ada.rows('sorted', { sort: '-v', filter: { rank: 44 } }),
		rows.filter(({ rank }) => rank === 44),
	);
});

test('[3.4] megabytes of rows are sorted as a few are', async () => {
	const rows: Any[] = [];
	for (let n = 0; n < 60; n++) rows.push(await ada.add('heavy', { n: (n * 37) % 60, pad: 'x'.repeat(30_000) }));
	const sorted = rows.toSorted((a, b) => b.n - a.n).map(({ id }) => id);
	assert.deepEqual(
		(await ada.rows('heavy', { sort: '-n' })).map(({ id }) => id),
		sorted,
	);
	assert.deepEqual(
		(await ada.rows('heavy', { sort: '-n', limit: 7 })).map(({ id }) => id),
		sorted.slice(0, 7),
	);
});

test('[3.4] rows are sorted by the members of the service too, and by names with a hyphen', async () => {
	const rows = await addAll(ada, 'names', [
		{ '-a': 1, a: 3 },
		{ '-a': 2, a: 2 },
		{ '-a': 3, a: 1 },
	]);
	const reversed = rows.toReversed();
	for (const [sort, expected] of [
		['id', rows],
		['-id', reversed],
		['created_at', rows],
		// One batch, one moment: ties by creation.
		['-created_at', rows],
		['--a', reversed],
		['-a', rows],
		['a', reversed],
	] as const) {
		assert.deepEqual(await ada.rows('names', { sort }), expected, sort);
	}
});

test('[3.4] sort without a member is refused', async () => {
	for (const table of ['sorted', 'absent']) {
		for (const query of ['sort=', 'sort=-', 'sort', 'limit=1&sort=']) {
			assertRefused(await ada.call('GET', `/v1/${table}?${query}`), 400, 'invalid_sort');
		}
	}
});

test('[3.3] without sort rows come in order of creation, which is that of ids; a restored row is back in its place', async () => {
	const rows = await addAll(
		ada,
		'created',
		Array.from({ length: 100 }, (_, n) => ({ n })),
	);
	rows.push(...(await Promise.all(Array.from({ length: 30 }, (_, n) => ada.add('created', { n: 100 + n })))));
	rows.sort((a, b) => (a.id < b.id ? -1 : 1));
	assert.deepEqual(
		rows.slice(0, 100).map(({ n }) => n),
		Array.from({ length: 100 }, (_, n) => n),
	);
	assert.deepEqual(await ada.rows('created'), rows);
	const { row } = (await ada.post('/v1/created/update_row', { id: rows[7].id, patch: { n: -1 } })).body;
	assert.deepEqual((await ada.rows('created', { limit: 8 }))[7], row);
	await ada.del('/v1/created', { filter: { id: rows[50].id } });
	await ada.add('created', { n: 500 });
	const { row: restored } = (await ada.post('/v1/created/restore', { id: rows[50].id, version: 1 })).body;
	assert.deepEqual((await ada.rows('created'))[50], restored);
	assert.deepEqual(await ada.rows('created', { filter: { n: 50 } }), [restored]);
	// Each id is greater than the account's last, in whatever table it is.
	let last = '';
	for (const table of ['created', 'other', 'created', 'other']) {
		const { id } = await ada.add(table, {});
		assert.ok(id > last);
		last = id;
	}
});

test('[3.5] limit is a whole number from 1 to maxQueryLimit', async () => {
	await addAll(ada, 'limited', [{ n: 1 }, { n: 2 }, { n: 3 }]);
	for (const [limit, rows] of [
		[1, 1],
		[2, 2],
		[3, 3],
		[999, 3],
		[1000, 3],
	] as const) {
		assert.equal((await ada.rows('limited', { limit })).length, rows);
	}
	const bad = [
		'0',
		'-1',
		'1001',
		'1.5',
		'1.0',
		'1e2',
		'',
		'%205',
		'5%20',
		'+5',
		'%2B5',
		'0x10',
		'1_0',
		'all',
		'null',
		'%EF%BC%91',
	];
	for (const limit of [...bad, '99999999999999999999', '9'.repeat(400), 'NaN', 'Infinity', '1,2', '[1]']) {
		for (const table of ['limited', 'absent']) {
			assertRefused(await ada.call('GET', `/v1/${table}?limit=${limit}`), 400, 'invalid_limit');
		}
	}
	assertRefused(await ada.get('/v1/limited/count', { limit: 1 }), 400, 'unknown_parameter');
});

test('[3.5] [6.11] maxQueryLimit is the limit where none is given', async () => {
	for (const [setting, rows] of [
		['5', 5],
		['0', 8],
	] as const) {
		const small = await startClocked({ ...NO_RATE_LIMITS, PUMADB_MAX_QUERY_LIMIT: setting });
		try {
			const eve = await signIn(small);
			const all = await addAll(
				eve,
				'many',
				Array.from({ length: 8 }, (_, n) => ({ n, odd: n % 2 })),
			);
			assert.deepEqual(await eve.rows('many'), all.slice(0, rows));
			assert.deepEqual(await eve.rows('many', { sort: '-n' }), all.toReversed().slice(0, rows));
			assert.equal((await eve.get('/v1/many/count')).body.count, 8);
			assert.equal((await eve.rows('many', { limit: 5 })).length, 5);
			assert.equal((await eve.get('/v1/many', { limit: 6 })).status, rows === 5 ? 400 : 200);
			assert.equal((await eve.get('/v1/many', { limit: 2_000_000 })).status, rows === 5 ? 400 : 200);
			assertRefused(await eve.get('/v1/many', { limit: 0 }), 400, 'invalid_limit');
		} finally {
			await small.stop();
		}
	}
});
