import type { IncomingMessage } from 'node:http';
import { Refusal } from '../errors.ts';

/** What every page, and everything behind a link, says to the browser. */

/** Nobody learns where a person came from, no search engine keeps a page, no other origin gets hold of one. */
function privateHeaders(referrer: string, opener: string): string[] {
	return [
		...['Referrer-Policy', referrer],
		...['X-Robots-Tag', 'noindex'],
		...['Cross-Origin-Opener-Policy', opener],
		...['Cross-Origin-Resource-Policy', 'same-origin'],
	];
}

const PRIVATE = privateHeaders('no-referrer', 'same-origin');
/**
 * What a page that an app opened for a person says: with `no-referrer` its forms would be sent with `Origin: null`, and an app
 * that opened it in a window of its own must get hold of that window again once the person is sent back.
 */
const OPENED_BY_APPS = privateHeaders('same-origin', 'unsafe-none');

/** A page that an app opened for a person. */
export interface OpenedByApp {
	/** Where the page's forms may lead besides this server: a source of a content security policy. */
	readonly formTarget?: string;
}

/**
 * Headers of a page of ours: scripts, styles and calls of our own origin only.
 * @param nonce lets the editor add style elements that carry it (CSP Level 3, section 8.2).
 */
export function pageHeaders(nonce: string, openedByApp?: OpenedByApp): string[] {
	const target = openedByApp?.formTarget;
	const policy = [
		"default-src 'none'",
		"script-src 'self'",
		`style-src 'self' 'nonce-${nonce}'`,
		"img-src 'self' data:",
		"font-src 'self'",
		"connect-src 'self'",
		"worker-src 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
		`form-action 'self'${target === undefined ? '' : ` ${target}`}`,
	];
	return ['Content-Security-Policy', policy.join('; '), ...(openedByApp === undefined ? PRIVATE : OPENED_BY_APPS)];
}

/** Headers of data and files: should a browser ever show one as a page, nothing in it runs or loads. */
export function inertHeaders(): string[] {
	const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";
	return ['Content-Security-Policy', policy, ...PRIVATE];
}

/**
 * Lets a change pass only from a page of this server. Browsers say where a request comes from (Fetch Metadata, section 2.4;
 * RFC 6454 section 7), and no page can make them lie.
 * @throws Refusal cross_origin_request
 */
export function requireSameOrigin(request: IncomingMessage): void {
	const site = request.headers['sec-fetch-site'];
	const { origin, host } = request.headers;
	const same = site === undefined ? origin !== undefined && hostOf(origin) === host : site === 'same-origin';
	if (same) return;
	throw new Refusal(
		'cross_origin_request',
		'This change must come from a page of this server. Reload the page and try again; programs use the API with a key.',
	);
}

function hostOf(origin: string): string | undefined {
	return URL.canParse(origin) ? new URL(origin).host : undefined;
}
