import type { IncomingMessage } from 'node:http';
import { csrfToken, parseSessionValue, type SessionSecret, sameHash, sessionValue } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import { SESSION_MS } from '../limits.ts';
import { type Cookie, cookieOf, setCookie } from './cookies.ts';

/** How a session of the console travels: in a cookie that no script can read, and a token that a page must send besides. */

const COOKIE: Cookie = { name: 'pumadb_session', sameSite: 'Strict', seconds: SESSION_MS / 1000 };
export const CSRF_HEADER = 'x-csrf-token';

/**
 * The `Set-Cookie` header that begins a session, as a name and a value.
 *
 * Strict works with links in mails too: the page of the link needs no session, and goes on to the console by itself.
 */
export function sessionCookie(session: SessionSecret, publicUrl: string): string[] {
	return setCookie(COOKIE, sessionValue(session), publicUrl);
}

/** The `Set-Cookie` header that makes the browser forget the session. */
export function endedCookie(publicUrl: string): string[] {
	return setCookie(COOKIE, '', publicUrl);
}

/** What the request's cookie says; undefined where there is none that could be one. */
export function presentedSession(request: IncomingMessage, publicUrl: string): SessionSecret | undefined {
	const value = cookieOf(request, COOKIE, publicUrl);
	return value === undefined ? undefined : parseSessionValue(value);
}

/**
 * A page of ours got the token from `GET /console/api/session`; a page of another origin cannot read it.
 * @throws Refusal invalid_csrf_token
 */
export function requireCsrfToken(request: IncomingMessage, secret: string): void {
	if (sameHash(csrfToken(secret), String(request.headers[CSRF_HEADER] ?? ''))) return;
	throw new Refusal(
		'invalid_csrf_token',
		'The request does not carry the token of this session. Reload the page and try again; programs use the API with a key.',
	);
}

/** For a read, which needs no token, but must not carry that of another session. @throws Refusal invalid_csrf_token */
export function refuseOtherCsrfToken(request: IncomingMessage, secret: string): void {
	if (request.headers[CSRF_HEADER] !== undefined) requireCsrfToken(request, secret);
}
