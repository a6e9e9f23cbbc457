/** What the parts of the benchmark have in common: what they send with, and how they report. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadResult } from './load.ts';
import { type Measured, startProcess } from './processes.ts';
import { type Account, sampleRow } from './requests.ts';

export const CONNECTIONS = 64;
export const ROUNDS = 3;
export const TIMED = { connections: CONNECTIONS, order: 'random', seconds: 3, warmup: 1 } as const;
export const ONCE = { connections: CONNECTIONS, order: 'once', seconds: 600, warmup: 0 } as const;

export const home = mkdtempSync(join(tmpdir(), 'pumadb-bench-'));
process.once('exit', () => rmSync(home, { recursive: true, force: true }));

interface Line {
	readonly what: string;
	readonly measured: string;
	readonly wanted: string;
	readonly reached: boolean;
}
const lines: Line[] = [];

export function report(what: string, measured: string, wanted: string, reached: boolean): void {
	lines.push({ what, measured, wanted, reached });
	console.log(`${reached ? 'reached' : 'MISSED '}  ${what}: ${measured} (at least: ${wanted})`);
}

export function check(condition: boolean, what: string): void {
	if (condition) return;
	console.error(`Wrong result: ${what}`);
	process.exit(1);
}

export function median(values: readonly number[]): number {
	return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

export const per = (results: readonly LoadResult[]): number => median(results.map((result) => result.perSecond));
export const count = (results: readonly LoadResult[], status: string): number =>
	results.reduce((sum, result) => sum + (result.statuses[status] ?? 0), 0);
export const only = (results: readonly LoadResult[], status: string): boolean =>
	results.every((result) => Object.keys(result.statuses).join() === status);
export const rounded = (n: number): string => Math.round(n).toLocaleString('en');
export const percent = (n: number): string => `${Math.round(n * 100)} %`;

export async function api(server: Measured, account: Account, path: string, body?: unknown) {
	const response = await fetch(server.url + path, {
		method: body === undefined ? 'GET' : 'POST',
		headers: { authorization: `Bearer ${account.key}`, 'content-type': 'application/json' },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	return { status: response.status, text: await response.text() };
}

export const adds = (from: number, length: number) =>
	Array.from({ length }, (_, i) => ({ action: 'add', row: sampleRow(from + i) }));

export async function baseline(body: string): Promise<Measured> {
	const file = join(home, 'body.json');
	writeFileSync(file, body);
	return startProcess(['bench/baseline-server.ts', file]);
}

export async function rowsOf(server: Measured, accounts: readonly Account[], table: string): Promise<number> {
	let rows = 0;
	for (const account of accounts) {
		rows += (JSON.parse((await api(server, account, `/v1/${table}/count`)).text) as { count: number }).count;
	}
	return rows;
}

/** All that was reported, as a table. */
export function printTable(): void {
	console.log('\n| what | measured | at least | |\n| --- | --- | --- | --- |');
	for (const { what, measured, wanted, reached } of lines) {
		console.log(`| ${what} | ${measured} | ${wanted} | ${reached ? 'reached' : '**missed**'} |`);
	}
}
