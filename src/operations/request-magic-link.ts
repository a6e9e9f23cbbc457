import type { RequestMagicLinkBody } from '../generated/bodies.ts';
import { requestMagicLink as validator } from '../generated/validators.js';
import type { Run } from './context.ts';
import { shapedBody } from './input.ts';
import { admitMagicLink, sendMagicLink } from './send-magic-link.ts';

/** Sends a sign-in link, or shows it to a caller on the same machine. */
export const requestMagicLink: Run = async (context, input) => {
	const { body } = shapedBody<RequestMagicLinkBody>(input, 'requestMagicLink', validator);
	const email = await admitMagicLink(context, input.client!, body.email);
	const { expiresAt, devLink } = await sendMagicLink(context, email, null, (token) => `/sign-in?token=${token}`);
	const answer = { ok: true, expires_at: new Date(expiresAt).toISOString() };
	return { body: JSON.stringify(devLink === undefined ? answer : { ...answer, dev_magic_link: devLink }) };
};
