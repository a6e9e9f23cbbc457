import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Env, ROOT } from './server.ts';

/** Starts the program with any arguments and watches all it says, for tests about just that. */

const PROGRAM = join(ROOT, 'bin/pumadb.js');
const DEADLINE_MS = 60_000;

export interface Launched {
	readonly process: ChildProcess;
	out(): string;
	err(): string;
	/** The address in its first line of output; undefined where it ended without one. */
	readonly url: Promise<string | undefined>;
	/** The exit code; null where a signal ended it. */
	readonly ended: Promise<number | null>;
	kill(): Promise<void>;
}

/** @param before shell commands that the process starts with, for example `umask 000`. */
export function launch(args: readonly string[], env: Env = {}, before = ''): Launched {
	const inherited = Object.entries(process.env).filter(([name]) => !/^(PUMADB_|NODE_TEST)/.test(name));
	const child = spawn('sh', ['-c', `${before || ':'}; exec "$0" "$@"`, process.execPath, PROGRAM, ...args], {
		env: { ...Object.fromEntries(inherited), ...env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const kill = (): boolean => child.kill('SIGKILL');
	process.once('exit', kill);
	let out = '';
	let err = '';
	child.stderr!.setEncoding('utf8').on('data', (text: string) => {
		err += text;
	});
	const ended = once(child, 'close').then(([code]) => {
		process.off('exit', kill);
		return code as number | null;
	});
	const url = new Promise<string | undefined>((resolve) => {
		child.stdout!.setEncoding('utf8').on('data', (text: string) => {
			out += text;
			if (out.includes('\n')) resolve(/https?:\/\/\S+/.exec(out)?.[0]);
		});
		ended.then(() => resolve(undefined));
	});
	return {
		process: child,
		out: () => out,
		err: () => err,
		url,
		ended,
		async kill() {
			kill();
			await ended;
		},
	};
}

/** Runs to the end. What prints a line with a URL has started a server that was not to start: it is killed. */
export async function run(
	args: readonly string[],
	env: Env = {},
): Promise<{ code: number | null; out: string; err: string }> {
	const launched = launch(args, env);
	const timer = setTimeout(() => launched.process.kill('SIGKILL'), DEADLINE_MS);
	if ((await launched.url) !== undefined) launched.process.kill('SIGKILL');
	const code = await launched.ended;
	clearTimeout(timer);
	return { code, out: launched.out(), err: launched.err() };
}
