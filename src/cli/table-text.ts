import stringWidth from 'string-width';
import { stringifyExact } from '../../client/src/index.ts';
import { visible } from './visible.ts';

/** Tables for people. What is shown was written by anybody, so nothing of it may steer the terminal. */

const GAP = '  ';
const MAX_CELL_WIDTH = 60;
const MIN_CELL_WIDTH = 8;
/** More of a text is not looked at for a cell: rows may have 64 KB. */
const MAX_CELL_CHARACTERS = 400;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

type Row = Readonly<Record<string, unknown>>;

/**
 * Lines of a table with a heading.
 * @param width characters of a line, where a terminal sets a bound: the widest columns are cut until it fits
 */
export function tableText(rows: readonly Row[], columns: readonly string[], width = Number.POSITIVE_INFINITY): string {
	const cells = [
		columns.map((name) => visible(name)),
		...rows.map((row) => columns.map((name) => cellOf(Object.hasOwn(row, name) ? row[name] : undefined))),
	];
	const widths = columns.map((_, index) =>
		Math.min(MAX_CELL_WIDTH, Math.max(...cells.map((line) => stringWidth(line[index]!)))),
	);
	while (widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length) > width) {
		const widest = widths.indexOf(Math.max(...widths));
		if (widths[widest]! <= MIN_CELL_WIDTH) break;
		widths[widest]!--;
	}
	return cells
		.map((line) =>
			line
				.map((cell, index) => fit(cell, widths[index]!))
				.join(GAP)
				.trimEnd(),
		)
		.join('\n');
}

/** The columns of rows: `id`, their own members as they come, and when each was changed. */
export function columnsOf(rows: readonly Row[]): string[] {
	const own = new Set(rows.flatMap((row) => Object.keys(row)));
	for (const name of ['id', 'created_at', 'updated_at']) own.delete(name);
	return ['id', ...own, 'updated_at'];
}

/** One row, a member a line; texts with all their lines. */
export function rowText(row: Row): string {
	const names = Object.keys(row);
	const width = Math.max(...names.map((name) => stringWidth(visible(name))));
	return names
		.map((name) => {
			const value = row[name];
			const text = typeof value === 'string' ? visible(value, true) : visible(stringifyExact(value));
			return `${fit(visible(name), width)}${GAP}${text.replaceAll('\n', `\n${' '.repeat(width)}${GAP}`)}`;
		})
		.join('\n');
}

function cellOf(value: unknown): string {
	if (value === undefined) return '';
	const text = typeof value === 'string' ? value : stringifyExact(value);
	return visible(text.length > MAX_CELL_CHARACTERS ? text.slice(0, MAX_CELL_CHARACTERS) : text);
}

/** Cut or padded to a width. */
function fit(text: string, width: number): string {
	const wide = stringWidth(text);
	if (wide <= width) return text + ' '.repeat(width - wide);
	let kept = '';
	let used = 0;
	for (const { segment } of graphemes.segment(text)) {
		const next = stringWidth(segment);
		if (used + next > width - 1) break;
		kept += segment;
		used += next;
	}
	return `${kept}…${' '.repeat(width - used - 1)}`;
}

/** "1 row", "2 rows". */
export function counted(n: number, thing: string): string {
	return `${n.toLocaleString('en')} ${thing}${n === 1 ? '' : 's'}`;
}
