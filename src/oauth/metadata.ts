import { Refusal } from '../errors.ts';
import { audienceOf, OFFLINE_SCOPE, SCOPE } from './audience.ts';
import { AUTH_METHODS } from './client-metadata.ts';

/** The discovery documents. The issuer is the public URL, which has no path and no slash at its end. */

export const PROTECTED_RESOURCE_PATH = '/.well-known/oauth-protected-resource';
export const AUTHORIZATION_SERVER_PATH = '/.well-known/oauth-authorization-server';

/** RFC 9728 section 3: the metadata of `/mcp`, at its own path; the other one is for clients that know only the origin. */
export function protectedResource(publicUrl: string): object {
	return {
		resource: audienceOf(publicUrl),
		authorization_servers: [publicUrl],
		scopes_supported: [SCOPE],
		bearer_methods_supported: ['header'],
		resource_name: 'pumaDB',
		resource_documentation: `${publicUrl}/install`,
	};
}

/** RFC 8414 section 2. */
export function authorizationServer(publicUrl: string, clientsByDocument: boolean): object {
	return {
		issuer: publicUrl,
		authorization_endpoint: `${publicUrl}/oauth/authorize`,
		token_endpoint: `${publicUrl}/oauth/token`,
		registration_endpoint: `${publicUrl}/oauth/register`,
		revocation_endpoint: `${publicUrl}/oauth/revoke`,
		scopes_supported: [SCOPE, OFFLINE_SCOPE],
		response_types_supported: ['code'],
		response_modes_supported: ['query'],
		grant_types_supported: ['authorization_code', 'refresh_token'],
		token_endpoint_auth_methods_supported: AUTH_METHODS,
		revocation_endpoint_auth_methods_supported: AUTH_METHODS,
		code_challenge_methods_supported: ['S256'],
		authorization_response_iss_parameter_supported: true,
		client_id_metadata_document_supported: clientsByDocument,
		service_documentation: `${publicUrl}/install`,
	};
}

/** Who asks for OpenID's document is told where the one is that there is. @throws Refusal not_found */
export function noOpenId(): never {
	throw new Refusal(
		'not_found',
		`This is no OpenID provider. The metadata of its authorization server is at ${AUTHORIZATION_SERVER_PATH}.`,
	);
}
