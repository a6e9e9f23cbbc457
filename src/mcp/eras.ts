import { isObject, type Json, type JsonObject, member } from '../domain/json.ts';
import { CODES, type Message, ProtocolError } from './message.ts';

/**
 * The two eras of the protocol on one endpoint. Which one a message belongs to is said by the message itself: in the stateless
 * era (2026-07-28) each request names its version in `params._meta`; up to 2025-11-25 a connection begins with `initialize`.
 * Neither needs a session here.
 */
export type Era = 'stateless' | 'handshake';

export const STATELESS_VERSION = '2026-07-28';
/** Newest first. */
export const HANDSHAKE_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
const CLIENT_KEY = 'io.modelcontextprotocol/clientInfo';

/** The headers that repeat what a message says (MCP 2026-07-28, Streamable HTTP, standard request headers). */
export interface StandardHeaders {
	readonly version: string | undefined;
	readonly method: string | undefined;
	readonly name: string | undefined;
}

/**
 * The era of a message.
 * @param headers what came with it over HTTP; undefined over stdio, which has none.
 * @throws ProtocolError headerMismatch, unsupportedVersion or invalidParams
 */
export function eraOf(message: Message, headers: StandardHeaders | undefined): Era {
	const claim = message.kind === 'response' ? undefined : claimOf(message.params);
	if (claim === undefined) return eraOfHeader(message, headers);
	if (headers?.version !== undefined && headers.version !== claim) {
		throw mismatch('MCP-Protocol-Version', headers.version, `the message names version ${claim}`);
	}
	if (claim !== STATELESS_VERSION) throw unsupported(claim, [STATELESS_VERSION]);
	if (headers !== undefined) checkHeaders(message, headers);
	return 'stateless';
}

/** The version that a message claims for itself. @throws ProtocolError invalidParams where the claim is not whole */
function claimOf(params: JsonObject | undefined): string | undefined {
	const meta = params === undefined ? undefined : member(params, '_meta');
	if (meta === undefined || !isObject(meta) || !Object.hasOwn(meta, VERSION_KEY)) return undefined;
	const version = member(meta, VERSION_KEY);
	const capabilities = member(meta, CAPABILITIES_KEY);
	const client = member(meta, CLIENT_KEY);
	if (typeof version !== 'string') throw incomplete(VERSION_KEY, 'must be a version such as "2026-07-28"');
	if (capabilities === undefined || !isObject(capabilities)) throw incomplete(CAPABILITIES_KEY, 'must be an object');
	if (client !== undefined && !isObject(client)) throw incomplete(CLIENT_KEY, 'must be an object');
	return version;
}

/** The era of a message that claims none. */
function eraOfHeader(message: Message, headers: StandardHeaders | undefined): Era {
	const version = headers?.version;
	if (version === undefined) return 'handshake';
	if (version !== STATELESS_VERSION) {
		if (HANDSHAKE_VERSIONS.includes(version)) return 'handshake';
		throw unsupported(version, [STATELESS_VERSION, ...HANDSHAKE_VERSIONS]);
	}
	if (message.kind === 'response')
		throw new ProtocolError(CODES.invalidRequest, 'There is nothing to answer here.', 400);
	if (message.kind === 'notification') return 'stateless';
	if (message.method === 'initialize') {
		throw mismatch('MCP-Protocol-Version', version, 'initialize belongs to versions up to 2025-11-25');
	}
	throw incomplete(
		VERSION_KEY,
		`is missing; version ${STATELESS_VERSION} needs it and ${CAPABILITIES_KEY} in each request`,
	);
}

/** A header that is missing or says something else than the message is refused: proxies decide by headers. */
function checkHeaders(message: Message, headers: StandardHeaders): void {
	if (message.kind !== 'request') return;
	const { method, params } = message;
	if (headers.version === undefined) throw mismatch('MCP-Protocol-Version', undefined, 'each request needs it');
	if (headers.method !== method) throw mismatch('Mcp-Method', headers.method, `the message names method ${method}`);
	if (method !== 'tools/call') return;
	const name = params === undefined ? undefined : member(params, 'name');
	if (typeof name !== 'string') return;
	if (decoded(headers.name) !== name) throw mismatch('Mcp-Name', headers.name, `the message names ${name}`);
}

/** What a header says; values that headers cannot carry come as `=?base64?…?=`. */
function decoded(value: string | undefined): string | undefined {
	const base64 = value === undefined ? undefined : /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value)?.[1];
	return base64 === undefined ? value : Buffer.from(base64, 'base64').toString('utf8');
}

function mismatch(header: string, sent: string | undefined, because: string): ProtocolError {
	const shown = sent?.slice(0, 100);
	const what = shown === undefined ? `The header ${header} is missing` : `The header ${header} is "${shown}"`;
	return new ProtocolError(CODES.headerMismatch, `${what}, but ${because.slice(0, 300)}.`, 400, {
		mismatch: { header, sent: shown ?? null },
	});
}

function unsupported(requested: string, supported: readonly string[]): ProtocolError {
	const shown = requested.slice(0, 100);
	const message = `Version ${shown} of the protocol is not supported. Send one of ${supported.join(', ')}.`;
	return new ProtocolError(CODES.unsupportedVersion, message, 400, { supported, requested: shown });
}

function incomplete(key: string, problem: string): ProtocolError {
	return new ProtocolError(CODES.invalidParams, `The member "${key}" of params._meta ${problem}.`, 400, { key });
}

/** The version to speak with a client that asked for one in `initialize`. */
export function negotiated(requested: Json | undefined): string {
	return HANDSHAKE_VERSIONS.find((version) => version === requested) ?? HANDSHAKE_VERSIONS[0]!;
}
