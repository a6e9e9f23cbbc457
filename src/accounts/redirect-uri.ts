import { isLoopback } from '../config.ts';
import { Refusal } from '../errors.ts';

/** Where a browser may be sent back to, and how a sent URI is held against the registered ones. */

const MAX_CHARACTERS = 2000;
/** A web URI as it must be written: with both slashes, and a host of plain characters, so that it means the same to everybody. */
const WEB = /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:[/?]|$)/i;
/** The machine's own addresses, with any port. */
const OWN = /^(http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]))(?::\d{1,5})?(?=[/?]|$)/i;
/** What the answer to an authorization request has. */
const ANSWERS = ['code', 'state', 'iss', 'error', 'error_description'];
/** Printable ASCII without what could end a header or a policy: space, quotes, comma, semicolon, backslash, angle brackets. */
const CHARACTERS = /^[!#$%&()*+\-./0-9:=?@A-Z[\]_a-z~]+$/;
/** Schemes on which browsers and systems act themselves. Apps have schemes of their own. */
const REFUSED_SCHEMES: ReadonlySet<string> = new Set([
	...[
		'javascript:',
		'data:',
		'vbscript:',
		'file:',
		'blob:',
		'about:',
		'filesystem:',
		'view-source:',
		'intent:',
		'jar:',
	],
	...['ftp:', 'sftp:', 'ssh:', 'telnet:', 'smb:', 'ldap:', 'ldaps:', 'ws:', 'wss:', 'mailto:', 'tel:', 'sms:'],
	...[
		'chrome:',
		'chrome-extension:',
		'moz-extension:',
		'microsoft-edge:',
		'res:',
		'shell:',
		'search:',
		'itms-services:',
	],
]);
/** Windows' own: ms-settings, ms-msdt, search-ms and their like. */
const WINDOWS_SCHEME = /^ms-|-ms:$/;

/**
 * Checks a redirect URI that a client wants to use: https, http on the machine's own addresses (RFC 8252 section 7.3), or a
 * scheme of an app's own (section 7.1).
 * @throws Refusal invalid_redirect_uri
 */
export function requireRedirectUri(uri: unknown): string {
	const refuse = (what: string): Refusal =>
		new Refusal(
			'invalid_redirect_uri',
			`${what} A redirect URI is an absolute URI without fragment, user name or password: https, http on localhost, 127.0.0.1 or [::1], or a scheme of the app's own.`,
			{ redirect_uri: typeof uri === 'string' ? uri.slice(0, 200) : null },
		);
	if (typeof uri !== 'string') throw refuse('The redirect URI is no string.');
	if (uri.length > MAX_CHARACTERS || !CHARACTERS.test(uri)) {
		throw refuse(`The redirect URI is longer than ${MAX_CHARACTERS} characters, or has some that URIs must escape.`);
	}
	const url = URL.canParse(uri) ? new URL(uri) : undefined;
	if (url === undefined || uri.includes('#') || !uri.toLowerCase().startsWith(url.protocol)) {
		throw refuse('The redirect URI is not absolute, or has a fragment.');
	}
	if (url.username !== '' || url.password !== '' || /^https?:[^?]*@/i.test(uri))
		throw refuse('The redirect URI has a user name or password.');
	if (REFUSED_SCHEMES.has(url.protocol) || WINDOWS_SCHEME.test(url.protocol))
		throw refuse(`The redirect URI has the scheme ${url.protocol.slice(0, -1)}.`);
	if (/^https?:/i.test(uri) && !WEB.test(uri))
		throw refuse('The redirect URI has no plain host name after two slashes.');
	const own = ANSWERS.find((name) => url.searchParams.has(name));
	if (own !== undefined) throw refuse(`The redirect URI has a parameter ${own} of its own, which the answer has.`);
	if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
		throw refuse('The redirect URI is http and leads to another machine.');
	}
	return uri;
}

/**
 * Is `presented` the registered URI? Character by character (RFC 6749 section 3.1.2.3, RFC 9700 section 2.1), but for the port
 * of an http URI on the machine's own addresses: apps take any free one (RFC 8252 section 7.3).
 */
export function matchesRedirectUri(registered: string, presented: string): boolean {
	if (registered === presented) return true;
	const [one, other] = [withoutPort(registered), withoutPort(presented)];
	return one !== undefined && one === other;
}

/** A URI of the machine's own without its port; an empty path is `/` (RFC 3986 section 6.2.3). Undefined for any other URI. */
function withoutPort(uri: string): string | undefined {
	const origin = OWN.exec(uri);
	if (origin === null) return undefined;
	const rest = uri.slice(origin[0].length);
	return `${origin[1]!.toLowerCase()}${rest.startsWith('/') ? '' : '/'}${rest}`;
}

/** Where a redirect URI leads, as a person is told. */
export function destinationOf(uri: string): string {
	const url = new URL(uri);
	if (url.protocol === 'https:') return url.host;
	if (url.protocol === 'http:') return `an app on this computer (${url.host})`;
	return `the app on this computer that opens ${url.protocol}// links`;
}

/**
 * The redirect URI as a source of a content security policy: Chromium holds redirects after a form's POST against `form-action`
 * (CSP Level 3, section 6.4.3).
 */
export function policySource(uri: string): string {
	const url = new URL(uri);
	const web = url.protocol === 'https:' || url.protocol === 'http:';
	// A policy has no way to write an IPv6 address (CSP Level 3, section 2.3.1).
	return web && !url.hostname.startsWith('[') ? url.origin : url.protocol;
}
