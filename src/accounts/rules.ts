import { Refusal, type RefusalData } from '../errors.ts';
import { MAX_LIVE_KEYS, MAX_LIVE_SESSIONS } from '../limits.ts';
import type { ClientRecord, GrantCommand } from './grants.ts';

/** Every rule of accounts, keys and magic links, as pure functions over data that an engine loads and applies. */

/** An API key as it is stored: never its secret. */
export interface KeyRecord {
	readonly id: string;
	readonly accountId: string;
	readonly name: string;
	readonly prefix: string;
	readonly madeBy: 'sign_in' | 'api' | 'operator';
	readonly createdAt: string;
	readonly lastUsedAt: string | null;
	readonly revokedAt: string | null;
}

/** Who calls: an account, through one of its keys, a session of the console or an app's grant, whose id then stands for the key's. */
export interface Caller {
	readonly accountId: string;
	readonly keyId: string;
}

/** A session of the console that has not ended. */
export interface Session {
	readonly accountId: string;
	readonly id: string;
	/** The account's address. */
	readonly email: string;
	/** Milliseconds since the epoch. */
	readonly expiresAt: number;
}

/** A session about to begin. Its secret stays with the caller. */
export interface NewSession {
	readonly id: string;
	/** SHA-256 of the secret, in hex. */
	readonly secretHash: string;
	readonly expiresAt: number;
}

/** A key about to be made. Its secret stays with the caller. */
export interface NewKey {
	readonly id: string;
	readonly name: string;
	/** SHA-256 of the secret, in hex. */
	readonly secretHash: string;
	/** The secret's first characters, which the listed prefix ends in. */
	readonly secretStart: string;
	readonly madeBy: KeyRecord['madeBy'];
}

export type AccountCommand =
	| GrantCommand
	| {
			readonly command: 'createMagicLink';
			readonly tokenHash: string;
			readonly email: string;
			/** The one authorization that it is good for; null for one that signs in. */
			readonly requestHash: string | null;
			readonly expiresAt: number;
	  }
	/** Takes a magic link back whose mail could not be sent. */
	| { readonly command: 'dropMagicLink'; readonly tokenHash: string }
	| {
			readonly command: 'verifyMagicLink';
			readonly tokenHash: string;
			readonly freshAccountId: string;
			readonly key: NewKey;
	  }
	/** Uses a magic link for a session of the console: no key is made. */
	| {
			readonly command: 'verifyMagicLinkForSession';
			readonly tokenHash: string;
			readonly freshAccountId: string;
			readonly session: NewSession;
	  }
	| { readonly command: 'endSession'; readonly accountId: string; readonly secretHash: string }
	/** `by` is the key, grant or session that asks for it, which may have ended meanwhile. */
	| { readonly command: 'createKey'; readonly accountId: string; readonly by: string; readonly key: NewKey }
	/** For an operator: makes the account too where the address is new. */
	| {
			readonly command: 'createKeyForEmail';
			readonly email: string;
			readonly freshAccountId: string;
			readonly key: NewKey;
	  }
	| { readonly command: 'revokeKey'; readonly accountId: string; readonly keyId: string }
	| {
			readonly command: 'createLink';
			readonly accountId: string;
			readonly keyId: string;
			readonly tokenHash: string;
			/** {@link targetText} of what it shows. */
			readonly target: string;
			readonly expiresAt: number;
	  }
	| { readonly command: 'touchKeys'; readonly used: readonly { accountId: string; keyId: string; at: string }[] }
	/** Ends an account at once: no key of it works any more. Its rows go by `sweep`. */
	| { readonly command: 'eraseAccount'; readonly accountId: string }
	/** Removes a row, its versions and kept answers beyond restoring. */
	| { readonly command: 'purgeRow'; readonly accountId: string; readonly table: string; readonly id: string }
	/** Removes a bounded number of things that have run out, or only of what erased accounts held. */
	| { readonly command: 'sweep'; readonly only?: 'erased' };

export type AccountOutcome =
	| {
			readonly accountId?: string;
			readonly keyId?: string;
			readonly prefix?: string;
			/** What stopped working with this command: ids of keys, sessions and grants, and the hash of an access token ended alone. */
			readonly revoked?: readonly string[];
			/** For `registerClient`: the client, new or known. */
			readonly client?: ClientRecord;
			/** Things removed. */
			readonly count?: number;
			/** For `sweep`: is more left to remove? */
			readonly more?: boolean;
	  }
	/** A refusal changes nothing, but for the use of a stolen token, which ends its grant. */
	| { readonly refusal: RefusalData; readonly revoked?: readonly string[] };

/** What a command did that was not refused. */
export type AccountDone = Exclude<AccountOutcome, { refusal: unknown }>;

/** @throws Refusal where the command was refused. */
export function doneOf(outcome: AccountOutcome): AccountDone {
	if ('refusal' in outcome) throw Refusal.from(outcome.refusal);
	return outcome;
}

export function keyPrefix(accountId: string, secretStart: string): string {
	return `puma_live_${accountId}_${secretStart}`;
}

export interface MagicLink {
	readonly email: string;
	readonly expiresAt: number;
	readonly usedAt: number | null;
	/** The one authorization that it is good for; null for one that signs in. */
	readonly requestHash: string | null;
}

/**
 * @param requestHash the authorization that it is used for; null to sign in.
 * @throws Refusal invalid_magic_link unless the link is there for this, unused and alive.
 */
export function requireMagicLink(link: MagicLink | undefined, requestHash: string | null, now: number): MagicLink {
	const fault =
		link === undefined || link.requestHash !== requestHash
			? 'unknown'
			: link.usedAt !== null
				? 'used'
				: link.expiresAt <= now
					? 'expired'
					: undefined;
	if (link !== undefined && fault === undefined) return link;
	throw new Refusal(
		'invalid_magic_link',
		`This magic-link token ${LINK_FAULTS[fault!]}. Request a new link with POST /auth/magic-link; each works once, for 15 minutes.`,
		{ reason: fault },
	);
}

const LINK_FAULTS = { unknown: 'is unknown', used: 'was used already', expired: 'has expired' } as const;

/**
 * The key that has to go before a sign-in may make another: the oldest that a sign-in made, or undefined where there is room.
 * @throws Refusal key_limit_reached where only keys made otherwise could go.
 */
export function keyToGiveUp(live: readonly KeyRecord[]): KeyRecord | undefined {
	if (live.length < MAX_LIVE_KEYS) return undefined;
	const oldest = live.find((key) => key.madeBy === 'sign_in');
	if (oldest === undefined) throw keyLimitReached();
	return oldest;
}

/** The sessions that have to go before another may begin. @param live hashes of the account's live sessions, oldest first. */
export function sessionsToGiveUp(live: readonly string[]): readonly string[] {
	return live.slice(0, Math.max(0, live.length - MAX_LIVE_SESSIONS + 1));
}

/** @throws Refusal key_limit_reached */
export function requireRoomForKey(live: readonly KeyRecord[]): void {
	if (live.length >= MAX_LIVE_KEYS) throw keyLimitReached();
}

function keyLimitReached(): Refusal {
	return new Refusal(
		'key_limit_reached',
		`The account has ${MAX_LIVE_KEYS} live API keys, which is the most. Revoke one with DELETE /v1/_keys/{id} first.`,
		{ limit: MAX_LIVE_KEYS },
	);
}
