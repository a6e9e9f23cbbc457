import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { signIn } from './support/client.ts';
import { Load, UNLIMITED } from './support/load.ts';
import { type Random, randomFrom, seedFrom } from './support/random.ts';
import { NO_RATE_LIMITS, ROOT, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

/**
 * A server under load is killed again and again, at any moment: while it serves, while it stops, while it starts.
 * `CRASH_ROUNDS` says how often, `CRASH_SEED` repeats what a run chose to do.
 */

const ROUNDS = Number(process.env.CRASH_ROUNDS || 12);
const SEED = seedFrom('CRASH_SEED');
const CLIENTS = 24;

/** Ends the server somewhere in the load: mostly at once, sometimes while it is stopping on request. */
async function killSomewhere(server: TestServer, random: Random): Promise<void> {
	await pause(random.below(1500));
	if (random.chance(0.25)) {
		server.process.kill('SIGTERM');
		await pause(random.below(80));
	}
	await server.kill();
}

/** Starts a server and kills it before or just after it is ready. */
async function killWhileStarting(dataDir: string, random: Random): Promise<void> {
	const child: ChildProcess = spawn(process.execPath, [join(ROOT, 'bin/pumadb.js'), 'serve'], {
		env: { ...process.env, ...UNLIMITED, PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir },
		stdio: 'ignore',
	});
	await pause(random.below(400));
	child.kill('SIGKILL');
	if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

async function assertSound(dataDir: string): Promise<void> {
	const { code, err } = await runPumadb(['check', '--data-dir', dataDir]);
	assert.equal(code, 0, err);
}

test(`[4.8] [8.1] [4.6] [4.7] no kill loses an answered write, halves a batch or doubles a retry`, async (t) => {
	t.diagnostic(`CRASH_SEED=${SEED} CRASH_ROUNDS=${ROUNDS}`);
	const random = randomFrom(SEED);
	const dataDir = temporaryDir();
	let server = await startServer(UNLIMITED, dataDir);
	const load = await Load.on(server, CLIENTS, SEED);
	try {
		for (let round = 1; round <= ROUNDS; round++) {
			await Promise.all([load.run(() => false), killSomewhere(server, random)]);
			assert.equal(server.log(), '', 'the server logged a fault');
			if (random.chance(0.3)) await killWhileStarting(dataDir, random);
			await assertSound(dataDir);
			server = await startServer(UNLIMITED, dataDir);
			load.moveTo(server);
			await load.verify();
		}
		await assertSound(dataDir);
		assert.equal(await server.stop(), 0);
		await assertSound(dataDir);
		const { answered, refused, replayed } = load.figures();
		t.diagnostic(
			`${ROUNDS} kills, ${answered} answered writes, ${refused} refused while stopping, ${replayed} keyed adds repeated`,
		);
		assert.ok(answered > ROUNDS * CLIENTS, `only ${answered} writes were answered`);
	} catch (error) {
		t.diagnostic(`failed with CRASH_SEED=${SEED}`);
		throw error;
	} finally {
		await server.kill();
	}
});

test('[4.8] an answer is sent only after the log was synced to the disk', async (t) => {
	const trace = join(temporaryDir(), 'trace');
	if (spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status !== 0) {
		t.skip('strace is not here or may not trace');
		return;
	}
	const server = await startServer(NO_RATE_LIMITS);
	const strace = spawn(
		'strace',
		['-f', '-y', '-s', '16', '-e', 'trace=fsync,fdatasync,pwrite64,write,writev', '-o', trace].concat([
			'-p',
			String(server.process.pid),
		]),
		{ stdio: ['ignore', 'ignore', 'pipe'] },
	);
	try {
		await once(strace.stderr!, 'data');
		const writer = await signIn(server);
		const writes = 30;
		for (let n = 0; n < writes; n++) await writer.add('synced', { n });
		strace.kill('SIGINT');
		await once(strace, 'exit');
		const answers = answersInTrace(readFileSync(trace, 'utf8'));
		assert.equal(answers, writes);
	} finally {
		strace.kill('SIGKILL');
		await server.stop();
	}
});

/** Counts the 201 answers in a trace, and fails for one that was sent before what was written to the log was synced. */
function answersInTrace(trace: string): number {
	// Threads whose sync of the log was begun on one line and returns on a later one.
	const syncing = new Set<string>();
	let unsynced = false;
	let synced = false;
	let answers = 0;
	for (const line of trace.split('\n')) {
		const thread = line.split(' ')[0]!;
		if (/pwrite64\(\d+<[^>]*-wal>/.test(line)) unsynced = true;
		if (/(fsync|fdatasync)\(\d+<[^>]*-wal>/.test(line)) syncing.add(thread);
		if (syncing.has(thread) && /(-wal>\)|resumed>\)) += 0$/.test(line)) {
			syncing.delete(thread);
			unsynced = false;
			synced = true;
		}
		if (!line.includes('HTTP/1.1 201')) continue;
		answers++;
		assert.ok(synced && !unsynced, `answer ${answers} was sent before its sync`);
		synced = false;
	}
	return answers;
}
