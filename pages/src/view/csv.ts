import { type Members, print } from '../shared/json.ts';

/**
 * Rows as CSV (RFC 4180). Texts that a spreadsheet would run as a formula get an apostrophe in front, which it takes for "this
 * is text"; numbers and everything else stay as they are.
 */
export function csvOf(columns: readonly string[], rows: readonly Members[]): string {
	const lines = [columns.map(fieldOf), ...rows.map((row) => columns.map((name) => cellOf(row, name)))];
	return lines.map((line) => `${line.join(',')}\r\n`).join('');
}

function cellOf(row: Members, name: string): string {
	if (!Object.hasOwn(row, name)) return '';
	const value = row[name];
	return typeof value === 'string' ? fieldOf(value) : quoted(print(value, 0));
}

function fieldOf(text: string): string {
	return quoted(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
}

function quoted(text: string): string {
	return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
