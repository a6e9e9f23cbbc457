/**
 * `node bench/postgres.ts`: durable adds and reads on PostgreSQL, beside pgbench doing the same with the same bytes, on the same
 * server, at the same concurrency, in turn in one run; what a call costs of the node's and of the database's CPU, for sizing; and
 * tables of 1,000 and 100,000 rows. What was written is counted afterwards. Needs pgbench on the PATH.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { query, startCluster } from '../test/support/postgres.ts';
import type { LoadResult } from './load.ts';
import {
	adds,
	api,
	CONNECTIONS,
	check,
	count,
	home,
	median,
	only,
	per,
	percent,
	printTable,
	report,
	rounded,
	rowsOf,
} from './measure.ts';
import { cpuSecondsOf, load, type Measured, startPumadb } from './processes.ts';
import { get, makeAccounts, post, sampleRow } from './requests.ts';
import { bySize } from './sizes.ts';

const ROUNDS = 5;
const SECONDS = 4;
const ACCOUNTS = 1000;
const TIMED = { connections: CONNECTIONS, order: 'random', seconds: SECONDS, warmup: 1 } as const;

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

/** An equal part of the load each, at once. */
async function together(servers: readonly Measured[], requests: readonly string[]): Promise<LoadResult> {
	const results = await Promise.all(
		servers.map(({ port }) => load({ ...TIMED, connections: CONNECTIONS / servers.length, port, requests })),
	);
	const statuses: Record<string, number> = {};
	for (const result of results) {
		for (const [status, n] of Object.entries(result.statuses)) statuses[status] = (statuses[status] ?? 0) + n;
	}
	return { ...results[0]!, perSecond: results.reduce((sum, { perSecond }) => sum + perSecond, 0), statuses };
}

const cluster = await startCluster({ fsync: 'on', shared_buffers: '256MB', max_wal_size: '4GB' });
const postmaster = await firstProcess();
const start = (env: Readonly<Record<string, string>> = {}): Promise<Measured> =>
	startPumadb(home, {
		PUMADB_DATABASE_URL: cluster.url,
		PUMADB_DATABASE_CONNECTIONS: '16',
		PUMADB_LOG_LEVEL: 'warn',
		...env,
	});

/** The process that all of the database's processes come from. */
async function firstProcess(): Promise<string> {
	const [{ file }] = await query(cluster.url, `SELECT pg_read_file('postmaster.pid') AS file`);
	return /^\d+/.exec(file)![0];
}

