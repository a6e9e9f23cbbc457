import { isNumber, type Members, print } from '../shared/json.ts';
import { SYSTEM_MEMBERS, unturned } from './own.ts';

/** How rows become a table of cells. */

/** More would not be read, and would make the page slow. */
const MAX_COLUMNS = 30;
/** Of a longer value only the beginning is in the table; the row's own page has all of it. */
const FOLD = 160;

/** The rows' own members in order of appearance; where there are too many, those that most rows have. */
export function columnsOf(rows: readonly Members[]): { readonly shown: readonly string[]; readonly left: number } {
	const counts = new Map<string, number>();
	for (const row of rows) {
		for (const name of Object.keys(row)) {
			if (!SYSTEM_MEMBERS.includes(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
		}
	}
	const names = [...counts.keys()];
	if (names.length <= MAX_COLUMNS) return { shown: names, left: 0 };
	const common = new Set(names.toSorted((a, b) => counts.get(b)! - counts.get(a)!).slice(0, MAX_COLUMNS));
	return { shown: names.filter((name) => common.has(name)), left: names.length - MAX_COLUMNS };
}

/** A value in one line. */
export function cellText(value: unknown): string {
	const text = unturned(typeof value === 'string' ? value.slice(0, FOLD + 1) : print(value, 0));
	return text.length > FOLD ? `${text.slice(0, FOLD)}…` : text;
}

/** How a value is set: texts as prose, everything else as code. */
export function cellClass(value: unknown): string {
	if (typeof value === 'string') return 'text';
	return isNumber(value) ? 'number' : 'code';
}

/**
 * What was typed for a filter, as JSON text: what is a JSON scalar is taken as one, and anything else as text.
 * `"5"` in quotes is the text 5.
 */
export function typedScalar(typed: string): string {
	const text = typed.trim();
	try {
		const value: unknown = JSON.parse(text);
		// The text itself, so that a number keeps all its digits.
		if (value === null || typeof value !== 'object') return text;
	} catch {
		// Not JSON: a text.
	}
	return JSON.stringify(typed);
}
