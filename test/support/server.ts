import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { alternate, databaseOf, nodeSettings, sharedAddress, TWO_NODES } from './nodes.ts';

/** Real servers in processes of their own, on real files, as a user starts them. */

export const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'bin/pumadb.js');

export type Env = Readonly<Record<string, string>>;

/** Limits off, for tests that are about something else. */
export const NO_RATE_LIMITS: Env = {
	PUMADB_READS_PER_MINUTE: '0',
	PUMADB_WRITES_PER_MINUTE: '0',
	PUMADB_SIGN_INS_PER_HOUR: '0',
};

export interface TestServer {
	readonly url: string;
	readonly dataDir: string;
	readonly process: ChildProcess;
	/** What it has logged so far. */
	log(): string;
	/** Sends SIGTERM and resolves with the exit code. */
	stop(): Promise<number | null>;
	/** Sends SIGKILL and resolves once the process is gone. */
	kill(): Promise<void>;
}

/** A directory that is removed when the test process ends. */
export function temporaryDir(): string {
	const dir = mkdtempSync(join(tmpdir(), 'pumadb-test-'));
	process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
	return dir;
}

function cleanEnv(env: Env): NodeJS.ProcessEnv {
	const inherited = Object.entries(process.env).filter(
		([name]) => !name.startsWith('PUMADB_') && !name.startsWith('NODE_TEST'),
	);
	return { ...Object.fromEntries(inherited), ...env };
}

/** Starts `pumadb serve` on a free port and resolves once it has said where it listens. */
export async function startServer(env: Env = NO_RATE_LIMITS, dataDir: string = temporaryDir()): Promise<TestServer> {
	if (!TWO_NODES || env.PUMADB_DATABASE_URL !== undefined) return startNode(env, dataDir);
	const database = await nodeSettings(dataDir);
	const settings = await sharedAddress({ ...database, ...env });
	const [first, second] = await Promise.all([startNode(settings.first, dataDir), startNode(settings.second, dataDir)]);
	alternate([first.url, second.url]);
	return {
		...first,
		log: () => first.log() + second.log(),
		stop: async () => (await Promise.all([first.stop(), second.stop()])).find((code) => code !== 0) ?? 0,
		kill: async () => void (await Promise.all([first.kill(), second.kill()])),
	};
}

/** Starts one node. */
export async function startNode(env: Env, dataDir: string): Promise<TestServer> {
	const child = spawn(process.execPath, [PROGRAM, 'serve'], {
		env: cleanEnv({ PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir, ...env }),
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const kill = () => child.kill('SIGKILL');
	process.once('exit', kill);
	let log = '';
	child.stderr!.setEncoding('utf8').on('data', (text: string) => {
		log += text;
	});
	const exited = once(child, 'exit');
	exited.then(() => process.off('exit', kill));
	const url = await new Promise<string>((resolve, reject) => {
		createInterface({ input: child.stdout! }).once('line', (line) => {
			const found = /https?:\/\/\S+/.exec(line)?.[0];
			if (found === undefined) reject(new Error(`The first line names no URL: ${line}`));
			else resolve(found);
		});
		exited.then(([code]) => reject(new Error(`The server ended with ${code} before it was ready: ${log}`)));
	});
	return {
		url,
		dataDir,
		process: child,
		log: () => log,
		async stop() {
			if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
			await exited;
			return child.exitCode;
		},
		async kill() {
			child.kill('SIGKILL');
			await exited;
		},
	};
}

/** A command on a data directory is one on the database that stands for it. */
function onDatabase(args: readonly string[], env: Env): { args: readonly string[]; env: Env } {
	const at = args.indexOf('--data-dir');
	const url = at === -1 ? undefined : databaseOf(args[at + 1]!);
	return url === undefined ? { args, env } : { args: args.toSpliced(at, 2), env: { ...env, PUMADB_DATABASE_URL: url } };
}

/** Runs a `pumadb` command to its end. */
export async function runPumadb(
	args: readonly string[],
	env: Env = {},
): Promise<{ code: number | null; out: string; err: string }> {
	const { args: asked, env: settings } = onDatabase(args, env);
	const child = spawn(process.execPath, [PROGRAM, ...asked], {
		env: cleanEnv(settings),
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let out = '';
	let err = '';
	child.stdout!.setEncoding('utf8').on('data', (text: string) => {
		out += text;
	});
	child.stderr!.setEncoding('utf8').on('data', (text: string) => {
		err += text;
	});
	await once(child, 'close');
	return { code: child.exitCode, out, err };
}
