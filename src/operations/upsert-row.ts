import type { UpsertRowBody } from '../generated/bodies.ts';
import { upsertRow as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody, tableOf } from './input.ts';
import { readUpsert, runOne } from './row-operations.ts';

/** Inserts the row, or replaces the one with the same natural key. */
export const upsertRow: Run = (context, input) => {
	tableOf(input);
	const { body, part } = shapedBody<UpsertRowBody>(input, 'upsertRow', validator);
	return runOne(context, input, readUpsert(part, body));
};
