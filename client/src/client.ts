import { PumaError } from './errors.ts';
import {
	type ApiKey,
	type CreateKeyAnswer,
	type Limits,
	type ListTablesAnswer,
	type Operations,
	PATHS,
	type RequestMagicLinkAnswer,
	type VerifyMagicLinkAnswer,
} from './generated.ts';
import { stringifyExact } from './json.ts';
import { type AddOptions, Table } from './table.ts';
import { type CallOptions, type Request, type RetryNotice, Transport } from './transport.ts';
import type { Row } from './types.ts';

export interface PumaOptions {
	/** The server's address, an origin: `https://memory.example.com`. */
	readonly url: string;
	/** `puma_live_…`. It opens the whole account: keep it on servers. Only the calls that sign in need none. */
	readonly apiKey?: string | undefined;
	/** Milliseconds that one attempt may take: 30,000. */
	readonly timeoutMs?: number | undefined;
	/** How often a call is sent again: 4. */
	readonly maxRetries?: number | undefined;
	/** The longest `Retry-After` that is waited for; a longer one fails at once: 60,000 milliseconds. */
	readonly maxRetryAfterMs?: number | undefined;
	/** Ends every call that has no signal of its own. */
	readonly signal?: AbortSignal | undefined;
	/** Work in a browser page, where everybody who opens it can read the key: false. */
	readonly allowBrowser?: boolean | undefined;
	/** In place of the global one: for proxies, or to watch calls. */
	readonly fetch?: typeof globalThis.fetch | undefined;
	/** Told before each wait. */
	readonly onRetry?: ((notice: RetryNotice) => void) | undefined;
}

type Id = keyof Operations;

/** What a call carries. `body` is JSON text. */
export interface CallInput {
	readonly table?: string;
	readonly id?: string;
	readonly query?: Readonly<Record<string, string | number | undefined>>;
	readonly body?: string;
	readonly idempotencyKey?: string | undefined;
	readonly repeatable?: boolean;
}

export type Call = <I extends Id>(id: I, input: CallInput, options: CallOptions) => Promise<Operations[I]['answer']>;

/** A row of any shape. */
// biome-ignore lint/suspicious/noExplicitAny: what is in it is known to its writer alone.
export type AnyRow = Record<string, any>;

/** Links change no row, and one too many does no harm. */
const MAKES_LINK = /^create.+Link$/;

/** One account on one server. */
export class Puma {
	/** The server's address. */
	readonly url: string;
	readonly #transport: Transport;
	readonly #signedIn: boolean;
	readonly #maxRetries: number;
	readonly #signal: AbortSignal | undefined;

