import type { Caller, Session } from '../accounts/rules.ts';
import { newAccountId, newSessionId, newToken, type SessionSecret, secretHash } from '../accounts/secrets.ts';
import { type Awaitable, then } from '../awaitable.ts';
import { Refusal } from '../errors.ts';
import { DEFAULT_LIMITS, type Limits, SESSION_MS } from '../limits.ts';
import type { Context } from './context.ts';
import { eraseAccount } from './erase-account.ts';

/** The console's sessions: their beginning and end. What they may do with data are the contract's operations. */

/** Uses a magic link and begins a session. It makes no key. @throws Refusal invalid_magic_link */
export async function beginSession(context: Context, token: string): Promise<SessionSecret> {
	const secret = newToken();
	const outcome = await context.store.writeAccounts({
		command: 'verifyMagicLinkForSession',
		tokenHash: secretHash(token),
		freshAccountId: newAccountId(),
		session: { id: newSessionId(), secretHash: secretHash(secret), expiresAt: context.clock() + SESSION_MS },
	});
	return { accountId: outcome.accountId!, secret };
}

/** The live session behind what a cookie said. @throws Refusal session_required */
export function liveSession({ store, clock }: Context, presented: SessionSecret | undefined): Awaitable<Session> {
	if (presented === undefined) throw noSession();
	return then(store.read.session(presented.accountId, secretHash(presented.secret), clock()), (session) => {
		if (session === undefined) throw noSession();
		return session;
	});
}

/** A session calls as its account, and is counted by its own id. */
export function callerOfSession({ accountId, id }: Session): Caller {
	return { accountId, keyId: id };
}

export async function endSession({ store }: Context, { accountId, secret }: SessionSecret): Promise<void> {
	await store.writeAccounts({
		command: 'endSession',
		accountId,
		secretHash: secretHash(secret),
	});
}

/** Who is signed in, until when, and what the account holds against the limits in force. */
export async function viewSession({ store, limits }: Context, session: Session): Promise<object> {
	const usage = await store.read.usage(session.accountId);
	// The account may have been erased just now.
	if (usage === undefined) throw noSession();
	const names = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];
	return {
		account_id: session.accountId,
		email: session.email,
		expires_at: new Date(session.expiresAt).toISOString(),
		usage,
		// JSON writes Infinity as null: unlimited.
		limits: Object.fromEntries(names.map((name) => [name, limits[name]])),
	};
}

/**
 * Erases the session's own account, with every key and session of it.
 * @param typed the account's address, as the person typed it to confirm.
 * @throws Refusal invalid_request where that is another address.
 */
export async function eraseOwnAccount({ store }: Context, session: Session, typed: unknown): Promise<void> {
	if (typeof typed !== 'string' || typed.trim().toLowerCase() !== session.email) {
		throw new Refusal(
			'invalid_request',
			"This is not the account's email address, so nothing was erased. Type the address that you are signed in with.",
			{ field: 'email' },
		);
	}
	await eraseAccount(store, session.accountId);
}

function noSession(): Refusal {
	return new Refusal('session_required', 'You are not signed in, or your session has ended. Sign in at /sign-in.');
}
