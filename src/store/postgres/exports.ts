import { Refusal } from '../../errors.ts';
import type { ExportPiece, Pieces } from '../seam.ts';
import type { Ask, Connections } from './connections.ts';
import { refusalOf } from './faults.ts';

/** An export reads and hands out this many rows at a time. */
const EXPORT_ROWS = 50;
/** How long an export waits for others to end. */
const MAX_WAIT_MS = 5000;

interface Snapshot {
	readonly ask: Ask;
	/** Ends the transaction. */
	close(): void;
}

/** Exports: each is one read-only transaction, so that it is of one moment, on a connection of its own, at most one an account. */
export class Exports {
	readonly #connections: Connections;
	readonly #max: number;
	/** Accounts whose export is open. */
	readonly #open = new Set<string>();
	#waiting: (() => void)[] = [];

	/** @param max exports at once on this node. */
	constructor(connections: Connections, max: number) {
		this.#connections = connections;
		this.#max = max;
	}

	/** @throws Refusal overloaded where too many are being read, or one of this account is. */
	async open(accountId: string): Promise<Pieces<ExportPiece>> {
		await this.#free(accountId);
		try {
			const { ask, close } = await this.#begin(accountId);
			const { rows } = await ask('SELECT name FROM pumadb.tables WHERE account_id = $1 AND rows > 0 ORDER BY name', [
				accountId,
			]).catch((error: unknown) => {
				close();
				throw error;
			});
			const tables = rows.map(({ name }) => name as string);
			const snapshot = { open: true };
			const end = (): void => {
				snapshot.open = false;
				close();
			};
			return { [Symbol.asyncIterator]: () => piecesOf(ask, accountId, tables, snapshot, end), close: end };
		} catch (error) {
			throw refusalOf(error, 'read');
		}
	}

	/** Begins the transaction, and holds it open until it is closed. */
	#begin(accountId: string): Promise<Snapshot> {
		return new Promise((resolve, reject) => {
			this.#connections
				.transaction(
					({ ask }) =>
						new Promise<void>((close) => {
							resolve({ ask, close });
						}),
					'snapshot',
				)
				.catch(reject)
				.finally(() => {
					this.#open.delete(accountId);
					const waiting = this.#waiting;
					this.#waiting = [];
					for (const look of waiting) look();
				});
		});
	}

	async #free(accountId: string): Promise<void> {
		const until = performance.now() + MAX_WAIT_MS;
		const own = (): boolean => this.#open.has(accountId);
		while (own() || this.#open.size >= this.#max) {
			const left = until - performance.now();
			if (left <= 0) {
				throw new Refusal(
					'overloaded',
					own()
						? 'Another export of this account is still being read. Read it to its end, or close its connection, and try again.'
						: `The server is sending ${this.#max} other exports. Try again after the seconds in Retry-After.`,
				);
			}
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, left);
				this.#waiting.push(() => {
					clearTimeout(timer);
					resolve();
				});
			});
		}
		this.#open.add(accountId);
	}
}

async function* piecesOf(
	ask: Ask,
	accountId: string,
	tables: readonly string[],
	snapshot: { readonly open: boolean },
	close: () => void,
): AsyncGenerator<ExportPiece> {
	try {
		for (const table of tables) {
			yield { table };
			let after = '00000000-0000-0000-0000-000000000000';
			while (snapshot.open) {
				const { rows } = await ask(
					`SELECT id, text FROM pumadb.rows WHERE account_id = $1 AND table_name = $2 AND id > $3 ORDER BY id LIMIT $4`,
					[accountId, table, after, EXPORT_ROWS],
				);
				if (rows.length > 0) yield { rows: rows.map(({ text }) => text) };
				if (rows.length < EXPORT_ROWS) break;
				after = rows.at(-1).id;
			}
		}
	} finally {
		close();
	}
}
