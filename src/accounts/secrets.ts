import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** How secrets are made and hashed. Each is random enough that one SHA-256 protects it; no secret is ever stored. */

const ACCOUNT_ID_BYTES = 10;
const KEY_SECRET_BYTES = 24;
const TOKEN_BYTES = 32;
const SHOWN_SECRET_CHARACTERS = 4;
/** 43 characters of base64url are 256 bits. */
const ACCOUNT_AND_SECRET = /^([a-z0-9]{1,64})\.([A-Za-z0-9_-]{43})$/;
const KEY = /^puma_live_([a-z0-9]{1,64})_([a-z0-9]{1,128})$/;
const GRANTED = /^puma_(code|access|refresh)_([a-z0-9]{1,64})_([a-z0-9]{1,128})$/;

/** Lower-case letters and digits of `bytes` random bytes, always of the same length. */
function randomText(bytes: number): string {
	const length = Math.ceil((bytes * 8) / Math.log2(36));
	return BigInt(`0x${randomBytes(bytes).toString('hex')}`)
		.toString(36)
		.padStart(length, '0');
}

/** SHA-256 in hex: what is stored of a secret. */
export function secretHash(secret: string): string {
	return hash('sha256', secret);
}

/** Compares stored hashes, or other texts made from secrets, in constant time. */
export function sameHash(one: string, other: string): boolean {
	const [a, b] = [Buffer.from(one), Buffer.from(other)];
	return a.length === b.length && timingSafeEqual(a, b);
}

export function newAccountId(): string {
	return randomText(ACCOUNT_ID_BYTES);
}

/** The secret part of an API key: 192 random bits. */
export function newKeySecret(): { secret: string; start: string } {
	const secret = randomText(KEY_SECRET_BYTES);
	return { secret, start: secret.slice(0, SHOWN_SECRET_CHARACTERS) };
}

export function apiKey(accountId: string, secret: string): string {
	return `puma_live_${accountId}_${secret}`;
}

/** Takes an API key apart; undefined for what cannot be one. */
export function parseApiKey(key: string): { accountId: string; secret: string } | undefined {
	const parts = KEY.exec(key);
	return parts === null ? undefined : { accountId: parts[1]!, secret: parts[2]! };
}

/** What an app is given for a grant: a code, which it changes for an access and a refresh token. */
export type GrantedKind = 'code' | 'access' | 'refresh';

/** A code or token of a grant: 256 random bits. Each begins with the account, as API keys do. */
export function newGranted(kind: GrantedKind, accountId: string): { token: string; hash: string } {
	const token = `puma_${kind}_${accountId}_${randomText(TOKEN_BYTES)}`;
	return { token, hash: secretHash(token) };
}

/** Takes a presented code or token apart into account and stored hash, which is of all of it; undefined for what cannot be one. */
export function parseGranted(presented: string): { kind: GrantedKind; accountId: string; hash: string } | undefined {
	const parts = GRANTED.exec(presented);
	if (parts === null) return undefined;
	return { kind: parts[1] as GrantedKind, accountId: parts[2]!, hash: secretHash(presented) };
}

/** The secret of an OAuth client that asked for one: 256 random bits. */
export function newClientSecret(): string {
	return `puma_client_${randomText(TOKEN_BYTES)}`;
}

/** A magic link's token: 256 random bits, URL-safe. */
export function newToken(): string {
	return randomBytes(TOKEN_BYTES).toString('base64url');
}

/**
 * A link's tokens, each 256 bits: who has the viewer's may look and edit. The download token is made from it and does not
 * lead back, so it can be handed on to whom only the file is meant for. Each begins with the account, as API keys do.
 */
export interface LinkTokens {
	readonly viewer: string;
	readonly download: string;
	/** What is stored. */
	readonly hash: string;
}

export function newLinkTokens(accountId: string): LinkTokens {
	const secret = newToken();
	const download = downloadSecret(secret);
	return { viewer: `${accountId}.${secret}`, download: `${accountId}.${download}`, hash: secretHash(download) };
}

/** Takes a presented token apart into account and stored hash; undefined for what cannot be one. */
export function parseLinkToken(
	token: string,
	kind: 'viewer' | 'download',
): { accountId: string; hash: string } | undefined {
	const parts = ACCOUNT_AND_SECRET.exec(token);
	if (parts === null) return undefined;
	const secret = kind === 'viewer' ? downloadSecret(parts[2]!) : parts[2]!;
	return { accountId: parts[1]!, hash: secretHash(secret) };
}

function downloadSecret(viewerSecret: string): string {
	return hash('sha256', `download ${viewerSecret}`, 'base64url');
}

/** What a session's cookie carries: the account, and 256 random bits. */
export interface SessionSecret {
	readonly accountId: string;
	readonly secret: string;
}

export function sessionValue({ accountId, secret }: SessionSecret): string {
	return `${accountId}.${secret}`;
}

/** Takes a presented cookie apart; undefined for what cannot be one. */
export function parseSessionValue(value: string): SessionSecret | undefined {
	const parts = ACCOUNT_AND_SECRET.exec(value);
	return parts === null ? undefined : { accountId: parts[1]!, secret: parts[2]! };
}

/** What a page of a session sends with each change. It is made from the session's secret and does not lead back. */
export function csrfToken(sessionSecret: string): string {
	return hash('sha256', `csrf ${sessionSecret}`, 'base64url');
}

/** The id of a session: not secret. */
export function newSessionId(): string {
	return `ses_${randomText(ACCOUNT_ID_BYTES)}`;
}

/** The id of a key: not secret. */
export function newKeyId(): string {
	return `key_${randomText(ACCOUNT_ID_BYTES)}`;
}

/** The id of a registered OAuth client: not secret. */
export function newClientId(): string {
	return `client_${randomText(ACCOUNT_ID_BYTES)}`;
}

/** The id of a grant: not secret. */
export function newGrantId(): string {
	return `grant_${randomText(ACCOUNT_ID_BYTES)}`;
}
