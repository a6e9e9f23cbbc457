import { type Awaitable, then } from '../awaitable.ts';
import type { Filter } from '../domain/filter.ts';
import type { Sort } from '../domain/order.ts';
import { sortRows } from '../domain/value.ts';
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
	if (ready !== undefined) return { body: ready };
	const { read } = context.store;
	const rows =
		sort === undefined
			? read.rows(accountId, table, filter, limit)
			: then(read.rowTexts(accountId, table, filter), (texts) => sortRows(texts, sort).slice(0, limit).join(','));
	return then(rows, (text) => {
		const body = `{"rows":[${text}]}`;
		context.ready.set(name, generation, body);
		return { body };
	});
}

/** One name for equal queries. */
function nameOf({ accountId, table, filter, sort, limit }: Query): string {
	const plain = `${accountId}/${table}?${limit}`;
	if (filter.members.length === 0 && sort === undefined) return plain;
	return plain + JSON.stringify([filter.members, filter.values, sort]);
}
