import { isMembers, type Members, parse, print } from '../shared/json.ts';
import type { Row, Seen } from './api.ts';
import { ownOf } from './own.ts';

/** What a person does to a row: a text, and the state of the row that it was made of. */
export interface Draft {
	readonly text: string;
	readonly base: Seen;
}

/** A draft that gave way, to be taken back. */
export interface Aside extends Draft {
	/** It gave way to what somebody else saved, and was not thrown away: the window is not closed over it without a question. */
	readonly wanted: boolean;
}

/** By the rows' pages, which these outlive: going elsewhere in the console and back loses nothing. */
const drafts = new Map<string, Draft>();
const asides = new Map<string, Aside>();

export function keptDraft(key: string): Draft | undefined {
	return drafts.get(key);
}

export function keepDraft(key: string, draft: Draft | undefined): void {
	if (draft === undefined) drafts.delete(key);
	else drafts.set(key, draft);
}

export function keptAside(key: string): Aside | undefined {
	return asides.get(key);
}

export function keepAside(key: string, aside: Aside | undefined): void {
	if (aside === undefined) asides.delete(key);
	else asides.set(key, aside);
}

/** Asks before the window is closed over what nobody has saved (HTML standard, beforeunload). */
addEventListener('beforeunload', (event) => {
	if (drafts.size > 0 || [...asides.values()].some(({ wanted }) => wanted)) event.preventDefault();
});

/** The row's own members as they are edited. */
export function textOf(row: Row): string {
	return print(ownOf(row));
}

/** A text that cannot be saved, in words, and where in the text the trouble is, if that is known. */
export class EditProblem extends Error {
	readonly position: number | undefined;

	constructor(message: string, position?: number) {
		super(message);
		this.position = position;
	}
}

/** How deep the service lets arrays and objects stand in each other (src/limits.ts, MAX_NESTING). */
const MAX_NESTING = 64;

/** @throws EditProblem */
export function readText(text: string): Members {
	// Before anything reads it: thousands of levels are more than the browser's own JSON can take.
	const deep = tooDeepAt(text);
	if (deep !== undefined) {
		const words = `Line ${lineAt(text, deep)} is nested too deep: a row may have arrays and objects in ${MAX_NESTING} levels. Make it flatter, or put the inner part in a text.`;
		throw new EditProblem(words, deep);
	}
	let value: unknown;
	try {
		value = parse(text);
	} catch (error) {
		const { message } = error as SyntaxError;
		const position = /position (\d+)/.exec(message)?.[1];
		const at = position === undefined ? text.length : Number(position);
		const why = message.replace(/ in JSON at position .*$/, '').replace(/\.$/, '');
		throw new EditProblem(`Line ${lineAt(text, at)} is not valid JSON: ${why}.`, at);
	}
	if (isMembers(value)) return value;
	throw new EditProblem('A row is a JSON object: it begins with { and ends with }.', 0);
}

/** Where the first array or object begins that is deeper than the service takes; undefined where there is none. */
function tooDeepAt(text: string): number | undefined {
	let depth = 0;
	let quoted = false;
	for (let at = 0; at < text.length; at++) {
		const character = text[at];
		if (quoted) {
			if (character === '\\') at++;
			else if (character === '"') quoted = false;
		} else if (character === '"') quoted = true;
		else if (character === '{' || character === '[') {
			if (++depth > MAX_NESTING) return at;
		} else if (character === '}' || character === ']') depth--;
	}
	return undefined;
}

function lineAt(text: string, position: number): number {
	return text.slice(0, position).split('\n').length;
}

/** Are these the members that the row has, in their order? */
export function sameMembers(row: Row, edited: Members): boolean {
	return print(ownOf(row), 0) === print(edited, 0);
}
