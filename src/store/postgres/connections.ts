import type { Writable } from 'node:stream';
import pg from 'pg';
import { Refusal } from '../../errors.ts';
import { ConnectionLost, isOfPreparation, isRetryable, OutcomeUnknown, sqlState, TooSlow } from './faults.ts';
import { StatementNames } from './statement-names.ts';

/** The only file that knows the driver, `pg`. */

// biome-ignore lint/suspicious/noExplicitAny: each statement knows the columns that it asks for.
export type Row = any;

export interface Result {
	readonly rows: Row[];
	readonly rowCount: number | null;
	/** The command that was run, such as INSERT. */
	readonly command: string;
}

/** Asks one statement. Rejects with the database's error or ConnectionLost. */
export type Ask = (text: string, values?: readonly unknown[]) => Promise<Result>;

/** An open transaction. Statements travel without waiting for the answers of those before them; after one that failed none is sent. */
export interface Transaction {
	ask: Ask;
	/** Resolves once it has begun. What is sent before, with its beginning, may run on its own and must not write. */
	readonly begun: Promise<unknown>;
	/** Sends a statement whose answer nobody needs; should it fail, the transaction does. */
	send(text: string, values?: readonly unknown[]): void;
}

export interface ConnectionOptions {
	/** `postgres://user:password@host:port/database`. */
	readonly url: string;
	/** Most connections at once. */
	readonly max: number;
	/** What sentences for the operator call the database. */
	readonly called?: string;
	/** What the database's own lists call the connections. */
	readonly applicationName?: string;
	/** Statements are not prepared: each is planned for its own values. */
	readonly unprepared?: true;
	/** Told of connections that fail while nobody asks. */
	readonly onFault: (message: string, cause: string) => void;
}

/** What servers' connections are called in `pg_stat_activity`. */
export const APPLICATION_NAME = 'pumadb';

const CONNECT_MS = 5_000;
/** How long a call waits for a free connection. */
const WAIT_MS = 5_000;
/** A statement outside transactions is given up after this, and so is the wait for its turn; within, the database does so earlier. */
const ANSWER_MS = 20_000;
/** What the driver says of such a statement. Those behind it on its connection, which goes with it, were not slow. */
const TOO_SLOW = 'Query read timeout';
/** Statements that may be on their way on the shared connections together. */
const MAX_ASKED = 20_000;

