import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { openReader, type Row } from '../../src/store/sqlite/driver.ts';
import { findFaults } from '../../src/store/sqlite/faults.ts';
import { DATABASE_FILE } from '../../src/store/sqlite/store.ts';
import { databaseOf } from './nodes.ts';

/** Everything that is wrong with the database in a data directory; the server may run. */
export function faultsOf(dataDir: string): string[] {
	const url = databaseOf(dataDir);
	if (url !== undefined) return askPostgres('faults', url) as string[];
	const db = openReader(join(dataDir, DATABASE_FILE));
	try {
		return [...findFaults(db)];
	} finally {
		db.close();
	}
}

let asking: { readonly port: MessagePort; readonly done: Int32Array } | undefined;

/** Asks a thread and waits for its answer, as asking a file does. */
function askPostgres(...question: string[]): unknown {
	asking ??= startAsking();
	const { port, done } = asking;
	Atomics.store(done, 0, 0);
	port.postMessage(question);
	Atomics.wait(done, 0, 0);
	const { answer, error } = receiveMessageOnPort(port)!.message;
	if (error !== undefined) throw new Error(`The database could not be asked: ${error}`);
	return answer;
}

function startAsking() {
	const { port1, port2 } = new MessageChannel();
	const done = new Int32Array(new SharedArrayBuffer(4));
	const worker = new Worker(new URL('./ask-postgres.ts', import.meta.url), {
		workerData: { port: port2, done },
		transferList: [port2],
	});
	worker.unref();
	port1.unref();
	return { port: port1, done };
}

/** Rows of a query on the database itself. */
export function queryDatabase(dataDir: string, sql: string): Row[] {
	const url = databaseOf(dataDir);
	if (url !== undefined) return askPostgres('query', url, sql) as Row[];
	const db = openReader(join(dataDir, DATABASE_FILE));
	try {
		return db.prepare(sql).all() as Row[];
	} finally {
		db.close();
	}
}

/**
 * The files of a data directory whose bytes hold the text, or the tables of the database that stands for it. Another process reads them: closing a file gives up the locks that a
 * process has on it (fcntl(2)), and the server may be in this one.
 */
export function filesHolding(dataDir: string, text: string): string[] {
	const url = databaseOf(dataDir);
	if (url !== undefined) return askPostgres('holding', url, text) as string[];
	const names = readdirSync(dataDir).filter((name) => statSync(join(dataDir, name)).isFile());
	const { status, stdout, stderr } = spawnSync('grep', ['-lF', '--', text, ...names], {
		cwd: dataDir,
		encoding: 'utf8',
	});
	// 1: none of them does.
	if (status !== 0 && status !== 1) throw new Error(`grep ended with ${status}: ${stderr}`);
	return stdout.split('\n').filter((name) => name !== '');
}
