import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Awaitable, then } from '../awaitable.ts';
import { isObject, type Json, type JsonDocument, type JsonObject, member } from '../domain/json.ts';
import type { Context } from '../operations/context.ts';
import type { RateState } from '../operations/run.ts';
import { Arguments } from './arguments.ts';
import { type Era, eraOf, negotiated, STATELESS_VERSION, type StandardHeaders } from './eras.ts';
import { instructions } from './instructions.ts';
import { CODES, errorMessage, idOf, type Outgoing, ProtocolError, type Request, readMessage } from './message.ts';
import type { Tool, ToolCaller, ToolResult } from './tool.ts';
import { allTools, LINK_TOOL_NAMES } from './tools.ts';

/**
 * MCP without its transports: a message becomes an answer. There is no state between messages, so every answer is made from one
 * message alone, in either era.
 *
 * This is our own and not the SDK's server: that one parses a message and prints its answer again, which changes numbers that
 * JSON.parse rounds (contract/rules.md 2.5 and 11.5). Here answers of operations go into messages as the texts they are.
 */
export class Protocol {
	readonly #context: Context;
	readonly #links: boolean;
	readonly #tools: ReadonlyMap<string, Tool>;
	/** Members of answers that never change, built once they are asked for: the server's own URL is known late. */
	readonly #lists = new Map<Era, Buffer>();
	readonly #rests: Readonly<Record<Era, WeakMap<Buffer, Buffer>>> = {
		stateless: new WeakMap(),
		handshake: new WeakMap(),
	};
	#identity: string | undefined;
	#stateless: string | undefined;

	/**
	 * @param links is there a server that shows what is behind links?
	 * @param tools in the order in which they are listed.
	 */
	constructor(context: Context, links: boolean, tools: readonly Tool[] = allTools(context.limits, links)) {
		this.#context = context;
		this.#links = links;
		this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
	}

	/**
	 * Answers one message. Neither throws nor rejects.
	 * @param headers what came with it over HTTP; undefined over stdio.
	 */
	answer(document: JsonDocument, headers: StandardHeaders | undefined, calls: Calls): Awaitable<Reply> {
		try {
			const message = readMessage(document.value);
			const era = eraOf(message, headers);
			if (message.kind !== 'request') return { status: 202, body: undefined, rate: undefined };
			return this.#answerRequest(message, era, document, calls);
		} catch (error) {
			if (!(error instanceof ProtocolError)) throw error;
			return { status: error.status, body: errorMessage(idOf(document.value), error), rate: undefined };
		}
	}

	#answerRequest(request: Request, era: Era, document: JsonDocument, calls: Calls): Awaitable<Reply> {
		const { id, method } = request;
		if (method === 'tools/call') {
			return then(this.#callTool(request, document, calls), ({ members, meta, rate }) => ({
				...this.#result(id, era, members, meta),
				rate,
			}));
		}
		const members = this.#members(method, era, request.params);
		if (members !== undefined) return this.#result(id, era, members);
		const message = `There is no method "${method.slice(0, 100)}" here. There are tools: send tools/list.`;
		throw new ProtocolError(CODES.methodNotFound, message, era === 'stateless' ? 404 : 200);
	}

	/** The members of the result of a method that only tells; undefined for a method that there is not. */
	#members(method: string, era: Era, params: JsonObject | undefined): string | Buffer | undefined {
		if (method === 'tools/list') {
			refuseCursor(params);
			return this.#toolList(era);
		}
		if (era === 'stateless') {
			if (method !== 'server/discover') return undefined;
			return `${CACHED},"supportedVersions":["${STATELESS_VERSION}"],${this.#capabilities()}`;
		}
		if (method === 'ping') return '';
		if (method !== 'initialize') return undefined;
		const version = negotiated(params === undefined ? undefined : member(params, 'protocolVersion'));
		return `"protocolVersion":"${version}",${this.#capabilities()},"serverInfo":${this.#serverInfo()}`;
	}

	#callTool({ params }: Request, document: JsonDocument, calls: Calls): Awaitable<ToolResult> {
		const name = params === undefined ? undefined : member(params, 'name');
		const tool = typeof name === 'string' ? this.#tools.get(name) : undefined;
		if (tool === undefined) throw this.#noTool(name);
		const args = Arguments.of(document, member(params!, 'arguments'));
		if (args === undefined) {
			throw new ProtocolError(CODES.invalidParams, `The arguments of ${tool.name} must be an object.`, 200);
		}
		return tool.call(args, { ...calls, links: this.#links });
	}

	#noTool(name: Json | undefined): ProtocolError {
		const words =
			typeof name !== 'string'
				? 'The member "name" of params must name a tool. Send tools/list to see them.'
				: LINK_TOOL_NAMES.includes(name)
					? `The tool ${name} makes links, which only a server can show: this is a database without one.`
					: `There is no tool "${name.slice(0, 100)}". Send tools/list to see them.`;
		return new ProtocolError(CODES.invalidParams, words, 200);
	}

	/** @param members JSON text; none where it is empty. @param meta members of `_meta`, as JSON text. */
	#result(id: string, era: Era, members: string | Buffer, meta = ''): Reply {
		const head = `{"jsonrpc":"2.0","id":${id},"result":{`;
		const first = this.#first(era, meta);
		if (typeof members === 'string') {
			const comma = first === '' || members === '' ? '' : ',';
			return { status: 200, body: `${head}${first}${comma}${members}}}`, rate: undefined };
		}
		const body = meta === '' ? [head, this.#rest(era, members, first)] : [`${head}${first},`, members, '}}'];
		return { status: 200, body, rate: undefined };
	}

	/** The members that a result of this era begins with, as JSON text. */
	#first(era: Era, meta: string): string {
		if (era === 'handshake') return meta === '' ? '' : `"_meta":{${meta}}`;
		this.#stateless ??= `"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":${this.#serverInfo()}`;
		return meta === '' ? `${this.#stateless}}` : `${this.#stateless},${meta}}`;
	}

	/** All of a message behind its head, made once for members that are kept as bytes: to join them costs more than to send them. */
	#rest(era: Era, members: Buffer, first: string): Buffer {
		const rests = this.#rests[era];
		let rest = rests.get(members);
		if (rest === undefined) {
			rest = Buffer.concat([Buffer.from(first === '' ? '' : `${first},`), members, Buffer.from('}}')]);
			rests.set(members, rest);
		}
		return rest;
	}

	#toolList(era: Era): Buffer {
		let list = this.#lists.get(era);
		if (list === undefined) {
			const tools = `"tools":${JSON.stringify([...this.#tools.values()].map(listed))}`;
			list = Buffer.from(era === 'stateless' ? `${CACHED},${tools}` : tools);
			this.#lists.set(era, list);
		}
		return list;
	}

	#capabilities(): string {
		const text = instructions(this.#context, this.#links);
		return `"capabilities":{"tools":{}},"instructions":${JSON.stringify(text)}`;
	}

	#serverInfo(): string {
		const { publicUrl } = this.#context;
		this.#identity ??= JSON.stringify({
			name: 'pumadb',
			title: 'pumaDB',
			version: VERSION,
			...(publicUrl === '' ? {} : { websiteUrl: publicUrl }),
		});
		return this.#identity;
	}
}

/** Who calls the tools, and whom to tell of faults. */
export type Calls = Omit<ToolCaller, 'links'>;

/** What a message is answered with. */
export interface Reply {
	/** What HTTP says of it. */
	readonly status: number;
	/** Undefined where there is nothing to answer. */
	readonly body: Outgoing | undefined;
	/** What the rate limit says of a tool call. */
	readonly rate: RateState | undefined;
}

const VERSION: string = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')).version;

/** Lists change with the server's version and settings only, and are the same for every caller of one server. */
const CACHED = '"ttlMs":300000,"cacheScope":"private"';

function listed({ name, title, description, inputSchema, outputSchema, annotations }: Tool): object {
	return { name, title, description, inputSchema, outputSchema, annotations: { title, ...annotations } };
}

/** All tools come in one page, so there is no cursor that could have been handed out. */
function refuseCursor(params: JsonObject | undefined): void {
	if (params !== undefined && isObject(params) && Object.hasOwn(params, 'cursor')) {
		throw new ProtocolError(CODES.invalidParams, 'There is no such cursor: all tools are in one page.', 200);
	}
}
