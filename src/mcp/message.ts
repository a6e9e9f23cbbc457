import { isObject, type Json, type JsonObject, member } from '../domain/json.ts';

/** JSON-RPC 2.0 messages, as MCP has them (MCP 2025-11-25 and 2026-07-28, basic protocol). */

export interface Request {
	readonly kind: 'request';
	/** The JSON text of its id. */
	readonly id: string;
	readonly method: string;
	readonly params: JsonObject | undefined;
}

export interface Notification {
	readonly kind: 'notification';
	readonly method: string;
	readonly params: JsonObject | undefined;
}

/** What a client answers; it has nothing to answer here. */
export interface Response {
	readonly kind: 'response';
}

export type Message = Request | Notification | Response;

/** Codes of JSON-RPC 2.0 section 5.1, and of MCP 2026-07-28. */
export const CODES = {
	parseError: -32700,
	invalidRequest: -32600,
	methodNotFound: -32601,
	invalidParams: -32602,
	internalError: -32603,
	headerMismatch: -32020,
	unsupportedVersion: -32022,
	/** For implementations to define: here, that no server answered. */
	unreachable: -32000,
} as const;

/** A message as it should be, for refusals. */
export const EXAMPLE = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

/** A message that cannot be answered as asked: it becomes a JSON-RPC error. */
export class ProtocolError extends Error {
	readonly code: number;
	/** What HTTP says of it. */
	readonly status: number;
	readonly data: object | undefined;

	constructor(code: number, message: string, status: number, data?: object) {
		super(message);
		this.code = code;
		this.status = status;
		this.data = data;
	}
}

/** Reads one message. @throws ProtocolError invalidRequest for what is none, arrays of messages among it. */
export function readMessage(value: Json): Message {
	if (Array.isArray(value)) throw invalid('Messages are not taken in arrays here. Send each as a request of its own.');
	if (!isObject(value) || member(value, 'jsonrpc') !== '2.0') {
		throw invalid(`A message is a JSON object with "jsonrpc":"2.0". Send for example ${EXAMPLE}.`);
	}
	const id = member(value, 'id');
	const method = member(value, 'method');
	const params = member(value, 'params');
	if (method === undefined && (Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error'))) {
		return { kind: 'response' };
	}
	if (typeof method !== 'string') throw invalid('The message has no "method".');
	if (params !== undefined && !isObject(params)) {
		throw new ProtocolError(CODES.invalidParams, 'The member "params" must be an object.', 400);
	}
	if (id === undefined) return { kind: 'notification', method, params };
	const text = idText(id);
	if (text === undefined) throw invalid('The member "id" must be a string, or a whole number that a double holds.');
	return { kind: 'request', id: text, method, params };
}

function invalid(message: string): ProtocolError {
	return new ProtocolError(CODES.invalidRequest, message, 400);
}

/** The id as it is answered; undefined for what could not be answered as it was sent. */
function idText(id: Json): string | undefined {
	return typeof id === 'string' || Number.isSafeInteger(id) ? JSON.stringify(id) : undefined;
}

/** The id to answer a message with that could not be read. */
export function idOf(value: Json | undefined): string {
	const id = value !== undefined && isObject(value) ? member(value, 'id') : undefined;
	return (id === undefined ? undefined : idText(id)) ?? 'null';
}

/** A message that tells of an error. @param id JSON text */
export function errorMessage(id: string, { code, message, data }: ProtocolError): string {
	const error = data === undefined ? { code, message } : { code, message, data };
	return `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`;
}

/** A message to send, on one line: a text, or its parts, some of which are kept as UTF-8 and cost more to join than to send. */
export type Outgoing = string | readonly (string | Buffer)[];

/** All of it as one text. */
export function textOf(message: Outgoing): string {
	return typeof message === 'string' ? message : message.map(String).join('');
}