/**
 * Rows that changed are looked at once more, whatever the database's default. Limits that the database keeps for us, for this transaction alone: a pooler between may give the connection to others after
 * it. The last one frees the locks of a node that stopped in the middle.
 */
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 10000; SET LOCAL lock_timeout = 5000; SET LOCAL idle_in_transaction_session_timeout = 10000`;
const SNAPSHOT = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 30000; SET LOCAL idle_in_transaction_session_timeout = 330000`;
/** All of a database as of one moment, however long it takes. */
const WHOLE = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0`;

/**
 * For one statement that is the same each time and finds all that it needs by keys: planned once, whatever its values, and never to
 * read a table through, which looks cheap while a table is small.
 */
const BEGIN_ONE = `${BEGIN}; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off`;

const BEGINNINGS = { write: BEGIN, migration: BEGIN, snapshot: SNAPSHOT, whole: WHOLE } as const;

const DONE = Promise.resolve();

const INT8 = 20;
/** Numbers of ours stay far below 2^53. */
const types = {
	getTypeParser: (oid: number, format?: 'text' | 'binary') =>
		oid === INT8 ? Number : (pg.types.getTypeParser(oid, format as 'text') as (text: string) => unknown),
};

/** One connection that calls share: statements of their own, each answered in turn. */
interface Lane {
	connecting: Promise<Shared> | undefined;
	asked: number;
	/** Settles once the last of those is answered that were sent one by one. */
	last: Promise<unknown>;
}

interface Shared {
	readonly client: pg.Client;
	/** A pooler stands between: what is sent next waits until all before it is answered. */
	readonly pooled: boolean;
}

/**
 * The node's connections: some that calls share for single statements, the rest for transactions, one at a time each. No setting
 * and no lock is left behind on a connection, and prepared statements are given up where they do not hold: a pooler in
 * transaction mode may stand between. Then single statements do not follow each other unanswered, because a pooler may give the
 * database's connection to another client as soon as one is answered, though half of the next has passed: PgBouncer before 1.21
 * does, and answers are mixed up between clients (https://github.com/pgbouncer/pgbouncer/issues/759). Within a transaction it
 * does not, and a transaction begins when nothing in front of it is unanswered.
 */
export class Connections {
	readonly #options: ConnectionOptions;
	readonly #lanes: readonly Lane[];
	/** For statements that are always short, so that no long one stands before them. */
	readonly #shortLane: Lane;
	/** For {@link write}; the same as the short one where there are few. */
	readonly #writeLane: Lane;
	readonly #pool: pg.Pool;
	readonly #names = new StatementNames();
	#asked = 0;
	#closed = false;

	constructor(options: ConnectionOptions) {
		this.#options = options;
		if (options.unprepared) this.#names.giveUp();
		const shared = Math.max(1, Math.floor(options.max / 3));
		const lanes = Array.from({ length: shared }, (): Lane => ({ connecting: undefined, asked: 0, last: DONE }));
		this.#shortLane = lanes[0]!;
		this.#writeLane = lanes.length < 3 ? lanes[0]! : lanes[1]!;
		this.#lanes = lanes.length === 1 ? lanes : lanes.slice(lanes.length < 3 ? 1 : 2);
		this.#pool = new pg.Pool({
			...this.#config(),
			max: Math.max(1, options.max - shared),
			connectionTimeoutMillis: WAIT_MS,
			idleTimeoutMillis: 60_000,
		});
		// One that fails while it is in use fails what was asked on it; the pool itself only listens to idle ones.
		this.#pool.on('connect', (client) => client.on('error', () => {}));
		this.#pool.on('error', (error) => options.onFault('A connection to the database was lost.', String(error)));
	}

	/** What sentences for the operator call the database. */
	get called(): string {
		return this.#options.called ?? 'the database of PUMADB_DATABASE_URL';
	}

	/** Transactions that may run at once. */
	get transactions(): number {
		return this.#pool.options.max;
	}

	/** Statements on their way on shared connections, and transactions. */
	get busy(): number {
		return this.#asked + this.#pool.totalCount - this.#pool.idleCount + this.#pool.waitingCount;
	}

	/**
	 * Asks one statement of its own on a shared connection; asks once more where the connection turns out to be gone, or the
	 * database took the statement back for another's sake.
	 */
	readonly ask: Ask = (text, values) =>
		this.#askOnLane(
			this.#lanes.reduce((least, one) => (one.asked < least.asked ? one : least)),
			text,
			values,
		);

	/** The same for a statement that every call needs and that takes no time: it waits for none that may take long. */
	readonly askShort: Ask = (text, values) => this.#askOnLane(this.#shortLane, text, values);

	async #askOnLane(lane: Lane, text: string, values: readonly unknown[] | undefined): Promise<Result> {
		if (this.#asked >= MAX_ASKED) {
			const message = `The server waits for ${MAX_ASKED} answers of its database. Send the call again in a second.`;
			throw new Refusal('overloaded', message);
		}
		this.#asked++;
		lane.asked++;
		try {
			return await this.#askOnce(lane, text, values);
		} catch (error) {
			if (!isRetryable(error) || this.#closed) throw error;
			// On the same lane, which has given up the connection that was lost: those of the others may be gone too.
			return await this.#askOnce(lane, text, values);
		} finally {
			lane.asked--;
			this.#asked--;
		}
	}

	/**
	 * Runs a transaction and commits it. What `run` sent is on its way with the commit, in one round trip.
	 * @throws ConnectionLost where nothing can have been kept, OutcomeUnknown where the commit may have been, or the database's error.
	 */
	async transaction<T>(
		run: (transaction: Transaction) => Promise<T>,
		kind: keyof typeof BEGINNINGS = 'write',
	): Promise<T> {
		const patience = kind === 'migration' || kind === 'whole' ? undefined : ANSWER_MS;
		const client = await this.#pool.connect().catch((error: unknown) => {
			throw fromDriver(error);
		});
		// The first failure is the reason of all that follow it. Where the transaction could not begin, or a statement was never
		// sent, the database would run and keep the others.
		let failure: unknown;
		let ended = false;
		const ask: Ask = (text, values) => {
			if (ended) return late();
			// Only writes are tried again where a statement that was prepared is not there, and are so many that it pays.
			const prepare = kind === 'write';
			gather(client);
			const answer =
				failure === undefined ? this.#askOn(client, text, values, patience, prepare) : Promise.reject(failure);
			answer.catch((error: unknown) => {
				failure ??= error;
			});
			return answer;
		};
		const send: Transaction['send'] = (text, values) => void ask(text, values);
		let broken: Error | undefined;
		let committing = false;
		try {
			const begun = ask(BEGINNINGS[kind]);
			const result = await run({ ask, begun, send });
			if (failure !== undefined) throw failure;
			committing = kind !== 'snapshot' && kind !== 'whole';
			// Answers come in order: with the commit's, all are there.
			const committed = ask('COMMIT');
			ended = true;
			const command = await committed.then(
				(answer) => answer.command,
				() => undefined,
			);
			if (failure !== undefined) throw failure;
			if (command !== 'COMMIT') throw new Error('The database took the transaction back.');
			return result;
		} catch (error) {
			ended = true;
			if (failure instanceof ConnectionLost) {
				broken = failure;
				if (committing) throw new OutcomeUnknown(failure.message, { cause: failure });
			} else {
				const rolledBack = await this.#askOn(client, 'ROLLBACK', undefined, patience).catch((fault: Error) => fault);
				if (rolledBack instanceof Error) broken = rolledBack;
			}
			// What `run` made of a failure stands for it; a failure that follows from another does not.
			const follows = error instanceof ConnectionLost || sqlState(error) !== undefined;
			throw follows ? (failure ?? error) : error;
		} finally {
			client.release(broken ?? false);
		}
	}

	/**
	 * Runs one statement that writes and commits it, in one round trip, on a shared connection: without a pooler, before those in
	 * front of it are answered.
	 * @throws ConnectionLost where nothing was sent, OutcomeUnknown where the connection was lost later, or the database's error
	 */
	write(text: string, values: readonly unknown[]): Promise<Result> {
		return this.#onLane(this.#writeLane, async (client) => {
			gather(client);
			// Should it not begin, the statement runs and commits by itself.
			this.#askOn(client, BEGIN_ONE, undefined, ANSWER_MS).catch(() => {});
			this.#asked++;
			const [answer, commit] = await Promise.allSettled([
				this.#askOn(client, text, values, ANSWER_MS),
				this.#askOn(client, 'COMMIT', undefined, ANSWER_MS),
			]);
			this.#asked--;
			if (answer.status === 'rejected' && !(answer.reason instanceof ConnectionLost)) throw answer.reason;
			for (const one of [answer, commit]) {
				if (one.status === 'rejected') throw new OutcomeUnknown(String(one.reason), { cause: one.reason });
			}
			if ((commit as PromiseFulfilledResult<Result>).value.command !== 'COMMIT')
				throw new Error('The database took the transaction back.');
			return (answer as PromiseFulfilledResult<Result>).value;
		});
	}

	async close(): Promise<void> {
		this.#closed = true;
		await this.#pool.end();
		await Promise.all(
			[...new Set([this.#shortLane, this.#writeLane, ...this.#lanes])].map(async ({ connecting }) =>
				(await connecting?.catch(() => undefined))?.client.end(),
			),
		);
	}

	#askOnce(lane: Lane, text: string, values: readonly unknown[] | undefined): Promise<Result> {
		return this.#onLane(lane, (client) => {
			gather(client);
			return this.#askOn(client, text, values, ANSWER_MS);
		});
	}

	/** Runs on the lane's connection: at once, or in its turn where a pooler stands between. */
	async #onLane<T>(lane: Lane, run: (client: pg.Client) => Promise<T>): Promise<T> {
		lane.connecting ??= this.#connect(lane);
		const { connecting } = lane;
		const { client, pooled } = await connecting;
		const send = async (): Promise<T> => {
			if (lane.connecting !== connecting) throw new ConnectionLost('The connection was lost before this was sent.');
			try {
				return await run(client);
			} catch (error) {
				if (error instanceof ConnectionLost || error instanceof OutcomeUnknown) this.#giveUp(lane, connecting);
				throw error;
			}
		};
		if (!pooled) return send();
		const since = performance.now();
		const answered = lane.last.then(() => {
			if (performance.now() - since > ANSWER_MS) throw new TooSlow('Statements in front of it took too long.');
			return send();
		});
		lane.last = answered.catch(() => {});
		return answered;
	}

	/** It may have said that it goes long before it is gone. */
	#giveUp(lane: Lane, connecting: Promise<Shared>): void {
		if (lane.connecting !== connecting) return;
		lane.connecting = undefined;
		connecting.then(({ client }) => client.end()).catch(() => {});
	}

	#connect(lane: Lane): Promise<Shared> {
		const client = new pg.Client({ ...this.#config(), connectionTimeoutMillis: CONNECT_MS });
		// The lane may have another by then, which must not be left open and unknown.
		const forget = (): void => {
			if (lane.connecting === connecting) lane.connecting = undefined;
		};
		const connecting = open(client).catch((error: unknown) => {
			forget();
			client.end().catch(() => {});
			throw fromDriver(error);
		});
		client.on('error', (error) => {
			forget();
			if (!this.#closed) this.#options.onFault('A connection to the database was lost.', String(error));
		});
		client.on('end', forget);
		return connecting;
	}

	async #askOn(
		client: pg.ClientBase,
		text: string,
		values: readonly unknown[] | undefined,
		patience: number | undefined,
		prepare = true,
	): Promise<Result> {
		if (values?.some(isUnstorable)) {
			// No stored text equals it: what is looked for, changed or deleted by it is not there.
			if (/^\s*(SELECT|UPDATE|DELETE)/.test(text)) {
				return { rows: [], rowCount: 0, command: text.trim().split(' ')[0]! };
			}
			throw new Error('A text with U+0000 or half a surrogate pair was to be stored.');
		}
		try {
			const name = values === undefined || !prepare ? undefined : this.#names.of(text);
			return await client.query({ name, text, values: values as unknown[], query_timeout: patience } as pg.QueryConfig);
		} catch (error) {
			if (isOfPreparation(error)) this.#names.giveUp();
			throw fromDriver(error);
		}
	}

	#config(): pg.ClientConfig {
		return {
			connectionString: this.#options.url,
			application_name: this.#options.applicationName ?? APPLICATION_NAME,
			pipeline: true,
			keepAlive: true,
			types: types as pg.CustomTypesConfig,
		};
	}
}

/**
 * Connects, and asks whether a pooler stands between: then the process that answers is not the one that the greeting named
 * (BackendKeyData, https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP), which is the pooler's own.
 */
async function open(client: pg.Client): Promise<Shared> {
	await client.connect();
	const asked = { text: 'SELECT pg_backend_pid() AS pid', query_timeout: CONNECT_MS };
	const { pid } = (await client.query(asked)).rows[0];
	return { client, pooled: pid !== (client as unknown as { processID: number }).processID };
}

/** The answer to what a part of `run` asks that goes on after the rest has failed: it must not run outside the transaction. */
function late(): Promise<never> {
	const answer = Promise.reject(new Error('The transaction has ended.'));
	answer.catch(() => {});
	return answer;
}

const gathering = new WeakSet<pg.ClientBase>();

/** Statements of one turn of the event loop travel together: one packet, and one wake-up of the database. */
function gather(client: pg.ClientBase): void {
	if (gathering.has(client)) return;
	const { stream } = (client as unknown as { connection: { stream: Writable } }).connection;
	gathering.add(client);
	stream.cork();
	process.nextTick(() => {
		gathering.delete(client);
		stream.uncork();
	});
}

/** Texts that PostgreSQL cannot hold. Rows never have them; ids and names that callers send may. */
function isUnstorable(value: unknown): boolean {
	return typeof value === 'string' && (value.includes('\0') || !value.isWellFormed());
}

/** What is not the database's own report is a lost connection. */
function fromDriver(error: unknown): unknown {
	const state = sqlState(error);
	// Told to go (57P01 to 57P03), or a connection that was refused (class 08): the connection is of no use any more.
	if (state !== undefined && !/^(57P0[1-3]|08)/.test(state)) return error;
	const message = error instanceof Error ? error.message : String(error);
	return new (message === TOO_SLOW ? TooSlow : ConnectionLost)(message, { cause: error });
}
