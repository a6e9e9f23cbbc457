import type { AnyRow, Row, Scalar, Table } from '../../client/src/index.ts';
import { UsageError, type Values } from './command.ts';
import { connect } from './connect.ts';
import { isId, readFilter } from './members.ts';
import { answer } from './output.ts';
import { withPrompt } from './prompt.ts';
import type { Surroundings } from './surroundings.ts';
import { columnsOf, counted, tableText } from './table-text.ts';

const SHOWN_ROWS = 20;
const ROWS_A_BATCH = 100;

type Filter = Record<string, Scalar>;

/** Deletes rows. Shows which and asks first, and then deletes those that were shown and still match, no others. */
export async function deleteRows(
	values: Values,
	[name, ...rest]: readonly string[],
	around: Surroundings,
): Promise<number> {
	const table = connect(around).table(name!);
	const filter = rest.length === 1 && isId(rest[0]) ? { id: rest[0] } : await readFilter(rest, around);
	if (Object.keys(filter).length === 0) throw new UsageError('The filter is empty: say which rows to delete.');
	const deleted = values.yes ? await table.deleteWhere(filter) : await deleteSeen(table, filter, around);
	if (deleted === undefined) {
		await answer(around, values, { deleted: 0 }, () => 'Nothing was deleted.');
		return 0;
	}
	await answer(around, values, { deleted }, () =>
		deleted === 0
			? 'No row matches; nothing was deleted.'
			: `Deleted ${counted(deleted, 'row')}. "pumadb restore ${name} ID" brings one back.`,
	);
	return 0;
}

async function deleteSeen(table: Table<AnyRow>, filter: Filter, around: Surroundings): Promise<number | undefined> {
	if (around.stdin.isTTY !== true) {
		throw new UsageError('Nobody can be asked here: --yes deletes without asking.');
	}
	const rows = await table.query({ filter });
	if (rows.length === 0) return 0;
	const shown = rows.slice(0, SHOWN_ROWS);
	around.complain(tableText(shown, columnsOf(shown), around.stderr.columns));
	if (rows.length > shown.length) around.complain(`… and ${rows.length - shown.length} more`);
	const which = rows.length === 1 ? 'this row' : `these ${rows.length} rows`;
	const yes = await withPrompt(around, (prompt) => prompt.confirm(`Delete ${which} from ${table.name}?`));
	if (!yes) return undefined;
	return deleteThese(table, rows, filter);
}

async function deleteThese(table: Table<AnyRow>, rows: readonly Row<AnyRow>[], filter: Filter): Promise<number> {
	let deleted = 0;
	for (let start = 0; start < rows.length; start += ROWS_A_BATCH) {
		const operations = rows
			.slice(start, start + ROWS_A_BATCH)
			.map(({ id }) => ({ action: 'delete' as const, filter: { ...filter, id } }));
		for (const result of await table.batch(operations)) deleted += result.deleted;
	}
	return deleted;
}
