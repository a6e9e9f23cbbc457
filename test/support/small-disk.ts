import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDir } from './server.ts';

/** A disk that is soon full: a tmpfs of its own. */
export interface SmallDisk {
	readonly dir: string;
	/** Fills what is left but for `leave` bytes. */
	fill(leave: number): void;
	/** Makes room again. */
	free(): void;
	unmount(): void;
}

/** @returns undefined where this process may not mount. */
export function smallDisk(mebibytes: number): SmallDisk | undefined {
	const dir = temporaryDir();
	const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'pumadb-test', dir]);
	if (mounted.status !== 0) return undefined;
	const ballast = join(dir, 'ballast');
	const unmount = (): void => {
		spawnSync('umount', ['-l', dir]);
	};
	// Before the directory itself is removed.
	process.prependOnceListener('exit', unmount);
	return {
		dir,
		fill(leave) {
			writeUntilFull(ballast);
			if (leave > 0) truncateBy(ballast, leave);
		},
		free: () => rmSync(ballast),
		unmount() {
			process.off('exit', unmount);
			unmount();
		},
	};
}

/** Can a test get mount rights in a user namespace of its own (user_namespaces(7))? */
export function canUnshare(): boolean {
	const { status } = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'pumadb-test', temporaryDir()]);
	return status === 0;
}

function writeUntilFull(path: string): void {
	const file = openSync(path, 'a');
	try {
		for (let size = 65_536; size >= 1; ) {
			try {
				if (writeSync(file, Buffer.alloc(size)) === size) continue;
			} catch (error) {
				if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
			}
			size = Math.floor(size / 2);
		}
		fsyncSync(file);
	} finally {
		closeSync(file);
	}
}

function truncateBy(path: string, bytes: number): void {
	const { status } = spawnSync('truncate', ['-s', `-${bytes}`, path]);
	if (status !== 0) throw new Error(`truncate ended with ${status}`);
}
