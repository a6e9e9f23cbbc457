import type { AddRowBody } from '../generated/bodies.ts';
import { addRow as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody, tableOf } from './input.ts';
import { readAdd, runOne } from './row-operations.ts';

/** Stores the body as a new row. */
export const addRow: Run = (context, input) => {
	tableOf(input);
	const { body, part } = shapedBody<AddRowBody>(input, 'addRow', validator);
	return runOne(context, input, readAdd(part, body, part.path, input.idempotencyKey));
};
