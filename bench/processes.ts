import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { LoadOrder, LoadResult } from './load.ts';

/** Starts what is measured, and the load, each in a process of its own. */

/** Linux counts CPU time in hundredths of a second, whatever the kernel's own tick (sysconf(3), _SC_CLK_TCK). */
const CLOCK_TICKS = 100;
const ROOT = join(import.meta.dirname, '..');

/** What still runs ends with the benchmark, however that ends. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
	for (const child of running) child.kill('SIGKILL');
});

export interface Measured {
	readonly pid: number;
	readonly port: number;
	readonly url: string;
	/** Milliseconds from exec to the line that says where it listens. */
	readonly startMs: number;
	/** Resident memory now, in bytes (proc(5), VmRSS). */
	resident(): number;
	/** CPU seconds used so far, all threads (proc(5), stat: utime and stime). */
	cpuSeconds(): number;
	/** The greatest resident memory so far, in bytes (VmHWM). */
	residentPeak(): number;
	stop(): Promise<void>;
}

export async function startProcess(
	args: readonly string[],
	env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
	const begin = performance.now();
	const child: ChildProcess = spawn(process.execPath, args, {
		cwd: ROOT,
		env: { ...process.env, ...env },
		stdio: ['ignore', 'pipe', 'ignore'],
	});
	running.add(child);
	child.once('exit', () => running.delete(child));
	const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
	const startMs = performance.now() - begin;
	const url = /http:\S+/.exec(line)![0];
	const memory = (name: string): number => {
		const kib = new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
		return Number(kib) * 1024;
	};
	return {
		pid: child.pid!,
		url,
		port: Number(new URL(url).port),
		startMs,
		cpuSeconds: () => cpuSecondsOf(String(child.pid)),
		resident: () => memory('VmRSS'),
		residentPeak: () => memory('VmHWM'),
		async stop() {
			child.kill('SIGTERM');
			await once(child, 'exit');
		},
	};
}

/** CPU seconds that a process used so far, all threads (proc(5), stat), with those of its children that have ended if asked. */
export function cpuSecondsOf(pid: string, withEnded = false): number {
	const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
	return fields.slice(11, withEnded ? 15 : 13).reduce((sum, ticks) => sum + Number(ticks), 0) / CLOCK_TICKS;
}

export const LIMITS_RAISED: Readonly<Record<string, string>> = {
	PUMADB_READS_PER_MINUTE: '0',
	PUMADB_WRITES_PER_MINUTE: '0',
	PUMADB_SIGN_INS_PER_HOUR: '0',
	PUMADB_MAX_TABLES: '0',
	PUMADB_MAX_ROWS_PER_TABLE: '0',
	PUMADB_MAX_ACCOUNT_BYTES: '0',
	PUMADB_MAX_QUERY_LIMIT: '0',
};

/** The server as `npm start` starts it, with limits raised and rate limits off, everything else as it comes. */
export function startPumadb(dataDir: string, env: Readonly<Record<string, string>> = {}): Promise<Measured> {
	return startProcess(['--max-semi-space-size=8', 'bin/pumadb.js', 'serve'], {
		...LIMITS_RAISED,
		MALLOC_ARENA_MAX: '2',
		PUMADB_PORT: '0',
		PUMADB_DATA_DIR: dataDir,
		...env,
	});
}

export async function load(order: LoadOrder): Promise<LoadResult> {
	const child = fork(join(import.meta.dirname, 'load.ts'), { serialization: 'advanced' });
	child.send(order);
	const [result] = (await once(child, 'message')) as [LoadResult];
	return result;
}
