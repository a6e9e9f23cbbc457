import { ADDS, FILE_NAME, FILTER, input, link, output, ROW_ID, TABLE } from './schemas.ts';
import type { OperationTool } from './tool.ts';

/** The tools that make links for people. They read for the rate limit, but are no mere reads: who has the URLs may edit. */
export const LINK_TOOLS: readonly OperationTool[] = [
	{
		name: 'open_row',
		title: 'Open a row for a person',
		description:
			'Makes URLs that show one row on a page where a person can read and edit it. Use it when somebody wants to see or change a row by hand: give them the viewer_url. The URLs end by themselves; read "safety".',
		inputSchema: input(['table', 'id'], { table: TABLE, id: ROW_ID, filename: FILE_NAME }),
		outputSchema: output(link(['id'], { id: { type: 'string' } })),
		annotations: ADDS,
		operation: 'createRowLink',
		input: (args) => ({ body: args.body() }),
	},
	{
		name: 'open_text_field',
		title: 'Open a text for a person',
		description:
			'Makes URLs that show one text of one row, such as a document in Markdown, in an editor for a person, and download it as a file. Name the row by id, or by a filter that matches one row. Use it for long texts instead of pasting them; use open_row for the whole row. The URLs end by themselves; read "safety".',
		inputSchema: input(['table', 'field'], {
			table: TABLE,
			field: { type: 'string', minLength: 1, description: 'The member whose text is shown: a string.' },
			id: ROW_ID,
			filter: FILTER,
			filename: FILE_NAME,
			mimeType: { type: 'string', description: 'For example "text/markdown".' },
		}),
		outputSchema: output(link(['field'], { field: { type: 'string' } })),
		annotations: ADDS,
		operation: 'createTextFieldLink',
		input: (args) => ({ body: args.body() }),
	},
];