	/** @throws PumaError invalid_request, invalid_api_key, browser_refused */
	constructor(options: PumaOptions) {
		if (isBrowserPage() && options.allowBrowser !== true) {
			throw new PumaError(
				'browser_refused',
				'Everybody who opens this page could read the API key. Call pumaDB from your server, or set allowBrowser.',
			);
		}
		this.url = originOf(options.url);
		this.#signedIn = options.apiKey !== undefined;
		this.#maxRetries = options.maxRetries ?? 4;
		this.#signal = options.signal;
		this.#transport = new Transport({
			origin: this.url,
			apiKey: options.apiKey === undefined ? undefined : plainKey(options.apiKey),
			timeoutMs: options.timeoutMs ?? 30_000,
			maxRetries: this.#maxRetries,
			maxRetryAfterMs: options.maxRetryAfterMs ?? 60_000,
			fetch: options.fetch ?? globalThis.fetch,
			onRetry: options.onRetry,
		});
	}

	/** A table, whether or not it has rows yet. `T` is what its rows hold. */
	table<T extends object = AnyRow>(name: string): Table<T> {
		return new Table<T>(name, this.#call, (options) => this.#newKey(options));
	}

	/** The account's tables, and how many rows each has. */
	async tables(options: CallOptions = {}): Promise<ListTablesAnswer['tables']> {
		return (await this.#call('listTables', {}, options)).tables;
	}

	/** The limits that this server has in force, by the document that it serves. Needs no API key. */
	async limits(options: CallOptions = {}): Promise<Limits> {
		const request = { ...this.#request('listTables', {}), target: '/openapi.json', member: 'x-pumadb-limits' };
		const document = await this.#transport.json(request, this.#ended(options));
		return (document as { 'x-pumadb-limits': Limits })['x-pumadb-limits'];
	}

	/** Every row of every table, as of one moment. */
	async export(options: CallOptions = {}): Promise<Record<string, Row<AnyRow>[]>> {
		return (await this.#call('exportTables', {}, options)).tables;
	}

	/** The same as the bytes of its JSON, `{"tables":{…}}`, as they come in. `timeoutMs` counts until they begin. */
	exportStream(options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
		return this.#transport.stream(this.#request('exportTables', {}), this.#ended(options));
	}

	/** The account's API keys, revoked ones too. */
	async keys(options: CallOptions = {}): Promise<ApiKey[]> {
		return (await this.#call('listKeys', {}, options)).keys;
	}

	/** Makes a further API key, which is shown this once. */
	createKey(name: string, options: CallOptions = {}): Promise<CreateKeyAnswer> {
		return this.#call('createKey', { body: stringifyExact({ name }) }, options);
	}

	/** Ends an API key. @returns whether there was a live one with this id. */
	async revokeKey(id: string, options: CallOptions = {}): Promise<boolean> {
		return (await this.#call('revokeKey', { id }, options)).revoked > 0;
	}

	/** Has a sign-in link sent. On a loopback server without mail the answer carries it. Needs no API key. */
	requestMagicLink(email: string, options: CallOptions = {}): Promise<RequestMagicLinkAnswer> {
		return this.#call('requestMagicLink', { body: stringifyExact({ email }) }, options);
	}

	/** Exchanges a link's token, which is used up, for an API key. Needs none itself. */
	verifyMagicLink(token: string, options: CallOptions = {}): Promise<VerifyMagicLinkAnswer> {
		return this.#call('verifyMagicLink', { body: stringifyExact({ token }) }, options);
	}

	readonly #call: Call = async (id, input, options) => {
		if (!this.#signedIn && PATHS[id][1].startsWith('/v1/')) {
			throw new PumaError('missing_api_key', 'This call needs an API key: give `apiKey` to the client.');
		}
		return (await this.#transport.json(this.#request(id, input), this.#ended(options))) as never;
	};

	#ended(options: CallOptions): CallOptions {
		return options.signal === undefined ? { ...options, signal: this.#signal } : options;
	}

	#request(id: Id, input: CallInput): Request {
		const [method, path, member] = PATHS[id];
		const target = path.replace('{table}', () => tableName(input.table)).replace('{id}', () => segment(input.id));
		const pairs = Object.entries(input.query ?? {}).filter(([, value]) => value !== undefined);
		const query = new URLSearchParams(pairs as [string, string][]).toString();
		const keyInHeader = id === 'addRow' && input.idempotencyKey !== undefined;
		if (keyInHeader) headerKey(input.idempotencyKey!);
		const changes = method !== 'GET' && !MAKES_LINK.test(id);
		return {
			method,
			member,
			target: query === '' ? target : `${target}?${query}`,
			body: input.body,
			changes,
			repeatable: input.repeatable ?? (!changes || input.idempotencyKey !== undefined),
			idempotencyKey: input.idempotencyKey,
			keyInHeader,
		};
	}

	/** A key for an add that has none; no key where it is not sent again anyway, for kept answers take room. */
	#newKey(options: AddOptions): string | undefined {
		if (options.idempotencyKey !== undefined) return options.idempotencyKey;
		return (options.maxRetries ?? this.#maxRetries) > 0 ? globalThis.crypto.randomUUID() : undefined;
	}
}

function originOf(text: string): string {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin;
	throw new PumaError(
		'invalid_request',
		`url must be the address of a pumaDB server without a path, such as https://memory.example.com, not ${JSON.stringify(text)}.`,
	);
}

/** @throws PumaError for what no header can carry; the message does not repeat the key */
function plainKey(text: string): string {
	const key = text.trim();
	if (/^[!-~]+$/.test(key)) return key;
	throw new PumaError('invalid_api_key', 'apiKey has characters that no API key has, or none.');
}

/** As the contract has it. In the same place of a path other names are the service's own, such as `_keys`, and no table may reach them. */
const TABLE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** A table's name as a path's segment. @throws PumaError invalid_table_name, before anything is sent */
function tableName(name: unknown): string {
	if (typeof name === 'string' && TABLE_NAME.test(name)) return name;
	throw new PumaError(
		'invalid_table_name',
		'A table name is a letter followed by up to 63 letters, digits, "_" or "-". Send a name such as "notes".',
		{ details: { table: String(name), pattern: TABLE_NAME.source } },
	);
}

/** A path's segment. URLs give `.` and `..` a meaning of their own, however they are written. */
function segment(text = ''): string {
	if (text !== '' && text !== '.' && text !== '..') return encodeURIComponent(text);
	throw new PumaError('invalid_request', `${JSON.stringify(text)} names nothing: give an id.`);
}

/** @throws PumaError for what no header carries as it is (RFC 9110, section 5.5): another text, blanks at its ends */
function headerKey(key: string): void {
	if (/^[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?$/.test(key)) return;
	throw new PumaError(
		'invalid_idempotency_key',
		'An idempotency key goes as a header: send 1 to 255 visible ASCII characters, such as a UUID.',
	);
}

function isBrowserPage(): boolean {
	return (globalThis as { document?: unknown }).document !== undefined;
}
