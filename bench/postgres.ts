/**
 * `node bench/postgres.ts`: durable adds and reads on PostgreSQL, beside pgbench doing the same with the same bytes, on the same
 * server, at the same concurrency, in turn in one run; what a call costs of the node's and of the database's CPU, for sizing; and
 * tables of 1,000 and 100,000 rows. Adds on one node are measured twice: everything on the same cores, and the database on a core
 * of its own with whoever calls it on another; on two nodes too: as they come, and with a share of a core each. Adds are measured at
 * two concurrencies: with more calls at once, more of them share a transaction, which pgbench's do not. What was written
 * is counted afterwards. Needs pgbench, wrk and taskset on the PATH.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { query, startCluster } from '../test/support/postgres.ts';
import { adds, api, CONNECTIONS, check, home, median, percent, printTable, report, rounded } from './measure.ts';
import { cpuSecondsOf, type Measured, startPumadb } from './processes.ts';
import { limitCpu } from './quota.ts';
import { get, makeAccounts, post, sampleRow } from './requests.ts';
import { bySize } from './sizes.ts';
import { type WrkResult, writeRequests, wrk } from './wrk.ts';

const ROUNDS = 7;
const SECONDS = 3;
/** So many that two nodes seldom hold the same one at the same time. */
const ACCOUNTS = 10_000;
/** Accounts of these that are read. */
const READERS = 1000;
/** Calls at once of a service that is busy; the others of these benchmarks have CONNECTIONS. */
const MANY = 256;
/** Of a core, for each of two nodes that leave room for the database and the load on two cores. */
const SMALL = 0.3;

/** What pgbench made, and what one of its transactions cost the database, in microseconds of CPU. */
interface Transactions {
	readonly perSecond: number;
	readonly database: number;
}

/** Runs a script of pgbench, with prepared statements, its fastest protocol. */
function pgbench(url: string, script: string, connections = CONNECTIONS): Transactions {
	const file = join(home, 'script.sql');
	writeFileSync(file, script);
	const before = databaseCpu();
	const { status, stdout, stderr } = spawnSync(
		'pgbench',
		['-n', '-M', 'prepared', '-c', String(connections), '-j', '2', '-T', String(SECONDS + 1), '-f', file, url],
		{ encoding: 'utf8' },
	);
	if (status !== 0) throw new Error(`pgbench failed: ${stderr}`);
	const made = Number(/actually processed: (\d+)/.exec(stdout)![1]);
	return {
		perSecond: Number(/tps = ([\d.]+)/.exec(stdout)![1]),
		database: ((databaseCpu() - before) / made) * 1e6,
	};
}

/** An equal part of the load each, at once. */
async function together(servers: readonly Measured[], requests: string, connections = CONNECTIONS): Promise<WrkResult> {
	const results = await Promise.all(
		servers.map(({ port }) => wrk({ port, requests, seconds: SECONDS, connections: connections / servers.length })),
	);
	return {
		perSecond: results.reduce((sum, { perSecond }) => sum + perSecond, 0),
		answers: results.reduce((sum, { answers }) => sum + answers, 0),
	};
}

/** Keeps a process, its threads and all that it starts from now on, to one core. */
function keepTo(core: number, pid: string | number): void {
	const { status, stderr } = spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { encoding: 'utf8' });
	if (status !== 0) throw new Error(`taskset failed: ${stderr}`);
}

const cluster = await startCluster({
	fsync: 'on',
	shared_buffers: '256MB',
	max_wal_size: '4GB',
	max_connections: '400',
});
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

