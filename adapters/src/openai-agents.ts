import type { AgentInputItem, Session } from '@openai/agents-core';
import type { Puma, Row, Table } from '@pumadb/client';
import { BATCH } from './errors.ts';

/** An item of a conversation as a row: rows are kept in order of creation, which is the order of ids. */
interface StoredItem {
	session: string;
	item: AgentInputItem;
}

/**
 * A session of the OpenAI Agents SDK: its history survives the process. All sessions share one table, which has room for 1,000 items by
 * default; an item has at most 64 KB. What is removed can be restored for a while.
 */
export class PumaSession implements Session {
	readonly #puma: Puma;
	readonly #table: Table<StoredItem>;
	readonly #session: string;

	/** @param options `sessionId`: the same one goes on with the same history; `table`: `agent_sessions` unless given */
	constructor(puma: Puma, options: { readonly sessionId?: string; readonly table?: string } = {}) {
		this.#puma = puma;
		this.#table = puma.table<StoredItem>(options.table ?? 'agent_sessions');
		this.#session = options.sessionId ?? globalThis.crypto.randomUUID();
	}

	async getSessionId(): Promise<string> {
		return this.#session;
	}

	/**
	 * The history, oldest first; of it the last `limit` items.
	 * @throws RangeError where more are asked for than the server answers at once: a history is never cut without a word
	 */
	async getItems(limit?: number): Promise<AgentInputItem[]> {
		if (limit !== undefined && limit <= 0) return [];
		const most = await mostRows(this.#puma);
		const rows = await this.#last(limit === undefined || limit > most ? undefined : limit);
		if (rows.length >= most && (limit === undefined || limit > most)) {
			const count = await this.#table.count({ session: this.#session });
			if (count > rows.length) {
				throw new RangeError(
					`The session ${this.#session} has ${count} items, and this server answers at most ${most} at once: ask for the last ${most} or fewer (limit), or have the operator raise PUMADB_MAX_QUERY_LIMIT.`,
				);
			}
		}
		return rows.reverse().map(({ item }) => item);
	}

	/** Up to 100 items are stored all or none, and once, whatever happens on the way. */
	async addItems(items: AgentInputItem[]): Promise<void> {
		for (let start = 0; start < items.length; start += BATCH) {
			const adds = items
				.slice(start, start + BATCH)
				.map((item) => ({ action: 'add' as const, row: { session: this.#session, item } }));
			await this.#table.batch(adds);
		}
	}

	/** Of two that pop at once each gets an item of its own. */
	async popItem(): Promise<AgentInputItem | undefined> {
		for (;;) {
			const [row] = await this.#last(1);
			if (row === undefined) return undefined;
			if ((await this.#table.deleteWhere({ id: row.id })) === 1) return row.item;
		}
	}

	async clearSession(): Promise<void> {
		await this.#table.deleteWhere({ session: this.#session });
	}

	/** Newest first. */
	#last(limit: number | undefined): Promise<Row<StoredItem>[]> {
		return this.#table.query({ filter: { session: this.#session }, sort: '-id', limit });
	}
}

const MOST_ROWS = new WeakMap<Puma, number>();

/** The most rows that a query answers, which each client asks its server once. */
async function mostRows(puma: Puma): Promise<number> {
	const known = MOST_ROWS.get(puma);
	if (known !== undefined) return known;
	const { maxQueryLimit } = await puma.limits();
	const most = maxQueryLimit ?? Number.POSITIVE_INFINITY;
	MOST_ROWS.set(puma, most);
	return most;
}
