import { readFileSync } from 'node:fs';

/** What Linux tells of a process (proc(5)). */

const CLOCK_TICKS_PER_SECOND = 100;

/** Is there a `/proc` to read? */
export function hasProc(): boolean {
	try {
		return readFileSync('/proc/self/stat').length > 0;
	} catch {
		return false;
	}
}

/** CPU seconds that all threads have used so far. */
export function cpuSeconds(pid: number): number {
	const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
	return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

/** Resident memory in MiB: now, and the most so far. */
export function memory(pid: number): { now: number; peak: number } {
	const status = readFileSync(`/proc/${pid}/status`, 'utf8');
	const mebibytes = (name: string): number =>
		Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
	return { now: mebibytes('VmRSS'), peak: mebibytes('VmHWM') };
}
