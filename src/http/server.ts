import { randomBytes } from 'node:crypto';
import { METHODS, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type ErrorCode, errorBody, Refusal, type RefusalData } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Context } from '../operations/context.ts';
import { Gate, rateLimited } from '../operations/run.ts';
import { Answers } from './answers.ts';
import { acceptBodies } from './body.ts';
import type { Metrics } from './metrics.ts';
import { addRestRoutes } from './rest.ts';
import { addServiceRoutes } from './service-routes.ts';
import { addSignInPage } from './sign-in-page.ts';

declare module 'fastify' {
	interface FastifyRequest {
		/** When its head had arrived (performance.now). */
		began: number;
		/** The route's pattern. */
		pattern: string;
	}
}

export interface ServerOptions {
	readonly context: Context;
	readonly log: Log;
	readonly metrics: Metrics | undefined;
	readonly trustProxy: number;
}

export interface Server {
	readonly app: FastifyInstance;
	/** Refuses new calls, waits for those in flight, closes. */
	stop(): Promise<void>;
}

/** Filters travel in the URL, so a request's head may be large. */
const MAX_HEADER_BYTES = 65_536;
/** A client that is slower than this is cut off: the head of a request, and the whole of it. */
const HEADERS_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 72_000;
/** A stalled connection, for example one that never reads its export. */
const SOCKET_TIMEOUT_MS = 120_000;
const NOBODY = { accountId: undefined, keyId: undefined };
/** How long calls in flight may take once the server is stopping. */
const DRAIN_MS = 6_000;
const CUT_MS = 1_500;

export function createServer({ context, log, metrics, trustProxy }: ServerOptions): Server {
	const gate = new Gate(context);
	const prefix = randomBytes(5).toString('hex');
	let requests = 0;
	let inFlight = 0;
	let stopping = false;
	let idle: (() => void) | undefined;

	const app = Fastify({
		logger: false,
		genReqId: () => `${prefix}-${(++requests).toString(36)}`,
		bodyLimit: Number.MAX_SAFE_INTEGER,
		requestTimeout: REQUEST_TIMEOUT_MS,
		keepAliveTimeout: KEEP_ALIVE_MS,
		connectionTimeout: SOCKET_TIMEOUT_MS,
		return503OnClosing: false,
		exposeHeadRoutes: true,
		http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: 5000 },
		routerOptions: { maxParamLength: MAX_HEADER_BYTES, querystringParser: () => ({}) },
		clientErrorHandler,
		frameworkErrors: (error, request, reply) => {
			begin(request as FastifyRequest);
			badPath(gate, request as FastifyRequest).catch((fault: unknown) =>
				sendError(fault ?? error, request as FastifyRequest, reply as FastifyReply),
			);
		},
	});
	for (const method of METHODS) {
		if (!app.supportedMethods.includes(method) && method !== 'CONNECT') app.addHttpMethod(method, { hasBody: false });
	}

	const answers = new Answers((request, status) => {
		if (--inFlight === 0) idle?.();
		const milliseconds = performance.now() - request.began;
		const { id, method, pattern } = request;
		metrics?.observe(method, pattern, status, milliseconds / 1000);
		const { accountId, keyId } = request.caller ?? NOBODY;
		log.access({ requestId: id, method, route: pattern, status, milliseconds, account: accountId, key: keyId });
	});

	function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
		answers.refusal(request, reply, error instanceof Refusal ? error : unexpected(error, request));
	}

	function begin(request: FastifyRequest): void {
		request.began = performance.now();
		inFlight++;
	}

	function unexpected(error: unknown, request: FastifyRequest): RefusalData {
		const fastifyStatus = (error as { statusCode?: number }).statusCode;
		if (fastifyStatus !== undefined && fastifyStatus < 500) {
			return { code: 'bad_request', message: 'The HTTP request cannot be read. Send it as HTTP/1.1 with a JSON body.' };
		}
		log.error({ requestId: request.id, cause: error instanceof Error ? error.stack : String(error) }, 'A call failed.');
		return {
			code: 'internal_error',
			message: `The server failed to run this call. Send it again; if it fails again, report the request id ${request.id}.`,
		};
	}

	app.decorateRequest('began', 0);
	app.decorateRequest('pattern', '(none)');
	app.addHook('onRequest', (request, _reply, done) => {
		begin(request);
		if (stopping) done(new Refusal('shutting_down', 'The server is stopping. Send the call again in a few seconds.'));
		else done();
	});
	app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
	app.setNotFoundHandler((request, reply) => {
		sendError(
			new Refusal('not_found', 'There is nothing at this path. GET /openapi.json lists the paths there are.'),
			request,
			reply,
		);
	});
	acceptBodies(app);
	addRestRoutes(app, gate, answers, trustProxy);
	addServiceRoutes(app, context, answers, metrics);
	addSignInPage(app, gate, answers, trustProxy);

	return {
		app,
		async stop() {
			stopping = true;
			if (inFlight > 0) {
				const drained = new Promise<void>((resolve) => {
					idle = resolve;
				});
				await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
			}
			// Answers that are still on their way to slow clients get the rest of the time.
			const cut = setTimeout(() => app.server.closeAllConnections(), CUT_MS);
			await app.close();
			clearTimeout(cut);
		},
	};
}

/** A path that cannot be decoded names no table. Under `/v1` that is told only to those who may know. */
async function badPath(gate: Gate, request: FastifyRequest): Promise<never> {
	const url = request.raw.url ?? '';
	if (url.startsWith('/v1/')) {
		const caller = await gate.authenticate(request.raw.headers.authorization);
		const state = gate.admit(request.method === 'GET' ? 'queryRows' : 'addRow', caller);
		request.rate = state;
		if (state !== undefined && !state.admitted) throw rateLimited(state);
		throw new Refusal(
			'invalid_table_name',
			'The path has a bad percent escape. A table name is letters, digits, "_" and "-", which need none.',
		);
	}
	throw new Refusal('not_found', 'There is nothing at this path. GET /openapi.json lists the paths there are.');
}

/** What the HTTP parser refuses gets the error body too (node:http, event clientError). */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
	if (error.code === 'ECONNRESET' || !socket.writable) {
		socket.destroy();
		return;
	}
	const [status, code, message]: [number, ErrorCode, string] =
		error.code === 'HPE_HEADER_OVERFLOW'
			? [
					431,
					'headers_too_large',
					`The request line and headers are larger than ${MAX_HEADER_BYTES} bytes. Send a shorter filter.`,
				]
			: error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
				? [408, 'request_timeout', 'The request did not arrive in time. Send it again, without pauses.']
				: [400, 'bad_request', 'The HTTP request is malformed. Send it as HTTP/1.1.'];
	const body = errorBody({ code, message });
	socket.end(
		`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
	);
}
