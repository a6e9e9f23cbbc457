import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { InMemoryStore, InvalidNamespaceError, type Operation } from '@langchain/langgraph-checkpoint';
import fc from 'fast-check';
import { Puma } from '../../client/src/index.ts';
import { type Client, signIn } from '../../test/support/client.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from '../../test/support/server.ts';
import { PumaStore } from '../src/langgraph.ts';

let server: TestServer;
let ada: Client;
let puma: Puma;
let stores = 0;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
	puma = new Puma({ url: server.url, apiKey: ada.key });
});
after(() => server.stop());

const newStore = (): PumaStore => new PumaStore(puma, { table: `store${++stores}` });

test('[12.8] LangGraph: items survive the process, keep their creation and can be deleted', async () => {
	const table = `store${++stores}`;
	const store = new PumaStore(puma, { table });
	await store.put(['users', '1'], 'prefs', { theme: 'dark', nested: { list: [1, null, 'x'] } });
	const first = await store.get(['users', '1'], 'prefs');
	assert.deepEqual(first?.value, { theme: 'dark', nested: { list: [1, null, 'x'] } });
	assert.deepEqual(first?.namespace, ['users', '1']);
	assert.ok(first?.createdAt instanceof Date);
	await store.put(['users', '1'], 'prefs', { theme: 'light' });
	const again = await new PumaStore(puma, { table }).get(['users', '1'], 'prefs');
	assert.deepEqual(again?.value, { theme: 'light' });
	assert.deepEqual(again?.createdAt, first?.createdAt);
	assert.equal((await ada.rows(table)).length, 1);
	await store.delete(['users', '1'], 'prefs');
	assert.equal(await store.get(['users', '1'], 'prefs'), null);
	await assert.rejects(store.put([], 'x', {}), InvalidNamespaceError);
	await assert.rejects(store.put(['a.b'], 'x', {}), InvalidNamespaceError);
});

test('[12.8] LangGraph: namespaces are listed as by the in-memory store', async () => {
	const [ours, theirs] = [newStore(), new InMemoryStore()];
	for (const namespace of [
		['a', 'b', 'c'],
		['a', 'b'],
		['a', 'x', 'c'],
		['b', 'c'],
		['ab', 'c'],
	]) {
		for (const store of [ours, theirs]) await store.put(namespace, 'k', { n: 1 });
	}
	for (const options of [
		{},
		{ prefix: ['a'] },
		{ suffix: ['c'] },
		{ prefix: ['a', '*', 'c'] },
		{ maxDepth: 1 },
		{ prefix: ['a'], maxDepth: 2 },
		{ limit: 2, offset: 1 },
	]) {
		assert.deepEqual(await ours.listNamespaces(options), await theirs.listNamespaces(options), JSON.stringify(options));
	}
});

const label = fc.constantFrom('a', 'b', 'ab');
const namespace = fc.array(label, { minLength: 1, maxLength: 2 });
const key = fc.constantFrom('k', 'l');
const scalar = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('x', 'y', '2'), fc.boolean());
const value = fc.record({ n: scalar, m: scalar }, { requiredKeys: [] });
const condition = fc.oneof(
	scalar,
	fc.dictionary(fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte'), scalar, { maxKeys: 2 }),
	fc.record({ $in: fc.array(scalar, { maxLength: 2 }) }),
	fc.record({ $nin: fc.array(scalar, { maxLength: 2 }) }),
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
	fc.record({ namespace, key }),
	fc.record({ namespace, key, value: fc.option(value) }),
	fc.record({ namespace, key, value }),
	fc.record({
		namespacePrefix: fc.array(label, { maxLength: 2 }),
		filter: fc.dictionary(fc.constantFrom('n', 'm'), condition, { maxKeys: 2 }),
		limit: fc.constant(1000),
	}),
);

/** What must be the same: the times are each store's own, and so is the order of what is not sorted. */
function comparable(result: unknown): unknown {
	if (result === null || result === undefined) return null;
	if (Array.isArray(result)) return result.map((item) => JSON.stringify(comparable(item))).toSorted();
	const { namespace, key, value } = result as { namespace: unknown; key: unknown; value: object };
	return { namespace, key, value: Object.entries(value).toSorted() };
}

test('[12.8] LangGraph: whatever is put, got and searched, in batches, the in-memory store answers the same', async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { maxLength: 8 }),
			async (batches) => {
				const [ours, theirs] = [newStore(), new InMemoryStore()];
				for (const batch of batches) {
					const mine = await ours.batch(batch);
					// What it answers is what it holds, which a put of the same batch would change: so it reads first.
					const reads = batch.filter((one) => !('value' in one));
					const found = (await theirs.batch(reads)).map(comparable);
					await theirs.batch(structuredClone(batch.filter((one) => 'value' in one)));
					const wanted = batch.map((one) => ('value' in one ? null : found.shift()));
					assert.deepEqual(mine.map(comparable), wanted);
				}
			},
		),
		{ numRuns: 40 },
	);
});

test('[12.8] LangGraph: pages of a search, and a batch of puts that is stored all or none', async () => {
	const store = newStore();
	await store.batch(Array.from({ length: 30 }, (_, n) => ({ namespace: ['page'], key: `k${n}`, value: { n } })));
	assert.equal((await store.search(['page'])).length, 10);
	assert.deepEqual(
		(await store.search(['page'], { limit: 3, offset: 28 })).map(({ value }) => value.n),
		[28, 29],
	);
	const tooLarge = [
		{ namespace: ['page'], key: 'new', value: { n: 1 } },
		{ namespace: ['page'], key: 'large', value: { text: 'x'.repeat(70_000) } },
	];
	await assert.rejects(store.batch(tooLarge), { name: 'PumaError', code: 'row_too_large' });
	assert.equal(await store.get(['page'], 'new'), null);
});
