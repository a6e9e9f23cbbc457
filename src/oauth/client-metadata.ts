import type { ClientMetadata } from '../accounts/grants.ts';
import { requireRedirectUri } from '../accounts/redirect-uri.ts';
import { isObject, type Json, member } from '../domain/json.ts';
import { Refusal } from '../errors.ts';

/** What clients say of themselves, whether they register or publish a document (RFC 7591 section 2). */

/** How a client proves who it is at the token endpoint. What counts there is whether it has a secret. */
export const AUTH_METHODS = ['none', 'client_secret_post', 'client_secret_basic'] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

const MAX_REDIRECT_URIS = 20;
const MAX_NAME_CHARACTERS = 100;
/** Controls, and characters that turn the direction of text or cannot be seen: a name must not pass for another. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{DI}\u2800]/gu;
/** More marks on one letter than any language has. */
const TOO_MANY_MARKS = /(\p{M}{3})\p{M}+/gu;

/**
 * Takes what is used of a client's metadata; whatever else it says, such as `application_type`, `scope` or a logo, is ignored,
 * and null is as good as nothing.
 * @param defaultMethod how it proves who it is where it does not say.
 * @throws Refusal invalid_client_metadata or invalid_redirect_uri
 */
export function readClientMetadata(
	value: Json,
	defaultMethod: AuthMethod,
): { metadata: ClientMetadata; authMethod: AuthMethod } {
	if (!isObject(value)) throw invalid('The client metadata is no JSON object.', undefined);
	return {
		metadata: {
			name: nameOf(member(value, 'client_name') ?? undefined),
			redirectUris: redirectUrisOf(member(value, 'redirect_uris') ?? undefined),
		},
		authMethod: authMethodOf(member(value, 'token_endpoint_auth_method') ?? defaultMethod),
	};
}

/** The name as a person can be shown it: what cannot be seen is left out, and so is what is too long. */
function nameOf(name: Json | undefined): string | undefined {
	if (name === undefined) return undefined;
	if (typeof name !== 'string') throw invalid('The client_name is no string.', 'client_name');
	const seen = name.replaceAll(UNSEEN, '').replaceAll(TOO_MANY_MARKS, '$1').trim();
	return seen === '' ? undefined : [...seen].slice(0, MAX_NAME_CHARACTERS).join('');
}

function redirectUrisOf(uris: Json | undefined): string[] {
	if (!Array.isArray(uris) || uris.length === 0 || uris.length > MAX_REDIRECT_URIS) {
		throw new Refusal('invalid_redirect_uri', `Send redirect_uris: an array of 1 to ${MAX_REDIRECT_URIS} URIs.`, {
			field: 'redirect_uris',
		});
	}
	return [...new Set(uris.map(requireRedirectUri))];
}

function authMethodOf(method: Json): AuthMethod {
	const known = AUTH_METHODS.find((one) => one === method);
	if (known !== undefined) return known;
	throw invalid(
		`The token_endpoint_auth_method must be one of: ${AUTH_METHODS.join(', ')}.`,
		'token_endpoint_auth_method',
	);
}

export function invalid(message: string, field: string | undefined): Refusal {
	return new Refusal('invalid_client_metadata', message, field === undefined ? undefined : { field });
}
