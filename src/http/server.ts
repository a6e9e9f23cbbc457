import { randomBytes } from 'node:crypto';
import {
	createServer as createHttpServer,
	type Server as HttpServer,
	type IncomingMessage,
	type ServerResponse,
} from 'node:http';
import { causeOf, Refusal, type RefusalData } from '../errors.ts';
import type { Log } from '../log.ts';
import { addMcp } from '../mcp/http.ts';
import type { Tool } from '../mcp/tool.ts';
import { addOAuth, type OAuthOptions } from '../oauth/routes.ts';
import type { Context } from '../operations/context.ts';
import { Gate } from '../operations/run.ts';
import { addAgentTexts } from './agent-texts.ts';
import { Answers } from './answers.ts';
import { BodyBudget } from './body.ts';
import { addConsole } from './console.ts';
import { addDocs } from './docs.ts';
import type { Exchange } from './exchange.ts';
import { addLandingPage } from './landing-page.ts';
import { addLinkPages } from './link-pages.ts';
import type { Metrics } from './metrics.ts';
import { Pages } from './pages.ts';
import { ParserFaults } from './parser-faults.ts';
import { addRestRoutes, apiMount } from './rest.ts';
import { Router } from './router.ts';
import { addServiceRoutes } from './service-routes.ts';
import { addSignInPage } from './sign-in-page.ts';

export interface ServerOptions {
	readonly context: Context;
	readonly log: Log;
	readonly metrics: Metrics | undefined;
	readonly trustProxy: number;
	/** Further browser origins that may call `/mcp`. */
	readonly mcpOrigins: readonly string[];
	/** MCP tools in place of the product's. */
	readonly mcpTools?: readonly Tool[] | undefined;
	readonly oauth: OAuthOptions;
}

export interface Server {
	readonly http: HttpServer;
	/** Refuses new calls, waits for those in flight, closes. */
	stop(): Promise<void>;
}

/** Filters travel in the URL, so a request's head may be large. */
export const MAX_HEADER_BYTES = 65_536;
/** A client that is slower than this is cut off: the head of a request, and the whole of it. */
const HEADERS_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 72_000;
const CHECK_TIMEOUTS_EVERY_MS = 5_000;
/** A stalled connection, for example one that never reads its export. */
const SOCKET_TIMEOUT_MS = 120_000;
/** How long calls in flight may take once the server is stopping, and how long their answers may travel. */
const DRAIN_MS = 6_000;
const CUT_MS = 1_500;

/** In the log, where there is no route or no method. */
const NONE = '(none)';
const NO_HEADERS: readonly string[] = [];
const NOBODY = { accountId: undefined, keyId: undefined };

/** The path of a request target, in origin form or absolute form (RFC 9112 section 3.2). */
function pathOf(target: string): string {
	const start = target.startsWith('/') ? 0 : (/^https?:\/\/[^/?]*/i.exec(target)?.[0].length ?? 0);
	const query = target.indexOf('?', start);
	return query === -1 ? target.slice(start) : target.slice(start, query);
}

