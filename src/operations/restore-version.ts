import { Refusal } from '../errors.ts';
import type { RestoreVersionBody } from '../generated/bodies.ts';
import { restoreVersion as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody, tableOf } from './input.ts';
import { runOne } from './row-operations.ts';

/** Puts an archived version back under its row's id. */
export const restoreVersion: Run = (context, input) => {
	tableOf(input);
	const { body } = shapedBody<RestoreVersionBody>(input, 'restoreVersion', validator);
	if (!Number.isSafeInteger(body.version)) {
		throw new Refusal(
			'invalid_request',
			'The member "version" is not the number of a version. Send one that the row\'s versions list.',
			{
				field: 'version',
			},
		);
	}
	return runOne(context, input, { action: 'restore', id: body.id, version: body.version });
};
