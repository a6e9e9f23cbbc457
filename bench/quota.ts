import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Microseconds in which a share is given out: short, so that no call waits long for its process's next turn. */
const PERIOD = 10_000;

const made: string[] = [];
// Empty by then: what was in them has ended.
process.once('exit', () => {
	for (const group of made) {
		try {
			rmdirSync(group);
		} catch {
			// It goes with the machine.
		}
	}
});

/**
 * Lets a process have a share of one core at most, all its threads together, as if it had a small machine of its own (control
 * groups of Linux, either version).
 * @returns false where that cannot be done, for want of rights or of the controller.
 */
export function limitCpu(pid: number, share: number): boolean {
	const quota = Math.round(share * PERIOD);
	const version1 = '/sys/fs/cgroup/cpu';
	try {
		const group = join(existsSync(version1) ? version1 : '/sys/fs/cgroup', `pumadb-bench-${pid}`);
		mkdirSync(group);
		made.push(group);
		if (existsSync(join(group, 'cpu.max'))) writeFileSync(join(group, 'cpu.max'), `${quota} ${PERIOD}`);
		else {
			writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD));
			writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quota));
		}
		writeFileSync(join(group, 'cgroup.procs'), String(pid));
		return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`pumadb-bench-${pid}`);
	} catch {
		return false;
	}
}
