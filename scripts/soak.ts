/**
 * Runs what looks for rare faults again and again, with growing seeds, until the time is up or something fails:
 *
 *   npm run soak -- --minutes 30 [--seed 1]
 *
 * Each turn is a crash test (test/crash.test.ts), a model test (test/model.test.ts) and some mixed load on one
 * server that lives as long as the soak, so that what grows slowly is seen: memory, files, counters. It stops at the first
 * failure and says with which seed to run it again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Load, UNLIMITED } from '../test/support/load.ts';
import { hasProc, memory } from '../test/support/processes.ts';
import { runPumadb, startServer, type TestServer } from '../test/support/server.ts';

const ROOT = join(import.meta.dirname, '..');
const CRASH_ROUNDS = 25;
/** Sequences of each of the model test's kinds. */
const MODEL_RUNS = 50;
const LOAD_SECONDS = 20;
const LOAD_CLIENTS = 32;
const MAX_MEMORY_MIB = 1000;

interface Totals {
	turns: number;
	kills: number;
	modelRuns: number;
	writes: number;
	repeated: number;
}

const started = Date.now();

function say(text: string): void {
	const seconds = Math.round((Date.now() - started) / 1000);
	console.log(`${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}  ${text}`);
}

/** Runs one test file. @throws Error with all it said where it fails. */
async function runTest(file: string, env: Readonly<Record<string, string>>): Promise<void> {
	const inherited = Object.entries(process.env).filter(([name]) => !/^(PUMADB_|NODE_TEST)/.test(name));
	const child = spawn(process.execPath, ['--test', file], {
		cwd: ROOT,
		env: { ...Object.fromEntries(inherited), ...env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let said = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text) => {
			said += text;
		});
	}
	const [code] = await once(child, 'close');
	if (code === 0) return;
	const again = Object.entries(env).map(([name, value]) => `${name}=${value}`);
	throw new Error(`${said}\nRun it again: ${again.join(' ')} node --test ${file}`);
}

/** Load without kills, then everything stored is held against everything answered. */
async function runLoad(server: TestServer, seed: number): Promise<Load> {
	const load = await Load.on(server, LOAD_CLIENTS, seed);
	const end = Date.now() + LOAD_SECONDS * 1000;
	await load.run(() => Date.now() >= end);
	await load.verify();
	const { code, out, err } = await runPumadb(['check', '--data-dir', server.dataDir]);
	if (code !== 0) throw new Error(`The database is not sound after load with seed ${seed}: ${out}${err}`);
	if (server.log() !== '') throw new Error(`The server logged a fault under load with seed ${seed}: ${server.log()}`);
	return load;
}

/** What the server that lives on takes. */
function sizes({ process: child, dataDir }: TestServer): string {
	const files = readdirSync(dataDir).reduce((sum, name) => sum + statSync(join(dataDir, name)).size, 0);
	const disk = `${Math.round(files / 1024 / 1024)} MiB on disk`;
	if (!hasProc()) return disk;
	const { now } = memory(child.pid!);
	if (now > MAX_MEMORY_MIB) throw new Error(`The server takes ${now} MiB of memory.`);
	return `${now} MiB of memory, ${disk}`;
}

async function turn(server: TestServer, seed: number, totals: Totals): Promise<void> {
	await runTest('test/crash.test.ts', { CRASH_SEED: String(seed), CRASH_ROUNDS: String(CRASH_ROUNDS) });
	totals.kills += CRASH_ROUNDS;
	await runTest('test/model.test.ts', { MODEL_SEED: String(seed), MODEL_RUNS: String(MODEL_RUNS) });
	totals.modelRuns += MODEL_RUNS;
	const { answered, replayed } = (await runLoad(server, seed)).figures();
	totals.writes += answered;
	totals.repeated += replayed;
	totals.turns++;
	say(
		`seed ${seed}: ${CRASH_ROUNDS} kills, ${MODEL_RUNS} model sequences of each kind, ${answered} writes; the server: ${sizes(server)}`,
	);
}

async function soak(minutes: number, firstSeed: number): Promise<number> {
	const totals: Totals = { turns: 0, kills: 0, modelRuns: 0, writes: 0, repeated: 0 };
	const end = started + minutes * 60_000;
	const server = await startServer(UNLIMITED);
	let seed = firstSeed;
	try {
		say(`${minutes} minutes, from seed ${firstSeed}`);
		for (; Date.now() < end; seed++) await turn(server, seed, totals);
		const code = await server.stop();
		if (code !== 0) throw new Error(`The server ended with ${code}: ${server.log()}`);
	} catch (error) {
		say(`FAILED with seed ${seed}`);
		console.error(error instanceof Error ? error.message : error);
		return 1;
	} finally {
		await server.kill();
		const { turns, kills, modelRuns, writes, repeated } = totals;
		say(
			`${turns} turns: ${kills} kills, ${modelRuns} model sequences of each kind, ${writes} writes, ${repeated} keyed adds repeated`,
		);
	}
	return 0;
}

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 30);
const seed = Number(values.seed ?? 1);
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
	console.error('Usage: npm run soak -- --minutes 30 [--seed 1]');
	process.exitCode = 2;
} else process.exitCode = await soak(minutes, seed);
