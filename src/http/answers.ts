import { Readable } from 'node:stream';
import { errorBody, type RefusalData } from '../errors.ts';
import type { Answer } from '../operations/context.ts';
import { type RateState, statusOf } from '../operations/run.ts';
import type { Pieces } from '../store/seam.ts';
import type { Exchange } from './exchange.ts';

export const JSON_TYPE = 'application/json; charset=utf-8';
const SHUTDOWN_RETRY_SECONDS = '5';
const OVERLOAD_RETRY_SECONDS = '1';
const PIECE_BYTES = 65_536;
/** An answer in pieces that takes longer is cut off: as long as its snapshot is open, the log cannot be started anew. */
const MAX_PIECES_MS = 5 * 60 * 1000;
/** How much of a refused body is read and dropped, and for how long, so that its sender gets to read the refusal. */
const LINGER_BYTES = 64 * 1024 * 1024;
const LINGER_MS = 5000;

/** Told of each answer once it is given to the socket. */
export type OnAnswered = (exchange: Exchange, status: number) => void;

/** Told of an answer that did not arrive whole. */
export type OnCut = (exchange: Exchange, cause: unknown) => void;

/** The one way out for every answer. */
export class Answers {
	readonly #onAnswered: OnAnswered;
	readonly #onCut: OnCut;

	constructor(onAnswered: OnAnswered, onCut: OnCut) {
		this.#onAnswered = onAnswered;
		this.#onCut = onCut;
	}

	/** Sends a whole body. `headers` are names and values in turn; those of every answer are added. */
	text(exchange: Exchange, status: number, headers: string[], body: string): void {
		const { request, response } = exchange;
		if (!request.complete && !response.shouldKeepAlive) {
			this.#lingering(exchange, status, headers, body);
			return;
		}
		addCommonHeaders(headers, exchange);
		if (status !== 204) headers.push('Content-Length', String(Buffer.byteLength(body)));
		response.writeHead(status, headers);
		response.end(request.method === 'HEAD' ? undefined : body);
		this.#onAnswered(exchange, status);
	}

	/** Sends a whole body in parts, of which some are bytes that were there: joining them would cost more than making them. */
	parts(exchange: Exchange, status: number, headers: string[], parts: readonly (string | Buffer)[]): void {
		const { response } = exchange;
		addCommonHeaders(headers, exchange);
		const length = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
		headers.push('Content-Length', String(length));
		response.writeHead(status, headers);
		response.cork();
		const last = parts.length - 1;
		for (let i = 0; i < last; i++) response.write(parts[i]!);
		response.end(parts[last]);
		this.#onAnswered(exchange, status);
	}

	/** Sends a file of ours, which may be kept as `cacheControl` says. */
	bytes(exchange: Exchange, status: number, headers: string[], bytes: Buffer, cacheControl: string): void {
		const { request, response } = exchange;
		headers.push('X-Request-Id', exchange.id, 'X-Content-Type-Options', 'nosniff', 'Cache-Control', cacheControl);
		headers.push('Content-Length', String(bytes.length));
		response.writeHead(status, headers);
		response.end(request.method === 'HEAD' ? undefined : bytes);
		this.#onAnswered(exchange, status);
	}

	/** Sends what an operation answers. */
	answer(exchange: Exchange, status: number, answer: Answer): void {
		const headers = ['Content-Type', JSON_TYPE];
		if (answer.replayed) headers.push('Idempotency-Replayed', 'true');
		if (answer.state !== undefined) headers.push('ETag', `"${answer.state}"`);
		if (typeof answer.body === 'string') this.text(exchange, status, headers, answer.body);
		else this.#pieces(exchange, status, headers, answer.body);
	}

	/** Sends a refusal with the status it has for the route's operation. */
	refusal(exchange: Exchange, refusal: RefusalData): void {
		const { response } = exchange;
		if (response.headersSent) {
			response.destroy();
			return;
		}
		const { code, details } = refusal;
		const status = statusOf(exchange.operation, code);
		const headers = ['Content-Type', JSON_TYPE];
		if (status === 401) headers.push('WWW-Authenticate', exchange.challenge ?? 'Bearer realm="pumadb"');
		if (code === 'method_not_allowed') headers.push('Allow', String(details?.allow));
		if (code === 'shutting_down') headers.push('Retry-After', SHUTDOWN_RETRY_SECONDS);
		else if (status === 503) headers.push('Retry-After', OVERLOAD_RETRY_SECONDS);
		else if (status === 429) headers.push('Retry-After', String(details?.retry_after));
		if (code === 'body_too_large') this.#lingering(exchange, status, headers, errorBody(refusal));
		else {
			if (code === 'shutting_down') headers.push('Connection', 'close');
			this.text(exchange, status, headers, errorBody(refusal));
		}
	}

	#pieces(exchange: Exchange, status: number, headers: string[], body: Pieces<string>): void {
		const { request, response } = exchange;
		if (response.closed) {
			// The client went away while the answer was made.
			body.close();
			this.#onCut(exchange, 'the client went away');
			this.#onAnswered(exchange, status);
			return;
		}
		let cause: unknown = 'the client went away or took too long';
		addCommonHeaders(headers, exchange);
		response.writeHead(status, headers);
		const timer = setTimeout(() => response.destroy(), MAX_PIECES_MS);
		response.once('close', () => {
			clearTimeout(timer);
			body.close();
			if (!response.writableFinished) this.#onCut(exchange, cause);
			this.#onAnswered(exchange, status);
		});
		if (request.method === 'HEAD') {
			response.end();
			return;
		}
		const pieces = Readable.from(body, { objectMode: false, highWaterMark: PIECE_BYTES });
		// A client that goes away ends the reading; a fault while reading cuts the answer off, so that it is not taken for whole.
		response.once('close', () => pieces.destroy());
		pieces.once('error', (error) => {
			cause = error;
			response.destroy();
		});
		pieces.pipe(response);
	}

	/**
	 * Answers while the body is still being sent, on a connection that ends with the answer. Closing at once would make the kernel reset the connection and the sender lose
	 * the answer (RFC 9112 section 9.6), so the rest is read and dropped for a while.
	 */
	#lingering(exchange: Exchange, status: number, headers: string[], body: string): void {
		const { request, response } = exchange;
		addCommonHeaders(headers, exchange);
		if (status !== 204) headers.push('Content-Length', String(Buffer.byteLength(body)));
		headers.push('Connection', 'close');
		response.writeHead(status, headers);
		if (request.method === 'HEAD' || status === 204) response.flushHeaders();
		else response.write(body);
		let left = LINGER_BYTES;
		const finish = (): void => {
			clearTimeout(timer);
			response.end();
		};
		const timer = setTimeout(finish, LINGER_MS);
		request.on('data', (chunk: Buffer) => {
			left -= chunk.length;
			if (left < 0) finish();
		});
		request.once('end', finish);
		request.once('close', finish);
		this.#onAnswered(exchange, status);
	}
}

function addCommonHeaders(headers: string[], exchange: Exchange): void {
	headers.push('X-Request-Id', exchange.id, 'X-Content-Type-Options', 'nosniff', 'Cache-Control', 'no-store');
	if (exchange.headers.length > 0) headers.push(...exchange.headers);
	if (exchange.rate !== undefined) addRateHeaders(headers, exchange.rate);
}

/** draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4. */
function addRateHeaders(headers: string[], state: RateState): void {
	headers.push('RateLimit-Policy', `"${state.policy}";q=${state.limit};w=60`);
	headers.push('RateLimit', `"${state.policy}";r=${state.remaining};t=${state.resetSeconds}`);
}
