import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Load by `wrk` (Debian's package of that name), which costs as little beside what it loads as pgbench does beside PostgreSQL. */

export interface WrkOrder {
	readonly port: number;
	readonly connections: number;
	/** Whole seconds. */
	readonly seconds: number;
	/** The file that {@link writeRequests} wrote. */
	readonly requests: string;
}

export interface WrkResult {
	readonly perSecond: number;
	/** Answers, all of them with a status of 2xx. */
	readonly answers: number;
}

/** Writes requests, whole and in ASCII, for {@link wrk} to pick from at random. @returns the file. */
export function writeRequests(directory: string, name: string, requests: readonly string[]): string {
	const file = join(directory, name);
	// A string of JSON in ASCII is one of Lua, as long as nothing is written as \u.
	writeFileSync(file, requests.map((text) => `${JSON.stringify(text)}\n`).join(''));
	return file;
}

/** @throws Error for an answer that is not 2xx, or a connection that failed */
export async function wrk({ port, connections, seconds, requests }: WrkOrder): Promise<WrkResult> {
	const { stdout } = await promisify(execFile)(
		'wrk',
		[
			...['-t', '1', '-c', String(connections), '-d', `${seconds}s`],
			...['-s', join(import.meta.dirname, 'wrk.lua'), `http://127.0.0.1:${port}/`],
		],
		{ env: { ...process.env, REQUESTS: requests } },
	);
	if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`Not all went well:\n${stdout}`);
	return {
		perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)![1]),
		answers: Number(/(\d+) requests in/.exec(stdout)![1]),
	};
}
