import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addAll } from './support/add-all.ts';
import { type Any, signIn } from './support/client.ts';
import { faultsOf } from './support/data-dir.ts';
import { randomFrom, seedFrom } from './support/random.ts';
import { assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer } from './support/server.ts';

const ROUNDS = 12;

/** Rows without what differs between two tables. */
const own = (rows: Any[]): Any[] => rows.map(({ id: _, created_at: __, updated_at: ___, ...members }) => members);

test('[4.6] [3.1] [4.3] a batch on a large table without indexes does what its operations do one by one', async (t) => {
	const seed = seedFrom('LOOKUP_SEED');
	t.diagnostic(`LOOKUP_SEED=${seed}`);
	const random = randomFrom(seed);
	const server = await startServer(NO_RATE_LIMITS);
	try {
		const ada = await signIn(server);
		const row = (n: number): Any => ({ n, a: n % 7, b: `b${n % 5}`, ...(n % 3 === 0 ? { c: null } : {}) });
		for (let round = 0; round < ROUNDS; round++) {
			// New tables each time: no index has been asked for yet.
			const [together, single] = [`t${round}`, `s${round}`];
			const rows = Array.from({ length: 80 }, (_, n) => row(n));
			await addAll(ada, together, rows);
			await addAll(ada, single, rows);
			const filter = (): Any =>
				random.pick([
					{ a: random.below(8) },
					{ b: `b${random.below(6)}` },
					{ a: random.below(8), b: `b${random.below(6)}` },
					{ c: null },
					{ a: random.below(8), c: null },
					{ d: random.below(3) },
				]);
			const patch = (): Any =>
				random.pick([{ a: random.below(8) }, { b: 'b9' }, { c: null }, { d: random.below(3) }, { c: [] }]);
			const operations = Array.from({ length: 40 }, (): Any => {
				const action = random.below(10);
				if (action < 4) return { action: 'update_where', filter: filter(), patch: patch(), allowMultiple: true };
				if (action < 6) return { action: 'delete', filter: { ...filter(), n: random.below(80) } };
				if (action < 8) return { action: 'add', row: { ...row(random.below(80)), d: random.below(3) } };
				const n = 1000 + random.below(5);
				return { action: 'upsert', key: ['n', 'b'], row: { n, b: `b${random.below(2)}`, a: random.below(8) } };
			});
			const { results } = assertStatus(await ada.post(`/v1/${together}/batch`, { operations }), 200);
			for (const [i, { action, ...body }] of operations.entries()) {
				const path = { update_where: '/update_where', upsert: '/upsert', add: '', delete: '' }[action as 'add'];
				const answer =
					action === 'delete'
						? await ada.del(`/v1/${single}`, body)
						: await ada.post(`/v1/${single}${path}`, body.row !== undefined && action === 'add' ? body.row : body);
				assert.ok(answer.status < 300, answer.text);
				const told = `operation ${i}: ${JSON.stringify(operations[i])}`;
				const { result } = results[i];
				assert.deepEqual(
					[result.updated, result.deleted, result.created],
					[answer.body.updated, answer.body.deleted, answer.body.created],
					told,
				);
				if (result.rows !== undefined) assert.deepEqual(own(result.rows), own(answer.body.rows), told);
			}
			assert.deepEqual(own(await ada.rows(together)), own(await ada.rows(single)));
			await ada.del(`/v1/${together}`, { filter: { a: 1 } });
			for (const table of [together, single]) {
				for (const { id } of await ada.rows(table)) await ada.del(`/v1/${table}`, { filter: { id } });
			}
		}
		assert.deepEqual(faultsOf(server.dataDir), []);
	} finally {
		await server.stop();
	}
});
