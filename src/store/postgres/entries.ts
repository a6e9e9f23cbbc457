import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { rowKey } from '../../domain/value.ts';
import type { IndexDefinition } from './account-lock.ts';

/** An entry of a member index. */
export interface Entry {
	readonly indexNo: number;
	readonly key: Uint8Array;
}

/** What a row has in the indexes of its table. @param text undefined for a row that is not there. */
export function entriesOf(indexes: readonly IndexDefinition[], id: string, text: string | undefined): Entry[] {
	if (text === undefined || indexes.length === 0) return [];
	const row = parseJson(text) as JsonObject;
	const entries: Entry[] = [];
	for (const { indexNo, members, builtThrough } of indexes) {
		// Whoever builds the index comes to it.
		if (builtThrough !== null && id > builtThrough) continue;
		const key = rowKey(row, members);
		if (key !== undefined) entries.push({ indexNo, key });
	}
	return entries;
}
