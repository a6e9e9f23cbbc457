import { apiKey, newKeyId, newKeySecret, secretHash } from '../accounts/secrets.ts';
import { checkString } from '../domain/json.ts';
import type { CreateKeyBody } from '../generated/bodies.ts';
import { createKey as validator } from '../generated/validators.js';
import { callerOf, type Run } from './context.ts';
import { shapedBody } from './input.ts';

/** Makes a named API key and shows it this once. */
export const createKey: Run = async (context, input) => {
	const { accountId, keyId } = callerOf(input);
	const { body } = shapedBody<CreateKeyBody>(input, 'createKey', validator);
	checkString(body.name, ['name']);
	const { secret, start } = newKeySecret();
	const outcome = await context.store.writeAccounts({
		command: 'createKey',
		accountId,
		by: keyId,
		key: { id: newKeyId(), name: body.name, secretHash: secretHash(secret), secretStart: start, madeBy: 'api' },
	});
	const answer = { api_key: apiKey(accountId, secret), id: outcome.keyId, prefix: outcome.prefix, scope: '*' };
	return { body: JSON.stringify(answer) };
};
