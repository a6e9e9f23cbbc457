import { Refusal } from '../errors.ts';
import { MAX_LIVE_GRANTS, REFRESH_GRACE_MS, UNUSED_CLIENT_PROTECTED_MS } from '../limits.ts';
import { sameHash } from './secrets.ts';

/**
 * Every rule of OAuth clients, authorizations and grants, as pure functions over data that an engine loads and applies.
 *
 * A grant is what a person gave an app: access to the account over MCP, until it is revoked or its tokens run out. Its id stands
 * where a key's does: in rate limits, in links it made, in the log.
 */

/** What is kept of a client's metadata (RFC 7591 section 2). */
export interface ClientMetadata {
	readonly name: string | undefined;
	readonly redirectUris: readonly string[];
}

/** A registered client. */
export interface ClientRecord extends ClientMetadata {
	readonly id: string;
	/** SHA-256 of the secret, in hex; null for public clients. */
	readonly secretHash: string | null;
	/** When it was first registered, in milliseconds since the epoch. */
	readonly createdAt: number;
	/** When it last registered, or a person began to connect it: it stays for a while after that. */
	readonly seenAt: number;
}

/** A client about to be registered. */
export interface NewClient extends ClientRecord {
	/** SHA-256 of the metadata, in hex: the same metadata gets the same client. Null for clients with a secret. */
	readonly fingerprint: string | null;
}

/** What an app asks for, once all of it was checked. */
export interface AuthorizationRequest {
	readonly clientId: string;
	/** What the app calls itself; undefined where it says nothing. */
	readonly clientName: string | undefined;
	readonly redirectUri: string;
	/** base64url of SHA-256 of the code verifier (RFC 7636 section 4.2). */
	readonly challenge: string;
	readonly state: string | undefined;
	/** The one resource that the tokens are for. */
	readonly audience: string;
}

/** An authorization that waits for its person. */
export interface Authorization {
	readonly request: AuthorizationRequest;
	/** The address that the sign-in link was sent to. */
	readonly email: string;
	/** Undefined until the person has signed in. */
	readonly accountId: string | undefined;
}

/** A grant as its person sees it. */
export interface Grant {
	readonly id: string;
	readonly clientId: string;
	readonly clientName: string | null;
	readonly redirectUri: string;
	readonly createdAt: string;
	readonly lastUsedAt: string | null;
}

/** A code about to be given out. */
export interface NewCode {
	readonly hash: string;
	/** Milliseconds since the epoch. */
	readonly expiresAt: number;
}

/** A pair of tokens about to be given out. */
export interface NewTokens {
	readonly accessHash: string;
	readonly accessExpiresAt: number;
	readonly refreshHash: string;
	readonly refreshExpiresAt: number;
}

export type GrantCommand =
	/** Registers a client, or answers the public one that has the same metadata. */
	| { readonly command: 'registerClient'; readonly client: NewClient }
	| {
			readonly command: 'beginAuthorization';
			readonly requestHash: string;
			/** SHA-256 of the secret of the browser in which it began. */
			readonly browserHash: string;
			readonly email: string;
			readonly request: AuthorizationRequest;
			readonly expiresAt: number;
	  }
	/** Uses a magic link for an authorization: no key is made. */
	| {
			readonly command: 'signInForAuthorization';
			readonly requestHash: string;
			readonly browserHash: string;
			readonly tokenHash: string;
			readonly freshAccountId: string;
	  }
	/** The person says yes: the authorization ends, and a grant begins with a code. */
	| {
			readonly command: 'grantAuthorization';
			readonly requestHash: string;
			readonly browserHash: string;
			readonly grantId: string;
			readonly code: NewCode;
	  }
	/** The person says no. */
	| { readonly command: 'denyAuthorization'; readonly requestHash: string; readonly browserHash: string }
	| {
			readonly command: 'exchangeCode';
			readonly accountId: string;
			readonly codeHash: string;
			readonly clientId: string;
			readonly redirectUri: string | undefined;
			/** Made from the presented verifier. */
			readonly challenge: string;
			readonly audience: string;
			readonly tokens: NewTokens;
	  }
	| {
			readonly command: 'refreshGrant';
			readonly accountId: string;
			readonly tokenHash: string;
			readonly clientId: string;
			readonly audience: string;
			readonly tokens: NewTokens;
	  }
	/** Ends an access token alone, or with a refresh token its whole grant. */
	| {
			readonly command: 'revokeToken';
			readonly accountId: string;
			readonly tokenHash: string;
			readonly clientId: string;
	  }
	| { readonly command: 'revokeGrant'; readonly accountId: string; readonly grantId: string };

/** @throws Refusal overloaded where there is no room for a client that nobody has used yet. @param oldest when the one that was seen longest ago was seen */
export function requireRoomForClient(oldest: number, now: number): void {
	if (now - oldest >= UNUSED_CLIENT_PROTECTED_MS) return;
	throw new Refusal(
		'overloaded',
		'Too many clients registered here within the hour and were never used. Register again later, or register with the metadata of before, which gets the same client.',
	);
}

