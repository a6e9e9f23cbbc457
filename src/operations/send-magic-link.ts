import { normalizeEmail } from '../accounts/email.ts';
import { newToken, secretHash } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import { MAGIC_LINK_MS } from '../limits.ts';
import type { Client, Context, SignInContext } from './context.ts';
import { refuseAbove } from './sign-in-limits.ts';

/** A magic link on its way. */
export interface SentLink {
	/** Milliseconds since the epoch. */
	readonly expiresAt: number;
	/** The link itself, where there is no mail and the caller is on the same machine. */
	readonly devLink: string | undefined;
}

/**
 * May this client have a magic link sent to this address now? Counts the call.
 * @returns the address as it is compared.
 * @throws Refusal invalid_email, sign_in_off, dev_link_refused, rate_limited
 */
export async function admitMagicLink({ signIn }: Context, client: Client, address: string): Promise<string> {
	const email = normalizeEmail(address);
	if (!signIn.on) {
		throw new Refusal('sign_in_off', 'Sign-in by magic link is off on this server. Ask its operator for an API key.');
	}
	if (signIn.mailer === undefined && !client.local) {
		throw new Refusal(
			'dev_link_refused',
			'Without mail, this server shows magic links only to callers on the same machine that reach it directly. Call it on its loopback address, or ask its operator to configure mail.',
		);
	}
	await countLinks(signIn, email, client);
	return email;
}

/**
 * Sends an admitted magic link.
 * @param requestHash the one authorization that it is good for; null for one that signs in.
 * @param pathOf where the link leads, given its token.
 * @throws Refusal mail_unavailable, email_refused
 */
export async function sendMagicLink(
	context: Context,
	email: string,
	requestHash: string | null,
	pathOf: (token: string) => string,
): Promise<SentLink> {
	const { store, signIn } = context;
	const token = newToken();
	const tokenHash = secretHash(token);
	const expiresAt = context.clock() + MAGIC_LINK_MS;
	await store.writeAccounts({ command: 'createMagicLink', tokenHash, email, requestHash, expiresAt });
	const link = context.publicUrl + pathOf(token);
	try {
		await signIn.mailer?.sendMagicLink(
			email,
			link,
			MAGIC_LINK_MS / 60_000,
			requestHash === null ? 'sign-in' : 'connect',
		);
	} catch (error) {
		// A link that nobody got is of no use.
		await store.writeAccounts({ command: 'dropMagicLink', tokenHash });
		throw error;
	}
	return { expiresAt, devLink: signIn.mailer === undefined ? link : undefined };
}

/** By address and client together, and five times as wide by address alone: a stranger cannot lock a person out. */
async function countLinks(signIn: SignInContext, email: string, client: Client): Promise<void> {
	await refuseAbove(signIn, `link ${email} ${client.address}`, signIn.perHour);
	await refuseAbove(signIn, `address ${email}`, signIn.perHour * 5);
}
