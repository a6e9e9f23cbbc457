import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorBody, type RefusalData } from '../errors.ts';
import type { Answer } from '../operations/context.ts';
import { type RateState, statusOf } from '../operations/run.ts';

/**
 * The one way out for every answer. It writes to `node:http` directly: Fastify's own path to the socket (header map, onSend and
 * onResponse hooks, payload checks) costs a cached read a quarter of its time and adds nothing to an answer of ready text.
 */

export const JSON_TYPE = 'application/json; charset=utf-8';
const SHUTDOWN_RETRY_SECONDS = '5';
const OVERLOAD_RETRY_SECONDS = '1';
const PIECE_BYTES = 65_536;

/** Told of each answer once it is given to the socket. */
export type OnAnswered = (request: FastifyRequest, status: number) => void;

export class Answers {
	readonly #onAnswered: OnAnswered;

	constructor(onAnswered: OnAnswered) {
		this.#onAnswered = onAnswered;
	}

	/** Sends a whole body. `headers` are names and values in turn; those of every answer are added. */
	text(request: FastifyRequest, reply: FastifyReply, status: number, headers: string[], body: string): void {
		addCommonHeaders(headers, request);
		if (status !== 204) headers.push('Content-Length', String(Buffer.byteLength(body)));
		const { raw } = reply;
		reply.hijack();
		raw.writeHead(status, headers);
		raw.end(request.method === 'HEAD' ? undefined : body);
		this.#onAnswered(request, status);
	}

	/** Sends what an operation answers. */
	answer(request: FastifyRequest, reply: FastifyReply, status: number, answer: Answer): void {
		const headers = ['Content-Type', JSON_TYPE];
		if (answer.replayed) headers.push('Idempotency-Replayed', 'true');
		if (typeof answer.body === 'string') this.text(request, reply, status, headers, answer.body);
		else this.#pieces(request, reply, status, headers, answer.body);
	}

	/** Sends a refusal with the status it has for the route's operation. */
	refusal(request: FastifyRequest, reply: FastifyReply, refusal: RefusalData): void {
		if (reply.raw.headersSent) {
			reply.raw.destroy();
			return;
		}
		const { code, details } = refusal;
		const status = statusOf(request.routeOptions?.config?.operation, code);
		const headers = ['Content-Type', JSON_TYPE];
		if (status === 401) headers.push('WWW-Authenticate', 'Bearer realm="pumadb"');
		if (code === 'method_not_allowed') headers.push('Allow', String(details?.allow));
		if (code === 'shutting_down') headers.push('Retry-After', SHUTDOWN_RETRY_SECONDS);
		else if (status === 503) headers.push('Retry-After', OVERLOAD_RETRY_SECONDS);
		else if (code === 'rate_limited') headers.push('Retry-After', String(details?.retry_after));
		// The rest of a body that is too large is not waited for.
		if (code === 'body_too_large' || code === 'shutting_down') headers.push('Connection', 'close');
		this.text(request, reply, status, headers, errorBody(refusal));
	}

	#pieces(
		request: FastifyRequest,
		reply: FastifyReply,
		status: number,
		headers: string[],
		body: AsyncIterable<string>,
	): void {
		addCommonHeaders(headers, request);
		const { raw } = reply;
		reply.hijack();
		raw.writeHead(status, headers);
		raw.once('close', () => this.#onAnswered(request, status));
		if (request.method === 'HEAD') {
			raw.end();
			return;
		}
		const pieces = Readable.from(body, { objectMode: false, highWaterMark: PIECE_BYTES });
		// A client that goes away ends the reading; a fault while reading cuts the answer off, so that it is not taken for whole.
		raw.once('close', () => pieces.destroy());
		pieces.once('error', () => raw.destroy());
		pieces.pipe(raw);
	}
}

function addCommonHeaders(headers: string[], request: FastifyRequest): void {
	headers.push('X-Request-Id', request.id, 'X-Content-Type-Options', 'nosniff', 'Cache-Control', 'no-store');
	if (request.rate !== undefined) addRateHeaders(headers, request.rate);
}

/** draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4. */
function addRateHeaders(headers: string[], state: RateState): void {
	headers.push('RateLimit-Policy', `"${state.policy}";q=${state.limit};w=60`);
	headers.push('RateLimit', `"${state.policy}";r=${state.remaining};t=${state.resetSeconds}`);
}
