import { type AccountCommand, type AccountDone, type Caller, doneOf } from '../../accounts/rules.ts';
import { Refusal } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import type { Reader, RowsCall, RowsOutcome, Store } from '../seam.ts';
import type { Windows } from '../windows.ts';
import { AccountWrites } from './account-writes.ts';
import { Connections } from './connections.ts';
import { ConnectionLost, refusalOf } from './faults.ts';
import { Finder } from './finder.ts';
import { findFaults } from './invariants.ts';
import { KnownAccounts } from './known-accounts.ts';
import { MemberIndexes } from './member-indexes.ts';
import { migrate, requireCurrent, requireMoved } from './migrate.ts';
import { PlainAdds } from './plain-adds.ts';
import { PostgresReader } from './reader.ts';
import { RowWrites } from './row-writes.ts';
import { SharedWindows } from './shared-windows.ts';
import { Writer } from './writer.ts';

export interface PostgresOptions {
	/** `postgres://user:password@host:port/database`. */
	readonly url: string;
	/** Most connections of this node. */
	readonly maxConnections: number;
	readonly limits: WriteLimits;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Told of faults that no call could be blamed for. */
	readonly onFault: (message: string, cause: string) => void;
}

const KEY_USE_NOTED_EVERY_MS = 30_000;
const KEYS_NOTED_AT_ONCE = 200;
const SWEEP_EVERY_MS = 60_000;

/** The engine for any number of nodes: all that a node keeps is what waits in it, and nothing is believed that it remembers. */
export class PostgresStore implements Store {
	readonly read: Reader;
	readonly #options: PostgresOptions;
	readonly #connections: Connections;
	readonly #writer: Writer;
	readonly #accounts: AccountWrites;
	readonly #indexes: MemberIndexes;
	/** When keys were last used since that was last noted, in milliseconds since the epoch; by their ids, which are random. */
	readonly #usedKeys = new Map<string, { accountId: string; at: number }>();
	readonly #timers: readonly NodeJS.Timeout[];
	#sweeping: Promise<void> | undefined;
	#closing = false;

	/**
	 * Connects and brings the schema up to date.
	 * @throws Error with a sentence for the operator where the database cannot be reached or holds a newer schema.
	 */
	static async open(options: PostgresOptions): Promise<PostgresStore> {
		const connections = new Connections({ url: options.url, max: options.maxConnections, onFault: options.onFault });
		try {
			await requireMoved(connections);
			await migrate(connections);
			return new PostgresStore(options, connections);
		} catch (error) {
			await connections.close();
			throw error instanceof ConnectionLost ? cannotReach(error) : error;
		}
	}

	private constructor(options: PostgresOptions, connections: Connections) {
		const { limits, clock, onFault } = options;
		this.#options = options;
		this.#connections = connections;
		this.#indexes = new MemberIndexes(connections, clock, onFault);
		const finder = new Finder(this.#indexes);
		// Room is left for commands on accounts, for exports and for building indexes.
		const half = Math.max(1, Math.floor(connections.transactions / 2));
		const quarter = Math.max(1, Math.floor(half / 2));
		this.read = new PostgresReader(connections, finder, quarter);
		const known = new KnownAccounts();
		this.#writer = new Writer({
			...{ connections, known, clock, slots: half },
			rows: new RowWrites({ limits, finder }),
			plain: new PlainAdds(connections, known, limits),
		});
		this.#accounts = new AccountWrites(connections, limits, quarter);
		this.#timers = [
			setInterval(() => this.#noteUsedKeys(), KEY_USE_NOTED_EVERY_MS),
			setInterval(() => this.#startSweep(), SWEEP_EVERY_MS),
		];
		for (const timer of this.#timers) timer.unref();
	}

	writeRows(call: RowsCall): Promise<RowsOutcome> {
		return this.#writer.write(call);
	}

	async writeAccounts(command: AccountCommand): Promise<AccountDone> {
		return doneOf(await this.#accounts.run(command, this.#options.clock()));
	}

	windows(milliseconds: number): Windows {
		return new SharedWindows(this.#connections, milliseconds, this.#options.clock);
	}

	keyUsed({ accountId, keyId }: Caller): void {
		this.#usedKeys.set(keyId, { accountId, at: this.#options.clock() });
	}

	/** Calls that wait for their commit. */
	get waitingWrites(): number {
		return this.#writer.waiting;
	}

	/** The database overwrites what was erased when it sees fit (VACUUM, WAL archives): no node can say when. */
	scrub(): Promise<boolean> {
		return Promise.resolve(false);
	}

	async ping(): Promise<void> {
		try {
			// A node whose database only lets it read is not ready.
			await this.#connections.transaction(({ ask }) =>
				ask('SELECT 1 FROM pumadb.accounts LIMIT 1 FOR UPDATE SKIP LOCKED'),
			);
		} catch (error) {
			throw refusalOf(error, 'read');
		}
	}

	async close(): Promise<void> {
		for (const timer of this.#timers) clearInterval(timer);
		this.#closing = true;
		await this.#sweeping;
		await this.#writer.drained();
		await this.#noteUsedKeys();
		await this.#indexes.close();
		await this.#connections.close();
	}

	async #noteUsedKeys(): Promise<void> {
		const used = [...this.#usedKeys].map(([keyId, { accountId, at }]) => ({
			...{ accountId, keyId },
			at: new Date(at).toISOString(),
		}));
		this.#usedKeys.clear();
		for (let from = 0; from < used.length; from += KEYS_NOTED_AT_ONCE) {
			const some = used.slice(from, from + KEYS_NOTED_AT_ONCE);
			await this.writeAccounts({ command: 'touchKeys', used: some }).catch(() => {});
		}
	}

	#startSweep(): void {
		if (this.#closing) return;
		this.#sweeping ??= this.#sweep().finally(() => {
			this.#sweeping = undefined;
		});
	}

	async #sweep(): Promise<void> {
		try {
			for (let more = true; more && !this.#closing; ) {
				const outcome = await this.writeAccounts({ command: 'sweep' });
				more = 'more' in outcome && outcome.more === true;
			}
		} catch (error) {
			const cause = error instanceof Refusal ? error.cause : error;
			this.#options.onFault('What has run out could not be swept away.', String(cause));
		}
	}
}

/** Everything that is wrong with a database, one sentence each. The servers may run. */
export async function faultsOf(url: string): Promise<string[]> {
	const connections = new Connections({ url, max: 3, onFault: () => {} });
	try {
		await requireCurrent(connections);
		return await findFaults(connections);
	} catch (error) {
		throw error instanceof ConnectionLost ? cannotReach(error) : error;
	} finally {
		await connections.close();
	}
}

function cannotReach(error: Error): Error {
	return new Error(
		`The database of PUMADB_DATABASE_URL cannot be reached (${error.message}): check its address, user and password, and that it runs.`,
	);
}
