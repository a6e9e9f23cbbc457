import type { Any, Client } from './client.ts';
import { assertStatus } from './refusals.ts';

/** Adds up to a hundred rows in one batch, in this order, and answers them. */
export async function addAll(client: Client, table: string, rows: readonly unknown[]): Promise<Any[]> {
	const operations = rows.map((row) => ({ action: 'add', row }));
	const answer = await client.post(`/v1/${table}/batch`, { operations });
	return assertStatus(answer, 200).results.map(({ result }: Any) => result);
}
