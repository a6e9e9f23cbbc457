import { type Members, parse, print } from '../shared/json.ts';
import { change, read } from './session.ts';

/** The contract's operations, as the console uses them. All of them throw Problem. */

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

export interface Query {
	/** A JSON object as text; empty for every row. */
	readonly filter: string;
	/** A member, with `-` in front for descending; empty for order of creation. */
	readonly sort: string;
}

const at = (table: string, rest = ''): string => `/v1/${encodeURIComponent(table)}${rest}`;

export async function listTables(): Promise<readonly Table[]> {
	return JSON.parse(await read('/v1/_tables')).tables;
}

export async function queryRows(table: string, { filter, sort }: Query, limit?: number): Promise<readonly Row[]> {
	const query = new URLSearchParams();
	if (filter !== '') query.set('filter', filter);
	if (sort !== '') query.set('sort', sort);
	if (limit !== undefined) query.set('limit', String(limit));
	const text = await read(at(table, query.size === 0 ? '' : `?${query}`));
	return (parse(text) as { rows: Row[] }).rows;
}

/** The live row with this id, if there is one. */
export async function findRow(table: string, id: string): Promise<Row | undefined> {
	return (await queryRows(table, { filter: JSON.stringify({ id }), sort: '' }, 1))[0];
}

/** Newest first. */
export async function listVersions(table: string, id: string): Promise<readonly Version[]> {
	const text = await read(at(table, `/versions?id=${encodeURIComponent(id)}`));
	return (parse(text) as { versions: Version[] }).versions;
}

/** Merges a patch into the row, if it still is what `base` says. @throws Problem `row_not_found` where it is not. */
export async function saveRow(table: string, base: Row, patch: Members): Promise<Row> {
	const filter = { id: base.id, updated_at: base.updated_at };
	const text = await change('POST', at(table, '/update_where'), print({ filter, patch }, 0));
	return (parse(text) as { rows: [Row] }).rows[0];
}

/** Deletes the row, if it still is what was shown. @returns whether it was. */
export async function deleteRow(table: string, { id, updated_at }: Row): Promise<boolean> {
	const text = await change('DELETE', at(table), JSON.stringify({ filter: { id, updated_at } }));
	return JSON.parse(text).deleted === 1;
}

export async function restoreVersion(table: string, id: string, version: number): Promise<Row> {
	const text = await change('POST', at(table, '/restore'), JSON.stringify({ id, version }));
	return (parse(text) as { row: Row }).row;
}

export async function listKeys(): Promise<readonly Key[]> {
	return JSON.parse(await read('/v1/_keys')).keys;
}

/** @returns the key itself, which is shown this once. */
export async function createKey(name: string): Promise<string> {
	return JSON.parse(await change('POST', '/v1/_keys', JSON.stringify({ name }))).api_key;
}

export async function revokeKey(id: string): Promise<void> {
	await change('DELETE', `/v1/_keys/${encodeURIComponent(id)}`);
}
