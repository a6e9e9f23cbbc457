import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, signIn } from './support/client.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';

/** Member indexes speed filters up; no batch that is taken back may leave one behind that misses rows. */

const MEMBERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const DEADLINE_MS = 30_000;

let server: ClockedServer;
let ada: Client;

before(async () => {
	server = await startClocked();
	ada = await signIn(server);
});
after(() => server.stop());

const rowOf = (value: unknown): Record<string, unknown> =>
	Object.fromEntries([...MEMBERS, 'i', 'j'].map((name) => [name, value]));

async function indexesReady(count: number): Promise<void> {
	for (const deadline = Date.now() + DEADLINE_MS; ; await sleep(10)) {
		const [ready] = queryDatabase(server.dataDir, "SELECT count(*) AS n FROM member_indexes WHERE state = 'ready'");
		if (ready!.n === count) return;
		assert.ok(Date.now() < deadline, `${ready!.n} of ${count} indexes are ready`);
	}
}

test('[4.6] [3.1] a refused batch that wanted an index takes no other index away', async () => {
	const operations = Array.from({ length: 60 }, (_, n) => ({ action: 'add', row: rowOf(n) }));
	assertStatus(await ada.post('/v1/wide/batch', { operations }), 200);
	for (const name of MEMBERS) assert.equal((await ada.rows('wide', { filter: { [name]: 7 } })).length, 1);
	await indexesReady(MEMBERS.length);
	// Indexes that were not used for long give their place to one that is wanted.
	server.advance(3 * 3_600_000);
	for (const wanted of ['i', 'j']) {
		const refused = await ada.post('/v1/wide/batch', {
			operations: [
				{ action: 'update_where', filter: { [wanted]: 7 }, patch: { seen: wanted } },
				{ action: 'add', row: rowOf('refused') },
				{ action: 'update_where', filter: { [wanted]: 'none' }, patch: {} },
			],
		});
		assert.equal(assertRefused(refused, 404, 'row_not_found').index, 2);
		await ada.add('wide', rowOf(`after ${wanted}`));
		for (const name of [...MEMBERS, 'i', 'j']) {
			const found = await ada.rows('wide', { filter: { [name]: `after ${wanted}` } });
			assert.equal(found.length, 1, `${name} after ${wanted}`);
		}
	}
	assert.deepEqual(faultsOf(server.dataDir), []);
});
