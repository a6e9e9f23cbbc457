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
	readonly #table: Table<StoredItem>;
	readonly #session: string;

	/** @param options `sessionId`: the same one goes on with the same history; `table`: `agent_sessions` unless given */
	constructor(puma: Puma, options: { readonly sessionId?: string; readonly table?: string } = {}) {
		this.#table = puma.table<StoredItem>(options.table ?? 'agent_sessions');
		this.#session = options.sessionId ?? globalThis.crypto.randomUUID();
	}

	async getSessionId(): Promise<string> {
		return this.#session;
	}

	/** The history, oldest first; of it the last `limit` items. */
	async getItems(limit?: number): Promise<AgentInputItem[]> {
		if (limit !== undefined && limit <= 0) return [];
		return (await this.#last(limit)).reverse().map(({ item }) => item);
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
