import type { AuthorizationRequest, ClientRecord } from '../accounts/grants.ts';
import { matchesRedirectUri, requireRedirectUri } from '../accounts/redirect-uri.ts';
import { Refusal } from '../errors.ts';
import { requireAudience } from './audience.ts';
import type { Parameters } from './form.ts';

/** SHA-256 in base64url (RFC 7636 section 4.2). */
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/;
const MAX_STATE_CHARACTERS = 2048;

/**
 * Checks what an app asks for (RFC 6749 section 4.1.1, RFC 7636 section 4.3). Scopes that are not known are ignored: every
 * grant has the one there is.
 * @throws Refusal invalid_request, invalid_redirect_uri, unsupported_response_type or invalid_target
 */
export function readAuthorizationRequest(
	parameters: Parameters,
	client: ClientRecord,
	publicUrl: string,
): AuthorizationRequest {
	const redirectUri = requireRedirectUri(parameters.required('redirect_uri'));
	if (!client.redirectUris.some((registered) => matchesRedirectUri(registered, redirectUri))) {
		throw new Refusal(
			'invalid_redirect_uri',
			'The app asks to be sent its answer at a redirect URI that it did not register. It must send one of those it registered.',
			{ redirect_uri: redirectUri.slice(0, 200) },
		);
	}
	for (const name of ['request', 'request_uri']) {
		if (parameters.one(name) !== undefined)
			throw invalid(`The app sends its request as a ${name}, which is not taken.`, name);
	}
	const type = parameters.required('response_type');
	if (type !== 'code') {
		throw new Refusal('unsupported_response_type', 'The app asks for another response_type than code.');
	}
	if ((parameters.one('response_mode') ?? 'query') !== 'query') {
		throw invalid('The app asks for another response_mode than query.', 'response_mode');
	}
	if (parameters.required('code_challenge_method') !== 'S256') {
		throw invalid('The app asks for another code_challenge_method than S256.', 'code_challenge_method');
	}
	const challenge = parameters.required('code_challenge');
	if (!CHALLENGE.test(challenge)) {
		throw invalid('The code_challenge of the app is no SHA-256 in base64url.', 'code_challenge');
	}
	const state = parameters.one('state');
	if (state !== undefined && state.length > MAX_STATE_CHARACTERS) {
		throw invalid(`The state of the app is longer than ${MAX_STATE_CHARACTERS} characters.`, 'state');
	}
	parameters.one('scope');
	return {
		clientId: client.id,
		clientName: client.name,
		redirectUri,
		challenge,
		state,
		audience: requireAudience(parameters.all('resource'), publicUrl),
	};
}

/** The redirect URI with an answer to it (RFC 6749 section 4.1.2, RFC 9207 section 2). The URI itself stays as it was sent. */
export function answerUri(
	{ redirectUri, state }: AuthorizationRequest,
	answer: { readonly code: string } | { readonly error: 'access_denied'; readonly error_description: string },
	issuer: string,
): string {
	const parameters = new URLSearchParams({ ...answer, ...(state === undefined ? {} : { state }), iss: issuer });
	return `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${parameters}`;
}

function invalid(message: string, field: string): Refusal {
	return new Refusal('invalid_request', message, { field });
}
