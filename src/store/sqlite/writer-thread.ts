import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { WriteLimits } from '../../limits.ts';
import { type Timed, Writer, type WriterOutcome } from './writer.ts';

/**
 * The writer's thread: takes everything that has queued since its last commit, runs it as one group, and answers. While the
 * disk syncs, the next group queues.
 */

export interface WriterThreadData {
	readonly path: string;
	readonly limits: WriteLimits;
	/** Most calls in one group; 1 is for measuring what groups gain. */
	readonly maxGroup: number;
	/** Shared with the checkpoint thread: [0] pages written since the log was last copied (estimated). */
	readonly progress: SharedArrayBuffer;
	/** Estimated pages after which the checkpoint thread is woken. */
	readonly checkpointPages: number;
}

/** Messages to the thread: calls in order, each with the number its answer carries; or what to do with the log. */
export type ToWriter =
	| { readonly calls: readonly (Timed & { readonly no: number })[] }
	| { readonly restartLog: true }
	| { readonly scrub: true }
	| { readonly close: true };

/** Messages from the thread. */
export type FromWriter =
	| { readonly ready: true }
	| { readonly cannotOpen: string }
	/** Nothing of what was erased before the last `scrub` is left in the log. */
	| { readonly scrubbed: true }
	| { readonly answers: readonly { readonly no: number; readonly outcome: WriterOutcome }[] };

const { path, limits, maxGroup, progress, checkpointPages } = workerData as WriterThreadData;
const port = parentPort!;
const pages = new Int32Array(progress);
/** Calls of one group may carry this many characters before the group is closed: a commit stays short. */
const MAX_GROUP_CHARACTERS = 8_000_000;
/** Pages that a call dirties besides those of its text: its row's index, its table's and its account's numbers. */
const PAGES_PER_CALL = 3;
const PAGE_BYTES = 4096;
const PAUSE_MS = 1000;
const SCRUB_AGAIN_MS = 200;

let queue: (Timed & { readonly no: number })[] = [];
let restartLog = false;
/** Erased content is still in the log. */
let scrubOwed = false;
let closing = false;
let scheduled = false;
let waking = false;
let pausedUntil = 0;

function send(message: FromWriter): void {
	port.postMessage(message);
}

function open(): Writer | undefined {
	try {
		return new Writer(path, limits);
	} catch (error) {
		send({ cannotOpen: error instanceof Error ? error.message : String(error) });
		return undefined;
	}
}

function receive(message: ToWriter): void {
	if ('calls' in message) queue = queue.length === 0 ? (message.calls as typeof queue) : queue.concat(message.calls);
	else if ('restartLog' in message) restartLog = true;
	else if ('scrub' in message) scrubOwed = true;
	else closing = true;
}

/** Takes in what arrived meanwhile, without waiting for the event loop. */
function receiveAll(): void {
	for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
		receive(next.message);
}

function charactersOf({ call }: Timed): number {
	if (call.kind !== 'rows') return 0;
	let characters = 0;
	for (const operation of call.operations) {
		if ('own' in operation) characters += operation.own.length;
		else if ('patch' in operation) characters += operation.patch.length;
	}
	return characters;
}

function takeGroup(): { group: typeof queue; characters: number } {
	let size = 0;
	let characters = 0;
	while (size < queue.length && size < maxGroup && characters < MAX_GROUP_CHARACTERS)
		characters += charactersOf(queue[size++]!);
	const group = size === queue.length ? queue : queue.slice(0, size);
	queue = size === queue.length ? [] : queue.slice(size);
	return { group, characters };
}

function work(writer: Writer): void {
	scheduled = false;
	receiveAll();
	if (queue.length > 0) {
		const { group, characters } = takeGroup();
		const outcomes = writer.runGroup(group);
		send({ answers: group.map(({ no }, i) => ({ no, outcome: outcomes[i]! })) });
		const written = group.length * PAGES_PER_CALL + Math.ceil(characters / PAGE_BYTES);
		const before = Atomics.add(pages, 0, written);
		if (before < checkpointPages && before + written >= checkpointPages) Atomics.notify(pages, 0);
	} else if (backgroundWaits(writer)) {
		if (!writer.backgroundStep()) pausedUntil = Date.now() + PAUSE_MS;
		Atomics.add(pages, 0, PAGES_PER_CALL);
	}
	if (scrubOwed && !writer.hasBackgroundWork) scrub(writer);
	if (restartLog) {
		restartLog = false;
		writer.restartLog('RESTART');
	}
	if (queue.length > 0 || (backgroundWaits(writer) && !closing)) schedule(writer);
	else if (closing) {
		writer.close();
		port.close();
	}
}

/** Empties the log, which waits for readers of it to go: until then it is tried again and again. */
function scrub(writer: Writer): void {
	if (writer.restartLog('TRUNCATE')) {
		scrubOwed = false;
		send({ scrubbed: true });
	} else setTimeout(schedule, SCRUB_AGAIN_MS, writer).unref();
}

/** Is there background work to do now? After a failure of the disk it rests for a while, and goes on by itself. */
function backgroundWaits(writer: Writer): boolean {
	if (!writer.hasBackgroundWork) return false;
	if (Date.now() >= pausedUntil) return true;
	if (!waking) {
		waking = true;
		setTimeout(() => {
			waking = false;
			schedule(writer);
		}, PAUSE_MS).unref();
	}
	return false;
}

/** Lets messages come in between two groups. */
function schedule(writer: Writer): void {
	if (scheduled) return;
	scheduled = true;
	setImmediate(work, writer);
}

const writer = open();
if (writer !== undefined) {
	port.on('message', (message: ToWriter) => {
		receive(message);
		schedule(writer);
	});
	send({ ready: true });
	if (writer.hasBackgroundWork) schedule(writer);
}
