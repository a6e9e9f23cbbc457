import { PumaError } from '../../client/src/index.ts';
import { textOf, type Values, wholeNumber } from './command.ts';
import { connect } from './connect.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { rowText } from './table-text.ts';

/** Puts a version of a row back: the newest, unless one is named. */
export async function restore(values: Values, [name, id]: readonly string[], around: Surroundings): Promise<number> {
	const table = connect(around).table(name!);
	const asked = wholeNumber(textOf(values, 'version'), '--version');
	const version = asked ?? (await table.versions(id!))[0]?.version;
	if (version === undefined)
		throw new PumaError('version_not_found', `No versions are kept of ${id} in ${name}.`, { status: 404 });
	const row = await table.restore(id!, version);
	await answer(around, values, { row }, () => `Restored version ${version}:\n${rowText(row)}`);
	return 0;
}
