import type { JsonObject } from '../domain/json.ts';
import { ownText } from '../domain/row.ts';
import type { CreateQueryLinkBody } from '../generated/bodies.ts';
import { createQueryLink as validator } from '../generated/validators.js';
import type { Part, Run } from './context.ts';
import { checkTableName, limitOf, readFilterOf, shapedBody, sortOf } from './input.ts';
import { fileName, JSON_FILE, makeLink, safetyOf } from './make-link.ts';

/** Makes URLs that show what a query finds at the moment they are opened. */
export const createQueryLink: Run = async (context, input) => {
	const { body, part } = shapedBody<CreateQueryLinkBody>(input, 'createQueryLink', validator);
	const table = checkTableName(body.table);
	const { sort, limit } = body;
	readFilterOf(filterOf(part, body.filter));
	sortOf(sort);
	if (limit !== undefined) limitOf(String(limit), context.limits);
	const filename = fileName(body.filename, [table], JSON_FILE);
	const filter = body.filter === undefined ? undefined : ownText(body.filter as JsonObject);
	const members = await makeLink(context, input, {
		kind: 'query',
		table,
		filename,
		mimeType: JSON_FILE,
		filter,
		sort,
		limit,
	});
	const asked = `${filter === undefined ? '' : `"filter":${filter},`}${JSON.stringify({ sort, limit }).slice(1, -1)}`;
	const safety = JSON.stringify(safetyOf('read', context.linkTtlSeconds));
	const rest = [asked.replace(/,$/, ''), `"safety":${safety}`].filter((text) => text !== '');
	return { body: `${JSON.stringify(members).slice(0, -1)},${rest.join(',')}}` };
};

function filterOf({ document, path }: Part, filter: CreateQueryLinkBody['filter']): Part | undefined {
	return filter === undefined ? undefined : { document, value: filter, path: [...path, 'filter'] };
}