/** The HTTP server: one function that every request passes, from its head to its answer. */
export function createServer(options: ServerOptions): Server {
	const { context, log, metrics, trustProxy, mcpOrigins, mcpTools, oauth } = options;
	const gate = new Gate(context);
	const router = new Router();
	const answers = new Answers(answered, (exchange, cause) => {
		log.warn({ requestId: exchange.id, cause: causeOf(cause) }, 'An answer was cut off.');
	});
	const prefix = randomBytes(5).toString('hex');
	let requests = 0;
	let inFlight = 0;
	let stopping = false;
	let idle: (() => void) | undefined;

	const pages = new Pages(answers);
	const parts = { gate, answers, pages, budget: new BodyBudget(), trustProxy };
	addRestRoutes(router, parts, apiMount(gate));
	addServiceRoutes(router, context, answers, metrics);
	pages.addAssets(router);
	addLandingPage(router, context, pages);
	addAgentTexts(router, context, answers, pages);
	addDocs(router, context, answers, pages);
	addLinkPages(router, parts);
	addSignInPage(router, parts);
	addConsole(router, parts, (error) => log.error({ cause: causeOf(error) }, 'Removing an erased account failed.'));
	addOAuth(router, parts, oauth);
	const onFault = ({ id }: Exchange, error: unknown): void =>
		log.error({ requestId: id, cause: causeOf(error) }, 'A tool call failed.');
	addMcp(router, parts, { origins: mcpOrigins, onFault, tools: mcpTools });

	function nextId(): string {
		return `${prefix}-${(++requests).toString(36)}`;
	}

	function handle(request: IncomingMessage, response: ServerResponse): void {
		inFlight++;
		const exchange: Exchange = {
			id: nextId(),
			request,
			response,
			began: performance.now(),
			pattern: NONE,
			params: {},
			operation: undefined,
			challenge: undefined,
			caller: undefined,
			rate: undefined,
			headers: NO_HEADERS,
		};
		try {
			const done = dispatch(exchange);
			if (done !== undefined) done.catch((error: unknown) => refuse(exchange, error));
		} catch (error) {
			refuse(exchange, error);
		}
	}

	function dispatch(exchange: Exchange): void | Promise<void> {
		const { request } = exchange;
		const method = request.method!;
		if (stopping) throw new Refusal('shutting_down', 'The server is stopping. Send the call again in a few seconds.');
		if (request.headers.host === undefined && request.httpVersion === '1.1') {
			throw new Refusal('bad_request', 'The request has no Host header. Send it as HTTP/1.1 asks.');
		}
		const match = router.find(pathOf(request.url!));
		if (match === undefined) {
			throw new Refusal('not_found', 'There is nothing at this path. GET /openapi.json lists the paths there are.');
		}
		const { path, params } = match;
		exchange.pattern = path.pattern;
		const route = path.methods.get(method) ?? path.otherwise;
		if (route !== undefined) {
			exchange.params = params;
			exchange.operation = route.operation;
			if (route.headers !== undefined) exchange.headers = route.headers;
			return route.handler(exchange);
		}
		if (method !== 'OPTIONS') {
			const message = `This path does not have ${method}. Send one of: ${path.allow}.`;
			throw new Refusal('method_not_allowed', message, { allow: path.allow });
		}
		return answers.text(exchange, 204, ['Allow', path.allow], '');
	}

	function refuse(exchange: Exchange, error: unknown): void {
		const refusal = error instanceof Refusal ? error : fault(exchange, error);
		if (refusal instanceof Refusal && refusal.cause !== undefined) {
			log.error({ requestId: exchange.id, cause: refusal.cause }, 'The store failed a call.');
		}
		answers.refusal(exchange, refusal);
	}

	function fault({ id }: Exchange, error: unknown): RefusalData {
		log.error({ requestId: id, cause: causeOf(error) }, 'A call failed.');
		return {
			code: 'internal_error',
			message: `The server failed to run this call. Send it again; if it fails again, report the request id ${id}.`,
		};
	}

	function answered(exchange: Exchange, status: number): void {
		if (--inFlight === 0) idle?.();
		const { id, request, pattern } = exchange;
		const method = request.method!;
		const milliseconds = performance.now() - exchange.began;
		metrics?.observe(method, pattern, status, milliseconds / 1000);
		const { accountId, keyId } = exchange.caller ?? NOBODY;
		log.access({ requestId: id, method, route: pattern, status, milliseconds, account: accountId, key: keyId });
	}

	const faults = new ParserFaults(nextId, (requestId, status) => {
		metrics?.observe(NONE, NONE, status, 0);
		log.access({ requestId, method: NONE, route: NONE, status, milliseconds: 0, account: undefined, key: undefined });
	});

	const http = createHttpServer(
		{
			maxHeaderSize: MAX_HEADER_BYTES,
			headersTimeout: HEADERS_TIMEOUT_MS,
			requestTimeout: REQUEST_TIMEOUT_MS,
			keepAliveTimeout: KEEP_ALIVE_MS,
			connectionsCheckingInterval: CHECK_TIMEOUTS_EVERY_MS,
			// Refused by us, with the error body.
			requireHostHeader: false,
			noDelay: true,
		},
		handle,
	);
	http.setTimeout(SOCKET_TIMEOUT_MS);
	http.on('clientError', (error, socket) => faults.clientError(error, socket));
	http.on('connect', (request, socket) => faults.connect(request, socket));
	// An expectation that is not understood may be ignored (RFC 9110 section 10.1.1); no operation lists 417.
	http.on('checkExpectation', handle);

	return {
		http,
		async stop() {
			stopping = true;
			if (inFlight > 0) {
				const drained = new Promise<void>((resolve) => {
					idle = resolve;
				});
				await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
			}
			// Answers that are still on their way to slow clients get the rest of the time.
			const closed = new Promise((resolve) => http.close(resolve));
			const cut = setTimeout(() => http.closeAllConnections(), CUT_MS);
			await closed;
			clearTimeout(cut);
		},
	};
}
