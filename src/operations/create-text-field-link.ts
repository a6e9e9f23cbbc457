import { makeFilter, matches } from '../domain/filter.ts';
import { type JsonObject, member } from '../domain/json.ts';
import { parseJson } from '../domain/json-text.ts';
import { checkMediaType, mediaTypeOf } from '../domain/link.ts';
import { identityOf, SYSTEM_MEMBERS } from '../domain/row.ts';
import { rowNotFound } from '../domain/writes.ts';
import { Refusal } from '../errors.ts';
import type { CreateTextFieldLinkBody } from '../generated/bodies.ts';
import { createTextFieldLink as validator } from '../generated/validators.js';
import { type Context, callerOf, type Input, type Run } from './context.ts';
import { checkTableName, readFilterOf, shapedBody } from './input.ts';
import { fileName, makeLink, safetyOf } from './make-link.ts';

/** Makes URLs that show one string member of one row, for reading and editing. */
export const createTextFieldLink: Run = async (context, input) => {
	const { body, part } = shapedBody<CreateTextFieldLinkBody>(input, 'createTextFieldLink', validator);
	const table = checkTableName(body.table);
	const { field, filename: asked } = body;
	const mimeType = checkMediaType(body.mimeType ?? (asked === undefined ? 'text/plain' : mediaTypeOf(asked)));
	const filename = fileName(asked, [table, field], mimeType);
	const filter =
		body.filter === undefined
			? undefined
			: { document: part.document, value: body.filter, path: [...part.path, 'filter'] };
	const row = await findRow(context, input, table, body.id, filter);
	textOf(parseJson(row) as JsonObject, field);
	const { id } = identityOf(row);
	const members = await makeLink(context, input, { kind: 'text', table, id, field, filename, mimeType });
	return {
		body: JSON.stringify({
			...members,
			field,
			safety: safetyOf(SYSTEM_MEMBERS.includes(field) ? 'read' : 'edit', context.linkTtlSeconds),
		}),
	};
};

/** The text of the one row that has the id, if any is given, and matches the filter, if any is given. */
async function findRow(
	context: Context,
	input: Input,
	table: string,
	id: string | undefined,
	filterPart: Input['filter'],
): Promise<string> {
	const filter = readFilterOf(filterPart);
	const { accountId } = callerOf(input);
	const { read } = context.store;
	if (id !== undefined) {
		const [row] = await read.rowTexts(accountId, table, makeFilter([['id', id]]));
		if (row !== undefined && matches(filter, parseJson(row) as JsonObject)) return row;
		if (row === undefined) throw rowNotFound(id);
	}
	const matched = id === undefined ? await read.count(accountId, table, filter) : 0;
	if (matched === 1) {
		const [row] = await read.rowTexts(accountId, table, filter);
		if (row !== undefined) return row;
	}
	if (matched > 1) {
		throw new Refusal(
			'multiple_matches',
			`The filter matches ${matched} rows. Narrow it to one, or send the row's "id".`,
			{ matched },
		);
	}
	throw new Refusal(
		'row_not_found',
		`No row ${id === undefined ? 'matches' : 'has this id and matches'} the filter. Query the table to see what it holds.`,
		{ matched },
	);
}

/** The string that a link shows. @throws Refusal not_a_text */
export function textOf(row: JsonObject, field: string): string {
	const value = member(row, field);
	if (typeof value === 'string') return value;
	const fault = value === undefined ? 'is not in the row' : 'is not a string';
	throw new Refusal(
		'not_a_text',
		`The member "${field.slice(0, 100)}" ${fault}, so there is no text to show. A link to the whole row shows what is there.`,
		{ field: field.slice(0, 300) },
	);
}
