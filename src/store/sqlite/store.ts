import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
	type AccountCommand,
	type AccountDone,
	type AccountOutcome,
	type Caller,
	doneOf,
} from '../../accounts/rules.ts';
import { Refusal } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import type { AccessToken, Reader, RowsCall, RowsOutcome, Store } from '../seam.ts';
import { LocalWindows, type Windows } from '../windows.ts';
import type { CheckpointThreadData } from './checkpoint-thread.ts';
import { type Lock, lockDataDir } from './lock.ts';
import { SqliteReader } from './reader.ts';
import type { Timed, WriterCall, WriterOutcome } from './writer.ts';
import type { FromWriter, ToWriter, WriterThreadData } from './writer-thread.ts';

export const DATABASE_FILE = 'pumadb.sqlite';

export interface SqliteOptions {
	readonly dataDir: string;
	readonly limits: WriteLimits;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Told of faults that no call could be blamed for, and of causes behind failed calls. */
	readonly onFault: (message: string, cause: string) => void;
	/** Told when the writer is gone for good: the process should end and be started again. */
	readonly onFatal: () => void;
	/** Most calls in one commit; only the benchmark sets it. */
	readonly maxGroup?: number;
}

const DEFAULT_MAX_GROUP = 512;
/** Calls that may wait for the writer before further ones are refused. */
const MAX_WAITING = 20_000;
/** About 32 MB of log. */
const CHECKPOINT_PAGES = 8192;
const KEY_USE_NOTED_EVERY_MS = 30_000;
const KEYS_NOTED_AT_ONCE = 200;
/** Room for short-lived objects of the threads: more would only be memory held. */
const WRITER_MEMORY = { maxYoungGenerationSizeMb: 16 };
const CHECKPOINT_MEMORY = { maxYoungGenerationSizeMb: 2 };
const SWEEP_EVERY_MS = 60_000;
/** Tables whose generation is remembered. Forgetting one only costs its ready answers. */
const MAX_GENERATIONS = 20_000;
/** Callers remembered, so that a call does not look its key up. */
const MAX_CALLERS = 50_000;

interface Waiting {
	readonly resolve: (outcome: RowsOutcome | AccountOutcome) => void;
	readonly reject: (error: Error) => void;
	readonly call: WriterCall;
}

/** The embedded engine: one writer thread, one checkpoint thread, reads on the calling thread. */
export class SqliteStore implements Store {
	readonly read: Reader;
	readonly #options: SqliteOptions;
	readonly #lock: Lock;
	readonly #reader: SqliteReader;
	readonly #writer: Worker;
	readonly #checkpointer: Worker;
	readonly #progress: Int32Array;
	readonly #waiting = new Map<number, Waiting>();
	/** When keys were last used, in milliseconds, since that was last noted. */
	readonly #usedKeys = new Map<Caller, number>();
	readonly #generations = new Map<string, number>();
	readonly #timers: NodeJS.Timeout[];
	readonly #callers = new Map<string, Caller>();
	readonly #accessTokens = new Map<string, AccessToken>();
	readonly #scrubbed: ((done: true) => void)[] = [];
	#revocations = 0;
	#generation = 0;
	/** The generation of every table that is not in the map. */
	#generationFloor = 0;
	#no = 0;
	#outgoing: (Timed & { no: number })[] = [];
	#sweeping: Promise<void> = Promise.resolve();
	#closing = false;

