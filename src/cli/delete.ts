import { type AnyRow, type Puma, PumaError, type Row, type Scalar, type Table } from '../../client/src/index.ts';
import { UsageError, type Values } from './command.ts';
import { connect, tellWait } from './connect.ts';
import { Interrupted } from './exit-codes.ts';
import { isId, readFilter } from './members.ts';
import { answer } from './output.ts';
import { withPrompt } from './prompt.ts';
import type { Surroundings } from './surroundings.ts';
import { columnsOf, counted, tableText } from './table-text.ts';

const SHOWN_ROWS = 20;
/** Where the server sets no bound. */
const ROWS_A_BATCH = 100;

type Filter = Record<string, Scalar>;
/** How often something was sent again so far. */
type Retries = { count: number };

/** Deletes rows. Shows which and asks first, and then deletes those that were shown and still match, no others. */
export async function deleteRows(
	values: Values,
	[name, ...rest]: readonly string[],
	around: Surroundings,
): Promise<number> {
	const retries = { count: 0 };
	const tell = tellWait(around);
	const puma = connect(around, {
		onRetry: (notice) => {
			retries.count++;
			tell(notice);
		},
	});
	const table = puma.table(name!);
	const filter = rest.length === 1 && isId(rest[0]) ? { id: rest[0] } : await readFilter(rest, around);
	if (Object.keys(filter).length === 0) throw new UsageError('The filter is empty: say which rows to delete.');
	const deleted = values.yes ? await table.deleteWhere(filter) : await deleteSeen(puma, table, filter, retries, around);
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

async function deleteSeen(
	puma: Puma,
	table: Table<AnyRow>,
	filter: Filter,
	retries: Retries,
	around: Surroundings,
): Promise<number | undefined> {
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
	const most = (await puma.limits()).maxBatchOperations ?? ROWS_A_BATCH;
	let gone = 0;
	try {
		for (let start = 0; start < rows.length; start += most) {
			gone += await deleteThese(table, rows.slice(start, start + most), filter, retries);
		}
		return gone;
	} catch (error) {
		const state = `${gone} of ${counted(rows.length, 'row')} are deleted`;
		if (around.stopped.aborted) throw new Interrupted(`Stopped. ${state}, perhaps more.`);
		if (!(error instanceof PumaError)) throw error;
		const doubt = error.maybeDone ? ', perhaps more' : '';
		throw new PumaError(error.code, `${error.message} ${state}${doubt}.`, error);
	}
}

/** Deletes rows by their ids, all or none, and answers how many are gone. To do that twice is to do it once. */
async function deleteThese(
	table: Table<AnyRow>,
	rows: readonly Row<AnyRow>[],
	filter: Filter,
	retries: Retries,
): Promise<number> {
	const before = retries.count;
	const operations = rows.map(({ id }) => ({ action: 'delete' as const, filter: { ...filter, id } }));
	const results = await table.batch(operations, { retry: 'always' });
	const left = rows.filter((_, index) => results[index]!.deleted === 0);
	if (retries.count === before) return rows.length - left.length;
	// Sent again, it finds nothing of what the first attempt deleted.
	let there = 0;
	for (const { id } of left) if ((await table.get(id)) !== undefined) there++;
	return rows.length - there;
}
