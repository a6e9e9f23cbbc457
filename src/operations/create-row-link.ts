import { makeFilter } from '../domain/filter.ts';
import { rowNotFound } from '../domain/writes.ts';
import type { CreateRowLinkBody } from '../generated/bodies.ts';
import { createRowLink as validator } from '../generated/validators.js';
import { callerOf, type Run } from './context.ts';
import { checkTableName, shapedBody } from './input.ts';
import { fileName, JSON_FILE, makeLink, safetyOf } from './make-link.ts';

/** Makes URLs that show one row, for reading and editing. */
export const createRowLink: Run = async (context, input) => {
	const { body } = shapedBody<CreateRowLinkBody>(input, 'createRowLink', validator);
	const table = checkTableName(body.table);
	const { id } = body;
	const filename = fileName(body.filename, [table, id], JSON_FILE);
	const found = await context.store.read.count(callerOf(input).accountId, table, makeFilter([['id', id]]));
	if (found === 0) throw rowNotFound(id);
	const members = await makeLink(context, input, { kind: 'row', table, id, filename, mimeType: JSON_FILE });
	return { body: JSON.stringify({ ...members, id, safety: safetyOf('edit', context.linkTtlSeconds) }) };
};
