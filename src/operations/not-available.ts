import { Refusal } from '../errors.ts';
import type { Run } from './context.ts';

/** An operation of the contract that this version does not have yet. */
export const notAvailable: Run = () => {
	throw new Refusal(
		'not_available',
		'This server does not make links yet. Read the row or query over the API instead.',
	);
};
