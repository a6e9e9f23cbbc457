import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Env, ROOT, temporaryDir } from './server.ts';

/** The program as a person runs it, with a home directory of its own. */

const PROGRAM = join(ROOT, 'bin/pumadb.js');

export interface Ran {
	readonly code: number | null;
	readonly out: string;
	readonly err: string;
}

export interface Home {
	readonly dir: string;
	/** Runs a command to its end. */
	run(args: readonly string[], options?: RunOptions): Promise<Ran>;
	/** Starts a command on a terminal. */
	onTerminal(args: readonly string[], env?: Env): Terminal;
}

export interface RunOptions {
	readonly env?: Env;
	readonly input?: string | Uint8Array;
	/** Where standard output goes in place of what is returned, as the shell has it: `| head -c 1`, `> /dev/full`. */
	readonly shell?: string;
	/** What the shell does before, with `shell`. */
	readonly prefix?: string;
	/** Called once with the running process. */
	readonly started?: (child: ReturnType<typeof spawn>) => void;
}

export interface Terminal {
	/** What was on the screen so far. */
	screen(): string;
	/** Resolves once the screen shows it. @throws Error where the command ends before */
	see(pattern: RegExp): Promise<void>;
	type(text: string): void;
	readonly ended: Promise<number | null>;
}

/** @param env what is set in every run, beside a HOME of its own */
export function makeHome(env: Env = {}): Home {
	const dir = temporaryDir();
	const full = (more: Env): NodeJS.ProcessEnv => {
		const inherited = Object.entries(process.env).filter(([name]) => !/^(PUMADB_|NODE_TEST|XDG_)/.test(name));
		return { ...Object.fromEntries(inherited), HOME: dir, NO_COLOR: '1', ...env, ...more };
	};
	return {
		dir,
		async run(args, { env: more = {}, input, shell, prefix = '', started } = {}) {
			const command =
				shell === undefined
					? ([process.execPath, [PROGRAM, ...args]] as const)
					: ([
							'bash',
							['-c', `set -o pipefail; ${prefix} "$0" "$@" ${shell}`, process.execPath, PROGRAM, ...args],
						] as const);
			const child = spawn(command[0], command[1], { env: full(more), stdio: ['pipe', 'pipe', 'pipe'], cwd: dir });
			child.stdin.on('error', () => {});
			child.stdin.end(input);
			started?.(child);
			let out = '';
			let err = '';
			child.stdout.setEncoding('utf8').on('data', (text: string) => {
				out += text;
			});
			child.stderr.setEncoding('utf8').on('data', (text: string) => {
				err += text;
			});
			await once(child, 'close');
			return { code: child.exitCode, out, err };
		},
		onTerminal(args, more = {}) {
			const words = [process.execPath, PROGRAM, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
			const child = spawn(
				'script',
				['--quiet', '--flush', '--return', '--command', `stty cols 100; ${words}`, '/dev/null'],
				{
					env: { ...full(more), TERM: 'xterm' },
					stdio: ['pipe', 'pipe', 'inherit'],
					cwd: dir,
				},
			);
			let screen = '';
			let over = false;
			const watchers = new Set<() => void>();
			const look = (): void => {
				for (const watcher of watchers) watcher();
			};
			child.stdout.setEncoding('utf8').on('data', (text: string) => {
				screen += text;
				look();
			});
			const ended = once(child, 'close').then(([code]) => {
				over = true;
				look();
				return code as number | null;
			});
			return {
				screen: () => screen,
				see: (pattern) =>
					new Promise((resolve, reject) => {
						const watcher = (): void => {
							if (pattern.test(screen)) resolve();
							else if (over) reject(new Error(`It ended without showing ${pattern}: ${screen}`));
							else return;
							watchers.delete(watcher);
						};
						watchers.add(watcher);
						watcher();
					}),
				type: (text) => child.stdin.write(text),
				ended,
			};
		},
	};
}

/** Why there can be no terminal here; undefined where there can. */
export function noTerminal(): string | undefined {
	const { error } = spawnSync('script', ['--version']);
	return error === undefined ? undefined : 'there is no "script" (util-linux) on the PATH, which makes a terminal';
}
