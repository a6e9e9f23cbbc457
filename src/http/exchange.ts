import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller, OperationId } from '../operations/context.ts';
import type { RateState } from '../operations/run.ts';

/** One request and what becomes of it. */
export interface Exchange {
	/** Names the request in the log and in the answer. */
	readonly id: string;
	readonly request: IncomingMessage;
	readonly response: ServerResponse;
	/** When the head had arrived (performance.now). */
	readonly began: number;
	/** The route's pattern, never the path. */
	pattern: string;
	/** Values of the pattern's parameters, decoded where they can be. */
	params: Readonly<Record<string, string>>;
	/** The operation behind the route, where it is one of the contract's. */
	operation: OperationId | undefined;
	/** Headers that every answer on the route has, refusals too: names and values in turn. */
	headers: readonly string[];
	/** What a 401 says in `WWW-Authenticate` (RFC 9110 section 11.6.1), where it is more than that a bearer is needed. */
	challenge: string | undefined;
	/** Who calls, once the gate knows. */
	caller: Caller | undefined;
	/** What the rate limit says of the call; undefined where it is off or was not asked. */
	rate: RateState | undefined;
}

/** Answers an exchange. What it throws or rejects with becomes a refusal or a 500. */
export type Handler = (exchange: Exchange) => void | Promise<void>;
