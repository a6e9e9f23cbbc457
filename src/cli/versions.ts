import type { Values } from './command.ts';
import { connect } from './connect.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { columnsOf, tableText } from './table-text.ts';

/** Lists what was archived of a row, newest first. */
export async function versions(values: Values, [name, id]: readonly string[], around: Surroundings): Promise<number> {
	const list = await connect(around).table(name!).versions(id!);
	await answer(around, values, { versions: list }, () => {
		if (list.length === 0) return 'No versions are kept of this row.';
		const rows = list.map(({ version, archived_at, deleted, row }) => ({
			...row,
			version: deleted ? `${version} (deleted)` : version,
			archived_at,
		}));
		const own = columnsOf(list.map(({ row }) => row)).slice(1, -1);
		return tableText(rows, ['version', 'archived_at', ...own], around.stdout.columns);
	});
	return 0;
}
