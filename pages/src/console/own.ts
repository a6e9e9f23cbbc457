import type { Members } from '../shared/json.ts';

/** The members that the service owns. */
export const SYSTEM_MEMBERS: readonly string[] = ['id', 'created_at', 'updated_at'];

/** The members of a row that are its own. */
export function ownOf(row: Members): Members {
	return Object.fromEntries(Object.entries(row).filter(([name]) => !SYSTEM_MEMBERS.includes(name)));
}

/** Characters that turn the direction of the text after them: with them a text can look like another. */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;

/** A text with its turns of direction shown as what they are, for where it is compared or looked through. */
export function unturned(text: string): string {
	return text.replaceAll(TURNS, (turn) => `\u27e8U+${turn.charCodeAt(0).toString(16).toUpperCase()}\u27e9`);
}
