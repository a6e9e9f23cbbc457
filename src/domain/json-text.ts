/**
 * Reading JSON texts. `JSON.parse` of current V8 takes a member name that is written with an escape for another one that was
 * parsed before (https://github.com/nodejs/node/issues/63785), so texts that have such a name are read by {@link readTree}.
 */

/** `JSON.parse`, but right about names. @throws SyntaxError */
export function parseJson(text: string): unknown {
	const value: unknown = JSON.parse(text);
	return hasEscapedName(text) ? readTree(text, Number) : value;
}

/**
 * `JSON.parse`, with each number read from its token, so that what a double loses can be seen.
 * @param text valid JSON.
 * @throws RangeError for nesting so deep that V8's reader runs out of stack.
 */
export function parseWithNumbers(text: string, readNumber: (token: string) => unknown): unknown {
	if (hasEscapedName(text)) return readTree(text, readNumber);
	// ECMAScript 2026, JSON.parse with source text access.
	const revive = (_name: string, value: unknown, context?: { source?: string }): unknown =>
		typeof value === 'number' && context?.source !== undefined ? readNumber(context.source) : value;
	return JSON.parse(text, revive as (name: string, value: unknown) => unknown);
}

/** Is a member name of this valid JSON text written with an escape? Takes time in proportion to the text. */
function hasEscapedName(text: string): boolean {
	let slash = text.indexOf('\\');
	if (slash === -1) return false;
	let end: number;
	for (let start = text.indexOf('"'); start !== -1; start = text.indexOf('"', end)) {
		end = endOfString(text, start);
		if (slash >= end) continue;
		if (slash > start && text[skipSpace(text, end)] === ':') return true;
		slash = text.indexOf('\\', end);
		if (slash === -1) return false;
	}
	return false;
}

/** The position behind the string that begins at `start`. */
function endOfString(text: string, start: number): number {
	let quote = start;
	for (;;) {
		quote = text.indexOf('"', quote + 1);
		let slashes = 0;
		while (text[quote - 1 - slashes] === '\\') slashes++;
		if (slashes % 2 === 0) return quote + 1;
	}
}

function skipSpace(text: string, from: number): number {
	let at = from;
	while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
	return at;
}

type Container = unknown[] | Record<string, unknown>;

/** Reads valid JSON without recursion and without V8's own idea of names. */
function readTree(text: string, readNumber: (token: string) => unknown): unknown {
	const root: unknown[] = [];
	const stack: Container[] = [];
	let into: Container = root;
	let name: string | undefined;

	function put(value: unknown): void {
		if (Array.isArray(into)) into.push(value);
		// Defined, not assigned: __proto__ is a name like any other.
		else Object.defineProperty(into, name!, { value, writable: true, enumerable: true, configurable: true });
		name = undefined;
	}

	for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, at)) {
		const first = text[at]!;
		if (first === '{' || first === '[') {
			const container: Container = first === '{' ? {} : [];
			put(container);
			stack.push(into);
			into = container;
			at++;
		} else if (first === '}' || first === ']') {
			into = stack.pop()!;
			at++;
		} else if (first === ',' || first === ':') at++;
		else {
			const end = first === '"' ? endOfString(text, at) : endOfWord(text, at);
			const token = text.slice(at, end);
			if (first === '"' && !Array.isArray(into) && name === undefined) name = JSON.parse(token) as string;
			else if (first === '-' || (first >= '0' && first <= '9')) put(readNumber(token));
			else put(JSON.parse(token));
			at = end;
		}
	}
	return root[0];
}

/** The position behind the number or literal that begins at `start`. */
function endOfWord(text: string, start: number): number {
	let at = start;
	while (at < text.length && !',]} \n\r\t'.includes(text[at]!)) at++;
	return at;
}
