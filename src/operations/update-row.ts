import type { UpdateRowBody } from '../generated/bodies.ts';
import { updateRow as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody, tableOf } from './input.ts';
import { readUpdateRow, runOne } from './row-operations.ts';

/** Merges a patch into the row with an id. */
export const updateRow: Run = (context, input) => {
	tableOf(input);
	const { body, part } = shapedBody<UpdateRowBody>(input, 'updateRow', validator);
	return runOne(context, input, readUpdateRow(part, body));
};
