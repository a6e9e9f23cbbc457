import { type Awaitable, then } from '../awaitable.ts';
import { checkString, isObject, JsonDocument, type JsonObject, member } from '../domain/json.ts';
import { parseJson } from '../domain/json-text.ts';
import type { Link, QueryTarget, RowTarget, TextTarget } from '../domain/link.ts';
import { checkRow, identityOf, ownText, SYSTEM_MEMBERS } from '../domain/row.ts';
import { type RowOperation, type RowState, rowNotFound } from '../domain/writes.ts';
import { Refusal } from '../errors.ts';
import type { LiveRow } from '../store/seam.ts';
import type { Answer, Context, Input, Part } from './context.ts';
import { textOf } from './create-text-field-link.ts';
import { limitOf, readFilterOf, sortOf } from './input.ts';
import { listVersions } from './list-versions.ts';
import { query } from './query-rows.ts';
import { runOne } from './row-operations.ts';

/**
 * What the pages behind links may do: the same reads and updates as the API, narrowed to what the link shows. A text link shows
 * one member and nothing else of its row.
 */

export interface LinkInput {
	readonly body?: Part | undefined;
	/** The state of the row that an edit was made of. */
	readonly ifUnchanged?: RowState | undefined;
}

export type LinkRun = (context: Context, link: Link, input: LinkInput) => Awaitable<Answer>;

/** What the link shows, now, with what a page needs to know of it. */
export const viewLink: LinkRun = (context, link) => {
	const { target } = link;
	if (target.kind === 'query') {
		return then(runQuery(context, link, target), (answer) => ({
			body: envelope(context, link, (answer.body as string).slice(1, -1)),
		}));
	}
	return then(liveRow(context, link, target), (row) => showRow(context, link, target, row));
};

/** The file behind the link: the row as the API answers it, the query's answer, or the text's own bytes. */
export const downloadLink: LinkRun = (context, link) => {
	const { target } = link;
	if (target.kind === 'query') return runQuery(context, link, target);
	return then(liveRow(context, link, target), ({ text }) => ({
		body: target.kind === 'row' ? text : textOf(parseJson(text) as JsonObject, target.field),
	}));
};

/** Saves an edit: an ordinary update, refused where the row changed since it was read. */
export const saveLink: LinkRun = async (context, link, input) => {
	const { target } = link;
	if (target.kind === 'query') throw readOnly();
	const { ifUnchanged } = input;
	if (ifUnchanged === undefined) {
		throw new Refusal(
			'precondition_required',
			'The edit does not say of which state of the row it was made. Send the ETag that came with the row as If-Match.',
		);
	}
	const { id } = target;
	const part = input.body;
	const body = part?.value;
	const edited = isObject(body) ? member(body, target.kind) : undefined;
	if (part === undefined || edited === undefined) throw wrongBody(target);
	let operation: RowOperation;
	if (target.kind === 'row') {
		if (!isObject(edited)) throw wrongBody(target);
		checkRow(part.document, edited, [...part.path, 'row']);
		operation = { action: 'replace_row', id, own: ownText(edited), ifUnchanged };
	} else {
		if (typeof edited !== 'string') throw wrongBody(target);
		checkString(edited, [...part.path, 'text']);
		const patch: JsonObject = Object.create(null);
		patch[target.field] = edited;
		checkRow(part.document, patch, [...part.path, 'text']);
		operation = { action: 'update_row', id, patch: ownText(patch), ifUnchanged };
	}
	const text = writtenRow(await runOne(context, inputOf(link), operation));
	// What this save made, whatever was written since: the next save meets that as a conflict.
	return showRow(context, link, target, { text, state: ifUnchanged + 1 });
};

/** What was archived, newest first; of a text link's row only the text. */
export const listLinkVersions: LinkRun = (context, link) => {
	const { target } = link;
	if (target.kind === 'query') throw readOnly();
	return then(listVersions(context, { ...inputOf(link), id: target.id }), (answer) => {
		if (target.kind === 'row') return answer;
		const { versions } = parseJson(answer.body as string) as { versions: ArchivedVersion[] };
		const texts = versions.map(({ row, ...version }) => ({ ...version, text: member(row, target.field) }));
		return { body: JSON.stringify({ versions: texts.filter(({ text }) => typeof text === 'string') }) };
	});
};

