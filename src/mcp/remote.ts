import { isObject, JsonDocument, type JsonObject, member } from '../domain/json.ts';
import { CODES, EXAMPLE, errorMessage, idOf, ProtocolError } from './message.ts';

/** Hands messages on to a server's `/mcp` as the texts they are, so that the tools and their rules are the server's alone. */
export interface Remote {
	/** Of `/mcp`. */
	readonly url: string;
	readonly apiKey: string;
}

const TIMEOUT_MS = 120_000;
const META = 'io.modelcontextprotocol/protocolVersion';

/** The remote server's answer to a message; undefined where there is none. Never rejects. */
export async function askRemote(remote: Remote, message: string, stopped: AbortSignal): Promise<string | undefined> {
	let document: JsonDocument;
	try {
		document = JsonDocument.fromText(message, 'message', EXAMPLE);
	} catch (error) {
		return errorMessage('null', new ProtocolError(CODES.parseError, (error as Error).message, 400));
	}
	const sent = isObject(document.value) ? document.value : {};
	try {
		const response = await fetch(remote.url, {
			method: 'POST',
			headers: { ...headersFor(sent), authorization: `Bearer ${remote.apiKey}`, 'content-type': 'application/json' },
			body: message,
			// A key is for one server and follows no redirect.
			redirect: 'error',
			signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), stopped]),
		});
		const body = await response.text();
		if (body.startsWith('{"jsonrpc"')) return body;
		if (response.ok || !Object.hasOwn(sent, 'id')) return undefined;
		return errorMessage(idOf(document.value), refusalOf(response.status, body));
	} catch (error) {
		if (!Object.hasOwn(sent, 'id')) return undefined;
		const { cause } = error as { cause?: { code?: string } };
		const why = cause?.code ?? (error as Error).name;
		return errorMessage(
			idOf(document.value),
			new ProtocolError(
				CODES.unreachable,
				`The server at ${remote.url} did not answer (${why}). Try again later.`,
				502,
			),
		);
	}
}

/** The headers that repeat what a message of the stateless era says: its client does not know that it goes over HTTP. */
function headersFor(message: JsonObject): Record<string, string> {
	const method = member(message, 'method');
	const params = member(message, 'params');
	const meta = params !== undefined && isObject(params) ? member(params, '_meta') : undefined;
	const version = meta !== undefined && isObject(meta) ? member(meta, META) : undefined;
	const headers: Record<string, string> = { accept: 'application/json, text/event-stream' };
	if (typeof version !== 'string' || typeof method !== 'string') return headers;
	headers['mcp-protocol-version'] = header(version);
	headers['mcp-method'] = header(method);
	const name = member(params as JsonObject, 'name');
	if (typeof name === 'string') headers['mcp-name'] = header(name);
	return headers;
}

/** A value as a header may carry it (MCP 2026-07-28, Streamable HTTP, header encoding). */
function header(value: string): string {
	return /^[!-~]+$/.test(value) ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/** What the server refused before it read the message: a wrong key, for example. */
function refusalOf(status: number, body: string): ProtocolError {
	try {
		const { code, message, details } = JSON.parse(body).error;
		return new ProtocolError(CODES.unreachable, String(message), status, { code, details });
	} catch {
		return new ProtocolError(CODES.unreachable, `The server answered ${status} and no message.`, status);
	}
}
