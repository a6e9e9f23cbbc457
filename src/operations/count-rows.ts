import { callerOf, type Run } from './context.ts';
import { readFilterOf, tableOf } from './input.ts';

/** Counts the rows that match. */
export const countRows: Run = async (context, input) => {
	const table = tableOf(input);
	const count = await context.store.read.count(callerOf(input).accountId, table, readFilterOf(input.filter));
	return { body: `{"count":${count}}` };
};
