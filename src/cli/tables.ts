import type { Values } from './command.ts';
import { connect } from './connect.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { tableText } from './table-text.ts';

/** Lists the account's tables. */
export async function tables(values: Values, around: Surroundings): Promise<number> {
	const list = await connect(around).tables();
	await answer(around, values, { tables: list }, () =>
		list.length === 0 ? 'No tables yet.' : tableText(list, ['name', 'rows']),
	);
	return 0;
}
