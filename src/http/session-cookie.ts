import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { csrfToken, parseSessionValue, type SessionSecret, sessionValue } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import { SESSION_MS } from '../limits.ts';

/** How a session of the console travels: in a cookie that no script can read, and a token that a page must send besides. */

const PLAIN_NAME = 'pumadb_session';
/** Browsers take a cookie of this name only over TLS, from the host itself and for all of it (RFC 6265bis, section 4.1.3.2). */
const HOST_NAME = `__Host-${PLAIN_NAME}`;
export const CSRF_HEADER = 'x-csrf-token';

/**
 * The `Set-Cookie` header that begins a session, as a name and a value.
 *
 * Strict works with links in mails too: the page of the link needs no session, and goes on to the console by itself.
 */
export function sessionCookie(session: SessionSecret, publicUrl: string): string[] {
	return setCookie(sessionValue(session), SESSION_MS / 1000, publicUrl);
}

/** The `Set-Cookie` header that makes the browser forget the session. */
export function endedCookie(publicUrl: string): string[] {
	return setCookie('', 0, publicUrl);
}

/** What the request's cookie says; undefined where there is none that could be one. */
export function presentedSession(request: IncomingMessage, publicUrl: string): SessionSecret | undefined {
	const begin = `${nameFor(publicUrl)}=`;
	const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
	const value = pairs.find((pair) => pair.startsWith(begin))?.slice(begin.length);
	return value === undefined ? undefined : parseSessionValue(value);
}

/**
 * A page of ours got the token from `GET /console/api/session`; a page of another origin cannot read it.
 * @throws Refusal invalid_csrf_token
 */
export function requireCsrfToken(request: IncomingMessage, secret: string): void {
	const expected = Buffer.from(csrfToken(secret));
	const presented = Buffer.from(String(request.headers[CSRF_HEADER] ?? ''));
	if (presented.length === expected.length && timingSafeEqual(presented, expected)) return;
	throw new Refusal(
		'invalid_csrf_token',
		'The request does not carry the token of this session. Reload the page and try again; programs use the API with a key.',
	);
}

/** For a read, which needs no token, but must not carry that of another session. @throws Refusal invalid_csrf_token */
export function refuseOtherCsrfToken(request: IncomingMessage, secret: string): void {
	if (request.headers[CSRF_HEADER] !== undefined) requireCsrfToken(request, secret);
}

function setCookie(value: string, seconds: number, publicUrl: string): string[] {
	const secure = isSecure(publicUrl) ? '; Secure' : '';
	return [
		'Set-Cookie',
		`${nameFor(publicUrl)}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`,
	];
}

function nameFor(publicUrl: string): string {
	return isSecure(publicUrl) ? HOST_NAME : PLAIN_NAME;
}

function isSecure(publicUrl: string): boolean {
	return publicUrl.startsWith('https:');
}
