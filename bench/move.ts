/**
 * `node bench/move.ts [ROWS]`: seconds and memory of `pumadb move` from a file to PostgreSQL and back, comparison included. Each move
 * compares what it carried; the rows of both files are compared once more here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { newAccountId } from '../src/accounts/secrets.ts';
import { readConfig } from '../src/config.ts';
import { makeFilter } from '../src/domain/filter.ts';
import { openStore } from '../src/store/open.ts';
import { queryDatabase } from '../test/support/data-dir.ts';
import { startCluster } from '../test/support/postgres.ts';
import { memory } from '../test/support/processes.ts';
import { ROOT, temporaryDir } from '../test/support/server.ts';

const ROWS = Number(process.argv[2] ?? 100_000);
const ROWS_PER_ACCOUNT = 1000;
const BATCH = 500;

async function fill(dataDir: string): Promise<void> {
	const env = { PUMADB_DATA_DIR: dataDir, PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_ACCOUNT_BYTES: '0' };
	const failed = (): never => {
		throw new Error('The writer failed.');
	};
	const store = await openStore({ config: readConfig(env, {}), clock: Date.now, onFault: failed, onFatal: failed });
	for (let n = 0; n < ROWS / ROWS_PER_ACCOUNT; n++) {
		const key = { id: `key_${n}`, name: 'k', secretHash: 'a'.repeat(64), secretStart: 'abcd', madeBy: 'api' } as const;
		const email = `person-${n}@example.com`;
		const made = await store.writeAccounts({
			command: 'createKeyForEmail',
			email,
			freshAccountId: newAccountId(),
			key,
		});
		if (!('accountId' in made)) throw new Error('An account was not made.');
		const accountId = made.accountId!;
		for (let from = 0; from < ROWS_PER_ACCOUNT; from += BATCH) {
			const own = (at: number): string =>
				JSON.stringify({ n: at, group: `g${at % 10}`, text: 'A sentence – with ümlauts. '.repeat(10) });
			const operations = Array.from({ length: BATCH }, (_, i) => ({ action: 'add', own: own(from + i) }) as const);
			await store.writeRows({ accountId, table: 'notes', operations });
		}
		// A tenth of the rows have a version.
		const change = { action: 'update_where', filter: makeFilter([['group', 'g1']]), patch: '{"seen":true}' } as const;
		await store.writeRows({ accountId, table: 'notes', operations: [{ ...change, allowMultiple: true }] });
	}
	await store.close();
}

async function timed(from: string, to: string, what: string): Promise<void> {
	const begun = performance.now();
	const args = [join(ROOT, 'bin/pumadb.js'), 'move', '--from', from, '--to', to];
	const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
	let over = false;
	const ended = once(child, 'exit').then(([code]) => {
		over = true;
		return code as number | null;
	});
	let most = 0;
	for (; !over; await pause(50)) {
		try {
			most = Math.max(most, memory(child.pid!).peak);
		} catch {
			// It has just ended.
		}
	}
	const code = await ended;
	if (code !== 0) throw new Error(`The move ended with ${code}.`);
	console.log(`${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s, at most ${most} MB`);
}

const cluster = await startCluster({ fsync: 'on' });
const [origin, back] = [temporaryDir(), join(temporaryDir(), 'back')];
await fill(origin);
await timed(origin, cluster.url, `${ROWS} rows, file to PostgreSQL`);
await timed(cluster.url, back, `${ROWS} rows, PostgreSQL to file`);
const all = 'SELECT count(*) AS n, sum(length(text)) AS characters FROM rows';
const [was, is] = [origin, back].map((place) => JSON.stringify(queryDatabase(place, all)));
if (was !== is || !was!.includes(String(ROWS))) throw new Error(`Wrong result: ${is} in place of ${was}`);
process.exit();
