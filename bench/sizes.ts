import type { LoadResult } from './load.ts';
import { adds, api, check, per, ROUNDS, report, rowsOf, TIMED } from './measure.ts';
import { load, type Measured } from './processes.ts';
import { type Account, get, makeAccounts, post, sampleRow } from './requests.ts';

/** Tables of 1,000 and 100,000 rows, in accounts of their own: what one match costs must not follow the table's size. */
export async function bySize(server: Measured): Promise<void> {
	const sizes = [1000, 100_000];
	const [small, large] = (await makeAccounts(server.url, 2)) as [Account, Account];
	const owners = [small, large];
	for (const [i, owner] of owners.entries()) {
		for (let from = 0; from < sizes[i]!; from += 100)
			await api(server, owner, '/v1/sized/batch', { operations: adds(from, 100) });
		// The first filter asks for the index; it is there when the same call stops reading the table through.
		const filter = `/v1/sized?filter=${encodeURIComponent('{"n":1}')}`;
		for (let tries = 0; tries < 200; tries++) {
			await api(server, owner, filter);
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}
	const calls: Record<string, (owner: Account, n: number) => string> = {
		upsert: (owner, n) => post(owner, '/v1/sized/upsert', { key: 'n', row: { ...sampleRow(n), again: true } }),
		'one-match query': (owner, n) => get(owner, `/v1/sized?filter=${encodeURIComponent(`{"n":${n}}`)}`),
	};
	for (const [name, call] of Object.entries(calls)) {
		const results: LoadResult[][] = [[], []];
		for (let round = 0; round < ROUNDS; round++) {
			for (const [i, owner] of owners.entries()) {
				const step = sizes[i]! / 1000;
				// As many different rows of the large table as of the small one, spread over all of it.
				const requests = Array.from({ length: 1000 }, (_, k) => call(owner, k * step));
				results[i]!.push(await load({ ...TIMED, connections: 8, port: server.port, requests }));
			}
		}
		check(
			results.flat().every((result) => Object.keys(result.statuses).join() === '200'),
			`a ${name} failed`,
		);
		for (const [i, owner] of owners.entries()) {
			check((await rowsOf(server, [owner], 'sized')) === sizes[i], `the table of ${sizes[i]} rows has another number`);
		}
		const times = per(results[0]!) / per(results[1]!);
		report(
			`${name} at 100,000 rows a table`,
			`${times.toFixed(2)} times the time at 1,000`,
			'at most 1.5 times',
			times <= 1.5,
		);
	}
}
