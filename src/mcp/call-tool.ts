import { errorBody, Refusal } from '../errors.ts';
import { rateLimited } from '../operations/run.ts';
import type { Arguments } from './arguments.ts';
import type { OperationTool, Tool, ToolCaller, ToolResult } from './tool.ts';

/** The tool that calls an operation. */
export function toolOf(tool: OperationTool): Tool {
	return { ...tool, call: (args, caller) => callOperation(tool, args, caller) };
}

/** May they call now, what do they ask, run: in this order, as in REST. Never rejects: what is refused is a result. */
async function callOperation(
	tool: OperationTool,
	args: Arguments,
	{ gate, caller, links, onFault }: ToolCaller,
): Promise<ToolResult> {
	const rate = gate.admit(tool.operation, caller);
	try {
		if (rate !== undefined && !rate.admitted) throw rateLimited(rate);
		const answer = await gate.run(tool.operation, { ...tool.input(args), caller });
		const text = (await tool.finish?.(answer, { gate, caller, arguments: args, links })) ?? (answer.body as string);
		return { members: contentOf(text), meta: answer.replayed === true ? REPLAYED : '', rate };
	} catch (error) {
		const refusal = error instanceof Refusal ? error : internalError(onFault(error));
		if (refusal.cause !== undefined) onFault(refusal.cause);
		return { members: `${contentOf(errorBody(refusal))},"isError":true`, meta: '', rate };
	}
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
