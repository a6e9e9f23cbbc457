import { normalizeEmail } from '../accounts/email.ts';
import { newToken, secretHash } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import type { RequestMagicLinkBody } from '../generated/bodies.ts';
import { requestMagicLink as validator } from '../generated/validators.js';
import { MAGIC_LINK_MS } from '../limits.ts';
import type { Client, Context, Run, SignInContext } from './context.ts';
import { shapedBody } from './input.ts';
import { refuseAbove } from './sign-in-limits.ts';

/** Sends a sign-in link, or shows it to a caller on the same machine. */
export const requestMagicLink: Run = async (context, input) => {
	const { body } = shapedBody<RequestMagicLinkBody>(input, 'requestMagicLink', validator);
	const email = normalizeEmail(body.email);
	const { signIn } = context;
	if (!signIn.on) {
		throw new Refusal('sign_in_off', 'Sign-in by magic link is off on this server. Ask its operator for an API key.');
	}
	const client = input.client!;
	if (signIn.mailer === undefined && !client.local) {
		throw new Refusal(
			'dev_link_refused',
			'Without mail, this server shows magic links only to callers on the same machine that reach it directly. Call it on its loopback address, or ask its operator to configure mail.',
		);
	}
	countLinks(signIn, email, client);
	const token = newToken();
	const tokenHash = secretHash(token);
	const expiresAt = context.clock() + MAGIC_LINK_MS;
	await context.store.writeAccounts({ command: 'createMagicLink', tokenHash, email, expiresAt });
	const link = `${context.publicUrl}/sign-in?token=${token}`;
	await send(context, email, link, tokenHash);
	const answer = { ok: true, expires_at: new Date(expiresAt).toISOString() };
	return { body: JSON.stringify(signIn.mailer === undefined ? { ...answer, dev_magic_link: link } : answer) };
};

async function send(context: Context, email: string, link: string, tokenHash: string): Promise<void> {
	try {
		await context.signIn.mailer?.sendMagicLink(email, link, MAGIC_LINK_MS / 60_000);
	} catch (error) {
		// A link that nobody got is of no use.
		await context.store.writeAccounts({ command: 'dropMagicLink', tokenHash });
		throw error;
	}
}

/** By address and client together, and five times as wide by address alone: a stranger cannot lock a person out. */
function countLinks(signIn: SignInContext, email: string, client: Client): void {
	refuseAbove(signIn, `link ${email} ${client.address}`, signIn.perHour);
	refuseAbove(signIn, `address ${email}`, signIn.perHour * 5);
}
