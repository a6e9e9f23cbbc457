import type { Mailer } from '../accounts/mail.ts';
import type { Caller } from '../accounts/rules.ts';
import type { Awaitable } from '../awaitable.ts';
import type { Json, JsonDocument, Path } from '../domain/json.ts';
import type { RowState } from '../domain/writes.ts';
import { Refusal } from '../errors.ts';
import type { OPERATIONS } from '../generated/operations.ts';
import type { WriteLimits } from '../limits.ts';
import type { Pieces, Store } from '../store/seam.ts';
import type { Windows } from '../store/windows.ts';
import type { ReadyAnswers } from './ready-answers.ts';

export type { Caller };

export type OperationId = keyof typeof OPERATIONS;

/** What every operation may use. */
export interface Context {
	readonly store: Store;
	readonly limits: WriteLimits;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	readonly ready: ReadyAnswers;
	/** The base of every link handed out: an origin. */
	readonly publicUrl: string;
	/** How long a link to a row, text or query lives. */
	readonly linkTtlSeconds: number;
	readonly signIn: SignInContext;
}

/** What the sign-in operations need besides. */
export interface SignInContext {
	readonly on: boolean;
	/** Undefined without mail: then links are shown in the answer, on loopback only. */
	readonly mailer: Mailer | undefined;
	/** Magic links per address and client in an hour; Infinity for no limit. */
	readonly perHour: number;
	readonly windows: Windows;
}

/** Who calls a sign-in operation. */
export interface Client {
	/** The client's address, as counted for limits. */
	readonly address: string;
	/** Is the caller on this machine, by peer, Host and the absence of a proxy? */
	readonly local: boolean;
}

/** A value that stands somewhere in a document that was read. */
export interface Part {
	readonly document: JsonDocument;
	readonly value: Json;
	readonly path: Path;
}

/** What a face hands over, translated but unchecked. Which members are there depends on the operation. */
export interface Input {
	readonly table?: string | undefined;
	/** The members of the operation's body. */
	readonly body?: Part | undefined;
	readonly filter?: Part | undefined;
	readonly sort?: string | undefined;
	readonly limit?: string | undefined;
	readonly id?: string | undefined;
	readonly idempotencyKey?: string | undefined;
	readonly caller?: Caller | undefined;
	readonly client?: Client | undefined;
}

/** What an operation answers: compact JSON text, whole or in pieces. */
export interface Answer {
	readonly body: string | Pieces<string>;
	/** True where the answer is a kept one. */
	readonly replayed?: boolean;
	/** True where this very object is answered again while nothing changes, so that what a face makes of it can be kept by it. */
	readonly ready?: boolean;
	/** The state of the one row that is shown. */
	readonly state?: RowState;
}

export type Run = (context: Context, input: Input) => Awaitable<Answer>;

/** The body that a face must have handed over. */
export function bodyOf(input: Input): Part {
	if (input.body !== undefined) return input.body;
	throw new Refusal('invalid_json', 'The body is missing. Send one JSON object with Content-Type: application/json.');
}

/** The caller that the gate must have found. */
export function callerOf(input: Input): Caller {
	if (input.caller === undefined) throw new Error('An operation of an account was run without a caller.');
	return input.caller;
}
