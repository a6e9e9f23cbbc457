import { Problem, type Reply } from '../shared/call.ts';
import { type Members, parse } from '../shared/json.ts';
import { change, read } from './session.ts';

/** What the console asks the server for. All of it throws Problem. */

export interface Table {
	readonly name: string;
	/** Live rows: 0 where only deleted ones can be restored. */
	readonly rows: number;
}

export interface Row extends Members {
	readonly id: string;
	readonly created_at: string;
	readonly updated_at: string;
}

/** A row as it was read or written. */
export interface Seen {
	readonly row: Row;
	/** Names this state of the row, and no other (src/domain/writes.ts, RowState). */
	readonly tag: string;
}

export interface Version {
	readonly version: number;
	readonly archived_at: string;
	/** Was it archived because the row was deleted? */
	readonly deleted: boolean;
	readonly row: Row;
}

export interface Key {
	readonly id: string;
	readonly name: string;
	readonly prefix: string;
	readonly created_at: string;
	readonly last_used_at: string | null;
	readonly revoked_at: string | null;
}

/** An app that the person connected (src/operations/grants.ts). */
export interface Grant {
	readonly id: string;
	readonly client_name: string | null;
	/** Where it sent the person back to, in words. */
	readonly destination: string;
	readonly created_at: string;
	readonly last_used_at: string | null;
}

export interface Query {
	/** A JSON object as text; empty for every row. */
	readonly filter: string;
	/** A member, with `-` in front for descending; empty for order of creation. */
	readonly sort: string;
}

/** The state where no live row was seen. A row that is restored has another: its versions were counted before. */
const NO_ROW = '"0"';

const at = (table: string, rest = ''): string => `/v1/${encodeURIComponent(table)}${rest}`;
const rowAt = (table: string, id: string, rest = ''): string =>
	`/rows/${encodeURIComponent(table)}/${encodeURIComponent(id)}${rest}`;
const seenIn = ({ text, tag }: Reply): Seen => ({ row: (parse(text) as { row: Row }).row, tag: tag ?? '' });

export async function listTables(): Promise<readonly Table[]> {
	return JSON.parse((await read('/v1/_tables')).text).tables;
}

export async function queryRows(table: string, { filter, sort }: Query, limit?: number): Promise<readonly Row[]> {
	const query = new URLSearchParams();
	if (filter !== '') query.set('filter', filter);
	if (sort !== '') query.set('sort', sort);
	if (limit !== undefined) query.set('limit', String(limit));
	const { text } = await read(at(table, query.size === 0 ? '' : `?${query}`));
	return (parse(text) as { rows: Row[] }).rows;
}

/** The live row with this id, if there is one. */
export async function findRow(table: string, id: string): Promise<Seen | undefined> {
	try {
		return seenIn(await read(rowAt(table, id)));
	} catch (error) {
		if (error instanceof Problem && error.code === 'row_not_found') return undefined;
		throw error;
	}
}

/** Newest first. */
export async function listVersions(table: string, id: string): Promise<readonly Version[]> {
	const { text } = await read(rowAt(table, id, '/versions'));
	return (parse(text) as { versions: Version[] }).versions;
}

/**
 * Puts other members in place of all that the row has.
 * @param own a JSON object: what was typed is what is sent.
 * @throws Problem `row_changed` or `row_not_found` where the row is not what was seen any more.
 */
export async function saveRow(table: string, { row, tag }: Seen, own: string): Promise<Seen> {
	return seenIn(await change('PUT', rowAt(table, row.id), `{"row":${own}}`, { 'if-match': tag }));
}

/**
 * Deletes the row, if it still is what was shown.
 *
 * A delete takes a filter, and a filter knows no tags, so the tag is compared just before. What remains: a change in the moment
 * between the two that leaves `updated_at` as it was. Its state is archived with the deletion, like every other.
 * @returns whether it was.
 */
export async function deleteRow(table: string, { row, tag }: Seen): Promise<boolean> {
	const { id, updated_at } = row;
	if ((await findRow(table, id))?.tag !== tag) return false;
	const { text } = await change('DELETE', at(table), JSON.stringify({ filter: { id, updated_at } }));
	return JSON.parse(text).deleted === 1;
}

/**
 * Puts a version in the row's place.
 * @param seen undefined where no live row was seen.
 * @throws Problem `row_changed` where the row is not what was seen any more.
 */
export async function restoreVersion(
	table: string,
	id: string,
	version: number,
	seen: Seen | undefined,
): Promise<Seen> {
	const headers = { 'if-match': seen?.tag ?? NO_ROW };
	return seenIn(await change('POST', rowAt(table, id, '/restore'), JSON.stringify({ version }), headers));
}

export async function listKeys(): Promise<readonly Key[]> {
	return JSON.parse((await read('/v1/_keys')).text).keys;
}

/** @returns the key itself, which is shown this once. */
export async function createKey(name: string): Promise<string> {
	const { text } = await change('POST', '/v1/_keys', JSON.stringify({ name }));
	return JSON.parse(text).api_key;
}

export async function revokeKey(id: string): Promise<void> {
	await change('DELETE', `/v1/_keys/${encodeURIComponent(id)}`);
}

export async function listGrants(): Promise<readonly Grant[]> {
	return JSON.parse((await read('/grants')).text).grants;
}

export async function revokeGrant(id: string): Promise<void> {
	await change('DELETE', `/grants/${encodeURIComponent(id)}`);
}
