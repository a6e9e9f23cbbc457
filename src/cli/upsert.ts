import { listOf, UsageError, type Values } from './command.ts';
import { connect } from './connect.ts';
import { readMembers } from './members.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { rowText } from './table-text.ts';

/** Inserts a row, or replaces the one that has the same natural key. */
export async function upsert(
	values: Values,
	[name, ...rest]: readonly string[],
	around: Surroundings,
): Promise<number> {
	const key = listOf(values, 'key');
	if (key.length === 0) throw new UsageError('--key is missing: name the member that identifies the row.');
	const row = await readMembers(rest, around);
	const upserted = await connect(around).table(name!).upsert(key, row);
	await answer(around, values, upserted, () => `${upserted.created ? 'Added' : 'Replaced'}:\n${rowText(upserted.row)}`);
	return 0;
}
