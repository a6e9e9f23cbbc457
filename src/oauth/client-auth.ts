import type { IncomingMessage } from 'node:http';
import type { ClientRecord } from '../accounts/grants.ts';
import { sameHash, secretHash } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import { type Clients, isDocumentUrl, requireDocumentUrl } from './clients.ts';
import type { Parameters } from './form.ts';

/**
 * The client that calls the token or revocation endpoint (RFC 6749 section 2.3). Public clients only say who they are. Of a
 * client with a document nothing is fetched here: it has no secret, and its codes and tokens are bound to its id.
 * @throws Refusal invalid_client or invalid_request
 */
export async function authenticateClient(
	request: IncomingMessage,
	form: Parameters,
	clients: Clients,
): Promise<Pick<ClientRecord, 'id'>> {
	const basic = basicCredentials(request.headers.authorization);
	const id = basic?.id ?? form.one('client_id');
	if (id === undefined)
		throw unknown(
			'There is no client_id. Send the one that registration gave, or the URL of the client metadata document.',
		);
	if (basic !== undefined && (form.one('client_id') ?? id) !== id) {
		throw unknown('The client_id of the body is another than that of the Authorization header.');
	}
	if (isDocumentUrl(id)) {
		requireDocumentUrl(id);
		return { id };
	}
	const secret = basic?.secret ?? form.one('client_secret');
	const client = await clients.find(id, () => {});
	if (client.secretHash === null) return client;
	if (secret !== undefined && sameHash(client.secretHash, secretHash(secret))) return client;
	throw unknown('The client_secret is missing or wrong. Send the one that registration gave.');
}

/** RFC 6749 section 2.3.1: both parts are form-encoded before they are put together. */
function basicCredentials(header: string | undefined): { id: string; secret: string | undefined } | undefined {
	if (header === undefined) return undefined;
	const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header)?.[1];
	const [, id, secret] =
		encoded === undefined ? [] : (/^([^:]+):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []);
	if (id === undefined || secret === undefined) {
		throw unknown('The Authorization header is no Basic one. Send it as Basic, or the client_id in the body.');
	}
	try {
		return { id: formDecoded(id), secret: secret === '' ? undefined : formDecoded(secret) };
	} catch {
		throw unknown('The Authorization header has a client_id or secret that is not form-encoded.');
	}
}

/** @throws URIError */
function formDecoded(text: string): string {
	return decodeURIComponent(text.replaceAll('+', ' '));
}

function unknown(message: string): Refusal {
	return new Refusal('invalid_client', message);
}
