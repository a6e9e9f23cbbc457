import { Refusal } from '../errors.ts';

/** The one scope there is: all of the account's rows. */
export const SCOPE = 'pumadb';
/** Asked for by clients that want to refresh; every grant can. */
export const OFFLINE_SCOPE = 'offline_access';

/** The one resource that tokens are for. */
export function audienceOf(publicUrl: string): string {
	return `${publicUrl}/mcp`;
}

/**
 * What clients say that tokens are to be for (RFC 8707 section 2): the endpoint, with or without a slash at its end, or only the
 * server's origin, or nothing. All of it means the one audience.
 * @throws Refusal invalid_target where any of them is another server's.
 */
export function requireAudience(resources: readonly string[], publicUrl: string): string {
	const audience = audienceOf(publicUrl);
	for (const resource of resources) {
		const url = URL.canParse(resource) ? new URL(resource) : undefined;
		const ours = url !== undefined && url.href === `${url.origin}${url.pathname}` && url.origin === publicUrl;
		if (ours && /^\/(?:mcp\/?)?$/.test(url.pathname)) continue;
		throw new Refusal('invalid_target', `The resource is not of this server. Send ${audience}, or leave it out.`);
	}
	return audience;
}
