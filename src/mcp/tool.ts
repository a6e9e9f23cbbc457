import type { Awaitable } from '../awaitable.ts';
import type { Answer, Caller, Input, OperationId } from '../operations/context.ts';
import type { Gate } from '../operations/run.ts';
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

/** What a tool may use to make its answer. */
export interface Call {
	readonly gate: Gate;
	readonly caller: Caller;
	readonly arguments: Arguments;
	/** False where there is no server that could show what is behind a link. */
	readonly links: boolean;
}

/** A tool: what is listed of it, and the one operation that it is a face of. */
export interface Tool {
	readonly name: string;
	readonly title: string;
	/** The agent's manual: what it does, and when to use which. */
	readonly description: string;
	/** No `anyOf` at its root: makers of models refuse tools that have one. */
	readonly inputSchema: Schema;
	readonly outputSchema: Schema;
	readonly annotations: Annotations;
	readonly operation: OperationId;
	/** Translates; the operation checks. @throws Refusal for what cannot be handed to the operation at all */
	input(args: Arguments): Input;
	/** Makes the tool's answer, a JSON object, from the operation's; without it they are the same. */
	finish?(answer: Answer, call: Call): Awaitable<string>;
}
