import type { IncomingMessage } from 'node:http';
import { JsonDocument } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import { JSON_TYPE } from '../http/answers.ts';
import { readBody } from '../http/body.ts';
import type { Exchange, Handler } from '../http/exchange.ts';
import type { FaceParts } from '../http/face.ts';
import type { Router } from '../http/router.ts';
import { watchCaller } from '../http/while-reading.ts';
import { maxBodyBytes } from '../limits.ts';
import { callerOfBearer, challenge } from '../oauth/bearer.ts';
import type { Caller } from '../operations/context.ts';
import type { StandardHeaders } from './eras.ts';
import { CODES, EXAMPLE, errorMessage, ProtocolError } from './message.ts';
import { corsHeaders, preflightHeaders, refuseForeign } from './origin.ts';
import { Protocol, type Reply } from './protocol.ts';
import type { Tool } from './tool.ts';

const PATH = '/mcp';

export interface McpOptions {
	/** Further browser origins that may call. */
	readonly origins: readonly string[];
	/** Told of what is no refusal. */
	readonly onFault: (exchange: Exchange, error: unknown) => void;
	/** In place of the product's. */
	readonly tools?: readonly Tool[] | undefined;
}

/**
 * MCP over HTTP (Streamable HTTP, MCP 2025-11-25 and 2026-07-28): `POST /mcp`, one message a request, one JSON answer. There
 * are no sessions and no streams, so every other method is 405. What is refused before a message was read has the error body
 * of the service; from then on errors are JSON-RPC's.
 */
export function addMcp(router: Router, parts: FaceParts, { origins, onFault, tools }: McpOptions): void {
	const { gate, answers, budget } = parts;
	const { context } = gate;
	const protocol = new Protocol(context, true, tools);
	const maxBytes = maxBodyBytes(context.limits, true);

	async function post(exchange: Exchange): Promise<void> {
		const { request } = exchange;
		const known = watchCaller(context.store.read);
		const { bytes, release } = await readBody(request, maxBytes, budget);
		try {
			if (!known()) exchange.caller = await callerOf(exchange);
			const calls = {
				gate,
				caller: exchange.caller!,
				onFault: (error: unknown) => {
					onFault(exchange, error);
					return exchange.id;
				},
			};
			const document = read(bytes);
			const reply =
				document instanceof JsonDocument ? await protocol.answer(document, standardHeaders(request), calls) : document;
			exchange.rate = reply.rate;
			send(exchange, reply);
		} finally {
			release();
		}
	}

	/** @throws Refusal missing_api_key, invalid_api_key, invalid_access_token */
	async function callerOf(exchange: Exchange): Promise<Caller> {
		try {
			return await callerOfBearer(gate, exchange.request.headers.authorization);
		} catch (error) {
			if (error instanceof Refusal) exchange.challenge = challenge(context.publicUrl, error);
			throw error;
		}
	}

	function send(exchange: Exchange, { status, body }: Reply): void {
		if (body === undefined) answers.text(exchange, status, [], '');
		else if (typeof body === 'string') answers.text(exchange, status, ['Content-Type', JSON_TYPE], body);
		else answers.parts(exchange, status, ['Content-Type', JSON_TYPE], body);
	}

	/** Who calls is asked before where from: an unknown caller is told how to become known, wherever it is (401 before 403). */
	const guarded =
		(handler: Handler): Handler =>
		(exchange) => {
			const { request } = exchange;
			exchange.headers = corsHeaders(request, context.publicUrl, origins);
			return callerOf(exchange).then((caller) => {
				exchange.caller = caller;
				refuseForeign(request.headers.origin, context.publicUrl, origins);
				return handler(exchange);
			});
		};

	const refuseMethod = guarded(() => {
		const message = 'There are no streams and no sessions here. Send each message with POST.';
		throw new Refusal('method_not_allowed', message, { allow: 'POST, OPTIONS' });
	});

	const routes = {
		POST: { handler: guarded(post), operation: undefined },
		// Browsers ask without credentials, so this is answered before anybody is known.
		OPTIONS: {
			operation: undefined,
			handler: (exchange: Exchange) => {
				exchange.headers = corsHeaders(exchange.request, context.publicUrl, origins);
				answers.text(exchange, 204, preflightHeaders(), '');
			},
		},
	};
	router.add(PATH, routes, { handler: refuseMethod, operation: undefined });
}

/** Reads a message, or answers that it cannot be read. */
function read(bytes: Buffer): JsonDocument | Reply {
	try {
		return JsonDocument.fromBytes(bytes, EXAMPLE);
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		const unreadable = new ProtocolError(CODES.parseError, error.message, 400, { code: error.code });
		return { status: unreadable.status, body: errorMessage('null', unreadable), rate: undefined };
	}
}

function standardHeaders({ headers }: IncomingMessage): StandardHeaders {
	return {
		version: one(headers['mcp-protocol-version']),
		method: one(headers['mcp-method']),
		name: one(headers['mcp-name']),
	};
}

/** Node joins headers that are sent twice with a comma: then they say something else than the message. */
function one(value: string | string[] | undefined): string | undefined {
	return typeof value === 'string' ? value.trim() : value?.join(', ');
}