/** CPU seconds of the database so far, of processes that have ended too. */
function databaseCpu(): number {
	let seconds = cpuSecondsOf(postmaster, true);
	for (const pid of readdirSync('/proc')) {
		if (!/^\d+$/.test(pid)) continue;
		try {
			if (!readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nPPid:\t${postmaster}\n`)) continue;
			seconds += cpuSecondsOf(pid);
		} catch {
			// It has just ended.
		}
	}
	return seconds;
}

/** What one call costs, in microseconds of CPU. */
interface Cost {
	readonly node: number;
	readonly database: number;
}

/** Runs the load once and tells what a call of it cost. */
async function costOf(server: Measured, requests: readonly string[]): Promise<{ result: LoadResult; cost: Cost }> {
	const before = [server.cpuSeconds(), databaseCpu()] as const;
	const result = await together([server], requests);
	const calls = Object.values(result.statuses).reduce((sum, n) => sum + n, 0);
	const micro = (seconds: number): number => (seconds / calls) * 1e6;
	return {
		result,
		cost: { node: micro(server.cpuSeconds() - before[0]), database: micro(databaseCpu() - before[1]) },
	};
}

function told(costs: readonly Cost[]): string {
	const node = median(costs.map((cost) => cost.node));
	const database = median(costs.map((cost) => cost.database));
	return `${rounded(node)} µs of the node's CPU and ${rounded(database)} µs of the database's`;
}

const [one, other] = [await start(), await start()];
const limited = await start({ PUMADB_READS_PER_MINUTE: '1000000', PUMADB_WRITES_PER_MINUTE: '1000000' });
const accounts = await makeAccounts(one.url, ACCOUNTS);

console.log(
	`${cpus().length} × ${cpus()[0]!.model}, Node ${process.versions.node}, PostgreSQL ${(await query(cluster.url, 'SHOW server_version'))[0].server_version}, ${CONNECTIONS} connections, ${ACCOUNTS} accounts, medians of ${ROUNDS}\n`,
);

const row = sampleRow(7);
const text = (await api(one, accounts[0]!, '/v1/reads', row)).text;
await query(
	cluster.url,
	'CREATE TABLE public.bench_rows (id bigserial PRIMARY KEY, owner integer, text text NOT NULL)',
);
const insert = `INSERT INTO public.bench_rows (text) VALUES ('${text.replaceAll("'", "''")}');`;
const addOne = accounts.map((account) => post(account, '/v1/adds', row));
const inserts: number[] = [];
const alone: LoadResult[] = [];
const twos: LoadResult[] = [];
const counted: LoadResult[] = [];
const addCosts: Cost[] = [];
/** Bytes of the write-ahead log an add. */
const log: number[] = [];
const limitedAddCosts: Cost[] = [];
for (let round = 0; round < ROUNDS; round++) {
	inserts.push(pgbench(cluster.url, insert));
	const [{ lsn }] = await query(cluster.url, 'SELECT pg_current_wal_lsn() AS lsn');
	const { result, cost } = await costOf(one, addOne);
	const [{ bytes }] = await query(cluster.url, 'SELECT pg_current_wal_lsn() - $1::pg_lsn AS bytes', [lsn]);
	alone.push(result);
	addCosts.push(cost);
	log.push(Number(bytes) / count([result], '201'));
	twos.push(await together([one, other], addOne));
	const withLimit = await costOf(limited, addOne);
	counted.push(withLimit.result);
	limitedAddCosts.push(withLimit.cost);
}
const added = [...alone, ...twos, ...counted];
check(only(added, '201'), 'an add was not answered with 201');
check((await rowsOf(one, accounts, 'adds')) >= count(added, '201'), 'answered rows are missing');
const addShare = per(alone) / median(inserts);
report(
	'durable adds, one node',
	`${rounded(per(alone))}/s, ${addShare.toFixed(2)} times pgbench ${rounded(median(inserts))}/s`,
	'1 time',
	addShare >= 1,
);
const gain = per(twos) / per(alone);
report(
	'durable adds, two nodes',
	`${rounded(per(twos))}/s, ${gain.toFixed(2)} times one node`,
	'more than one',
	gain > 1,
);
console.log(`an add costs ${told(addCosts)}; with rate limits on ${told(limitedAddCosts)}`);
console.log(`${rounded(median(log))} bytes of write-ahead log an add of ${text.length}`);

for (const account of accounts) {
	const { status } = await api(one, account, '/v1/reads25/batch', { operations: adds(0, 25) });
	check(status === 200, 'a batch failed');
}
await query(
	cluster.url,
	`INSERT INTO public.bench_rows (owner, text) SELECT o, $1 FROM generate_series(1, ${ACCOUNTS}) o, generate_series(1, 25)`,
	[text],
);
await query(cluster.url, 'CREATE INDEX ON public.bench_rows (owner, id)');
await query(cluster.url, 'VACUUM ANALYZE');
const select = `\\set owner random(1, ${ACCOUNTS})\nSELECT text FROM public.bench_rows WHERE owner = :owner ORDER BY id LIMIT 25;`;
const read25 = accounts.map((account) => get(account, '/v1/reads25'));
const selects: number[] = [];
const reads: LoadResult[] = [];
const readCosts: Cost[] = [];
const limitedReadCosts: Cost[] = [];
for (let round = 0; round < ROUNDS; round++) {
	selects.push(pgbench(cluster.url, select));
	const { result, cost } = await costOf(one, read25);
	reads.push(result);
	readCosts.push(cost);
	const withLimit = await costOf(limited, read25);
	check(only([withLimit.result], '200'), 'a read was not answered with 200');
	limitedReadCosts.push(withLimit.cost);
}
check(only(reads, '200'), 'a read was not answered with 200');
const readShare = per(reads) / median(selects);
report(
	'reads of 25 rows (8 KB), one node',
	`${rounded(per(reads))}/s, ${percent(readShare)} of pgbench ${rounded(median(selects))}/s`,
	'50 %',
	readShare >= 0.5,
);
console.log(`a read costs ${told(readCosts)}; with rate limits on ${told(limitedReadCosts)}`);
const [{ bytes, n }] = await query(
	cluster.url,
	`SELECT sum(pg_total_relation_size(c.oid)) AS bytes, (SELECT count(*) FROM pumadb.rows) AS n
		FROM pg_class c WHERE c.relnamespace = 'pumadb'::regnamespace AND c.relkind = 'r'`,
);
console.log(
	`${rounded(Number(bytes) / Number(n))} bytes on disk a row of ${text.length}, indexes and the rest included`,
);
console.log(`resident: ${rounded(one.resident() / 1e6)} MB a node`);
await bySize(one);
await Promise.all([one.stop(), other.stop(), limited.stop()]);
printTable();
process.exit(0);
