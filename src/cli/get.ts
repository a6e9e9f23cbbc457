import { PumaError, type Query } from '../../client/src/index.ts';
import { textOf, UsageError, type Values, wholeNumber } from './command.ts';
import { connect } from './connect.ts';
import { isId, readFilter } from './members.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { columnsOf, counted, rowText, tableText } from './table-text.ts';

/** Shows one row, the rows that match a filter, or how many do. */
export async function get(values: Values, [name, ...rest]: readonly string[], around: Surroundings): Promise<number> {
	const table = connect(around).table(name!);
	if (rest.length === 1 && isId(rest[0])) {
		if (values.count || values.sort !== undefined || values.limit !== undefined)
			throw new UsageError('--count, --sort and --limit are for rows that match, not for one by its id.');
		const row = await table.get(rest[0]);
		if (row === undefined)
			throw new PumaError('row_not_found', `There is no row ${rest[0]} in ${name}.`, { status: 404 });
		await answer(around, values, row, () => rowText(row));
		return 0;
	}
	const filter = rest.length === 0 ? undefined : await readFilter(rest, around);
	if (values.count) {
		if (values.sort !== undefined || values.limit !== undefined)
			throw new UsageError('--count goes without --sort and --limit.');
		const count = await table.count(filter);
		await answer(around, values, { count }, () => String(count));
		return 0;
	}
	const sort = textOf(values, 'sort') as Query<Record<string, unknown>>['sort'];
	const rows = await table.query({ filter, sort, limit: wholeNumber(textOf(values, 'limit'), '--limit') });
	await answer(around, values, { rows }, () =>
		rows.length === 0 ? 'No rows.' : tableText(rows, columnsOf(rows), around.stdout.columns),
	);
	if (!values.json && around.stdout.isTTY) around.complain(counted(rows.length, 'row'));
	return 0;
}