/** Puts an earlier state of a row back. Of a text link an earlier text is saved like any other edit. */
export const restoreLinkVersion: LinkRun = async (context, link, input) => {
	const { target } = link;
	if (target.kind === 'query') throw readOnly();
	if (target.kind === 'text') {
		throw new Refusal('link_read_only', 'This link shows one text of a row. Save the earlier text to bring it back.');
	}
	const version = isObject(input.body?.value) ? member(input.body.value, 'version') : undefined;
	if (!Number.isSafeInteger(version)) {
		throw new Refusal('invalid_request', 'The body does not say which version. Send for example {"version":1}.', {
			field: 'version',
		});
	}
	const { ifUnchanged } = input;
	const operation: RowOperation = { action: 'restore', id: target.id, version: version as number, ifUnchanged };
	const text = writtenRow(await runOne(context, inputOf(link), operation));
	const live = await context.store.read.row(link.accountId, target.table, target.id);
	// Where it was changed again meanwhile, no edit of what is shown may pass: a restored row was archived before, so it is not 0.
	const state = live?.text === text ? live.state : 0;
	return showRow(context, link, target, { text, state });
};

interface ArchivedVersion {
	readonly version: number;
	readonly archived_at: string;
	readonly deleted: boolean;
	readonly row: JsonObject;
}

function inputOf({ accountId, keyId, target }: Link): Input {
	return { table: target.table, caller: { accountId, keyId } };
}

function liveRow(context: Context, { accountId }: Link, { table, id }: RowTarget | TextTarget): Awaitable<LiveRow> {
	return then(context.store.read.row(accountId, table, id), (row) => {
		if (row === undefined) throw rowNotFound(id);
		return row;
	});
}

function showRow(context: Context, link: Link, target: RowTarget | TextTarget, { text, state }: LiveRow): Answer {
	const shown = target.kind === 'row' ? `"row":${text}` : textMembers(text, target);
	return { body: envelope(context, link, shown), state };
}

/** The text of the row that an operation answered as `{"row":…}`. */
function writtenRow({ body }: Answer): string {
	return (body as string).slice('{"row":'.length, -1);
}

function runQuery(context: Context, { accountId }: Link, target: QueryTarget): Awaitable<Answer> {
	const { table, filter: filterText, sort } = target;
	const document = filterText === undefined ? undefined : JsonDocument.fromText(filterText, 'filter');
	const part = document === undefined ? undefined : { document, value: document.value, path: [] };
	// A limit that the operator has lowered since is kept to.
	const most = context.limits.maxQueryLimit;
	const limit = limitOf(target.limit === undefined ? undefined : String(Math.min(target.limit, most)), context.limits);
	return query(context, { accountId, table, filter: readFilterOf(part), sort: sortOf(sort), limit });
}

/** `shown` is what the link shows, as members of a JSON object. */
function envelope(context: Context, { target, expiresAt }: Link, shown: string): string {
	const { kind, table, filename, mimeType } = target;
	const what =
		kind === 'query'
			? { filter: target.filter, sort: target.sort, limit: target.limit }
			: kind === 'row'
				? { id: target.id }
				: { id: target.id, field: target.field, editable: !SYSTEM_MEMBERS.includes(target.field) };
	const link = {
		...{ kind, table, ...what, filename, mime_type: mimeType },
		expires_at: new Date(expiresAt).toISOString(),
		as_of: new Date(context.clock()).toISOString(),
		max_row_bytes: context.limits.maxRowBytes,
	};
	return `{"link":${JSON.stringify(link)},${shown}}`;
}

function textMembers(row: string, { field }: TextTarget): string {
	const members = parseJson(row) as JsonObject;
	const named = member(members, 'language');
	// A language's name, for the editor's colours; nothing longer of the row goes out with the text.
	const language = typeof named === 'string' && /^[\w+#. -]{1,30}$/.test(named) ? named : undefined;
	const shown = {
		text: textOf(members, field),
		updated_at: identityOf(row).updatedAt,
		language,
	};
	return JSON.stringify(shown).slice(1, -1);
}

function readOnly(): Refusal {
	return new Refusal('link_read_only', 'This link shows the result of a query. Ask for a link to one row to edit it.');
}

function wrongBody({ kind }: RowTarget | TextTarget): Refusal {
	const example = kind === 'row' ? '{"row":{"title":"Buy milk"}}' : '{"text":"Buy milk"}';
	return new Refusal('invalid_request', `The body does not hold what is to be saved. Send for example ${example}.`, {
		field: kind,
	});
}
