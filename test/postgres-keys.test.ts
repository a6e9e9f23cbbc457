import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { query } from './support/postgres.ts';
import { closeAll, emptyDatabase, openOn, type Person, person } from './support/stores.ts';

/** When keys were last used, as several nodes note it. */

const KEYS = 60;
const ROUNDS = 20;

afterEach(closeAll);

test('[6.7] nodes that saw the same keys note the latest use of each, and none waits for the other in a circle', async () => {
	const url = await emptyDatabase();
	// As where the tables are large: keys are looked up one by one, in the order in which they were asked for.
	for (const plan of ['seqscan', 'hashjoin', 'mergejoin', 'bitmapscan']) {
		await query(url, `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET enable_${plan} = off`);
	}
	const stores = [await openOn(url), await openOn(url), await openOn(url)];
	const people: Person[] = [];
	for (let n = 0; n < KEYS; n++) people.push(await person(stores[0]!));
	const at = (round: number, node: number): string => new Date(Date.UTC(2026, 0, 1, 0, round, node)).toISOString();
	for (let round = 0; round < ROUNDS; round++) {
		await Promise.all(
			stores.map((store, node) => {
				const used = people.map(({ accountId, keyId }) => ({ accountId, keyId, at: at(round, node) }));
				return store.writeAccounts({ command: 'touchKeys', used: node === 1 ? used.toReversed() : used });
			}),
		);
	}
	const noted = await query(url, 'SELECT DISTINCT last_used_at FROM api_keys');
	assert.deepEqual(noted, [{ last_used_at: at(ROUNDS - 1, stores.length - 1) }]);
	// Connections that have ended have told all that they counted.
	await closeAll();
	const [{ deadlocks }] = await query(url, 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()');
	assert.equal(deadlocks, 0);
});
