import { apiKey, newAccountId, newKeyId, newKeySecret, secretHash } from '../accounts/secrets.ts';
import type { VerifyMagicLinkBody } from '../generated/bodies.ts';
import { verifyMagicLink as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody } from './input.ts';

/** Consumes a magic link and makes an API key. */
export const verifyMagicLink: Run = async (context, input) => {
	const { body } = shapedBody<VerifyMagicLinkBody>(input, 'verifyMagicLink', validator);
	const { secret, start } = newKeySecret();
	const outcome = await context.store.writeAccounts({
		command: 'verifyMagicLink',
		tokenHash: secretHash(body.token),
		freshAccountId: newAccountId(),
		key: {
			id: newKeyId(),
			name: `Sign-in ${new Date(context.clock()).toISOString().slice(0, 10)}`,
			secretHash: secretHash(secret),
			secretStart: start,
			madeBy: 'sign_in',
		},
	});
	return { body: JSON.stringify({ api_key: apiKey(outcome.accountId!, secret), account_id: outcome.accountId }) };
};
