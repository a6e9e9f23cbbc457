import { type ErrorCode, type ErrorFacts, PumaError } from './errors.ts';

/** How one call is made. Whatever is not given is the client's own. */
export interface CallOptions {
	/** Ends the call, and its waits, with the signal's reason. A write that was sent already may have been done. */
	readonly signal?: AbortSignal | undefined;
	/** Milliseconds that one attempt may take, answer and all. */
	readonly timeoutMs?: number | undefined;
	/** How often a call is sent again. */
	readonly maxRetries?: number | undefined;
	/**
	 * `safe`: a call is sent again only where it was certainly not done, or where doing it twice is doing it once (reads, adds with an
	 * idempotency key). `always`: also where it may have been done; for upserts, say, that nobody else makes meanwhile.
	 */
	readonly retry?: 'safe' | 'always' | undefined;
}

/** What a retry is about to wait for. */
export interface RetryNotice {
	readonly error: PumaError;
	/** 1 for the first retry. */
	readonly retry: number;
	readonly waitMs: number;
}

export interface TransportOptions {
	readonly origin: string;
	readonly apiKey: string | undefined;
	readonly timeoutMs: number;
	readonly maxRetries: number;
	readonly maxRetryAfterMs: number;
	readonly fetch: typeof globalThis.fetch;
	readonly onRetry: ((notice: RetryNotice) => void) | undefined;
}

export interface Request {
	readonly method: string;
	/** Path and query. */
	readonly target: string;
	readonly body: string | undefined;
	/** Doing it twice is doing it once. */
	readonly repeatable: boolean;
	readonly changes: boolean;
	/** What every answer to it has; an answer without is not pumaDB's. */
	readonly member: string;
	readonly idempotencyKey: string | undefined;
	/** As a header; a batch has its keys in the body. */
	readonly keyInHeader: boolean;
}

/** Codes that say that nothing was done and that it is worth to ask again. */
const PASSING: ReadonlySet<string> = new Set([
	'rate_limited',
	'overloaded',
	'shutting_down',
	'mail_unavailable',
	'request_timeout',
] satisfies ErrorCode[]);
/** Faults of the server in the middle of a call: what was done by then, nobody can be sure of. */
const UNSURE: ReadonlySet<string> = new Set([
	'storage_unavailable',
	'outcome_unknown',
	'internal_error',
] satisfies ErrorCode[]);
/** Statuses by which something between client and server says that it could not reach the server, or not in time. */
const GATEWAY_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** What Node, Deno and Bun call a connection that was never made. */
const NEVER_CONNECTED = /refused|ENOTFOUND|EAI_AGAIN|UNREACH|CONNECT_TIMEOUT|FailedToOpen|dns error/i;
/** The same, where to try again changes nothing: a certificate, no TLS at the other end, a port that fetch has forbidden. */
const NEVER_WILL = /CERT|UNABLE_TO_|SSL_WRONG|HANDSHAKE|bad port/i;

const FIRST_BACKOFF_MS = 250;
const LAST_BACKOFF_MS = 8000;
/** A timer that is longer, as Infinity is, would fire at once (HTML, timers: a signed 32-bit integer). */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A failed attempt: the error, whether the call was certainly not done, and whether to ask again helps. */
interface Failure {
	readonly error: PumaError;
	readonly passing: boolean;
	readonly notDone: boolean;
}

/** Sends calls, and sends them again where that is right. */
export class Transport {
	readonly #options: TransportOptions;

	constructor(options: TransportOptions) {
		this.#options = options;
	}

	/** The answer, parsed: a double holds every number in it. @throws PumaError, or the signal's reason */
	json(request: Request, options: CallOptions): Promise<unknown> {
		return this.#withRetries(request, options, async (response) => {
			const answer = Object((await response.json()) as unknown);
			// An array has a `keys` of its own, but no own one.
			if (!Object.hasOwn(answer, request.member) || answer[request.member] === null) throw new SyntaxError();
			return answer;
		});
	}

	/** The answer as it comes in; `timeoutMs` counts until it begins. @throws PumaError, or the signal's reason */
	stream(request: Request, options: CallOptions): Promise<ReadableStream<Uint8Array>> {
		return this.#withRetries(request, options, async (response) => response.body!);
	}

	async #withRetries<T>(request: Request, options: CallOptions, read: (response: Response) => Promise<T>): Promise<T> {
		const maxRetries = options.maxRetries ?? this.#options.maxRetries;
		const repeatable = request.repeatable || options.retry === 'always';
		let doubt = false;
		for (let retry = 1; ; retry++) {
			options.signal?.throwIfAborted();
			const outcome = await this.#attempt(request, options, read);
			if ('answer' in outcome) return outcome.answer;
			const { error, passing, notDone } = outcome;
			// What an earlier attempt may have done, no later one takes back.
			doubt ||= error.maybeDone;
			(error as { maybeDone: boolean }).maybeDone = doubt;
			if (!passing || retry > maxRetries || !(notDone || repeatable)) throw error;
			const asked = (error.retryAfterSeconds ?? 0) * 1000;
			if (asked > this.#options.maxRetryAfterMs) throw error;
			const waitMs = asked + backoff(retry);
			this.#options.onRetry?.({ error, retry, waitMs });
			await pause(waitMs, options.signal);
		}
	}

	async #attempt<T>(
		request: Request,
		options: CallOptions,
		read: (response: Response) => Promise<T>,
	): Promise<{ answer: T } | Failure> {
		const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
		const controller = new AbortController();
		const timer = setTimeout(() => controller.abort(), Math.min(timeoutMs, LONGEST_TIMER_MS));
		try {
			// Called without a receiver, as some runtimes demand.
			const { fetch } = this.#options;
			const response = await fetch(this.#options.origin + request.target, {
				method: request.method,
				headers: this.#headersOf(request),
				// A key is for one server: redirects are not followed.
				redirect: 'manual',
				signal: AbortSignal.any([controller.signal, options.signal ?? controller.signal]),
				...(request.body === undefined ? {} : { body: request.body }),
			});
			if (response.ok && isJson(response)) return { answer: await read(response) };
			return refused(response, await response.text(), request);
		} catch (error) {
			options.signal?.throwIfAborted();
			if (controller.signal.aborted) return timedOut(timeoutMs, request);
			if (error instanceof SyntaxError) return strange(200, request, {});
			return disconnected(error, this.#options.origin, request);
		} finally {
			clearTimeout(timer);
		}
	}

	#headersOf(request: Request): Record<string, string> {
		const { apiKey } = this.#options;
		return {
			accept: 'application/json',
			...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
			...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
			...(request.keyInHeader ? { 'idempotency-key': request.idempotencyKey! } : {}),
		};
	}
}

