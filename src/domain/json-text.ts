/**
 * Reading JSON texts. `JSON.parse` of current V8 takes a member name that is written with an escape for another one that was
 * parsed before (https://github.com/nodejs/node/issues/63785), so texts that have such a name are read by {@link TreeBuilder}.
 */

export type Scalar = string | number | boolean | null;
export type Json = Scalar | Json[] | JsonObject;
/** A JSON object. Its names are data: `__proto__` and `constructor` too, so read members with `member` (domain/json.ts). */
export interface JsonObject {
	[name: string]: Json;
}

/** `JSON.parse`, but right about names. @throws SyntaxError */
export function parseJson(text: string): unknown {
	const value: unknown = JSON.parse(text);
	if (!hasEscapedName(text)) return value;
	const builder = new TreeBuilder(text);
	scanJson(text, builder);
	return builder.root[0];
}

/** What {@link scanJson} meets, in the order of the text. Tokens are given by where they start and end. */
export interface JsonVisitor {
	open(isArray: boolean): void;
	close(): void;
	name(start: number, end: number): void;
	string(start: number, end: number): void;
	number(start: number, end: number): void;
	literal(start: number, end: number): void;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Goes through a JSON text once, in time proportional to it and without recursion: bodies come nested by the million.
 * @param text valid JSON.
 */
export function scanJson(text: string, visitor: JsonVisitor): void {
	for (let at = 0; at < text.length; ) {
		const first = text.charCodeAt(at);
		if (isSpace(first) || first === COMMA || first === COLON) at++;
		else if (first === QUOTE) {
			const end = endOfString(text, at);
			const next = skipSpace(text, end);
			if (text.charCodeAt(next) === COLON) visitor.name(at, end);
			else visitor.string(at, end);
			at = next;
		} else if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
			visitor.open(first === OPEN_ARRAY);
			at++;
		} else if (first === CLOSE_OBJECT || first === CLOSE_ARRAY) {
			visitor.close();
			at++;
		} else {
			const end = endOfWord(text, at);
			// Of JSON's words only the three literals begin with a letter.
			if (first >= 0x61) visitor.literal(at, end);
			else visitor.number(at, end);
			at = end;
		}
	}
}

/** The text of the string token from `start` to `end`, quotes included. */
export function stringAt(text: string, start: number, end: number): string {
	const inner = text.slice(start + 1, end - 1);
	return inner.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : inner;
}

/** Is a member name of this valid JSON text written with an escape? Takes time in proportion to the text. */
function hasEscapedName(text: string): boolean {
	let slash = text.indexOf('\\');
	if (slash === -1) return false;
	let end: number;
	for (let start = text.indexOf('"'); start !== -1; start = text.indexOf('"', end)) {
		end = endOfString(text, start);
		if (slash >= end) continue;
		if (slash > start && text.charCodeAt(skipSpace(text, end)) === COLON) return true;
		slash = text.indexOf('\\', end);
		if (slash === -1) return false;
	}
	return false;
}

/** The position behind the string that begins at `start`. */
export function endOfString(text: string, start: number): number {
	let quote = start;
	for (;;) {
		quote = text.indexOf('"', quote + 1);
		let slashes = 0;
		while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes++;
		if (slashes % 2 === 0) return quote + 1;
	}
}

function isSpace(code: number): boolean {
	return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function skipSpace(text: string, from: number): number {
	let at = from;
	while (isSpace(text.charCodeAt(at))) at++;
	return at;
}

/** The position behind the number or literal that begins at `start`. */
function endOfWord(text: string, start: number): number {
	for (let at = start; at < text.length; at++) {
		const code = text.charCodeAt(at);
		if (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isSpace(code)) return at;
	}
	return text.length;
}

type Container = unknown[] | Record<string, unknown>;

/** Builds what `JSON.parse` would, without V8's own idea of names. */
class TreeBuilder implements JsonVisitor {
	/** Holds the document's value, once it was scanned. */
	readonly root: unknown[] = [];
	readonly #text: string;
	readonly #outer: Container[] = [];
	#into: Container = this.root;
	#name = '';

	constructor(text: string) {
		this.#text = text;
	}

	open(isArray: boolean): void {
		const container: Container = isArray ? [] : {};
		this.#put(container);
		this.#outer.push(this.#into);
		this.#into = container;
	}

	close(): void {
		this.#into = this.#outer.pop()!;
	}

	name(start: number, end: number): void {
		this.#name = stringAt(this.#text, start, end);
	}

	string(start: number, end: number): void {
		this.#put(stringAt(this.#text, start, end));
	}

	number(start: number, end: number): void {
		this.#put(Number(this.#text.slice(start, end)));
	}

	literal(start: number): void {
		const first = this.#text[start];
		this.#put(first === 'n' ? null : first === 't');
	}

	#put(value: unknown): void {
		const into = this.#into;
		if (Array.isArray(into)) into.push(value);
		else if (this.#name !== '__proto__') into[this.#name] = value;
		// Defined, not assigned: it is a name like any other.
		else Object.defineProperty(into, '__proto__', { value, writable: true, enumerable: true, configurable: true });
	}
}
