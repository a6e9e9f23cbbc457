import { call } from '../shared/call.ts';
import { isMembers, type Members, parse, print } from '../shared/json.ts';

/** What the server tells of a link (src/operations/linked.ts). */

interface LinkBase {
	readonly table: string;
	readonly filename: string;
	readonly mime_type: string;
	readonly expires_at: string;
	readonly as_of: string;
	/** null: unlimited. */
	readonly max_row_bytes: number | null;
}

export interface TextLink extends LinkBase {
	readonly kind: 'text';
	readonly id: string;
	readonly field: string;
	/** False for the members that the service owns. */
	readonly editable: boolean;
}

export interface RowLink extends LinkBase {
	readonly kind: 'row';
	readonly id: string;
}

export interface QueryLink extends LinkBase {
	readonly kind: 'query';
	/** A JSON object, as it was sent. */
	readonly filter?: string;
	readonly sort?: string;
	readonly limit?: number;
}

export interface ShownText {
	readonly link: TextLink;
	readonly text: string;
	readonly updated_at: string;
	readonly language?: string;
	readonly tag: string;
}

export interface ShownRow {
	readonly link: RowLink;
	readonly row: Members;
	readonly tag: string;
}

export interface ShownQuery {
	readonly link: QueryLink;
	readonly rows: readonly Members[];
}

export type Shown = ShownText | ShownRow | ShownQuery;

/** An archived version of a row; of a text link's, the text. */
export interface Version {
	readonly version: number;
	readonly archived_at: string;
	readonly deleted: boolean;
	readonly row?: Members;
	readonly text?: string;
}

const HERE = location.pathname;

/** Where the file behind the link is. */
export const FILE = `${HERE}/file`;

/** @throws Problem */
export async function load(): Promise<Shown> {
	const { text, tag } = await call('GET', `${HERE}/data`);
	return { ...(parse(text) as Shown), ...(tag === null ? {} : { tag }) } as Shown;
}

/** Saves a text. @throws Problem, `row_changed` among others */
export async function saveText(text: string, tag: string): Promise<ShownText> {
	return put(JSON.stringify({ text }), tag) as Promise<ShownText>;
}

/** Saves a row's own members, given as JSON text, so that what was typed is what is sent. @throws Problem */
export async function saveRow(own: string, tag: string): Promise<ShownRow> {
	return put(`{"row":${own}}`, tag) as Promise<ShownRow>;
}

async function put(body: string, tag: string): Promise<Shown> {
	const reply = await call('PUT', `${HERE}/data`, body, { 'if-match': tag });
	return { ...(parse(reply.text) as object), tag: reply.tag } as Shown;
}

/** Newest first. @throws Problem */
export async function versions(): Promise<readonly Version[]> {
	const { text } = await call('GET', `${HERE}/versions`);
	return (parse(text) as { versions: Version[] }).versions;
}

/** Puts a version of a row back. @param tag the state that is to be replaced; none where the row is deleted. @throws Problem */
export async function restore(version: number, tag?: string): Promise<ShownRow> {
	const headers = tag === undefined ? {} : { 'if-match': tag };
	const reply = await call('POST', `${HERE}/restore`, JSON.stringify({ version }), headers);
	return { ...(parse(reply.text) as object), tag: reply.tag } as ShownRow;
}

/** The members that the service owns. */
export const SYSTEM_MEMBERS: readonly string[] = ['id', 'created_at', 'updated_at'];

/** The members of a row that are its own, as indented JSON. */
export function ownJson(row: Members): string {
	const own = Object.entries(row).filter(([name]) => !SYSTEM_MEMBERS.includes(name));
	return print(Object.fromEntries(own));
}

/** Reads a row's own members from JSON text. @throws SyntaxError with a sentence for the person who typed it */
export function readOwn(text: string): Members {
	const value = parse(text);
	if (isMembers(value)) return value;
	throw new SyntaxError('A row is a JSON object: it begins with { and ends with }.');
}
