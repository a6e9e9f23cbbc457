import { listOf, UsageError, type Values } from './command.ts';
import { connect } from './connect.ts';
import { isId, readFilter, readMembers } from './members.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { columnsOf, counted, rowText, tableText } from './table-text.ts';

/** Changes one row by its id, or those that match a filter. */
export async function update(
	values: Values,
	[name, ...rest]: readonly string[],
	around: Surroundings,
): Promise<number> {
	const table = connect(around).table(name!);
	const where = listOf(values, 'where');
	if (where.length === 0) {
		const [id, ...members] = rest;
		if (!isId(id)) throw new UsageError('Name the row by its id, or rows by --where NAME=TEXT; see --help.');
		if (members.length === 0) throw new UsageError('Say what to change: NAME=TEXT or NAME:=JSON.');
		const row = await table.updateRow(id, await readMembers(members, around));
		await answer(around, values, { row }, () => rowText(row));
		return 0;
	}
	if (rest.length === 0) throw new UsageError('Say what to change: NAME=TEXT or NAME:=JSON.');
	const patch = await readMembers(rest, around);
	const updated = await table.updateWhere(await readFilter(where, around), patch, {
		allowMultiple: values.all === true,
	});
	await answer(around, values, updated, () => {
		const rows =
			updated.rows.length === 0 ? '' : `\n${tableText(updated.rows, columnsOf(updated.rows), around.stdout.columns)}`;
		return `Changed ${counted(updated.updated, 'row')}.${rows}`;
	});
	return 0;
}