	/**
	 * Takes the data directory's lock and opens the database, making it (0700, files 0600) where there is none.
	 * @throws Error with a sentence for the operator where the directory is in use, not writable, or holds a newer schema.
	 */
	static async open(options: SqliteOptions): Promise<SqliteStore> {
		makeDirectory(options.dataDir);
		const lock = lockDataDir(options.dataDir);
		try {
			const path = join(options.dataDir, DATABASE_FILE);
			const progress = new SharedArrayBuffer(8);
			const data: WriterThreadData = {
				path,
				limits: options.limits,
				maxGroup: options.maxGroup ?? DEFAULT_MAX_GROUP,
				progress,
				checkpointPages: CHECKPOINT_PAGES,
			};
			const writer = new Worker(new URL('./writer-thread.ts', import.meta.url), {
				workerData: data,
				name: 'writer',
				resourceLimits: WRITER_MEMORY,
			});
			await new Promise<void>((resolve, reject) => {
				writer.once('error', reject);
				writer.once('message', (message: FromWriter) => {
					if ('cannotOpen' in message) reject(new Error(message.cannotOpen));
					else resolve();
				});
			});
			writer.removeAllListeners('error');
			syncDirectory(options.dataDir);
			return new SqliteStore(options, lock, path, writer, progress);
		} catch (error) {
			lock.release();
			throw error;
		}
	}

