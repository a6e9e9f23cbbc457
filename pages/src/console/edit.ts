import { isMembers, type Members, parse, print } from '../shared/json.ts';
import type { Row } from './api.ts';
import { ownOf } from './own.ts';

/** What a person does to a row: a text, and the state of the row that it was made of. */
export interface Draft {
	readonly text: string;
	readonly base: Row;
}

/** Drafts outlive their page: going elsewhere in the console and back loses nothing. */
const drafts = new Map<string, Draft>();

export function keptDraft(key: string): Draft | undefined {
	return drafts.get(key);
}

export function keepDraft(key: string, draft: Draft | undefined): void {
	if (draft === undefined) drafts.delete(key);
	else drafts.set(key, draft);
}

/** Asks before the window is closed over drafts (HTML standard, beforeunload). */
addEventListener('beforeunload', (event) => {
	if (drafts.size > 0) event.preventDefault();
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

/** @throws EditProblem */
export function readText(text: string): Members {
	let value: unknown;
	try {
		value = parse(text);
	} catch (error) {
		const { message } = error as SyntaxError;
		const position = /position (\d+)/.exec(message)?.[1];
		const at = position === undefined ? text.length : Number(position);
		const line = text.slice(0, at).split('\n').length;
		const why = message.replace(/ in JSON at position .*$/, '').replace(/\.$/, '');
		throw new EditProblem(`Line ${line} is not valid JSON: ${why}.`, at);
	}
	if (isMembers(value)) return value;
	throw new EditProblem('A row is a JSON object: it begins with { and ends with }.', 0);
}

/** Members of `base` that the edited ones lack. An update cannot take a member away. */
export function removedMembers(base: Row, edited: Members): readonly string[] {
	return Object.keys(ownOf(base)).filter((name) => !Object.hasOwn(edited, name));
}

/** The edited members with null where one of the base is missing. */
export function withNulls(base: Row, edited: Members): Members {
	const nulls = removedMembers(base, edited).map((name) => [name, null]);
	return { ...edited, ...Object.fromEntries(nulls) };
}

/** What an update has to send so that the row gets the edited members: those that differ. */
export function patchOf(now: Row, edited: Members): Members {
	return Object.fromEntries(
		Object.entries(edited).filter(
			([name, value]) => !Object.hasOwn(now, name) || print(now[name], 0) !== print(value, 0),
		),
	);
}
