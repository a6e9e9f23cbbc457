import type { Limits } from '../limits.ts';
import type { Input } from '../operations/context.ts';
import type { Arguments } from './arguments.ts';
import { finishQuery, MAX_BYTES, MAX_ROWS } from './query.ts';
import {
	ADDS,
	ANSWERED_ROW,
	ANY_OBJECT,
	CHANGES,
	COUNT,
	FILTER,
	IDEMPOTENCY_KEY,
	input,
	KEY,
	list,
	object,
	output,
	PATCH,
	QUERY_LINK,
	READS,
	ROW,
	ROW_ID,
	TABLE,
	VERSION,
} from './schemas.ts';
import type { OperationTool } from './tool.ts';

/** The tools that read and write rows. */
export function rowTools(limits: Limits): readonly OperationTool[] {
	const rows = inWords(limits.maxRowsPerTable);
	const bytes = inWords(limits.maxRowBytes);
	const operations = inWords(limits.maxBatchOperations);
	return [
		{
			name: 'add',
			title: 'Add a row',
			description: `Stores one JSON object as a new row of a table and answers it with its id. Use it for what is new: a note, a task, an event. A table needs no setup, it begins with its first row. Use upsert instead where the row may be there already, and batch for several rows. A row has at most ${bytes} bytes, a table at most ${rows} rows. Send an idempotencyKey when you might repeat the call.`,
			inputSchema: input(['table', 'row'], { table: TABLE, row: ROW, idempotencyKey: IDEMPOTENCY_KEY }),
			outputSchema: output(ANSWERED_ROW),
			annotations: ADDS,
			operation: 'addRow',
			input: (args) => ({
				table: args.text('table'),
				body: args.requiredPart('row', '{"table":"notes","row":{"title":"Buy milk"}}'),
				idempotencyKey: args.text('idempotencyKey'),
			}),
		},
		{
			name: 'query',
			title: 'Query rows',
			description: `Answers the rows of a table that match a filter, oldest first unless sorted. Use it to look things up; use count where only the number matters. Filters are equality only: to narrow more, filter on a member that you store for it. At most ${MAX_ROWS} rows or ${MAX_BYTES / 1024} KB of them are answered: where there are more, "truncated" is true and "_pumadb_query_link" has URLs that show all of them. Give its viewer_url to the person instead of pasting many rows, or narrow the filter. Set includeLink to get the link for a small result too.`,
			inputSchema: input(
				['table'],
				{
					table: TABLE,
					filter: FILTER,
					sort: {
						type: 'string',
						description: 'A member to sort by, with "-" in front for descending: "-created_at".',
					},
					limit: {
						type: 'integer',
						minimum: 1,
						...(limits.maxQueryLimit === Number.POSITIVE_INFINITY ? {} : { maximum: limits.maxQueryLimit }),
						description: 'The most rows to find.',
					},
					includeLink: { type: 'boolean', description: 'Answer a link to the result even where nothing is cut off.' },
				},
				true,
			),
			outputSchema: output(
				object(['rows'], {
					rows: list(ANSWERED_ROW),
					truncated: { type: 'boolean', description: 'There are more rows than are answered here.' },
					notice: { type: 'string' },
					_pumadb_query_link: QUERY_LINK,
				}),
			),
			annotations: READS,
			operation: 'queryRows',
			input: (args) => {
				args.onlyKnown(['table', 'filter', 'sort', 'limit', 'includeLink']);
				const limit = args.value('limit');
				return {
					table: args.text('table'),
					filter: args.part('filter'),
					sort: args.text('sort'),
					// JSON of a text has quotes and is no number: "10" is refused, as the schema says.
					limit: limit === undefined ? undefined : JSON.stringify(limit),
				};
			},
			finish: finishQuery,
		},
		{
			name: 'batch',
			title: 'Run several writes',
			description: `Runs up to ${operations} operations on one table in order, each seeing those before it: all of them or none. Use it for several rows at once, and for changes that belong together; it counts as one write against the rate limit. Each operation has an "action" and what the tool of that name takes: add (row, idempotencyKey), upsert (key, row), update_row (id, patch), update_where (filter, patch, allowMultiple), delete (filter). When one fails nothing is changed, and details.index says which.`,
			inputSchema: input(['table', 'operations'], {
				table: TABLE,
				operations: {
					type: 'array',
					minItems: 1,
					...(limits.maxBatchOperations === Number.POSITIVE_INFINITY ? {} : { maxItems: limits.maxBatchOperations }),
					// Flat on purpose: many clients cannot show a choice of forms to their models.
					items: input(['action'], {
						action: { type: 'string', enum: ['add', 'upsert', 'update_row', 'update_where', 'delete'] },
						row: ROW,
						idempotencyKey: IDEMPOTENCY_KEY,
						key: KEY,
						id: ROW_ID,
						filter: FILTER,
						patch: PATCH,
						allowMultiple: { type: 'boolean' },
					}),
				},
			}),
			outputSchema: output(
				object(['results'], {
					results: list(
						object(['index', 'action', 'result'], { index: COUNT, action: { type: 'string' }, result: ANY_OBJECT }),
					),
				}),
			),
			annotations: { ...CHANGES, idempotentHint: false },
			operation: 'batch',
			input: tableAndBody,
		},
		{
			name: 'upsert',
			title: 'Add or replace a row by key',
			description:
				'Adds a row, or replaces the one that has the same value of the key, and says which ("created"). Use it to keep one row for each thing that has a name of its own: a setting by name, a person by email. All own members are replaced, not merged: use update_row or update_where to change some. The key finds the row and is not renamed by it: a row with a new value of the key is another row; to rename, use update_where.',
			inputSchema: input(['table', 'key', 'row'], { table: TABLE, key: KEY, row: ROW }),
			outputSchema: output(object(['created', 'row'], { created: { type: 'boolean' }, row: ANSWERED_ROW })),
			annotations: CHANGES,
			operation: 'upsertRow',
			input: tableAndBody,
		},
		{
			name: 'update_row',
			title: 'Change a row by id',
			description:
				'Sets members of one row whose id you know, and leaves the others as they are. Use update_where when you know the row by what it holds. What it was before is kept as a version.',
			inputSchema: input(['table', 'id', 'patch'], { table: TABLE, id: ROW_ID, patch: PATCH }),
			outputSchema: output(object(['row'], { row: ANSWERED_ROW })),
			annotations: CHANGES,
			operation: 'updateRow',
			input: tableAndBody,
		},
		{
			name: 'update_where',
			title: 'Change rows by filter',
			description:
				'Sets members of the one row that matches the filter. Several matches are refused (multiple_matches, with their number) unless allowMultiple is true: set it only where all of them are meant. What they were before is kept as versions.',
			inputSchema: input(['table', 'filter', 'patch'], {
				table: TABLE,
				filter: FILTER,
				patch: PATCH,
				allowMultiple: { type: 'boolean', description: 'Change every match.' },
			}),
			outputSchema: output(object(['updated', 'rows'], { updated: COUNT, rows: list(ANSWERED_ROW) })),
			annotations: CHANGES,
			operation: 'updateWhere',
			input: tableAndBody,
		},
		{
			name: 'list_tables',
			title: 'List tables',
			description:
				'Lists the tables with their numbers of rows. Use it first when you do not know what is stored. A table with 0 rows has deleted rows that can be restored.',
			inputSchema: input([], {}, true),
			outputSchema: output(
				object(['tables'], { tables: list(object(['name', 'rows'], { name: { type: 'string' }, rows: COUNT })) }),
			),
			annotations: READS,
			operation: 'listTables',
			input: (args) => {
				args.onlyKnown([]);
				return {};
			},
		},
		{
			name: 'count',
			title: 'Count rows',
			description: 'Counts the rows of a table that match a filter, or all of them. Cheaper than query.',
			inputSchema: input(['table'], { table: TABLE, filter: FILTER }, true),
			outputSchema: output(object(['count'], { count: COUNT })),
			annotations: READS,
			operation: 'countRows',
			input: (args) => {
				args.onlyKnown(['table', 'filter']);
				return { table: args.text('table'), filter: args.part('filter') };
			},
		},
		{
			name: 'delete',
			title: 'Delete rows',
			description: `Deletes every row that matches the filter, which must not be empty. Only for a clear request to remove something: to mark a thing as done or old, update it. Count with the same filter first when you are not sure how many match. Deleted rows can be restored from their versions for ${inWords(limits.versionRetentionDays)} days.`,
			inputSchema: input(['table', 'filter'], { table: TABLE, filter: FILTER }),
			outputSchema: output(object(['deleted'], { deleted: COUNT })),
			annotations: CHANGES,
			operation: 'deleteWhere',
			input: tableAndBody,
		},
		{
			name: 'versions',
			title: "List a row's versions",
			description: `Lists what one row was before each change, newest first: the last ${inWords(limits.maxVersionsPerRow)} versions, of a deleted row too. Use it to see what changed, and to find the version to restore.`,
			inputSchema: input(['table', 'id'], { table: TABLE, id: ROW_ID }, true),
			outputSchema: output(object(['versions'], { versions: list(VERSION) })),
			annotations: READS,
			operation: 'listVersions',
			input: (args) => {
				args.onlyKnown(['table', 'id']);
				return {
					table: args.text('table'),
					id: args.requiredText('id', '{"table":"notes","id":"0197a1b2-0000-7000-8000-000000000000"}'),
				};
			},
		},
		{
			name: 'restore',
			title: 'Restore a version',
			description:
				'Puts a version that "versions" lists back under the same id, for a row that was changed or deleted by mistake. What the row is now is kept as a version first.',
			inputSchema: input(['table', 'id', 'version'], {
				table: TABLE,
				id: ROW_ID,
				version: { type: 'integer', minimum: 1, description: 'The number of a version.' },
			}),
			outputSchema: output(object(['row'], { row: ANSWERED_ROW })),
			annotations: CHANGES,
			operation: 'restoreVersion',
			input: tableAndBody,
		},
	];
}

/** For operations whose table stands in REST's path and whose other members are its body. */
function tableAndBody(args: Arguments): Input {
	return { table: args.text('table'), body: args.body() };
}

function inWords(limit: number): string {
	return limit === Number.POSITIVE_INFINITY ? 'any number of' : limit.toLocaleString('en');
}
