import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connections } from '../src/store/postgres/connections.ts';
import { isRetryable } from '../src/store/postgres/faults.ts';
import { startPgBouncer, watchWire } from './support/poolers.ts';
import { database, query } from './support/postgres.ts';

/** A pooler in transaction mode between a node and its PostgreSQL. */

const ROUNDS = 20;
const TOGETHER = 40;
/** Texts of up to so many characters: more than a pooler passes on in one piece. */
const LONGEST = 9_000;

let made = 0;

async function emptyDatabase(): Promise<string> {
	const url = await database(`pooler_${process.pid}_${made++}`);
	await query(url, 'CREATE TABLE public.added (text text)');
	return url;
}

/** Asks in all ways at once, and that each gets its own answer. @returns how many texts were added. */
async function askMuch(connections: Connections, name: string): Promise<number> {
	let added = 0;
	for (let round = 0; round < ROUNDS; round++) {
		await Promise.all(
			Array.from({ length: TOGETHER }, async (_, n) => {
				const mine = `${name} ${round} ${n} ${'x'.repeat((n * 7919 * (round + 1)) % LONGEST)}`;
				const [answer] = await again(() => askOne(connections, n, mine));
				assert.equal(answer?.text, mine);
				if (n % 8 === 0) added++;
			}),
		);
	}
	return added;
}

async function askOne(connections: Connections, n: number, mine: string): Promise<{ text: string }[]> {
	const select = 'SELECT $1::text AS text';
	if (n % 8 === 0) {
		return (await connections.write('INSERT INTO public.added (text) VALUES ($1) RETURNING text', [mine])).rows;
	}
	if (n % 8 === 1) return (await connections.transaction(({ ask }) => ask(select, [mine]))).rows;
	return (await (n % 2 === 0 ? connections.ask : connections.askShort)(select, [mine])).rows;
}

/** Statements that turn out not to be prepared changed nothing and are sent again, as a node does. */
async function again<T>(ask: () => Promise<T>): Promise<T> {
	try {
		return await ask();
	} catch (error) {
		if (!isRetryable(error)) throw error;
		return await again(ask);
	}
}

async function withConnections<T>(url: string, count: number, run: (all: Connections[]) => Promise<T>): Promise<T> {
	const all = Array.from({ length: count }, () => new Connections({ url, max: 9, onFault: assert.fail }));
	try {
		return await run(all);
	} finally {
		await Promise.all(all.map((connections) => connections.close()));
	}
}

for (const max of [1, 2, 9]) {
	test(`[1.2] behind a pooler no statement of its own follows an unanswered one: ${max} connections`, async (t) => {
		const url = await emptyDatabase();
		for (const asPooler of [true, false]) {
			const wire = await watchWire(url, asPooler);
			const connections = new Connections({ url: wire.url, max, onFault: assert.fail });
			t.after(async () => {
				await connections.close();
				await wire.stop();
			});
			await askMuch(connections, String(asPooler));
			// Without one they travel together.
			assert.equal(wire.overtaking > 0, !asPooler);
		}
	});
}

test('[8.1] what goes on in a transaction that was given up is not run outside of it', async (t) => {
	const url = await emptyDatabase();
	const wire = await watchWire(url, true);
	const connections = new Connections({ url: wire.url, max: 3, onFault: assert.fail });
	t.after(async () => {
		await connections.close();
		await wire.stop();
	});
	let goesOn: Promise<unknown> | undefined;
	const given = connections.transaction(async ({ ask, begun }) => {
		await begun;
		const first = ask('SELECT 1');
		goesOn = ask('SELECT pg_sleep(0.05)').then(() => ask('INSERT INTO public.added (text) VALUES ($1)', ['late']));
		goesOn.catch(() => {});
		await first;
		throw new Error('refused');
	});
	await assert.rejects(given, /refused/);
	await assert.rejects(goesOn!, /has ended/);
	assert.deepEqual(await query(url, 'SELECT text FROM public.added'), []);
	assert.equal(wire.overtaking, 0);
});

test('[1.2] [8.1] through PgBouncer each call gets its own answer, and what is answered is there', async (t) => {
	const url = await emptyDatabase();
	const pooler = await startPgBouncer(url, 3);
	if (pooler === undefined) return t.skip('there is no pgbouncer on the PATH');
	t.after(() => pooler.stop());
	const added = await withConnections(pooler.url, 3, (all) =>
		Promise.all(all.map((connections, n) => askMuch(connections, `client ${n}`))),
	);
	const answered = added.reduce((sum, one) => sum + one);
	const kept = await query(url, 'SELECT count(DISTINCT text) AS texts, count(*) AS rows FROM public.added');
	assert.deepEqual(kept, [{ texts: answered, rows: answered }]);
});
