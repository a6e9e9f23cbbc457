import { versionsKeptSince } from '../domain/writes.ts';
import { callerOf, type Run } from './context.ts';

/** Lists the account's tables with their live rows. */
export const listTables: Run = async (context, input) => {
	const since = versionsKeptSince(context.limits, context.clock());
	const tables = await context.store.read.tables(callerOf(input).accountId, since);
	return { body: JSON.stringify({ tables }) };
};
