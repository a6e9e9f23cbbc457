import type { UpdateWhereBody } from '../generated/bodies.ts';
import { updateWhere as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody, tableOf } from './input.ts';
import { readUpdateWhere, runOne } from './row-operations.ts';

/** Merges a patch into the rows that match a filter. */
export const updateWhere: Run = (context, input) => {
	tableOf(input);
	const { body, part } = shapedBody<UpdateWhereBody>(input, 'updateWhere', validator);
	return runOne(context, input, readUpdateWhere(part, body));
};
