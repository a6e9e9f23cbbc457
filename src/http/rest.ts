import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { type Awaitable, then } from '../awaitable.ts';
import { JsonDocument } from '../domain/json.ts';
import { naturalStatus, Refusal } from '../errors.ts';
import { OPERATIONS } from '../generated/operations.ts';
import { maxBodyBytes } from '../limits.ts';
import type { Caller, Client, Input, OperationId } from '../operations/context.ts';
import { type Gate, rateLimited } from '../operations/run.ts';
import { readBody } from './body.ts';
import { clientOf } from './client-address.ts';
import type { Exchange, Handler } from './exchange.ts';
import type { FaceParts } from './face.ts';
import { filterPart, readQuery } from './query-string.ts';
import type { Route, Router } from './router.ts';
import { watchCaller } from './while-reading.ts';

/**
 * The REST face: a request becomes an operation's input, is run by the gate, and the answer becomes a response. It decides
 * nothing but what HTTP asks for.
 */

type Operation = (typeof OPERATIONS)[OperationId];

/** Where the contract's operations are served, and how it is known there who calls. */
export interface Mount {
	/** Stands in front of each path of the contract. */
	readonly prefix: string;
	/** Which operations are served. */
	has(operation: Operation): boolean;
	/** Who calls. Asked again once a body has arrived. @throws Refusal */
	authenticate(request: IncomingMessage): Awaitable<Caller>;
	/** Who calls, if that was known before and the operation's write judges it again. */
	lastCaller?(request: IncomingMessage, operation: OperationId): Caller | undefined;
	/** What to call the caller in a sentence that says that it called too often. */
	readonly caller: string;
	/** Headers of every answer, names and values in turn. */
	readonly headers: readonly string[];
}

/** The API: every operation, called with a key. */
export function apiMount(gate: Gate): Mount {
	return {
		prefix: '',
		has: () => true,
		authenticate: (request) => gate.authenticate(request.headers.authorization),
		lastCaller: (request, operation) => gate.lastCaller(operation, request.headers.authorization),
		caller: 'This API key',
		headers: [],
	};
}

/** Adds a route for each operation of the contract that the mount has. */
export function addRestRoutes(router: Router, parts: FaceParts, mount: Mount): void {
	const served = (Object.values(OPERATIONS) as readonly Operation[]).filter((operation) => mount.has(operation));
	for (const [path, operations] of Map.groupBy(served, (operation) => operation.path)) {
		const routes = operations.map((operation): [string, Route] => [
			operation.method,
			// Who calls is asked before it is the operation that answers.
			{
				operation: operation.open ? operation.id : undefined,
				handler: handlerOf(operation, parts, mount),
				headers: mount.headers,
			},
		]);
		router.add(mount.prefix + path, Object.fromEntries(routes));
	}
}

/** Who calls, may they call now, what do they ask, run, answer: in this order, whatever the operation. */
function handlerOf(operation: Operation, { gate, answers, budget, trustProxy }: FaceParts, mount: Mount): Handler {
	const { id, open, hasBody, success } = operation;
	const maxBytes = maxBodyBytes(gate.context.limits, id === 'batch');
	return (exchange) => {
		const { request } = exchange;
		const run = (client: Client | undefined, bytes: Buffer | undefined): Awaitable<void> =>
			then(gate.run(id, inputOf(exchange, operation, client, bytes)), (answer) =>
				answers.answer(exchange, success, answer),
			);
		/** @param asked who calls need not be asked again. */
		const read = async (client: Client | undefined, asked: boolean): Promise<void> => {
			const known = watchCaller(gate.context.store.read);
			const { bytes, release } = await readBody(request, maxBytes, budget);
			try {
				if (!asked && !known()) await mount.authenticate(request);
				await run(client, bytes);
			} finally {
				release();
			}
		};
		if (open) {
			const client = clientOf(request, trustProxy);
			return then(gate.admitClient(id, client), () => (hasBody ? read(client, true) : run(client, undefined)));
		}
		const call = (caller: Caller, judged: boolean): Awaitable<void> => {
			exchange.caller = caller;
			exchange.operation = id;
			return then(gate.admit(id, caller), (rate) => {
				exchange.rate = rate;
				if (rate !== undefined && !rate.admitted) throw rateLimited(rate, mount.caller);
				return hasBody ? read(undefined, judged) : run(undefined, undefined);
			});
		};
		const last = mount.lastCaller?.(request, id);
		if (last === undefined) return then(mount.authenticate(request), (caller) => call(caller, false));
		return judgedByWrite(exchange, () => call(last, true), gate, mount);
	};
}

/** What is refused before a write judged the caller is refused to a live one only: any other is told that it may not call. */
async function judgedByWrite(exchange: Exchange, call: () => Awaitable<void>, gate: Gate, mount: Mount): Promise<void> {
	try {
		await call();
		gate.used(exchange.caller!);
	} catch (error) {
		if (error instanceof Refusal && (naturalStatus(error.code) < 500 || error.code === 'overloaded')) {
			const { caller, rate } = exchange;
			Object.assign(exchange, { caller: undefined, rate: undefined });
			await mount.authenticate(exchange.request);
			Object.assign(exchange, { caller, rate });
		}
		throw error;
	}
}

function inputOf(
	{ request, params, caller }: Exchange,
	operation: Operation,
	client: Client | undefined,
	bytes: Buffer | undefined,
): Input {
	const query = readQuery(request.url!, operation);
	const document = bytes === undefined ? undefined : JsonDocument.fromBytes(bytes);
	return {
		table: params.table,
		caller,
		client,
		id: params.id ?? query.get('id'),
		filter: filterPart(query.get('filter')),
		sort: query.get('sort'),
		limit: query.get('limit'),
		body: document === undefined ? undefined : { document, value: document.value, path: [] },
		idempotencyKey: operation.id === 'addRow' ? idempotencyKey(request) : undefined,
	};
}

/** Node hands header bytes on as Latin-1; a key in UTF-8 is the same key as in a batch's JSON. */
function idempotencyKey(request: IncomingMessage): string | undefined {
	const value = request.headers['idempotency-key'];
	if (value === undefined) return undefined;
	const bytes = Buffer.from(String(value), 'latin1');
	const times = request.headersDistinct['idempotency-key']?.length ?? 1;
	if (times === 1 && isUtf8(bytes)) return bytes.toString('utf8');
	throw new Refusal('invalid_idempotency_key', 'Send one Idempotency-Key header, in UTF-8, for example a UUID.');
}
