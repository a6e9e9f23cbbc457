import type { Filter, Puma, Query } from '@pumadb/client';
import { type JSONSchema7, jsonSchema, type ToolSet, tool } from 'ai';
import { codeOf } from './errors.ts';
import { type Properties, problemOf } from './tool-input.ts';

type Members = Record<string, unknown>;

export interface ToolOptions {
	/** The tables that the model may use; all of the account's unless given. */
	readonly tables?: readonly string[];
	/** Leave out the tools that change something. */
	readonly readOnly?: boolean;
	/** Most rows that a query gives to the model: 25. */
	readonly maxRows?: number;
}

const OBJECT = { type: 'object', additionalProperties: true } as const;
const TABLE = { type: 'string', description: 'The table: a letter, then letters, digits, _ or -.' } as const;
const FILTER = {
	...OBJECT,
	description:
		'Members and values that must all be equal: {"status":"open"}. Values are strings, numbers, booleans or null.',
} as const;
const KEY = {
	type: 'array',
	items: { type: 'string' },
	minItems: 1,
	description: 'The members that identify the row.',
} as const;

/**
 * Tools of the Vercel AI SDK over an account's rows. What the service refuses comes back as `{ error }` with its message, which says what
 * to send instead, so that the model can.
 */
export function pumaTools(puma: Puma, options: ToolOptions = {}): ToolSet {
	const { tables, readOnly = false, maxRows = 25 } = options;
	const table = (name: string) => {
		if (tables === undefined || tables.includes(name)) return puma.table<Members>(name);
		throw new RangeError(`The table ${name} is not among those that may be used here: ${tables.join(', ')}.`);
	};
	const reads: ToolSet = {
		list_tables: make<object>('List the tables of the memory, and how many rows each has.', {}, async (_, signal) => {
			const all = await puma.tables({ signal });
			return { tables: tables === undefined ? all : all.filter(({ name }) => tables.includes(name)) };
		}),
		query: make<{ table: string; filter?: Filter<Members>; sort?: Query<Members>['sort']; limit?: number }>(
			`Find rows that match an equality filter, at most ${maxRows}.`,
			{
				table: TABLE,
				filter: FILTER,
				sort: { type: 'string', description: 'A member; -member the other way round.' },
				limit: { type: 'integer', minimum: 1 },
			},
			async (input, signal) => {
				const limit = Math.min(input.limit ?? maxRows, maxRows);
				return { rows: await table(input.table).query({ filter: input.filter, sort: input.sort, limit }, { signal }) };
			},
			['table'],
		),
	};
	if (readOnly) return reads;
	return {
		...reads,
		add: make<{ table: string; row: Members }>(
			'Remember a new row: a JSON object.',
			{ table: TABLE, row: OBJECT },
			async (input, signal) => ({ row: await table(input.table).add(input.row, { signal }) }),
		),
		upsert: make<{ table: string; key: string[]; row: Members }>(
			'Add a row, or replace the one that has the same values in its key.',
			{ table: TABLE, key: KEY, row: OBJECT },
			async (input, signal) => table(input.table).upsert(input.key, input.row, { signal }),
		),
		update_row: make<{ table: string; id: string; patch: Members }>(
			'Change members of one row, by its id.',
			{ table: TABLE, id: { type: 'string' }, patch: OBJECT },
			async (input, signal) => ({ row: await table(input.table).updateRow(input.id, input.patch, { signal }) }),
		),
		delete: make<{ table: string; filter: Filter<Members> }>(
			'Delete the rows that match a filter. They can be restored for a while.',
			{ table: TABLE, filter: FILTER },
			async (input, signal) => ({ deleted: await table(input.table).deleteWhere(input.filter, { signal }) }),
		),
	};
}

function make<Input>(
	description: string,
	properties: Properties,
	run: (input: Input, signal: AbortSignal | undefined) => Promise<object>,
	required: readonly string[] = Object.keys(properties),
) {
	const schema = { type: 'object', properties, required: [...required], additionalProperties: false };
	return tool({
		description,
		inputSchema: jsonSchema<Input>(schema as JSONSchema7, {
			validate: (value) => {
				const problem = problemOf(value, properties, required);
				if (problem !== undefined) return { success: false, error: new TypeError(problem) };
				return { success: true, value: value as Input };
			},
		}),
		execute: async (input, { abortSignal }) => {
			// The SDK has validated; whoever calls this without it gets words all the same.
			const problem = problemOf(input, properties, required);
			if (problem !== undefined) return { error: { code: 'invalid_input', message: problem } };
			try {
				return await run(input, abortSignal);
			} catch (error) {
				if (codeOf(error) === undefined && !(error instanceof RangeError)) throw error;
				const { message } = error as Error;
				return { error: { code: codeOf(error) ?? 'table_not_allowed', message } };
			}
		},
	});
}
