/**
 * `node bench/postgres.ts`: durable adds and reads on PostgreSQL, beside pgbench doing the same with the same bytes, on the same
 * server, at the same concurrency, in turn in one run. What was written is counted afterwards. Needs pgbench on the PATH.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { query, startCluster } from '../test/support/postgres.ts';
import type { LoadResult } from './load.ts';
import { load, type Measured, startPumadb } from './processes.ts';
import { type Account, get, makeAccounts, post, sampleRow } from './requests.ts';

const CONNECTIONS = 64;
const ROUNDS = 3;
const SECONDS = 4;
const ACCOUNTS = 1000;
const TIMED = { connections: CONNECTIONS, order: 'random', seconds: SECONDS, warmup: 1 } as const;

const home = mkdtempSync(join(tmpdir(), 'pumadb-bench-'));
process.once('exit', () => rmSync(home, { recursive: true, force: true }));

function check(condition: boolean, what: string): void {
	if (condition) return;
	console.error(`Wrong result: ${what}`);
	process.exit(1);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const per = (results: readonly LoadResult[]): number => median(results.map((result) => result.perSecond));
const rounded = (n: number): string => Math.round(n).toLocaleString('en');

/** Transactions a second of a script of pgbench, with prepared statements, its fastest protocol. */
function pgbench(url: string, script: string): number {
	const file = join(home, 'script.sql');
	writeFileSync(file, script);
	const { status, stdout, stderr } = spawnSync(
		'pgbench',
		['-n', '-M', 'prepared', '-c', String(CONNECTIONS), '-j', '2', '-T', String(SECONDS + 1), '-f', file, url],
		{ encoding: 'utf8' },
	);
	if (status !== 0) throw new Error(`pgbench failed: ${stderr}`);
	return Number(/tps = ([\d.]+)/.exec(stdout)![1]);
}

/** Half of the load each, at once. */
async function both(servers: readonly Measured[], requests: readonly string[]): Promise<LoadResult> {
	const results = await Promise.all(
		servers.map(({ port }) => load({ ...TIMED, connections: CONNECTIONS / servers.length, port, requests })),
	);
	const statuses: Record<string, number> = {};
	for (const result of results) {
		for (const [status, n] of Object.entries(result.statuses)) statuses[status] = (statuses[status] ?? 0) + n;
	}
	return { ...results[0]!, perSecond: results.reduce((sum, { perSecond }) => sum + perSecond, 0), statuses };
}

async function rowsOf(server: Measured, accounts: readonly Account[], table: string): Promise<number> {
	let rows = 0;
	for (const { key } of accounts) {
		const answer = await fetch(`${server.url}/v1/${table}/count`, { headers: { authorization: `Bearer ${key}` } });
		rows += ((await answer.json()) as { count: number }).count;
	}
	return rows;
}

const cluster = await startCluster({ fsync: 'on', shared_buffers: '256MB', max_wal_size: '4GB' });
const start = (): Promise<Measured> =>
	startPumadb(home, { PUMADB_DATABASE_URL: cluster.url, PUMADB_DATABASE_CONNECTIONS: '16', PUMADB_LOG_LEVEL: 'warn' });
const [one, other] = [await start(), await start()];
const accounts = await makeAccounts(one.url, ACCOUNTS);

console.log(
	`${cpus().length} × ${cpus()[0]!.model}, Node ${process.versions.node}, ${(await query(cluster.url, 'SHOW server_version'))[0].server_version}, ${CONNECTIONS} connections, ${ACCOUNTS} accounts, medians of ${ROUNDS}\n`,
);

const row = sampleRow(7);
const added = await fetch(`${one.url}/v1/reads`, {
	method: 'POST',
	headers: { authorization: `Bearer ${accounts[0]!.key}`, 'content-type': 'application/json' },
	body: JSON.stringify(row),
});
const text = await added.text();
await query(
	cluster.url,
	'CREATE TABLE public.bench_rows (id bigserial PRIMARY KEY, owner integer, text text NOT NULL)',
);

const insert = `INSERT INTO public.bench_rows (text) VALUES ('${text.replaceAll("'", "''")}');`;
const adds = accounts.map((account) => post(account, '/v1/adds', row));
const inserts: number[] = [];
const ours: LoadResult[] = [];
const twos: LoadResult[] = [];
for (let round = 0; round < ROUNDS; round++) {
	inserts.push(pgbench(cluster.url, insert));
	ours.push(await both([one], adds));
	twos.push(await both([one, other], adds));
}
const answered = [...ours, ...twos].reduce((sum, { statuses }) => sum + (statuses['201'] ?? 0), 0);
check(
	[...ours, ...twos].every(({ statuses }) => Object.keys(statuses).join() === '201'),
	'an add was not answered with 201',
);
check((await rowsOf(one, accounts, 'adds')) >= answered, 'answered rows are missing');
console.log(
	`durable adds, one node: ${rounded(per(ours))}/s, ${(per(ours) / median(inserts)).toFixed(2)} times pgbench ${rounded(median(inserts))}/s`,
);
console.log(`durable adds, two nodes: ${rounded(per(twos))}/s, ${(per(twos) / per(ours)).toFixed(2)} times one node`);

for (const { key } of accounts) {
	const operations = Array.from({ length: 25 }, (_, n) => ({ action: 'add', row: sampleRow(n) }));
	const made = await fetch(`${one.url}/v1/reads25/batch`, {
		method: 'POST',
		headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
		body: JSON.stringify({ operations }),
	});
	check(made.status === 200, 'a batch failed');
}
await query(
	cluster.url,
	`INSERT INTO public.bench_rows (owner, text) SELECT o, $1 FROM generate_series(1, ${ACCOUNTS}) o, generate_series(1, 25)`,
	[text],
);
await query(cluster.url, 'CREATE INDEX ON public.bench_rows (owner, id)');
await query(cluster.url, 'VACUUM ANALYZE');
const select = `\\set owner random(1, ${ACCOUNTS})\nSELECT text FROM public.bench_rows WHERE owner = :owner ORDER BY id LIMIT 25;`;
const reads = accounts.map((account) => get(account, '/v1/reads25'));
const selects: number[] = [];
const read: LoadResult[] = [];
for (let round = 0; round < ROUNDS; round++) {
	selects.push(pgbench(cluster.url, select));
	read.push(await both([one], reads));
}
check(
	read.every(({ statuses }) => Object.keys(statuses).join() === '200'),
	'a read was not answered with 200',
);
console.log(
	`reads of 25 rows, one node: ${rounded(per(read))}/s, ${Math.round((per(read) / median(selects)) * 100)} % of pgbench ${rounded(median(selects))}/s`,
);
await one.stop();
await other.stop();
process.exit(0);
