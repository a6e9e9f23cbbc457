import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
	Agent,
	type AgentInputItem,
	MemorySession,
	type Model,
	type ModelRequest,
	type ModelResponse,
	Runner,
	setTracingDisabled,
	Usage,
} from '@openai/agents-core';
import fc from 'fast-check';
import { Puma } from '../../client/src/index.ts';
import { type Client, signIn } from '../../test/support/client.ts';
import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from '../../test/support/server.ts';
import { PumaSession } from '../src/openai-agents.ts';

let server: TestServer;
let ada: Client;
let puma: Puma;

before(async () => {
	setTracingDisabled(true);
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_QUERY_LIMIT: '5000' });
	ada = await signIn(server);
	puma = new Puma({ url: server.url, apiKey: ada.key });
});
after(() => server.stop());

const said = (text: string): AgentInputItem => ({ type: 'message', role: 'user', content: text });

/** A model that answers with how much it was told; the SDK around it is the real one. */
class Counting implements Model {
	readonly seen: ModelRequest[] = [];
	async getResponse(request: ModelRequest): Promise<ModelResponse> {
		this.seen.push(request);
		const text = `I was told ${request.input.length} items.`;
		return {
			usage: new Usage(),
			output: [{ type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text }] }],
		};
	}
	getStreamedResponse(): never {
		throw new Error('not streamed here');
	}
}

test('[12.9] OpenAI Agents: a run of the SDK goes on where the last one stopped, in another process too', async () => {
	const model = new Counting();
	const agent = new Agent({ name: 'Counting', model });
	const runner = new Runner();
	const first = await runner.run(agent, 'one', { session: new PumaSession(puma, { sessionId: 'chat' }) });
	assert.equal(first.finalOutput, 'I was told 1 items.');
	const second = await runner.run(agent, 'two', { session: new PumaSession(puma, { sessionId: 'chat' }) });
	assert.equal(second.finalOutput, 'I was told 3 items.');
	const history = await new PumaSession(puma, { sessionId: 'chat' }).getItems();
	assert.deepEqual(
		history.map((item) => (item as { role: string }).role),
		['user', 'assistant', 'user', 'assistant'],
	);
	assert.equal((await ada.rows('agent_sessions', { filter: { session: 'chat' } })).length, 4);
});

test("[12.9] OpenAI Agents: whatever is added, popped and cleared, the SDK's own session answers the same", async () => {
	type Step = { add: string[] } | { pop: true } | { clear: true } | { get: number | undefined };
	const step: fc.Arbitrary<Step> = fc.oneof(
		{ weight: 4, arbitrary: fc.record({ add: fc.array(fc.string(), { maxLength: 5 }) }) },
		fc.constant({ pop: true as const }),
		{ weight: 1, arbitrary: fc.constant({ clear: true as const }) },
		fc.record({ get: fc.option(fc.integer({ min: -1, max: 8 }), { nil: undefined }) }),
	);
	await fc.assert(
		fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
			const [ours, theirs] = [new PumaSession(puma), new MemorySession()];
			for (const one of steps) {
				if ('add' in one) {
					const items = one.add.map((text) => said(text.replaceAll('\0', '')));
					await ours.addItems(items);
					await theirs.addItems(items);
				} else if ('pop' in one) assert.deepEqual(await ours.popItem(), await theirs.popItem());
				else if ('clear' in one) {
					await ours.clearSession();
					await theirs.clearSession();
				} else assert.deepEqual(await ours.getItems(one.get), await theirs.getItems(one.get));
			}
			assert.deepEqual(await ours.getItems(), await theirs.getItems());
		}),
		{ numRuns: 40 },
	);
});

test('[12.9] OpenAI Agents: answers that are lost double no item; two that pop at once get different ones', async () => {
	const proxy = await startFaultProxy(server.url);
	const session = new PumaSession(new Puma({ url: proxy.url, apiKey: ada.key }), { sessionId: 'lost' });
	proxy.faults.push('answer lost', 'dropped');
	await session.addItems(Array.from({ length: 130 }, (_, n) => said(String(n))));
	assert.deepEqual(
		(await session.getItems()).map((item) => (item as { content: string }).content),
		Array.from({ length: 130 }, (_, n) => String(n)),
	);
	const popped = await Promise.all(Array.from({ length: 8 }, () => session.popItem()));
	assert.equal(new Set(popped.map((item) => JSON.stringify(item))).size, 8);
	assert.equal((await session.getItems()).length, 122);
	await proxy.stop();
});

test('[12.9] OpenAI Agents: a history longer than a query answers is never cut without a word', async () => {
	const small = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_QUERY_LIMIT: '20', PUMADB_MAX_ROWS_PER_TABLE: '0' });
	const bob = await signIn(small);
	const session = new PumaSession(new Puma({ url: small.url, apiKey: bob.key }), { sessionId: 'long' });
	const items = Array.from({ length: 21 }, (_, n) => said(String(n)));
	await session.addItems(items.slice(0, 20));
	for (const limit of [undefined, 20, 21, 5000]) assert.deepEqual(await session.getItems(limit), items.slice(0, 20));
	await session.addItems(items.slice(20));
	for (const limit of [1, 19, 20]) assert.deepEqual(await session.getItems(limit), items.slice(-limit));
	for (const limit of [undefined, 21, 5000]) {
		await assert.rejects(session.getItems(limit), {
			name: 'RangeError',
			message:
				'The session long has 21 items, and this server answers at most 20 at once: ask for the last 20 or fewer (limit), or have the operator raise PUMADB_MAX_QUERY_LIMIT.',
		});
	}
	assert.deepEqual(await session.popItem(), items[20]);
	await small.stop();
	const unlimited = new PumaSession(puma, { sessionId: 'unlimited' });
	await unlimited.addItems(items);
	assert.deepEqual(await unlimited.getItems(5000), items);
});