/** @throws Refusal invalid_authorization unless it is there, alive, and began in this browser. */
export function requireAuthorization(
	found: { readonly browserHash: string; readonly expiresAt: number } | undefined,
	browserHash: string,
	now: number,
): void {
	if (found === undefined || found.expiresAt <= now) {
		throw new Refusal(
			'invalid_authorization',
			'This request was answered already, or has expired. Connect once more, from the app that you want to connect.',
			{ reason: 'unknown' },
		);
	}
	if (sameHash(found.browserHash, browserHash)) return;
	throw new Refusal(
		'invalid_authorization',
		'Connecting the app began in another browser. Open the link there: copy it from the mail into the window where you started. It has not been used up.',
		{ reason: 'other_browser' },
	);
}

/** The account that the person has signed in to. @throws Refusal invalid_authorization where nobody has. */
export function signedInAccount({ accountId }: Authorization): string {
	if (accountId !== undefined) return accountId;
	throw new Refusal('invalid_authorization', 'Nobody has signed in yet. Open the link in the mail first.', {
		reason: 'not_signed_in',
	});
}

/** Grants that have to go before another may begin. @param live ids of the account's grants, the one used longest ago first. */
export function grantsToGiveUp(live: readonly string[]): readonly string[] {
	return live.slice(0, Math.max(0, live.length - MAX_LIVE_GRANTS + 1));
}

/** A code as it is stored, with what its grant says. */
export interface CodeRecord {
	readonly grantId: string;
	readonly clientId: string;
	readonly redirectUri: string;
	readonly challenge: string;
	readonly audience: string;
	readonly expiresAt: number;
	readonly usedAt: number | null;
}

/**
 * May this client change this code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.6)?
 * @returns `reused` where the right client presents it again: somebody has both, so its grant must end (RFC 6749 section 4.1.2).
 * @throws Refusal invalid_grant; a code that is presented wrongly stays good for who presents it rightly.
 */
export function judgeCode(
	code: CodeRecord | undefined,
	presented: {
		readonly clientId: string;
		readonly redirectUri: string | undefined;
		readonly challenge: string;
		readonly audience: string;
	},
	now: number,
): 'good' | 'reused' {
	if (code === undefined) throw invalidGrant('The code is unknown.');
	if (code.clientId !== presented.clientId) throw invalidGrant('The code was given to another client.');
	if (presented.redirectUri !== undefined && presented.redirectUri !== code.redirectUri) {
		throw invalidGrant('The redirect_uri is another than that of the authorization request.');
	}
	if (code.challenge !== presented.challenge) {
		throw invalidGrant('The code_verifier does not belong to the code_challenge of the authorization request.');
	}
	if (code.audience !== presented.audience) throw movedAway();
	if (code.usedAt !== null) return 'reused';
	if (code.expiresAt <= now) throw invalidGrant('The code has expired.');
	return 'good';
}

/** A refresh token as it is stored, with what its grant says. */
export interface RefreshRecord {
	readonly grantId: string;
	readonly clientId: string;
	readonly audience: string;
	readonly expiresAt: number;
	/** When it was first used. */
	readonly usedAt: number | null;
}

/**
 * May this client refresh with this token (RFC 9700 section 4.14.2)? A used token works on for two minutes, since clients
 * refresh twice at once and lose answers: each use gives a pair of its own.
 * @returns `reused` where it was used before that: client and thief cannot be told apart, so the grant must end.
 * @throws Refusal invalid_grant, which changes nothing.
 */
export function judgeRefresh(
	token: RefreshRecord | undefined,
	presented: { readonly clientId: string; readonly audience: string },
	now: number,
): 'good' | 'reused' {
	if (token === undefined) throw invalidGrant('The refresh token is unknown, or its grant was revoked.');
	if (token.clientId !== presented.clientId) throw invalidGrant('The refresh token was given to another client.');
	if (token.audience !== presented.audience) throw movedAway();
	if (token.usedAt !== null) return now - token.usedAt <= REFRESH_GRACE_MS ? 'good' : 'reused';
	if (token.expiresAt <= now) throw invalidGrant('The refresh token has expired.');
	return 'good';
}

/** Said once a code or token was used again: its grant is ended with it. */
export function reuseRefusal(what: 'code' | 'refresh token'): Refusal {
	return invalidGrant(`The ${what} was used before, so the grant was ended.`);
}

function invalidGrant(what: string): Refusal {
	return new Refusal('invalid_grant', `${what} Send the person to the authorization endpoint again.`);
}

/** What was given out before the server got another address is for a server that is not there any more. */
function movedAway(): Refusal {
	return invalidGrant('The grant is for a server of another address.');
}
