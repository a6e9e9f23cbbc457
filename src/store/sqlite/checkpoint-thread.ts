import { parentPort, workerData } from 'node:worker_threads';
import { openCheckpointer } from './driver.ts';

/**
 * Copies the write-ahead log into the file, off the commit path (https://sqlite.org/wal.html#ckpt). A passive checkpoint makes
 * nobody wait. Under steady load it never reaches the log's moving end, so once the log is long the writer is asked to copy the
 * short rest between two groups and to start the log anew.
 */
export interface CheckpointThreadData {
	readonly path: string;
	readonly progress: SharedArrayBuffer;
	readonly checkpointPages: number;
}

const { path, progress, checkpointPages } = workerData as CheckpointThreadData;
const pages = new Int32Array(progress);
const STOP = 1;
/** A quiet log is copied after this time, however short it is. */
const IDLE_MS = 5000;
const PASSES = 3;

const db = openCheckpointer(path);
const passive = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');

while (Atomics.load(pages, STOP) === 0) {
	const before = Atomics.load(pages, 0);
	if (before < checkpointPages) Atomics.wait(pages, 0, before, IDLE_MS);
	if (Atomics.load(pages, STOP) !== 0) break;
	const due = Atomics.load(pages, 0);
	if (due === 0 || (due < checkpointPages && due !== before)) continue;
	try {
		let log = 0;
		// Each pass copies what was written during the one before, so that little is left for the writer.
		for (let pass = 0; pass < PASSES; pass++) log = (passive.get() as { log: number }).log;
		Atomics.sub(pages, 0, due);
		if (log >= checkpointPages / 2) parentPort!.postMessage('long');
	} catch {
		// A full or failing disk: the writer answers for it, and the log is kept until copying succeeds.
		Atomics.wait(pages, STOP, 0, 1000);
	}
}
db.close();
parentPort!.close();