	private constructor(options: SqliteOptions, lock: Lock, path: string, writer: Worker, progress: SharedArrayBuffer) {
		this.#options = options;
		this.#lock = lock;
		this.#writer = writer;
		this.#progress = new Int32Array(progress);
		this.#reader = new SqliteReader(
			path,
			{
				wanted: (tableNo, members) => this.#post({ kind: 'wantIndex', tableNo, members }, 0),
				used: (indexNo) => this.#post({ kind: 'indexUsed', indexNo }, 0),
			},
			options.clock,
		);
		const reader = this.#reader;
		this.read = {
			caller: (accountId, secretHash) => this.#caller(accountId, secretHash),
			revocations: () => this.#revocations,
			link: reader.link.bind(reader),
			session: reader.session.bind(reader),
			accessToken: (accountId, tokenHash, now) => this.#accessToken(accountId, tokenHash, now),
			grants: reader.grants.bind(reader),
			client: reader.client.bind(reader),
			clientByFingerprint: reader.clientByFingerprint.bind(reader),
			authorization: reader.authorization.bind(reader),
			keys: reader.keys.bind(reader),
			usage: reader.usage.bind(reader),
			accountOf: reader.accountOf.bind(reader),
			rows: reader.rows.bind(reader),
			row: reader.row.bind(reader),
			rowTexts: reader.rowTexts.bind(reader),
			count: reader.count.bind(reader),
			versions: reader.versions.bind(reader),
			tables: reader.tables.bind(reader),
			export: reader.export.bind(reader),
			generation: (accountId, table) => this.#generations.get(`${accountId}/${table}`) ?? this.#generationFloor,
		};
		writer.on('message', (message: FromWriter) => this.#receive(message));
		writer.on('error', (error) => this.#writerFailed(error as Error));
		const checkpoint: CheckpointThreadData = { path, progress, checkpointPages: CHECKPOINT_PAGES };
		this.#checkpointer = new Worker(new URL('./checkpoint-thread.ts', import.meta.url), {
			workerData: checkpoint,
			name: 'checkpoint',
			resourceLimits: CHECKPOINT_MEMORY,
		});
		this.#checkpointer.on('message', () => this.#send({ restartLog: true }));
		this.#checkpointer.on('error', (error) => {
			options.onFault('The checkpoint thread failed.', String((error as Error).stack ?? error));
		});
		this.#timers = [
			setInterval(() => this.#noteUsedKeys(), KEY_USE_NOTED_EVERY_MS),
			setInterval(() => this.#startSweep(), SWEEP_EVERY_MS),
		];
		for (const timer of this.#timers) timer.unref();
	}

	writeRows(call: RowsCall): Promise<RowsOutcome> {
		return this.#ask({ kind: 'rows', ...call }) as Promise<RowsOutcome>;
	}

	async writeAccounts(command: AccountCommand): Promise<AccountDone> {
		return doneOf((await this.#ask({ kind: 'account', command })) as AccountOutcome);
	}

	keyUsed(caller: Caller): void {
		this.#usedKeys.set(caller, this.#options.clock());
	}

	/** Callers by their key's hash. Forgotten as a whole when any key is revoked, before the revocation is answered. */
	#caller(accountId: string, secretHash: string): Caller | undefined {
		const known = this.#callers.get(secretHash);
		if (known !== undefined) return known.accountId === accountId ? known : undefined;
		const caller = this.#reader.caller(accountId, secretHash);
		if (caller === undefined) return undefined;
		if (this.#callers.size >= MAX_CALLERS) this.#callers.clear();
		this.#callers.set(secretHash, caller);
		return caller;
	}

	/** The same of access tokens, which also end by themselves. */
	#accessToken(accountId: string, tokenHash: string, now: number): AccessToken | undefined {
		const known = this.#accessTokens.get(tokenHash);
		if (known !== undefined && known.expiresAt > now) return known.caller.accountId === accountId ? known : undefined;
		const token = this.#reader.accessToken(accountId, tokenHash, now);
		if (token === undefined) return undefined;
		if (this.#accessTokens.size >= MAX_CALLERS) this.#accessTokens.clear();
		this.#accessTokens.set(tokenHash, token);
		return token;
	}

	async ping(): Promise<void> {
		this.#reader.ping();
		await this.#ask({ kind: 'account', command: { command: 'touchKeys', used: [] } });
	}

	/** Calls that wait for their commit. */
	get waitingWrites(): number {
		return this.#waiting.size;
	}

	windows(milliseconds: number): Windows {
		return new LocalWindows(milliseconds, this.#options.clock);
	}

	scrub(): Promise<boolean> {
		return new Promise((resolve) => {
			this.#scrubbed.push(resolve);
			this.#send({ scrub: true });
		});
	}

	async close(): Promise<void> {
		for (const timer of this.#timers) clearInterval(timer);
		this.#closing = true;
		await this.#sweeping;
		this.#noteUsedKeys();
		const gone = new Promise((resolve) => this.#checkpointer.once('exit', resolve));
		Atomics.store(this.#progress, 1, 1);
		Atomics.notify(this.#progress, 0);
		Atomics.notify(this.#progress, 1);
		await gone;
		this.#reader.close();
		this.#flush();
		await new Promise<void>((resolve) => {
			this.#writer.once('exit', () => resolve());
			this.#send({ close: true });
		});
		this.#lock.release();
	}

	#ask(call: WriterCall): Promise<RowsOutcome | AccountOutcome> {
		if (this.#waiting.size >= MAX_WAITING) {
			const message = `The server has ${MAX_WAITING} writes waiting and changed nothing. Send the call again in a second.`;
			return Promise.reject(new Refusal('overloaded', message));
		}
		return new Promise((resolve, reject) => {
			const no = ++this.#no;
			this.#waiting.set(no, { resolve, reject, call });
			this.#post(call, no);
		});
	}

	/** Calls of one turn of the event loop travel in one message. */
	#post(call: WriterCall, no: number): void {
		if (this.#closing && no === 0) return;
		if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
		this.#outgoing.push({ call, no, now: this.#options.clock() });
	}

	#flush(): void {
		if (this.#outgoing.length === 0) return;
		this.#send({ calls: this.#outgoing });
		this.#outgoing = [];
	}

	#send(message: ToWriter): void {
		this.#writer.postMessage(message);
	}

	#receive(message: FromWriter): void {
		if ('scrubbed' in message) for (const resolve of this.#scrubbed.splice(0)) resolve(true);
		if (!('answers' in message)) return;
		// What the group changed is known everywhere before any answer of the group is given.
		for (const { no, outcome } of message.answers) {
			this.#markChanged(this.#waiting.get(no)?.call);
			if ('revoked' in outcome && outcome.revoked !== undefined && outcome.revoked.length > 0) {
				this.#callers.clear();
				this.#accessTokens.clear();
				this.#revocations++;
			}
		}
		for (const { no, outcome } of message.answers) this.#answer(no, outcome);
	}

	#answer(no: number, outcome: WriterOutcome): void {
		const waiting = this.#waiting.get(no);
		if (waiting === undefined) return;
		this.#waiting.delete(no);
		if ('failure' in outcome) waiting.reject(Refusal.from(outcome.failure, outcome.cause));
		else waiting.resolve(outcome);
	}

	#markChanged(call: WriterCall | undefined): void {
		if (call === undefined) return;
		if (call.kind === 'rows') this.#bump(call.accountId, call.table);
		else if (call.kind === 'account' && call.command.command === 'purgeRow') {
			this.#bump(call.command.accountId, call.command.table);
		}
	}

	#bump(accountId: string, table: string): void {
		if (this.#generations.size >= MAX_GENERATIONS) {
			this.#generations.clear();
			// Grown, so that an answer remembered under a forgotten generation is never taken for current.
			this.#generationFloor = ++this.#generation;
		}
		this.#generations.set(`${accountId}/${table}`, ++this.#generation);
	}

	#noteUsedKeys(): void {
		if (this.#usedKeys.size === 0) return;
		const used = [...this.#usedKeys].map(([caller, at]) => ({ ...caller, at: new Date(at).toISOString() }));
		this.#usedKeys.clear();
		// In small transactions, so that writes hardly wait for it.
		for (let from = 0; from < used.length; from += KEYS_NOTED_AT_ONCE) {
			this.writeAccounts({ command: 'touchKeys', used: used.slice(from, from + KEYS_NOTED_AT_ONCE) }).catch(() => {});
		}
	}

	#startSweep(): void {
		if (this.#closing) return;
		this.#sweeping = this.#sweep();
	}

	async #sweep(): Promise<void> {
		try {
			for (let more = true; more && !this.#closing; ) {
				const outcome = await this.writeAccounts({ command: 'sweep' });
				more = 'more' in outcome && outcome.more === true;
			}
		} catch {
			// Told by onFault; the next sweep tries again.
		}
	}

	#writerFailed(error: Error): void {
		this.#options.onFault('The writer thread failed.', error.stack ?? error.message);
		for (const { reject } of this.#waiting.values()) {
			reject(outcomeUnknown());
		}
		this.#waiting.clear();
		this.#options.onFatal();
	}
}

/** The answer of a call that was on its way when what writes went away: it may be on disk. */
function outcomeUnknown(): Refusal {
	return new Refusal(
		'outcome_unknown',
		'The server failed while this call ran, so it was done, or it was not. Look before you send it again; an add with an idempotency key can be sent again as it is.',
	);
}

/** A file in a directory that holds no database of ours and something else; undefined where it may be a data directory. */
function othersIn(path: string): string | undefined {
	const names = readdirSync(path);
	if (names.includes(DATABASE_FILE)) return undefined;
	return names.find((name) => !/^(pumadb\..*|admin\.sock|lost\+found)$/.test(name));
}

/** Refuses a directory, where there is one, that holds files of others. @param setting what names it */
export function requireOwnDirectory(path: string, setting: string): void {
	const others = existsSync(path) ? othersIn(path) : undefined;
	if (others === undefined) return;
	throw new Error(
		`${setting} names ${path}, which holds files that are not ours (${others}): name an empty directory.`,
	);
}

/** Makes the data directory, or takes one that is empty or ours, readable by its owner alone. @param setting what names it */
export function makeDirectory(path: string, setting = 'PUMADB_DATA_DIR'): void {
	let ours = false;
	try {
		mkdirSync(path, { recursive: true, mode: 0o700 });
		ours = othersIn(path) === undefined;
		if (ours) chmodSync(path, 0o700);
	} catch (error) {
		const { code } = error as { code?: string };
		throw new Error(
			`${setting} names ${path}, which cannot be made or used as a directory (${code}): name one that can.`,
		);
	}
	if (!ours) requireOwnDirectory(path, setting);
}

/** Makes new directory entries durable (fsync(2)). */
export function syncDirectory(path: string): void {
	if (!statSync(path).isDirectory() || process.platform === 'win32') return;
	const fd = openSync(path, 'r');
	try {
		fsyncSync(fd);
	} finally {
		closeSync(fd);
	}
}