function isJson(response: Response): boolean {
	return response.headers.get('content-type')?.startsWith('application/json') ?? false;
}

function refused(response: Response, text: string, request: Request): Failure {
	const { status } = response;
	const seconds = retryAfter(response.headers.get('retry-after'));
	const facts = {
		status,
		requestId: response.headers.get('x-request-id') ?? undefined,
		retryAfterSeconds: seconds,
		idempotencyKey: request.idempotencyKey,
	};
	const body = errorIn(text);
	if (body !== undefined) {
		const unsure = UNSURE.has(body.code);
		const maybeDone = request.changes && unsure;
		const error = new PumaError(body.code, body.message, { ...facts, details: body.details, maybeDone });
		return { error, passing: PASSING.has(body.code) || (unsure && body.code !== 'internal_error'), notDone: !unsure };
	}
	return strange(status, request, facts);
}

/** An answer that is not the service's. */
function strange(status: number, request: Request, facts: ErrorFacts): Failure {
	const notDone = status === 429;
	const message = GATEWAY_STATUSES.has(status)
		? `Something in front of the server answered ${status}.`
		: `The answer (${status}) is not pumaDB's. Is the URL that of a pumaDB server?`;
	const maybeDone = request.changes && !notDone;
	const error = new PumaError('unexpected_answer', message, { ...facts, status, maybeDone });
	return { error, passing: GATEWAY_STATUSES.has(status), notDone };
}

function errorIn(text: string): { code: ErrorCode; message: string; details?: Record<string, unknown> } | undefined {
	try {
		const { error } = JSON.parse(text);
		return typeof error.code === 'string' && typeof error.message === 'string' ? error : undefined;
	} catch {
		return undefined;
	}
}

function timedOut(timeoutMs: number, request: Request): Failure {
	const error = new PumaError('timeout', `No answer within ${timeoutMs} ms.${doubt(request)}`, {
		maybeDone: request.changes,
		idempotencyKey: request.idempotencyKey,
	});
	return { error, passing: true, notDone: false };
}

function disconnected(cause: unknown, origin: string, request: Request): Failure {
	const inner = (cause as { cause?: { code?: string; message?: string } }).cause;
	const why = inner?.code ?? inner?.message ?? (cause as { code?: string }).code ?? (cause as Error).message;
	const never = NEVER_WILL.test(why!);
	const notDone = never || NEVER_CONNECTED.test(why!);
	const what = notDone ? `The server at ${origin} cannot be reached` : `The connection to ${origin} broke`;
	const error = new PumaError('connection_failed', `${what} (${why}).${notDone ? '' : doubt(request)}`, {
		maybeDone: request.changes && !notDone,
		idempotencyKey: request.idempotencyKey,
		cause,
	});
	return { error, passing: !never, notDone };
}

function doubt({ changes, idempotencyKey }: Request): string {
	if (!changes) return '';
	return idempotencyKey === undefined
		? ' The change may have been made or not: look before you send it again.'
		: ' Sent again with the same idempotency key, nothing is stored twice.';
}

/** Seconds that `Retry-After` asks for (RFC 9110, section 10.2.3); undefined where it says nothing that can be read. */
function retryAfter(header: string | null): number | undefined {
	if (header === null) return undefined;
	if (/^\d{1,9}$/.test(header.trim())) return Number(header);
	const date = Date.parse(header);
	return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/** Half of it is certain, so that a server that restarts has time; half is by chance, so that clients do not come together. */
function backoff(retry: number): number {
	const most = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (retry - 1));
	return (most + Math.random() * most) / 2;
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
	return new Promise((resolve, reject) => {
		const stop = (): void => {
			clearTimeout(timer);
			reject(signal!.reason);
		};
		const timer = setTimeout(() => {
			signal?.removeEventListener('abort', stop);
			resolve();
		}, milliseconds);
		signal?.addEventListener('abort', stop, { once: true });
		if (signal?.aborted) stop();
	});
}
