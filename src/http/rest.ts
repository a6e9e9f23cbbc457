import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { JsonDocument } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import { OPERATIONS } from '../generated/operations.ts';
import { maxBodyBytes } from '../limits.ts';
import { then } from '../operations/awaitable.ts';
import type { Caller, Client, Input, OperationId, Part } from '../operations/context.ts';
import { type Gate, type RateState, rateLimited } from '../operations/run.ts';
import type { Answers } from './answers.ts';
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
		/** What the rate limit says of the call; undefined where it is off. */
		rate: RateState | undefined;
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

export function addRestRoutes(app: FastifyInstance, gate: Gate, answers: Answers, trustProxy: number): void {
	app.decorateRequest('caller', undefined);
	app.decorateRequest('rate', undefined);
	app.decorateRequest('client', undefined);
	const byPath = Map.groupBy(Object.values(OPERATIONS) as readonly Operation[], (operation) => operation.path);
	for (const [path, operations] of byPath) {
		const url = path.replaceAll(/\{(\w+)\}/g, ':$1');
		for (const operation of operations) addOperation(app, gate, answers, operation, url, trustProxy);
		answerOtherMethods(
			app,
			answers,
			url,
			operations.map((operation) => operation.method),
		);
	}
}

function addOperation(
	app: FastifyInstance,
	gate: Gate,
	answers: Answers,
	operation: Operation,
	url: string,
	trustProxy: number,
): void {
	const { id } = operation;
	const config = operation.hasBody
		? { operation: id, maxBodyBytes: maxBodyBytes(gate.context.limits, id === 'batch') }
		: { operation: id };
	app.route({
		method: operation.method,
		url,
		config,
		onRequest: operation.open ? signInCall(gate, operation, trustProxy) : accountCall(gate, operation),
		handler: (request, reply) =>
			then(gate.run(id, inputOf(request, operation)), (answer) =>
				answers.answer(request, reply, operation.success, answer),
			),
	});
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

function accountCall(gate: Gate, { id, path }: Operation): Hook {
	const admit = (request: FastifyRequest, caller: Caller): void => {
		request.caller = caller;
		request.rate = gate.admit(id, caller);
		if (request.rate !== undefined && !request.rate.admitted) throw rateLimited(request.rate);
	};
	return (request, _reply, done) => {
		request.pattern = path;
		try {
			const caller = gate.authenticate(request.raw.headers.authorization);
			if (caller instanceof Promise) {
				caller.then((found) => admit(request, found)).then(() => done(), done);
				return;
			}
			admit(request, caller);
		} catch (error) {
			done(error as Error);
			return;
		}
		done();
	};
}

function signInCall(gate: Gate, { id, path }: Operation, trustProxy: number): Hook {
	return (request, _reply, done) => {
		request.pattern = path;
		request.client = clientOf(request.raw, trustProxy);
		try {
			gate.admitClient(id, request.client);
		} catch (error) {
			done(error as Error);
			return;
		}
		done();
	};
}

function inputOf(request: FastifyRequest, operation: Operation): Input {
	const { table, id } = request.params as { table?: string; id?: string };
	const { caller, client } = request;
	const query = readQuery(request.raw.url!, operation);
	return {
		table,
		caller,
		client,
		id: operation.id === 'revokeKey' ? id : query.get('id'),
		filter: filterPart(query.get('filter')),
		sort: query.get('sort'),
		limit: query.get('limit'),
		body: operation.hasBody ? bodyPart(request) : undefined,
		idempotencyKey: operation.id === 'addRow' ? idempotencyKey(request) : undefined,
	};
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
export function answerOtherMethods(
	app: FastifyInstance,
	answers: Answers,
	url: string,
	methods: readonly string[],
): void {
	const has = methods.includes('GET') ? [...methods, 'HEAD'] : [...methods];
	const allow = [...has, 'OPTIONS'].join(', ');
	app.options(url, (request, reply) => answers.text(request, reply, 204, ['Allow', allow], ''));
	app.route({
		method: [...METHODS, 'HEAD'].filter((method) => !has.includes(method)),
		url,
		handler: (request) => {
			throw new Refusal('method_not_allowed', `This path does not have ${request.method}. Send one of: ${allow}.`, {
				allow,
			});
		},
	});
}
