import type { Awaitable } from '../awaitable.ts';
import { endOfString } from '../domain/json-text.ts';
import { Refusal } from '../errors.ts';
import type { Answer } from '../operations/context.ts';
import type { Call } from './tool.ts';

/** Of a query's rows a tool answers so many at most, and so many bytes: what it answers fills an agent's context. */
export const MAX_ROWS = 25;
export const MAX_BYTES = 32_768;

const HEAD = '{"rows":[';
const TAIL = ']}';

/**
 * What the query tool answers: the operation's own text where it is small and no link is asked for, else its first rows and a
 * link to all of them. @throws Refusal where a link is asked for and cannot be made
 */
export function finishQuery({ body }: Answer, call: Call): Awaitable<string> {
	const text = body as string;
	const asked = call.arguments.value('includeLink') ?? false;
	if (typeof asked !== 'boolean') {
		throw new Refusal('invalid_request', 'The argument "includeLink" must be true or false.', { field: 'includeLink' });
	}
	// Without links the rest could not be had at all, so who sends a limit gets what is asked for.
	const whole = !call.links && call.arguments.value('limit') !== undefined;
	const { end, more } = whole ? { end: text.length - TAIL.length, more: false } : firstRows(text);
	if (!more && (!asked || !call.links)) return text;
	const rows = `${text.slice(0, end)}]${more ? ',"truncated":true' : ''}`;
	if (!call.links) {
		const notice = 'These are the first rows. Narrow the filter, or send a limit to get as many rows.';
		return `${rows},"notice":"${notice}"}`;
	}
	return withLink(rows, asked, call);
}

async function withLink(rows: string, asked: boolean, call: Call): Promise<string> {
	try {
		return `${rows},"_pumadb_query_link":${await makeQueryLink(call)}}`;
	} catch (error) {
		// The rows are there, whether or not the account has room for one more link.
		if (asked || !(error instanceof Refusal) || error.code !== 'link_limit_reached') throw error;
		return `${rows},"notice":${JSON.stringify(`These are the first rows. ${error.message}`)}}`;
	}
}

async function makeQueryLink({ gate, caller, arguments: args }: Call): Promise<string> {
	const asked = ['table', 'filter', 'sort', 'limit'].flatMap((name) => {
		const value = args.value(name);
		return value === undefined ? [] : [[name, value] as const];
	});
	const { body } = await gate.run('createQueryLink', { caller, body: args.bodyOf(Object.fromEntries(asked)) });
	return body as string;
}

/**
 * Where the first rows of a query's answer end, and whether there are more. Nothing is parsed, so that numbers keep all their
 * digits; only what is kept is looked through. The first row is kept whatever its size, or it could not be had at all.
 */
export function firstRows(text: string): { readonly end: number; readonly more: boolean } {
	if (isSmall(text)) return { end: text.length - TAIL.length, more: false };
	let end = HEAD.length;
	let bytes = 0;
	for (let rows = 0; rows < MAX_ROWS; rows++) {
		const start = rows === 0 ? end : end + 1;
		if (text[start] !== '{') return { end, more: false };
		const next = endOfObject(text, start);
		bytes += Buffer.byteLength(text.slice(start, next));
		if (bytes > MAX_BYTES && rows > 0) return { end, more: true };
		end = next;
	}
	return { end, more: text[end] === ',' };
}

/**
 * Has the answer certainly no more rows and bytes than are answered? Between two rows stands `},{`, which may stand inside rows
 * too, so there are no more rows than that. This is a tenth of the price of looking for where each row ends.
 */
function isSmall(text: string): boolean {
	if (Buffer.byteLength(text) > MAX_BYTES) return false;
	let most = 1;
	for (let at = text.indexOf('},{'); at !== -1; at = text.indexOf('},{', at + 1)) {
		if (++most > MAX_ROWS) return false;
	}
	return true;
}

/** The position behind the object that begins at `start` of valid JSON. */
function endOfObject(text: string, start: number): number {
	let depth = 0;
	for (let at = start; ; ) {
		const character = text[at];
		if (character === '"') at = endOfString(text, at);
		else {
			at++;
			if (character === '{') depth++;
			else if (character === '}' && --depth === 0) return at;
		}
	}
}
