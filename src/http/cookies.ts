import type { IncomingMessage } from 'node:http';

/**
 * Cookies that no script can read (RFC 6265bis). On https a cookie's name begins with `__Host-`: browsers take it only over
 * TLS, from the host itself and for all of it (section 4.1.3.2).
 */
export interface Cookie {
	readonly name: string;
	/** `Lax` comes along when a person follows a link from elsewhere; `Strict` never does. Neither comes with a form from elsewhere. */
	readonly sameSite: 'Strict' | 'Lax';
	readonly seconds: number;
}

/** The `Set-Cookie` header, as a name and a value. An empty value makes the browser forget the cookie. */
export function setCookie({ name, sameSite, seconds }: Cookie, value: string, publicUrl: string): string[] {
	const secure = isSecure(publicUrl) ? '; Secure' : '';
	const life = value === '' ? 0 : seconds;
	return [
		'Set-Cookie',
		`${nameFor(name, publicUrl)}=${value}; Path=/; Max-Age=${life}; HttpOnly; SameSite=${sameSite}${secure}`,
	];
}

/** What the request says for the cookie; undefined where it says nothing. */
export function cookieOf(request: IncomingMessage, { name }: Cookie, publicUrl: string): string | undefined {
	const begin = `${nameFor(name, publicUrl)}=`;
	const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
	return pairs.find((pair) => pair.startsWith(begin))?.slice(begin.length);
}

function nameFor(name: string, publicUrl: string): string {
	return isSecure(publicUrl) ? `__Host-${name}` : name;
}

function isSecure(publicUrl: string): boolean {
	return publicUrl.startsWith('https:');
}
