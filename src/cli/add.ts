import { textOf, type Values } from './command.ts';
import { connect } from './connect.ts';
import { readMembers } from './members.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { rowText } from './table-text.ts';

/** Adds one row. */
export async function add(values: Values, [name, ...rest]: readonly string[], around: Surroundings): Promise<number> {
	const row = await readMembers(rest, around);
	const added = await connect(around)
		.table(name!)
		.add(row, { idempotencyKey: textOf(values, 'idempotency-key') });
	await answer(around, values, added, () => rowText(added));
	return 0;
}
