import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { generateText, isStepCount } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { Puma } from '../../client/src/index.ts';
import { type Client, signIn } from '../../test/support/client.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from '../../test/support/server.ts';
import { pumaTools } from '../src/ai-sdk.ts';

let server: TestServer;
let ada: Client;
let puma: Puma;

before(async () => {
	server = await startServer(NO_RATE_LIMITS);
	ada = await signIn(server);
	puma = new Puma({ url: server.url, apiKey: ada.key });
});
after(() => server.stop());

interface Step {
	readonly tool: string;
	readonly input: object;
}

const USAGE = {
	inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
	outputTokens: { total: 1, text: 1, reasoning: undefined },
};

/** Runs the SDK's loop with a model that calls these tools one after the other, and answers what each gave. */
async function session(steps: readonly Step[], tools = pumaTools(puma)): Promise<unknown[]> {
	let turn = 0;
	const model = new MockLanguageModelV4({
		doGenerate: async () => {
			const step = steps[turn++];
			const content =
				step === undefined
					? [{ type: 'text' as const, text: 'done' }]
					: [
							{
								type: 'tool-call' as const,
								toolCallId: `call${turn}`,
								toolName: step.tool,
								input: JSON.stringify(step.input),
							},
						];
			const finishReason = {
				unified: step === undefined ? ('stop' as const) : ('tool-calls' as const),
				raw: undefined,
			};
			return { content, finishReason, usage: USAGE, warnings: [] };
		},
	});
	const result = await generateText({ model, tools, prompt: 'go', stopWhen: isStepCount(20) });
	assert.equal(result.text, 'done');
	return result.steps.flatMap(({ toolResults }) => toolResults.map(({ output }) => output));
}

test('[12.10] AI SDK: a model remembers, finds, changes and forgets by the tools', async () => {
	const [added] = (await session([{ tool: 'add', input: { table: 'tasks', row: { title: 'Buy milk' } } }])) as [
		{ row: { id: string } },
	];
	const { id } = added.row;
	const [tables, found, upserted, updated, deleted] = (await session([
		{ tool: 'list_tables', input: {} },
		{ tool: 'query', input: { table: 'tasks', filter: { title: 'Buy milk' }, sort: '-created_at' } },
		{ tool: 'upsert', input: { table: 'tasks', key: ['title'], row: { title: 'Buy milk', done: false } } },
		{ tool: 'update_row', input: { table: 'tasks', id, patch: { done: true } } },
		{ tool: 'delete', input: { table: 'tasks', filter: { done: true } } },
	])) as Record<string, never>[];
	assert.deepEqual(tables, { tables: [{ name: 'tasks', rows: 1 }] });
	assert.deepEqual(found, { rows: [added.row] });
	assert.equal((upserted as unknown as { created: boolean }).created, false);
	assert.equal((updated as unknown as { row: { done: boolean } }).row.done, true);
	assert.deepEqual(deleted, { deleted: 1 });
	assert.deepEqual(await ada.rows('tasks'), []);
});

test('[12.10] AI SDK: a refusal comes back in words; tables and rows are bounded; read-only has no changes', async () => {
	for (let n = 0; n < 30; n++) await ada.add('many', { n });
	const [refused, bounded] = (await session([
		{ tool: 'delete', input: { table: 'many', filter: {} } },
		{ tool: 'query', input: { table: 'many', limit: 1000 } },
	])) as [{ error: { code: string; message: string } }, { rows: unknown[] }];
	assert.equal(refused.error.code, 'filter_required');
	assert.match(refused.error.message, /filter/);
	assert.equal(bounded.rows.length, 25);
	const only = pumaTools(puma, { tables: ['notes'] });
	const [other, list] = await session(
		[
			{ tool: 'query', input: { table: 'many' } },
			{ tool: 'list_tables', input: {} },
		],
		only,
	);
	assert.equal((other as { error: { code: string } }).error.code, 'table_not_allowed');
	assert.deepEqual(list, { tables: [] });
	assert.deepEqual(Object.keys(pumaTools(puma, { readOnly: true })), ['list_tables', 'query']);
});

test("[12.7] AI SDK: a table's name reaches no other path: a model makes no keys and no links", async () => {
	const keys = await puma.keys();
	const steps = ['_keys', '_row_links', '_export'].flatMap((table) => [
		{ tool: 'add', input: { table, row: { name: 'evil' } } },
		{ tool: 'query', input: { table } },
	]);
	const outputs = (await session(steps)) as { error: { code: string; message: string } }[];
	assert.equal(outputs.length, steps.length);
	for (const { error } of outputs) {
		assert.equal(error.code, 'invalid_table_name');
		assert.match(error.message, /Send a name such as/);
	}
	assert.deepEqual(await puma.keys(), keys);
});

test('[12.10] AI SDK: an input that does not fit the tool is refused in words that the model gets, and nothing is done', async () => {
	await ada.add('inputs', { n: 1 });
	const table = 'inputs';
	const cases: readonly (readonly [string, unknown, string])[] = [
		['delete', { table }, 'filter is missing. Members and values that must all be equal'],
		['delete', { table, filter: null }, 'filter must be an object. Members and values'],
		['delete', { table, filter: [] }, 'filter must be an object.'],
		['delete', { table, filtre: {} }, 'There is no member "filtre" here. Send an object with table, filter.'],
		['delete', {}, 'table is missing. The table: a letter'],
		['query', { table: 7 }, 'table must be a text.'],
		['query', { table, limit: 0 }, 'limit must be 1 or more.'],
		['query', { table, limit: 1.5 }, 'limit must be a whole number.'],
		['add', { table, row: 'n=2' }, 'row must be an object.'],
		['upsert', { table, key: [], row: { n: 2 } }, 'key must have 1 or more. The members that identify'],
		['upsert', { table, key: 'n', row: { n: 2 } }, 'key must be an array of texts.'],
		['update_row', { table, patch: { n: 2 } }, 'id is missing.'],
		['list_tables', [], 'The input is not an object. Send {}.'],
		['list_tables', { table }, 'There is no member "table" here. Send {}.'],
	];
	for (const [name, input, words] of cases) {
		const told = await toldOf(name, input);
		assert.ok(told.includes(words), `${name} ${JSON.stringify(input)}: ${told}`);
		const direct = pumaTools(puma)[name]!.execute as (input: unknown, options: object) => Promise<unknown>;
		const { error } = (await direct(input, {})) as { error: { code: string; message: string } };
		assert.equal(error.code, 'invalid_input');
		assert.ok(error.message.startsWith(words), error.message);
	}
	assert.deepEqual(
		(await ada.rows(table)).map(({ n }) => n),
		[1],
	);
});

/** What the model is told in the turn after it called this tool. */
async function toldOf(toolName: string, input: unknown): Promise<string> {
	let told = '';
	const model = new MockLanguageModelV4({
		doGenerate: async ({ prompt }) => {
			const answers = prompt.flatMap(({ role, content }) => (role === 'tool' ? content : []));
			for (const answer of answers) {
				if (answer.type === 'tool-result' && answer.output.type === 'error-text') told = answer.output.value;
			}
			const call = { type: 'tool-call' as const, toolCallId: 'call', toolName, input: JSON.stringify(input) };
			const done = answers.length > 0;
			const finishReason = { unified: done ? ('stop' as const) : ('tool-calls' as const), raw: undefined };
			return { content: done ? [{ type: 'text', text: 'done' }] : [call], finishReason, usage: USAGE, warnings: [] };
		},
	});
	await generateText({ model, tools: pumaTools(puma), prompt: 'go', stopWhen: isStepCount(5) });
	return told;
}
