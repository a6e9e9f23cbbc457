import type { Awaitable } from '../awaitable.ts';
import type { Answer, Caller, Input, OperationId } from '../operations/context.ts';
import type { Gate, RateState } from '../operations/run.ts';
import type { Arguments } from './arguments.ts';

/** A JSON Schema (2020-12), as it is listed. */
export type Schema = Readonly<Record<string, unknown>>;

/** What a client may assume of a tool (MCP 2025-11-25, schema `ToolAnnotations`). */
export interface Annotations {
	readonly readOnlyHint: boolean;
	readonly destructiveHint: boolean;
	readonly idempotentHint: boolean;
	readonly openWorldHint: false;
}

/** What is listed of a tool. */
export interface ToolListing {
	readonly name: string;
	readonly title: string;
	/** The agent's manual: what it does, and when to use which. */
	readonly description: string;
	/** No `anyOf` at its root: makers of models refuse tools that have one. */
	readonly inputSchema: Schema;
	readonly outputSchema?: Schema;
	readonly annotations: Annotations;
}

/** A tool as the protocol has it: what is listed of it, and what calling it comes to. */
export interface Tool extends ToolListing {
	/** Never rejects: what is refused is a result. */
	call(args: Arguments, caller: ToolCaller): Awaitable<ToolResult>;
}

/** Who calls a tool. */
export interface ToolCaller {
	readonly gate: Gate;
	readonly caller: Caller;
	/** False where there is no server that could show what is behind a link. */
	readonly links: boolean;
	/** Told of what is no refusal; answers what the log calls it. */
	readonly onFault: (error: unknown) => string;
}

/** What came of a tool call. */
export interface ToolResult {
	/** The members of the result, as JSON text without braces; bytes of UTF-8 where they are kept for the next call. */
	readonly members: string | Buffer;
	/** Members of the result's `_meta`, as JSON text without braces; most have none. */
	readonly meta: string;
	/** What the rate limit says of the call; undefined where it is off. */
	readonly rate: RateState | undefined;
}

/** What a tool may use to make its answer. */
export interface Call extends Omit<ToolCaller, 'onFault'> {
	readonly arguments: Arguments;
}

/** A tool of the product: a face of one operation. */
export interface OperationTool extends ToolListing {
	readonly outputSchema: Schema;
	readonly operation: OperationId;
	/** Translates; the operation checks. @throws Refusal for what cannot be handed to the operation at all */
	input(args: Arguments): Input;
	/** Makes the tool's answer, a JSON object, from the operation's; without it they are the same. */
	finish?(answer: Answer, call: Call): Awaitable<string>;
}
