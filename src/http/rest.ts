import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { JsonDocument } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import { OPERATIONS } from '../generated/operations.ts';
import { maxBodyBytes } from '../limits.ts';
import type { Caller, Client, Input, OperationId, Part } from '../operations/context.ts';
import { type Gate, type RateState, rateLimited } from '../operations/run.ts';
import { checkContentType } from './body.ts';
import { clientOf } from './client-address.ts';
import { filterPart, readQuery } from './query-string.ts';

/**
 * The REST face: a request becomes an operation's input, is run by the gate, and the answer becomes a response. It decides
 * nothing but what HTTP asks for.
 */

declare module 'fastify' {
	interface FastifyRequest {
		/** Set once the gate knows who calls. */
		caller: Caller | undefined;
		client: Client | undefined;
	}
	interface FastifyContextConfig {
		operation?: OperationId;
		maxBodyBytes?: number;
		form?: boolean;
	}
}

type Operation = (typeof OPERATIONS)[OperationId];

/** Methods a path may be asked with; those it does not have get 405. */
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE'] as const;

export function addRestRoutes(app: FastifyInstance, gate: Gate, trustProxy: number): void {
	app.decorateRequest('caller', undefined);
	app.decorateRequest('client', undefined);
	const byPath = Map.groupBy(Object.values(OPERATIONS) as readonly Operation[], (operation) => operation.path);
	for (const [path, operations] of byPath) {
		const url = path.replaceAll(/\{(\w+)\}/g, ':$1');
		for (const operation of operations) addOperation(app, gate, operation, url, trustProxy);
		answerOtherMethods(
			app,
			url,
			operations.map((operation) => operation.method),
		);
	}
}

function addOperation(app: FastifyInstance, gate: Gate, operation: Operation, url: string, trustProxy: number): void {
	const { id } = operation;
	const config = operation.hasBody
		? { operation: id, maxBodyBytes: maxBodyBytes(gate.context.limits, id === 'batch') }
		: { operation: id };
	app.route({
		method: operation.method,
		url,
		config,
		onRequest: operation.open ? signInCall(gate, id, trustProxy) : accountCall(gate, id),
		handler: async (request, reply) => {
			const answer = await gate.run(id, inputOf(request, operation));
			reply.code(operation.success).header('content-type', 'application/json; charset=utf-8');
			if (answer.replayed) reply.header('idempotency-replayed', 'true');
			return typeof answer.body === 'string'
				? answer.body
				: Readable.from(answer.body, { objectMode: false, highWaterMark: 65_536 });
		},
	});
}

function accountCall(gate: Gate, id: OperationId) {
	return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
		const caller = await gate.authenticate(request.raw.headers.authorization);
		request.caller = caller;
		const state = gate.admit(id, caller);
		if (state === undefined) return;
		addRateHeaders(reply, state);
		if (!state.admitted) throw rateLimited(state);
	};
}

/** draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4. */
export function addRateHeaders(reply: FastifyReply, state: RateState): void {
	reply.header('ratelimit-policy', `"${state.policy}";q=${state.limit};w=60`);
	reply.header('ratelimit', `"${state.policy}";r=${state.remaining};t=${state.resetSeconds}`);
}

function signInCall(gate: Gate, id: OperationId, trustProxy: number) {
	return async (request: FastifyRequest): Promise<void> => {
		request.client = clientOf(request.raw, trustProxy);
		gate.admitClient(id, request.client);
	};
}

function inputOf(request: FastifyRequest, operation: Operation): Input {
	const params = request.params as { table?: string; id?: string };
	const query = readQuery(request.raw.url!, operation);
	const base = {
		...(params.table === undefined ? {} : { table: params.table }),
		...(request.caller === undefined ? {} : { caller: request.caller }),
		...(request.client === undefined ? {} : { client: request.client }),
		...(operation.hasBody ? { body: bodyPart(request) } : {}),
	};
	switch (operation.id) {
		case 'queryRows':
		case 'countRows':
			return { ...base, filter: filterPart(query.get('filter')), sort: query.get('sort'), limit: query.get('limit') };
		case 'listVersions':
			return { ...base, id: query.get('id') };
		case 'revokeKey':
			return { ...base, id: params.id };
		case 'addRow':
			return { ...base, idempotencyKey: idempotencyKey(request) };
		default:
			return base;
	}
}

function bodyPart(request: FastifyRequest): Part {
	const fault = checkContentType(request, false);
	if (fault !== undefined) throw fault;
	const document = JsonDocument.fromBytes((request.body as Buffer | undefined) ?? Buffer.alloc(0));
	return { document, value: document.value, path: [] };
}

/** Node hands header bytes on as Latin-1; a key in UTF-8 is the same key as in a batch's JSON. */
function idempotencyKey(request: FastifyRequest): string | undefined {
	const value = request.headers['idempotency-key'];
	if (value === undefined) return undefined;
	const bytes = Buffer.from(String(value), 'latin1');
	const times = request.raw.headersDistinct['idempotency-key']?.length ?? 1;
	if (times === 1 && isUtf8(bytes)) return bytes.toString('utf8');
	throw new Refusal('invalid_idempotency_key', 'Send one Idempotency-Key header, in UTF-8, for example a UUID.');
}

/** OPTIONS says what there is, with no CORS header; every other method is refused with the same list. */
export function answerOtherMethods(app: FastifyInstance, url: string, methods: readonly string[]): void {
	const has = methods.includes('GET') ? [...methods, 'HEAD'] : [...methods];
	const allow = [...has, 'OPTIONS'].join(', ');
	app.options(url, (_request, reply) => reply.code(204).header('allow', allow).send());
	app.route({
		method: [...METHODS, 'HEAD'].filter((method) => !has.includes(method)),
		url,
		handler: (request, reply) => {
			reply.header('allow', allow);
			throw new Refusal('method_not_allowed', `This path does not have ${request.method}. Send one of: ${allow}.`, {
				allow: has,
			});
		},
	});
}
