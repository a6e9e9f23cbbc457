import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Connections } from '../src/store/postgres/connections.ts';
import { isRetryable } from '../src/store/postgres/faults.ts';
import { database, query } from './support/postgres.ts';

/** What a node does on its connections, on a real PostgreSQL. */

const opened: Connections[] = [];
after(() => Promise.all(opened.map((connections) => connections.close())));

async function connect(): Promise<Connections> {
	const url = await database(`connections_${process.pid}_${opened.length}`);
	// One connection for single statements, and one for transactions.
	const connections = new Connections({ url, max: 2, onFault: (message) => assert.fail(message) });
	opened.push(connections);
	return connections;
}

const ADD = 'SELECT $1::integer + 1 AS n';
const prepared = async ({ ask }: Pick<Connections, 'ask'>): Promise<number> =>
	(await ask('SELECT count(*) AS n FROM pg_prepared_statements')).rows[0].n;

test('[1.2] statements are prepared; where they are gone, as behind some poolers, they are run all the same', async () => {
	const connections = await connect();
	assert.equal((await connections.ask(ADD, [1])).rows[0].n, 2);
	assert.equal((await connections.ask(ADD, [2])).rows[0].n, 3);
	assert.equal(await prepared(connections), 1);
	await connections.ask('DEALLOCATE ALL');
	assert.equal((await connections.ask(ADD, [3])).rows[0].n, 4);
	assert.equal((await connections.ask('SELECT $1::text AS n', ['new'])).rows[0].n, 'new');
	assert.equal(await prepared(connections), 0);
});

test('[1.2] a transaction that misses its statements is taken back as one that can be tried again', async () => {
	const connections = await connect();
	const add = (n: number) =>
		connections.transaction(async ({ ask }) => {
			await ask('INSERT INTO public.t SELECT $1::integer', [n]);
			return (await ask(ADD, [n])).rows[0].n;
		});
	await connections.ask('CREATE TABLE public.t (n integer)');
	assert.equal(await add(1), 2);
	await connections.transaction(({ ask }) => ask('DEALLOCATE ALL'));
	await assert.rejects(add(2), isRetryable);
	assert.equal(await add(2), 3);
	const { rows } = await connections.ask('SELECT n FROM public.t ORDER BY n');
	assert.deepEqual(rows, [{ n: 1 }, { n: 2 }]);
});

test('[1.2] a statement that was prepared before the schema changed is run again', async () => {
	const connections = await connect();
	await connections.ask('CREATE TABLE public.t AS SELECT 1 AS n');
	const all = 'SELECT * FROM public.t WHERE n = $1';
	assert.deepEqual((await connections.ask(all, [1])).rows, [{ n: 1 }]);
	await connections.ask('ALTER TABLE public.t ADD COLUMN m integer DEFAULT 2');
	assert.deepEqual((await connections.ask(all, [1])).rows, [{ n: 1, m: 2 }]);
});

test('[1.2] shared connections that are cut under load are replaced: no statement fails, none is opened beside them or left open', async () => {
	const url = await database(`connections_${process.pid}_cut`);
	const connections = new Connections({ url, max: 6, onFault: () => {} });
	const open = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pumadb'`;
	let enough = false;
	const asking = Array.from({ length: 20 }, async () => {
		while (!enough) assert.equal((await connections.ask(ADD, [1])).rows[0].n, 2);
	});
	const cutting = async (): Promise<void> => {
		for (let times = 0; times < 20; times++) {
			await pause(50);
			await query(url, `SELECT pg_terminate_backend(pid) FROM (${open} ORDER BY backend_start LIMIT 1) o`);
		}
		// What was cut last is gone by then.
		await pause(200);
	};
	try {
		await Promise.race([Promise.all(asking), cutting()]);
		enough = true;
		await Promise.all(asking);
		assert.equal((await query(url, open)).length, 2, 'connections that are open');
	} finally {
		enough = true;
		await connections.close();
	}
	for (const until = Date.now() + 5_000; (await query(url, open)).length > 0; await pause(20)) {
		assert.ok(Date.now() < until, 'a connection is left open');
	}
});
