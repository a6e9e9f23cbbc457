import { createHash } from 'node:crypto';
import type { ClientMetadata, ClientRecord } from '../accounts/grants.ts';
import { newClientId, newClientSecret, secretHash } from '../accounts/secrets.ts';
import { JsonDocument } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import { readBody } from '../http/body.ts';
import { clientOf } from '../http/client-address.ts';
import type { Exchange } from '../http/exchange.ts';
import type { FaceParts } from '../http/face.ts';
import { DAY_MS } from '../limits.ts';
import type { Context } from '../operations/context.ts';
import { refuseAbove } from '../operations/sign-in-limits.ts';
import { SCOPE } from './audience.ts';
import { type AuthMethod, readClientMetadata } from './client-metadata.ts';
import { sendJson } from './endpoint.ts';

const BODY_BYTES = 16_384;
/** New clients an hour from one address, for each sign-in that it may ask for: whole companies share an address. */
const CLIENTS_PER_SIGN_IN = 100;
const EXAMPLE = '{"redirect_uris":["http://localhost/callback"],"token_endpoint_auth_method":"none"}';

/**
 * `POST /oauth/register`: dynamic registration (RFC 7591). A public client that registers with the same metadata gets the client
 * it got before, so that clients which forget theirs pile nothing up; one with a secret is always a new one.
 */
export async function register(exchange: Exchange, parts: FaceParts): Promise<void> {
	const { gate, answers, budget, trustProxy } = parts;
	const { context } = gate;
	const { bytes, release } = await readBody(exchange.request, BODY_BYTES, budget);
	release();
	const { value } = read(bytes);
	// Who does not say how it authenticates says client_secret_basic (RFC 7591 section 2).
	const { metadata, authMethod } = readClientMetadata(value, 'client_secret_basic');
	const isPublic = authMethod === 'none';
	const fingerprint = isPublic ? fingerprintOf(metadata) : null;
	const known = fingerprint === null ? undefined : await context.store.read.clientByFingerprint(fingerprint);
	const secret = isPublic ? undefined : newClientSecret();
	let client = known;
	// A known one is noted as seen once a day, and costs no more than a read otherwise.
	if (client === undefined || client.seenAt < context.clock() - DAY_MS) {
		const { address } = clientOf(exchange.request, trustProxy);
		if (client === undefined)
			await refuseAbove(context.signIn, `register ${address}`, context.signIn.perHour * CLIENTS_PER_SIGN_IN);
		client = await add(context, metadata, fingerprint, secret);
	}
	sendJson(exchange, answers, 201, answerOf(client, authMethod, secret));
}

/** @throws Refusal invalid_client_metadata */
function read(bytes: Buffer): JsonDocument {
	try {
		return JsonDocument.fromBytes(bytes, EXAMPLE);
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		throw new Refusal('invalid_client_metadata', error.message);
	}
}

async function add(
	{ store, clock }: Context,
	metadata: ClientMetadata,
	fingerprint: string | null,
	secret: string | undefined,
): Promise<ClientRecord> {
	const outcome = await store.writeAccounts({
		command: 'registerClient',
		client: {
			id: newClientId(),
			secretHash: secret === undefined ? null : secretHash(secret),
			createdAt: clock(),
			seenAt: clock(),
			fingerprint,
			...metadata,
		},
	});
	return outcome.client!;
}

function fingerprintOf({ name, redirectUris }: ClientMetadata): string {
	return createHash('sha256')
		.update(JSON.stringify([name ?? null, redirectUris.toSorted()]))
		.digest('hex');
}

/** RFC 7591 section 3.2.1. What is not there is left out: some clients cannot read null. */
function answerOf(client: ClientRecord, authMethod: AuthMethod, secret: string | undefined): object {
	return {
		client_id: client.id,
		client_id_issued_at: Math.floor(client.createdAt / 1000),
		...(secret === undefined ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
		...(client.name === undefined ? {} : { client_name: client.name }),
		redirect_uris: client.redirectUris,
		grant_types: ['authorization_code', 'refresh_token'],
		response_types: ['code'],
		token_endpoint_auth_method: authMethod,
		scope: SCOPE,
	};
}
