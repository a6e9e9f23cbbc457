import { type Awaitable, then } from '../awaitable.ts';
import type { Filter } from '../domain/filter.ts';
import type { Sort } from '../domain/order.ts';
import { sortKey, sortRows } from '../domain/value.ts';
import { type Answer, type Context, callerOf, type Run } from './context.ts';
import { limitOf, readFilterOf, sortOf, tableOf } from './input.ts';

/** Answers the rows that match, in order of creation or sorted. */
export const queryRows: Run = (context, input) => {
	const table = tableOf(input);
	const { accountId } = callerOf(input);
	const filter = readFilterOf(input.filter);
	const sort = sortOf(input.sort);
	const limit = limitOf(input.limit, context.limits);
	return query(context, { accountId, table, filter, sort, limit });
};

export interface Query {
	readonly accountId: string;
	readonly table: string;
	readonly filter: Filter;
	readonly sort: Sort | undefined;
	readonly limit: number;
}

/** Runs a query that was checked. */
export function query(context: Context, asked: Query): Awaitable<Answer> {
	const { accountId, table, filter, sort, limit } = asked;
	const name = nameOf(asked);
	// Read before the rows: should a write come between, the answer is remembered under the older generation and never served.
	const generation = context.store.read.generation(accountId, table);
	const ready = context.ready.get(name, generation);
	if (ready !== undefined) return ready;
	const { read } = context.store;
	const rows =
		sort === undefined
			? read.rows(accountId, table, filter, limit)
			: then(read.rowTexts(accountId, table, filter), (texts) =>
					then(sorted(texts, sort), (all) => all.slice(0, limit).join(',')),
				);
	return then(rows, (text) => {
		const body = `{"rows":[${text}]}`;
		context.ready.set(name, generation, body);
		return { body };
	});
}

/** Characters of rows that are read for their sort values before other calls get their turn: some 10 ms of work. */
const TURN_CHARACTERS = 500_000;

/** Sorts at once where that takes no time, else by turns: a table may hold many megabytes. */
function sorted(texts: readonly string[], sort: Sort): Awaitable<string[]> {
	const characters = texts.reduce((sum, text) => sum + text.length, 0);
	return characters <= TURN_CHARACTERS ? sortRows(texts, sort) : sortedByTurns(texts, sort);
}

async function sortedByTurns(texts: readonly string[], sort: Sort): Promise<string[]> {
	const keys: ReturnType<typeof sortKey>[] = [];
	let read = 0;
	for (const text of texts) {
		keys.push(sortKey(text, sort));
		read += text.length;
		if (read < TURN_CHARACTERS) continue;
		read = 0;
		await new Promise(setImmediate);
	}
	return sortRows(texts, sort, keys);
}

/** One name for equal queries. */
function nameOf({ accountId, table, filter, sort, limit }: Query): string {
	const plain = `${accountId}/${table}?${limit}`;
	if (filter.members.length === 0 && sort === undefined) return plain;
	return plain + JSON.stringify([filter.members, filter.values, sort]);
}
