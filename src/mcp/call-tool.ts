import { errorBody, Refusal } from '../errors.ts';
import type { Caller } from '../operations/context.ts';
import { type Gate, type RateState, rateLimited } from '../operations/run.ts';
import type { Arguments } from './arguments.ts';
import type { Tool } from './tool.ts';

/** What came of a tool call. */
export interface ToolOutcome {
	/** A JSON object: the answer, or the error body that REST has too. */
	readonly text: string;
	readonly isError: boolean;
	/** True where the answer is a kept one. */
	readonly replayed: boolean;
	/** What the rate limit says of the call; undefined where it is off. */
	readonly rate: RateState | undefined;
}

export interface ToolCaller {
	readonly gate: Gate;
	readonly caller: Caller;
	readonly links: boolean;
	/** Told of what is no refusal; answers what the log calls it. */
	readonly onFault: (error: unknown) => string;
}

/** May they call now, what do they ask, run: in this order, as in REST. Never throws: what is refused is an outcome. */
export async function callTool(
	tool: Tool,
	args: Arguments,
	{ gate, caller, links, onFault }: ToolCaller,
): Promise<ToolOutcome> {
	const rate = await gate.admit(tool.operation, caller);
	try {
		if (rate !== undefined && !rate.admitted) throw rateLimited(rate);
		const answer = await gate.run(tool.operation, { ...tool.input(args), caller });
		const text = (await tool.finish?.(answer, { gate, caller, arguments: args, links })) ?? (answer.body as string);
		return { text, isError: false, replayed: answer.replayed === true, rate };
	} catch (error) {
		const refusal = error instanceof Refusal ? error : internalError(onFault(error));
		if (refusal.cause !== undefined) onFault(refusal.cause);
		return { text: errorBody(refusal), isError: true, replayed: false, rate };
	}
}

function internalError(id: string): Refusal {
	return new Refusal(
		'internal_error',
		`The server failed to run this call. Send it again; if it fails again, report the request id ${id}.`,
	);
}
