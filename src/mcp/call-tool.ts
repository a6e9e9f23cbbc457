import { type Awaitable, then } from '../awaitable.ts';
import { errorBody, Refusal } from '../errors.ts';
import type { Answer } from '../operations/context.ts';
import { type RateState, rateLimited } from '../operations/run.ts';
import type { Arguments } from './arguments.ts';
import type { OperationTool, Tool, ToolCaller, ToolResult } from './tool.ts';

/** The tool that calls an operation. */
export function toolOf(tool: OperationTool): Tool {
	return { ...tool, call: (args, caller) => callOperation(tool, args, caller) };
}

/** May they call now, what do they ask, run: in this order, as in REST. Never rejects: what is refused is a result. */
function callOperation(tool: OperationTool, args: Arguments, calls: ToolCaller): Awaitable<ToolResult> {
	const admitted = calls.gate.admit(tool.operation, calls.caller);
	const next = (rate: RateState | undefined): Awaitable<ToolResult> => run(tool, args, calls, rate);
	if (!(admitted instanceof Promise)) return next(admitted);
	return admitted.then(next, (error: unknown) => refused(error, calls, undefined));
}

function run(
	tool: OperationTool,
	args: Arguments,
	calls: ToolCaller,
	rate: RateState | undefined,
): Awaitable<ToolResult> {
	const { gate, caller, links } = calls;
	try {
		if (rate !== undefined && !rate.admitted) throw rateLimited(rate);
		const result = then(gate.run(tool.operation, { ...tool.input(args), caller }), (answer) => {
			const body = answer.body as string;
			return then(tool.finish?.(answer, { gate, caller, arguments: args, links }) ?? body, (text) => ({
				members: text === body ? contentOfAnswer(answer) : contentOf(text),
				meta: answer.replayed === true ? REPLAYED : '',
				rate,
			}));
		});
		return result instanceof Promise ? result.catch((error: unknown) => refused(error, calls, rate)) : result;
	} catch (error) {
		return refused(error, calls, rate);
	}
}

function refused(error: unknown, { onFault }: ToolCaller, rate: RateState | undefined): ToolResult {
	const refusal = error instanceof Refusal ? error : internalError(onFault(error));
	if (refusal.cause !== undefined) onFault(refusal.cause);
	return { members: `${contentOf(errorBody(refusal))},"isError":true`, meta: '', rate };
}

/** Made of answers that are given again, as long as they are: to quote 8 KB costs as much as to read and send them. */
const ready = new WeakMap<Answer, string | Buffer>();
/** From so many characters on bytes are cheaper to send than a text, which is copied more often; below it is the other way round. */
const MIN_BYTES = 4096;

/** The same for an answer as its operation gave it. */
function contentOfAnswer(answer: Answer): string | Buffer {
	if (answer.ready !== true) return contentOf(answer.body as string);
	let members = ready.get(answer);
	if (members === undefined) {
		const text = contentOf(answer.body as string);
		members = text.length < MIN_BYTES ? text : Buffer.from(text);
		ready.set(answer, members);
	}
	return members;
}

const REPLAYED = '"pumadb/idempotencyReplayed":true';

/**
 * An answer as data, and once more as text, for clients that know no structured content (MCP 2025-11-25, tools, 5.2.6).
 * @param text a JSON object: the answer, or the error body that REST has too.
 */
function contentOf(text: string): string {
	return `"content":[{"type":"text","text":${JSON.stringify(text)}}],"structuredContent":${text}`;
}

function internalError(id: string): Refusal {
	return new Refusal(
		'internal_error',
		`The server failed to run this call. Send it again; if it fails again, report the request id ${id}.`,
	);
}
