import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { UsageError } from './command.ts';
import type { Surroundings } from './surroundings.ts';

/** What an import reads: all of it is in memory, for nothing is sent before everything was looked at. */
export interface Source {
	/** As a person named it. */
	readonly name: string;
	/** What tells it from other sources when an import goes on: a path, or what was read. */
	readonly identity: string;
	readonly text: string;
	/** SHA-256 of its bytes, hexadecimal. */
	readonly digest: string;
}

/** What fits into one string; an account is far smaller. */
const MAX_BYTES = 256 * 1024 * 1024;

/** @throws UsageError; Error for a file that cannot be read, is too large or is no UTF-8 */
export async function readSource(file: string, around: Surroundings): Promise<Source> {
	const stdin = file === '-';
	if (!stdin && statSync(file).isDirectory()) throw new UsageError(`${file} is a directory: name a file.`);
	if (!stdin && statSync(file).size > MAX_BYTES) throw tooLarge(file);
	const bytes = stdin ? await buffer(around.stdin) : readFileSync(file);
	const name = stdin ? 'standard input' : file;
	if (bytes.length > MAX_BYTES) throw tooLarge(name);
	const digest = createHash('sha256').update(bytes).digest('hex');
	const identity = stdin ? `standard input ${digest}` : resolve(file);
	return { name, identity, text: decode(bytes, name), digest };
}

function tooLarge(name: string): Error {
	return new Error(`${name} has more than ${MAX_BYTES / 1024 / 1024} MB. Split it and import its parts.`);
}

function decode(bytes: Buffer, name: string): string {
	const first = bytes.subarray(0, 2).toString('hex');
	if (first === 'fffe' || first === 'feff') {
		throw new Error(`${name} is UTF-16. Convert it first: iconv -f UTF-16 -t UTF-8`);
	}
	if (!isUtf8(bytes)) {
		throw new Error(
			`${name} is not UTF-8 (line ${badLine(bytes)}). Convert it first, for example: iconv -f WINDOWS-1252 -t UTF-8`,
		);
	}
	const text = bytes.toString('utf8');
	return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** The first line that is no UTF-8: in UTF-8 a line feed is no part of another character. */
function badLine(bytes: Buffer): number {
	let line = 1;
	for (let start = 0; ; line++) {
		const end = bytes.indexOf(0x0a, start);
		if (!isUtf8(bytes.subarray(start, end === -1 ? bytes.length : end)) || end === -1) return line;
		start = end + 1;
	}
}
