import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { makeFilter } from '../src/domain/filter.ts';
import { identityOf } from '../src/domain/row.ts';
import type { RowOperation } from '../src/domain/writes.ts';
import type { Store } from '../src/store/seam.ts';
import { query } from './support/postgres.ts';
import { type Random, randomFrom, seedFrom } from './support/random.ts';
import {
	add,
	addedPlainly,
	assertSound,
	type Became,
	closeAll,
	emptyDatabase,
	openOn,
	type Person,
	pair,
	person,
	textOf,
	textsIn,
	write,
} from './support/stores.ts';

/** Plain adds of two nodes in numbers: among other writes, beside accounts that are held, and over connections that are cut. */

const UNLIMITED = {
	...{ PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_ACCOUNT_BYTES: '0', PUMADB_MAX_ARCHIVE_BYTES: '0' },
	PUMADB_MAX_VERSIONS_PER_ROW: '0',
};

afterEach(closeAll);

/** Stands between a store and its database. */
interface Relay {
	readonly url: string;
	/** Keeps answers back for so long, then cuts every connection: what the store had sent is done by then. */
	loseAnswers(milliseconds: number): Promise<void>;
}

async function startRelay(databaseUrl: string): Promise<Relay> {
	const target = new URL(databaseUrl);
	const sockets = new Set<Socket>();
	let losing = false;
	const server = createServer((near) => {
		const far = connect(Number(target.port || 5432), target.hostname);
		near.pipe(far);
		far.on('data', (bytes) => losing || near.write(bytes));
		for (const [socket, other] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(socket);
			socket.on('error', () => {});
			socket.on('close', () => {
				sockets.delete(socket);
				other.destroy();
			});
		}
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	server.unref();
	const url = new URL(databaseUrl);
	url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	return {
		url: url.href,
		async loseAnswers(milliseconds) {
			losing = true;
			await pause(milliseconds);
			for (const socket of sockets) socket.destroy();
			losing = false;
		},
	};
}

function newRandom(t: { diagnostic(message: string): void }): Random {
	const seed = seedFrom('ADDS_SEED');
	t.diagnostic(`ADDS_SEED=${seed}`);
	return randomFrom(seed);
}

/** Each row of every table as it was at any time, live and archived. */
async function everyState(url: string): Promise<string[]> {
	const states = await query(url, 'SELECT text FROM rows UNION ALL SELECT text FROM versions');
	return states.map(({ text }) => text as string);
}

test('[4.8] [5.1] [8.2] adds of many accounts among other writes, on two nodes: each answered state of a row is there once', async (t) => {
	const random = newRandom(t);
	const { url, a, b } = await pair(UNLIMITED);
	const stores = [a, b] as const;
	const people: Person[] = [];
	for (let i = 0; i < 8; i++) people.push(await person(random.pick(stores)));
	const tables = ['x', 'y', 'z'];
	// The first account has most of the calls, and a table that is filtered on by an index.
	const who = (): Person => (random.chance(0.4) ? people[0]! : random.pick(people));
	let last = 0;
	// What no other write has, so that each state of a row is another text.
	const own = (): string => JSON.stringify({ n: ++last, k: random.below(9), more: 'é😀'.repeat(random.below(20)) });
	const answered: string[] = [];
	const idsOf = new Map<string, string[]>();
	const note = (one: Person, table: string, text: string): void => {
		answered.push(text);
		const place = `${one.accountId} ${table}`;
		idsOf.set(place, [...(idsOf.get(place) ?? []), identityOf(text).id]);
	};
	const anOperation = (one: Person, table: string): RowOperation => {
		const ids = idsOf.get(`${one.accountId} ${table}`) ?? ['0197a1b2-0000-7000-8000-000000000000'];
		const filter = makeFilter([['k', random.below(9)]]);
		const k = random.below(9);
		switch (random.below(6)) {
			case 0:
				return { action: 'upsert', match: makeFilter([['u', k]]), own: `{"n":${++last},"u":${k}}` };
			case 1:
				return { action: 'update_row', id: random.pick(ids), patch: `{"n":${++last}}` };
			case 2:
				return { action: 'update_where', filter, patch: `{"n":${++last}}`, allowMultiple: true };
			case 3:
				return { action: 'delete', filter: random.chance(0.3) ? filter : makeFilter([['id', random.pick(ids)]]) };
			case 4:
				return { action: 'add', own: own(), idempotency: { key: `key ${++last}`, fingerprint: 'f' } };
			default:
				return { action: 'add', own: own() };
		}
	};
	const refusals = new Map<string, number>();
	const told = (one: Person, table: string, became: Became): void => {
		if (typeof became === 'string') return void refusals.set(became, (refusals.get(became) ?? 0) + 1);
		for (const result of became) {
			const value = JSON.parse(result) as { id?: string; row?: object; rows?: object[] };
			if (value.id !== undefined) note(one, table, result);
			// Rows that hold no number but small whole ones are written as they were read.
			else for (const row of value.rows ?? (value.row ? [value.row] : [])) note(one, table, JSON.stringify(row));
		}
	};
	await Promise.all(
		Array.from({ length: 60 }, async () =>
			told(people[0]!, 'x', await add(stores[0], people[0]!, 'x', JSON.parse(own()))),
		),
	);
	await stores[1].read.count(people[0]!.accountId, 'x', makeFilter([['k', 1]]));
	for (let wave = 0; wave < 40; wave++) {
		const calls = Array.from({ length: 1 + random.below(40) }, async () => {
			const [one, table, store] = [who(), random.pick(tables), random.pick(stores)];
			const plain: RowOperation = { action: 'add', own: own() };
			const operations = random.chance(0.75)
				? [plain]
				: Array.from({ length: random.chance(0.7) ? 1 : 1 + random.below(5) }, () => anOperation(one, table));
			told(one, table, await write(store, one, table, ...operations));
		});
		await Promise.all(calls);
	}
	for (const code of refusals.keys()) assert.ok(['row_not_found', 'key_not_unique'].includes(code), code);
	assert.deepEqual((await everyState(url)).toSorted(), answered.toSorted());
	const texts: string[] = [];
	for (const one of people) {
		const listed = new Map((await stores[0].read.tables(one.accountId, '9999')).map(({ name, rows }) => [name, rows]));
		for (const table of tables) {
			const live = await textsIn(stores[1], one, table);
			assert.equal(listed.get(table) ?? 0, live.length);
			const ids = live.map((text) => identityOf(text).id);
			assert.deepEqual(ids, ids.toSorted());
			texts.push(...live);
		}
	}
	const [{ indexes }] = await query(url, `SELECT count(*) AS indexes FROM member_indexes WHERE state = 'ready'`);
	const plainly = await addedPlainly(url, texts);
	t.diagnostic(`${answered.length} states, ${plainly} live rows added plainly, ${indexes} indexes`);
	assert.ok(plainly > 50 && indexes > 0);
	await assertSound(url);
});

test('[1.2] while another session holds an account, adds to others are answered, and its own once it is let go', async () => {
	const { url, a, b } = await pair(UNLIMITED);
	const stores = [a, b] as const;
	const people: Person[] = [];
	for (let i = 0; i < 8; i++) people.push(await person(stores[0]!));
	const [held, ...free] = people as [Person, ...Person[]];
	for (const one of people) for (const table of ['x', 'y']) await add(stores[0], one, table, { n: 0 });
	const blocker = new pg.Client({ connectionString: url });
	blocker.on('error', () => {});
	await blocker.connect();
	// Who waits for it after all is let go some time.
	await blocker.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 20000');
	await blocker.query('SELECT 1 FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', [held.accountId]);
	let early = 0;
	const waiting: Promise<Became>[] = [];
	const texts: string[] = [];
	try {
		for (let round = 1; round <= 5; round++) {
			// In one turn, so that they would share a statement.
			const own = ['x', 'y'].map((table) => add(stores[0], held, table, { n: round }));
			for (const became of own) void became.then(() => early++);
			waiting.push(...own);
			texts.push(...(await Promise.all(free.map((one) => add(stores[0], one, 'x', { n: round })))).map(textOf));
		}
		assert.equal(early, 0);
		assert.ok((await addedPlainly(url, texts)) > free.length);
		await blocker.query('COMMIT');
	} finally {
		await blocker.end();
	}
	const own = (await Promise.all(waiting)).map(textOf);
	const stored = [...(await textsIn(stores[1], held, 'x')).slice(1), ...(await textsIn(stores[1], held, 'y')).slice(1)];
	assert.deepEqual(stored.toSorted(), own.toSorted());
	await assertSound(url);
});

test('[1.2] [4.8] [8.1] connections are cut under adds: what was answered is there, what was refused is not, nothing twice', async (t) => {
	const url = await emptyDatabase();
	const relay = await startRelay(url);
	const stores: Store[] = [];
	for (const through of [url, relay.url]) stores.push(await openOn(through, { env: UNLIMITED, onFault: () => {} }));
	const people: Person[] = [];
	for (let i = 0; i < 8; i++) people.push(await person(stores[0]!));
	for (const one of people)
		for (const store of stores) for (const table of ['x', 'y']) await add(store, one, table, {});
	const before = new Set(await everyState(url));
	let cutting = true;
	let last = 0;
	const became = new Map<number, Became>();
	// Some accounts are written through both, which then do not know them for long; others through one alone.
	const adding = people.flatMap((one, i) =>
		(i < 2 ? stores : [stores[i % 2]!]).flatMap((store) =>
			['x', 'y', 'x'].map(async (table) => {
				while (cutting) {
					const n = ++last;
					const what = await add(store, one, table, { n });
					became.set(n, what);
					// A node that cannot reach its database says so at once.
					if (typeof what === 'string') await pause(10);
				}
			}),
		),
	);
	const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'pumadb' AND datname = current_database()`;
	for (let cuts = 0; cuts < 16; cuts++) {
		await pause(60);
		if (cuts % 2 === 0) await query(url, terminate);
		else await relay.loseAnswers(30);
	}
	cutting = false;
	await Promise.all(adding);
	const stored = (await everyState(url)).filter((text) => !before.has(text));
	const byNumber = new Map(stored.map((text) => [(JSON.parse(text) as { n: number }).n, text]));
	assert.equal(byNumber.size, stored.length, 'a call was stored twice');
	const count = { answered: 0, unknown: 0, kept: 0, refused: 0 };
	for (const [n, what] of became) {
		if (what === 'outcome_unknown') {
			count.unknown++;
			if (byNumber.has(n)) count.kept++;
		} else if (typeof what === 'string') {
			count.refused++;
			assert.equal(what, 'storage_unavailable');
			assert.equal(byNumber.get(n), undefined, 'a call was refused and stored');
		} else {
			count.answered++;
			assert.equal(byNumber.get(n), textOf(what));
		}
	}
	const plainly = await addedPlainly(url, stored);
	t.diagnostic(`${JSON.stringify(count)}, ${plainly} of ${stored.length} rows added plainly`);
	assert.ok(count.answered > 100 && plainly > 100 && count.kept > 0);
	await assertSound(url);
});
