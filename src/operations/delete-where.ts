import type { DeleteWhereBody } from '../generated/bodies.ts';
import { deleteWhere as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody, tableOf } from './input.ts';
import { readDelete, runOne } from './row-operations.ts';

/** Deletes the rows that match a filter; each is archived. */
export const deleteWhere: Run = (context, input) => {
	tableOf(input);
	const { body, part } = shapedBody<DeleteWhereBody>(input, 'deleteWhere', validator);
	return runOne(context, input, readDelete(part, body));
};
