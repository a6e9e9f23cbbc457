import { Refusal, type RefusalData } from '../errors.ts';
import { MAX_LIVE_KEYS } from '../limits.ts';

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

/** Who calls: an account, through one of its keys. */
export interface Caller {
	readonly accountId: string;
	readonly keyId: string;
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
	| {
			readonly command: 'createMagicLink';
			readonly tokenHash: string;
			readonly email: string;
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
	| { readonly command: 'createKey'; readonly accountId: string; readonly key: NewKey }
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
			/** Keys that stopped working with this command. */
			readonly revoked?: readonly string[];
			/** Things removed. */
			readonly count?: number;
			/** For `sweep`: is more left to remove? */
			readonly more?: boolean;
	  }
	| { readonly refusal: RefusalData };

export function keyPrefix(accountId: string, secretStart: string): string {
	return `puma_live_${accountId}_${secretStart}`;
}

export interface MagicLink {
	readonly email: string;
	readonly expiresAt: number;
	readonly usedAt: number | null;
}

/** @throws Refusal invalid_magic_link unless the link is there, unused and alive. */
export function requireMagicLink(link: MagicLink | undefined, now: number): MagicLink {
	const fault =
		link === undefined
			? 'is unknown'
			: link.usedAt !== null
				? 'was used already'
				: link.expiresAt <= now
					? 'has expired'
					: undefined;
	if (link !== undefined && fault === undefined) return link;
	throw new Refusal(
		'invalid_magic_link',
		`This magic-link token ${fault}. Request a new link with POST /auth/magic-link; each works once, for 15 minutes.`,
	);
}

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