/** The processes that the postmaster has started. */
function backends(): string[] {
	return readdirSync('/proc').filter((pid) => {
		try {
			return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nPPid:\t${postmaster}\n`);
		} catch {
			// It has just ended.
			return false;
		}
	});
}

/** CPU seconds of the database so far, of processes that have ended too. */
function databaseCpu(): number {
	let seconds = cpuSecondsOf(postmaster, true);
	for (const pid of backends()) {
		try {
			seconds += cpuSecondsOf(pid);
		} catch {
			// It has just ended.
		}
	}
	return seconds;
}

/** A load, and what a call of it cost in microseconds of CPU. */
interface Loaded extends WrkResult {
	readonly node: number;
	readonly database: number;
}

async function loaded(server: Measured, requests: string, connections = CONNECTIONS): Promise<Loaded> {
	const before = [server.cpuSeconds(), databaseCpu()] as const;
	const result = await together([server], requests, connections);
	const micro = (seconds: number): number => (seconds / result.answers) * 1e6;
	return { ...result, node: micro(server.cpuSeconds() - before[0]), database: micro(databaseCpu() - before[1]) };
}

const per = (results: readonly { readonly perSecond: number }[]): number =>
	median(results.map(({ perSecond }) => perSecond));
const answersOf = (results: readonly WrkResult[]): number => results.reduce((sum, { answers }) => sum + answers, 0);

function told(results: readonly Loaded[]): string {
	const node = median(results.map((result) => result.node));
	const database = median(results.map((result) => result.database));
	return `${rounded(node)} µs of the node's CPU and ${rounded(database)} µs of the database's`;
}

/** What adds have left in the database. */
async function addedRows(): Promise<number> {
	return (await query(cluster.url, `SELECT count(*) AS n FROM pumadb.rows WHERE table_name = 'adds'`))[0].n;
}

/** Two nodes beside one, each with a share of a core: as on machines of their own, where the nodes are what is short. */
async function onSmallMachines(): Promise<void> {
	const small = [await start(), await start()];
	for (const node of small) await together([node], addOne);
	if (!small.every(({ pid }) => limitCpu(pid, SMALL))) {
		console.log('skipped: two nodes with a share of a core each; control groups cannot be made here');
		await Promise.all(small.map((node) => node.stop()));
		return;
	}
	const before = await addedRows();
	const alone: WrkResult[] = [];
	const twos: WrkResult[] = [];
	for (let round = 0; round < ROUNDS; round++) {
		alone.push(await together(small.slice(0, 1), addOne));
		twos.push(await together(small, addOne));
	}
	check((await addedRows()) >= before + answersOf([...alone, ...twos]), 'answered rows are missing');
	const gain = per(twos) / per(alone);
	report(
		`durable adds, two nodes, each with ${SMALL} of a core`,
		`${rounded(per(twos))}/s, ${gain.toFixed(2)} times one node ${rounded(per(alone))}/s`,
		'more than one',
		gain > 1,
	);
	await Promise.all(small.map((node) => node.stop()));
}

/** Durable adds on one node, and pgbench, in turn. */
async function addsBeside(where: string, connections: number): Promise<Loaded[]> {
	const inserts: Transactions[] = [];
	const results: Loaded[] = [];
	for (let round = 0; round < ROUNDS; round++) {
		inserts.push(pgbench(cluster.url, insert, connections));
		results.push(await loaded(one, addOne, connections));
	}
	const share = per(results) / per(inserts);
	report(
		`durable adds, one node, ${connections} connections, ${where}`,
		`${rounded(per(results))}/s, ${share.toFixed(2)} times pgbench ${rounded(per(inserts))}/s`,
		'1 time',
		share >= 1,
	);
	const database = median(inserts.map((made) => made.database));
	console.log(`an add costs ${told(results)}, pgbench's insert ${rounded(database)} µs of the database's`);
	return results;
}

/** Two nodes beside one, on the cores that they share with the database and the load. */
async function twoBesideOne(connections: number): Promise<WrkResult[]> {
	const alone: WrkResult[] = [];
	const twos: WrkResult[] = [];
	for (let round = 0; round < ROUNDS; round++) {
		alone.push(await together([one], addOne, connections));
		twos.push(await together([one, other], addOne, connections));
	}
	const gain = per(twos) / per(alone);
	report(
		`durable adds, two nodes, ${connections} connections, all on the same cores`,
		`${rounded(per(twos))}/s, ${gain.toFixed(2)} times one node ${rounded(per(alone))}/s`,
		'more than one',
		gain > 1,
	);
	return [...alone, ...twos];
}

const [one, other] = [await start(), await start()];
const limited = await start({ PUMADB_READS_PER_MINUTE: '1000000', PUMADB_WRITES_PER_MINUTE: '1000000' });
const accounts = await makeAccounts(one.url, ACCOUNTS);

console.log(
	`${cpus().length} × ${cpus()[0]!.model}, Node ${process.versions.node}, PostgreSQL ${(await query(cluster.url, 'SHOW server_version'))[0].server_version}, ${CONNECTIONS} connections unless told, ${ACCOUNTS} accounts, medians of ${ROUNDS}\n`,
);

const row = sampleRow(7);
const text = (await api(one, accounts[0]!, '/v1/reads', row)).text;
await query(
	cluster.url,
	'CREATE TABLE public.bench_rows (id bigserial PRIMARY KEY, owner integer, text text NOT NULL)',
);
const insert = `INSERT INTO public.bench_rows (text) VALUES ('${text.replaceAll("'", "''")}');`;
const addOne = writeRequests(
	home,
	'adds',
	accounts.map((account) => post(account, '/v1/adds', row)),
);
// Each node has compiled what it runs and knows the accounts by then.
const warm: WrkResult[] = [];
for (const node of [one, other, limited, one, other, limited]) warm.push(await together([node], addOne, MANY));
const [{ lsn }] = await query(cluster.url, 'SELECT pg_current_wal_lsn() AS lsn');
warm.push(await together([one], addOne));
const [{ bytes: log }] = await query(cluster.url, 'SELECT pg_current_wal_lsn() - $1::pg_lsn AS bytes', [lsn]);
console.log(`${rounded(Number(log) / warm.at(-1)!.answers)} bytes of write-ahead log an add of ${text.length}`);
const added: WrkResult[] = [...warm];
for (const connections of [CONNECTIONS, MANY]) {
	added.push(...(await addsBeside('all on the same cores', connections)));
	added.push(...(await twoBesideOne(connections)));
}
const counted: Loaded[] = [];
for (let round = 0; round < ROUNDS; round++) counted.push(await loaded(limited, addOne));
console.log(`with rate limits on an add costs ${told(counted)}`);
const stored = await addedRows();
check(stored >= answersOf([...added, ...counted]), 'answered rows are missing');

const readers = accounts.slice(0, READERS);
for (const account of readers) {
	const { status } = await api(one, account, '/v1/reads25/batch', { operations: adds(0, 25) });
	check(status === 200, 'a batch failed');
}
await query(
	cluster.url,
	`INSERT INTO public.bench_rows (owner, text) SELECT o, $1 FROM generate_series(1, ${READERS}) o, generate_series(1, 25)`,
	[text],
);
await query(cluster.url, 'CREATE INDEX ON public.bench_rows (owner, id)');
await query(cluster.url, 'VACUUM ANALYZE');
const select = `\\set owner random(1, ${READERS})\nSELECT text FROM public.bench_rows WHERE owner = :owner ORDER BY id LIMIT 25;`;
const read25 = writeRequests(
	home,
	'reads',
	readers.map((account) => get(account, '/v1/reads25')),
);
const selects: Transactions[] = [];
const reads: Loaded[] = [];
const limitedReads: Loaded[] = [];
for (let round = 0; round < ROUNDS; round++) {
	selects.push(pgbench(cluster.url, select));
	reads.push(await loaded(one, read25));
	limitedReads.push(await loaded(limited, read25));
}
const readShare = per(reads) / per(selects);
report(
	'reads of 25 rows (8 KB), one node',
	`${rounded(per(reads))}/s, ${percent(readShare)} of pgbench ${rounded(per(selects))}/s`,
	'50 %',
	readShare >= 0.5,
);
console.log(`a read costs ${told(reads)}; with rate limits on ${told(limitedReads)}`);
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
await onSmallMachines();
if (cpus().length > 1) {
	// Whoever calls the database has a machine of its own in earnest, and so does the database.
	for (const pid of [postmaster, ...backends()]) keepTo(0, pid);
	for (const pid of [process.pid, ...[one, other, limited].map((node) => node.pid)]) keepTo(1, pid);
	const before = await addedRows();
	const apart: WrkResult[] = [];
	for (const connections of [CONNECTIONS, MANY]) {
		apart.push(...(await addsBeside('the database on a core of its own', connections)));
	}
	check((await addedRows()) >= before + answersOf(apart), 'answered rows are missing');
}
await Promise.all([one.stop(), other.stop(), limited.stop()]);
printTable();
process.exit(0);
