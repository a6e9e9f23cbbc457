import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from './postgres.ts';

/** What may stand between a node and its PostgreSQL. */

const BEGINNING = /^BEGIN/;
const END = /^(COMMIT|ROLLBACK)/;
/** Parse, Bind, Describe, Execute, Close: messages of a statement that a Sync ends. */
const PARTS = 'PBDEC';

export interface WatchedWire {
	/** The database's URL through it. */
	readonly url: string;
	/** Statements outside transactions that were sent before everything in front of them on their connection was answered. */
	readonly overtaking: number;
	stop(): Promise<void>;
}

/**
 * Passes the messages of a database on and counts statements that a pooler could tear apart: outside a transaction it may give the
 * database's connection to somebody else once what it has seen so far is answered.
 * @param asPooler clients are greeted with another process's number than the one that answers them, as by a pooler.
 */
export async function watchWire(databaseUrl: string, asPooler: boolean): Promise<WatchedWire> {
	const target = new URL(databaseUrl);
	const sockets = new Set<Socket>();
	let overtaking = 0;
	const server = createServer((client) => {
		const database = connect(Number(target.port), target.hostname);
		let unanswered = 0;
		let within = false;
		let before = '';
		const fromClient = messages(false, (message) => {
			const type = String.fromCharCode(message[0]!);
			if (PARTS.includes(type) && !PARTS.includes(before) && unanswered > 0 && !within) overtaking++;
			if (type === 'Q') {
				const text = message.toString('utf8', 5);
				within = BEGINNING.test(text) || (within && !END.test(text));
			}
			if (type === 'Q' || type === 'S') unanswered++;
			before = type;
		});
		const fromDatabase = messages(true, (message) => {
			const type = String.fromCharCode(message[0]!);
			if (type === 'Z' && unanswered > 0) unanswered--;
			if (type === 'K' && asPooler) message.writeInt32BE(message.readInt32BE(5) ^ 1, 5);
			client.write(message);
		});
		for (const [socket, end] of [
			[client, database],
			[database, client],
		] as const) {
			sockets.add(socket);
			socket.setNoDelay();
			socket.on('error', () => end.destroy());
			socket.on('close', () => {
				sockets.delete(socket);
				end.destroy();
			});
		}
		client.on('data', (bytes: Buffer) => {
			fromClient(bytes);
			database.write(bytes);
		});
		database.on('data', (bytes: Buffer) => fromDatabase(bytes));
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const url = new URL(databaseUrl);
	url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	return {
		url: url.href,
		get overtaking() {
			return overtaking;
		},
		async stop() {
			for (const socket of sockets) socket.destroy();
			server.close();
			await once(server, 'close');
		},
	};
}

/**
 * Cuts a stream of the protocol into messages (https://www.postgresql.org/docs/current/protocol-overview.html).
 * @param typed from the first message on; a client's first one has no type, and is left out.
 */
function messages(typed: boolean, seen: (message: Buffer) => void): (bytes: Buffer) => void {
	let rest = Buffer.alloc(0);
	let greeted = typed;
	return (bytes) => {
		rest = Buffer.concat([rest, bytes]);
		for (;;) {
			const start = greeted ? 1 : 0;
			if (rest.length < start + 4) return;
			const end = start + rest.readInt32BE(start);
			if (rest.length < end) return;
			if (greeted) seen(Buffer.from(rest.subarray(0, end)));
			greeted = true;
			rest = rest.subarray(end);
		}
	};
}

export interface PgBouncer {
	/** The database's URL through it. */
	readonly url: string;
	stop(): Promise<void>;
}

/** Starts the PgBouncer of the PATH in front of a database, in transaction mode; undefined where there is none. */
export async function startPgBouncer(databaseUrl: string, connections: number): Promise<PgBouncer | undefined> {
	if (spawnSync('pgbouncer', ['--version']).error !== undefined) return undefined;
	const directory = mkdtempSync(join(tmpdir(), 'pumadb-pgbouncer-'));
	chmodSync(directory, 0o755);
	const target = new URL(databaseUrl);
	const port = await freePort();
	writeFileSync(join(directory, 'users'), `"${target.username}" "${target.password}"\n`);
	writeFileSync(
		join(directory, 'ini'),
		[
			'[databases]',
			`* = host=${target.hostname} port=${target.port}`,
			'[pgbouncer]',
			'listen_addr = 127.0.0.1',
			`listen_port = ${port}`,
			'unix_socket_dir =',
			'auth_type = plain',
			`auth_file = ${join(directory, 'users')}`,
			'pool_mode = transaction',
			`default_pool_size = ${connections}`,
			'server_reset_query = DISCARD ALL',
			'server_reset_query_always = 1',
		].join('\n'),
	);
	// A file: it stands still when nobody reads what it says.
	const log = openSync(join(directory, 'log'), 'w');
	// It does not run as root.
	const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
	const child: ChildProcess = spawn('pgbouncer', [...user, join(directory, 'ini')], { stdio: ['ignore', log, log] });
	closeSync(log);
	const gone = once(child, 'exit');
	process.once('exit', () => child.kill('SIGKILL'));
	while (!readFileSync(join(directory, 'log'), 'utf8').includes('process up')) {
		if (child.exitCode !== null || child.signalCode !== null)
			throw new Error(readFileSync(join(directory, 'log'), 'utf8'));
		await pause(20);
	}
	const url = new URL(databaseUrl);
	url.host = `127.0.0.1:${port}`;
	return {
		url: url.href,
		async stop() {
			child.kill('SIGINT');
			await gone;
			rmSync(directory, { recursive: true });
		},
	};
}
