/**
 * `npm run bench`: prints a table of what was asked for and what was measured. Each figure stands beside a baseline of the same run,
 * the two measured in turn, and what was written is counted afterwards. `npm run bench -- adds` runs one part.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { LoadResult } from './load.ts';
import {
	adds,
	api,
	baseline,
	CONNECTIONS,
	check,
	count,
	home,
	median,
	ONCE,
	only,
	per,
	percent,
	printTable,
	ROUNDS,
	report,
	rounded,
	rowsOf,
	TIMED,
} from './measure.ts';
import { LIMITS_RAISED, load, type Measured, startProcess, startPumadb } from './processes.ts';
import { type Account, get, makeAccounts, post, sampleRow } from './requests.ts';
import { bySize } from './sizes.ts';
import { toolCalls } from './tool-calls.ts';

async function cachedRead(server: Measured, accounts: readonly Account[]): Promise<void> {
	const account = accounts[0]!;
	await api(server, account, '/v1/notes/batch', { operations: adds(0, 25) });
	const expected = (await api(server, account, '/v1/notes')).text;
	const bare = await baseline(expected);
	const bares: LoadResult[] = [];
	const ours: LoadResult[] = [];
	for (let round = 0; round < ROUNDS; round++) {
		bares.push(await load({ ...TIMED, port: bare.port, requests: [get(account, '/')] }));
		ours.push(await load({ ...TIMED, port: server.port, requests: [get(account, '/v1/notes')] }));
	}
	await bare.stop();
	check(only(ours, '200'), 'a read was not answered with 200');
	check((await api(server, account, '/v1/notes')).text === expected, 'the rows changed');
	check(
		ours.every((result) => result.bytes === count([result], '200') * Buffer.byteLength(expected)),
		'an answer of another size',
	);
	const share = per(ours) / per(bares);
	report(
		'GET of 25 rows (8 KB), repeated',
		`${rounded(per(ours))}/s, ${percent(share)} of bare ${rounded(per(bares))}/s`,
		'70 %',
		share >= 0.7,
	);
}

async function durableAdds(server: Measured, accounts: readonly Account[]): Promise<void> {
	const row = sampleRow(7);
	const bare = await baseline('{}');
	const oneCommit = await startProcess(['bench/one-commit-server.ts'], {
		...LIMITS_RAISED,
		PUMADB_PORT: '0',
		PUMADB_DATA_DIR: join(home, 'one-commit'),
	});
	const singles = await makeAccounts(oneCommit.url, accounts.length);
	const requests = accounts.map((account) => post(account, '/v1/adds', row));
	const requestsOfSingles = singles.map((account) => post(account, '/v1/adds', row));
	const bares: LoadResult[] = [];
	const ours: LoadResult[] = [];
	const ones: LoadResult[] = [];
	for (let round = 0; round < ROUNDS; round++) {
		bares.push(await load({ ...TIMED, port: bare.port, requests: [post(accounts[0]!, '/', row)] }));
		ours.push(await load({ ...TIMED, port: server.port, requests }));
		ones.push(await load({ ...TIMED, port: oneCommit.port, requests: requestsOfSingles }));
	}
	await bare.stop();
	await oneCommit.stop();
	check(only(ours, '201'), 'an add was not answered with 201');
	check((await rowsOf(server, accounts, 'adds')) >= count(ours, '201'), 'answered rows are missing');
	const share = per(ours) / per(bares);
	report(
		'durable add, accounts at random',
		`${rounded(per(ours))}/s, ${percent(share)} of bare ${rounded(per(bares))}/s`,
		'30 %',
		share >= 0.3,
	);
	const times = per(ours) / per(ones);
	report(
		'the same beside one commit per request',
		`${times.toFixed(1)} times ${rounded(per(ones))}/s`,
		'4 times',
		times >= 4,
	);
	const tail = median(ours.map((result) => result.p99 / result.median));
	const last = ours.at(-1)!;
	report(
		'durable add, p99',
		`${tail.toFixed(1)} times the median (${last.p99.toFixed(1)} ms, ${last.median.toFixed(1)} ms)`,
		'under 5 times',
		tail < 5,
	);
}

async function batches(server: Measured, accounts: readonly Account[]): Promise<void> {
	const operations = adds(0, 100);
	const requests = accounts.map((account) => post(account, '/v1/batches/batch', { operations }));
	const results: LoadResult[] = [];
	for (let round = 0; round < ROUNDS; round++) results.push(await load({ ...TIMED, port: server.port, requests }));
	check(only(results, '200'), 'a batch was not answered with 200');
	const rows = await rowsOf(server, accounts, 'batches');
	check(rows >= count(results, '200') * 100 && rows % 100 === 0, 'rows of a batch are missing');
	const perSecond = per(results) * 100;
	report('batch of 100 adds', `${rounded(perSecond)} rows/s`, '50,000 rows/s', perSecond >= 50_000);
}

/** A million rows in 10,000 accounts: reads that never repeat a table, memory under load, and the start on such a file. */
async function million(): Promise<void> {
	const dataDir = join(home, 'million');
	let server = await startPumadb(join(home, 'empty'));
	const empty: number[] = [server.startMs];
	await server.stop();
	for (let round = 0; round < 4; round++) {
		server = await startPumadb(join(home, 'empty'));
		empty.push(server.startMs);
		await server.stop();
	}
	server = await startPumadb(dataDir);
	const accounts = await makeAccounts(server.url, 10_000);
	const tables = ['alpha', 'beta', 'gamma', 'delta'];
	const operations = adds(0, 25);
	const seeds = tables.flatMap((table) =>
		accounts.map((account) => post(account, `/v1/${table}/batch`, { operations })),
	);
	const begun = performance.now();
	const seeded = await load({ ...ONCE, port: server.port, requests: seeds });
	check(seeded.statuses['200'] === 40_000, 'a batch of the million failed');
	console.log(`1,000,000 rows in ${Math.round((performance.now() - begun) / 1000)} s`);
	const expected = (await api(server, accounts[0]!, '/v1/alpha')).text;
	const bare = await baseline(expected);
	const bares: LoadResult[] = [];
	const ours: LoadResult[] = [];
	const reads = (table: string): string[] => accounts.map((account) => get(account, `/v1/${table}`));
	const [warm, ...fresh] = tables;
	for (const table of fresh) {
		bares.push(await load({ ...TIMED, port: bare.port, requests: [get(accounts[0]!, '/')] }));
		ours.push(
			await load({ ...ONCE, port: server.port, warmup: 1.5, warmupRequests: reads(warm!), requests: reads(table) }),
		);
	}
	await bare.stop();
	check(
		ours.every((result) => Object.keys(result.statuses).join() === '200' && result.answers >= 10_000 - CONNECTIONS),
		'a read was not answered with 200',
	);
	const share = per(ours) / per(bares);
	report(
		'the same, never the same table twice',
		`${rounded(per(ours))}/s, ${percent(share)} of bare ${rounded(per(bares))}/s`,
		'30 %',
		share >= 0.3,
	);
	const added = await load({
		...TIMED,
		seconds: 5,
		port: server.port,
		requests: accounts.map((account) => post(account, '/v1/alpha', sampleRow(1))),
	});
	check(Object.keys(added.statuses).join() === '201', 'an add was not answered with 201');
	const resident = server.resident() / 1e6;
	const peak = server.residentPeak() / 1e6;
	report(
		'resident memory after 1,000,000 rows in 10,000 accounts, under that load',
		`${rounded(resident)} MB (peak ${rounded(peak)} MB)`,
		'under 300 MB',
		resident < 300,
	);
	await server.stop();
	const full: number[] = [];
	for (let round = 0; round < 5; round++) {
		server = await startPumadb(dataDir);
		full.push(server.startMs);
		await server.stop();
	}
	report('start to ready, empty', `${median(empty).toFixed(0)} ms`, '500 ms', median(empty) <= 500);
	report('start to ready, with 1,000,000 rows', `${median(full).toFixed(0)} ms`, '1,000 ms', median(full) <= 1000);
}

const parts = process.argv.slice(2);
const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);

console.log(
	`${cpus().length} × ${cpus()[0]!.model}, Node ${process.versions.node}, ${CONNECTIONS} connections, 1,000 accounts, limits raised\n`,
);
if (['reads', 'tools', 'adds', 'batches', 'sizes'].some(wanted)) {
	const server = await startPumadb(join(home, 'data'));
	const accounts = await makeAccounts(server.url, 1000);
	if (wanted('reads')) await cachedRead(server, accounts);
	if (wanted('tools')) await toolCalls(server, accounts);
	if (wanted('adds')) await durableAdds(server, accounts);
	if (wanted('batches')) await batches(server, accounts);
	if (wanted('sizes')) await bySize(server);
	await server.stop();
}
if (wanted('million')) await million();

printTable();
process.exit(0);
