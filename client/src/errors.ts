import type { ServiceErrorCode } from './generated.ts';

/** What the client itself has to say, beside what the service says. */
export type ClientErrorCode =
	/** No answer came within `timeoutMs`. */
	| 'timeout'
	/** The server could not be reached, or the connection broke. */
	| 'connection_failed'
	/** What answered is not a pumaDB server, or something in front of it. */
	| 'unexpected_answer'
	/** The client was made in a browser page. */
	| 'browser_refused'
	/** A value cannot be sent as JSON without being changed. */
	| 'not_json';

/** Newer servers may have further codes; `default` in a `switch` covers them. */
export type ErrorCode = ServiceErrorCode | ClientErrorCode;

export interface ErrorFacts {
	readonly status?: number | undefined;
	readonly details?: Readonly<Record<string, unknown>> | undefined;
	readonly requestId?: string | undefined;
	readonly retryAfterSeconds?: number | undefined;
	readonly maybeDone?: boolean | undefined;
	readonly idempotencyKey?: string | undefined;
	readonly cause?: unknown;
}

/** Every way a call can fail, except that its own signal was aborted: then the signal's reason is thrown, as by `fetch`. */
export class PumaError extends Error {
	override readonly name = 'PumaError';
	/** Branch on this: it is stable. */
	readonly code: ErrorCode;
	/** Of the answer; undefined where there was none. */
	readonly status: number | undefined;
	/** The field, the index, the limit: what it holds depends on the code. */
	readonly details: Readonly<Record<string, unknown>>;
	/** Names the call in the server's log. */
	readonly requestId: string | undefined;
	/** How long the server asked to wait. */
	readonly retryAfterSeconds: number | undefined;
	/** The change may have been made: there was no answer, or the server failed in the middle of it. Always false for reads. */
	readonly maybeDone: boolean;
	/** Of an add or a batch of adds: sent again with this key within 24 hours, nothing is stored twice. */
	readonly idempotencyKey: string | undefined;

	constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
		super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
		this.code = code;
		this.status = facts.status;
		this.details = facts.details ?? {};
		this.requestId = facts.requestId;
		this.retryAfterSeconds = facts.retryAfterSeconds;
		this.maybeDone = facts.maybeDone ?? false;
		this.idempotencyKey = facts.idempotencyKey;
	}
}

/** Is this an error of the service or the client, and has it one of these codes? Without codes: any. */
export function isPumaError(error: unknown, ...codes: readonly ErrorCode[]): error is PumaError {
	return error instanceof PumaError && (codes.length === 0 || codes.includes(error.code));
}
