import type { ClientRecord } from '../accounts/grants.ts';
import type { Awaitable } from '../awaitable.ts';
import { isObject, JsonDocument, member } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import type { Context } from '../operations/context.ts';
import { invalid, readClientMetadata } from './client-metadata.ts';
import type { FetchDocument } from './document-fetcher.ts';

/** A document is fetched anew after this long, and one that could not be had is asked for again. */
const KEPT_MS = 5 * 60 * 1000;
const KEPT_FAILURE_MS = 30 * 1000;
const MAX_KEPT = 1000;
const MAX_URL_CHARACTERS = 1000;

interface Kept {
	readonly client: Promise<ClientRecord>;
	readonly until: number;
}

/**
 * Who the clients are: registered ones, and those whose id is the address of a document that says who they are
 * (draft-ietf-oauth-client-id-metadata-document).
 */
export class Clients {
	readonly #context: Context;
	readonly #fetchDocument: FetchDocument | undefined;
	readonly #kept = new Map<string, Kept>();

	/** @param fetchDocument undefined where the operator switched such clients off. */
	constructor(context: Context, fetchDocument: FetchDocument | undefined) {
		this.#context = context;
		this.#fetchDocument = fetchDocument;
	}

	/** Are clients known by documents? */
	get byDocument(): boolean {
		return this.#fetchDocument !== undefined;
	}

	/**
	 * @param onFetch told before a document is fetched; may refuse.
	 * @throws Refusal invalid_client, invalid_client_metadata, invalid_redirect_uri
	 */
	async find(clientId: string, onFetch: () => Awaitable<void>): Promise<ClientRecord> {
		if (isDocumentUrl(clientId)) return this.#byDocument(clientId, onFetch);
		const client = await this.#context.store.read.client(clientId);
		if (client !== undefined) return client;
		throw new Refusal('invalid_client', 'The client is not registered here. Register it with POST /oauth/register.');
	}

	async #byDocument(url: string, onFetch: () => Awaitable<void>): Promise<ClientRecord> {
		if (this.#fetchDocument === undefined) {
			throw new Refusal(
				'invalid_client',
				'This server does not fetch client metadata documents. Register the client with POST /oauth/register.',
			);
		}
		requireDocumentUrl(url);
		const now = this.#context.clock();
		const kept = this.#kept.get(url);
		if (kept !== undefined && kept.until > now) return kept.client;
		await onFetch();
		const meanwhile = this.#kept.get(url);
		if (meanwhile !== undefined && meanwhile.until > now) return meanwhile.client;
		if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
		const client = this.#fetchDocument(url).then((text) => clientOf(url, text, now));
		this.#kept.set(url, { client, until: now + KEPT_MS });
		client.catch((error: unknown) => {
			if (error instanceof Refusal && error.code === 'overloaded') this.#kept.delete(url);
			else this.#kept.set(url, { client, until: now + KEPT_FAILURE_MS });
		});
		return client;
	}
}

/** Is the client's id meant as the address of its document? Registered ids have no colon. */
export function isDocumentUrl(clientId: string): boolean {
	return /^[a-z][a-z0-9+.-]*:/i.test(clientId);
}

/** @throws Refusal invalid_client */
export function requireDocumentUrl(text: string): void {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	// As it is written, so that one client has one id: no other spelling, no dot segments.
	const good =
		url !== undefined &&
		url.protocol === 'https:' &&
		text.length <= MAX_URL_CHARACTERS &&
		url.href === text &&
		url.pathname !== '/' &&
		!text.includes('#') &&
		url.username === '' &&
		url.password === '';
	if (good) return;
	throw new Refusal(
		'invalid_client',
		'A client_id that is a URL must be the https address of a metadata document, with a path, in its normal form, without fragment, user name or password.',
	);
}

function clientOf(url: string, text: string, now: number): ClientRecord {
	let document: JsonDocument;
	try {
		document = JsonDocument.fromText(text, 'document');
	} catch {
		throw invalid('The client metadata document is not JSON.', undefined);
	}
	const { value } = document;
	const says = isObject(value) ? member(value, 'client_id') : undefined;
	if (says !== url) throw invalid('The document is of another client_id than its address.', 'client_id');
	const { metadata, authMethod } = readClientMetadata(value, 'none');
	if (authMethod !== 'none') {
		throw invalid(
			'A client with a document has no secret: its token_endpoint_auth_method must be none.',
			'token_endpoint_auth_method',
		);
	}
	return { id: url, secretHash: null, createdAt: now, seenAt: now, ...metadata };
}
