import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { readText } from './read-text.ts';
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

/** @throws UsageError; Error for a file that cannot be read, is too large or is no UTF-8 */
export async function readSource(file: string, around: Surroundings): Promise<Source> {
	const { name, bytes, text } = await readText(file, around);
	const digest = createHash('sha256').update(bytes).digest('hex');
	const identity = file === '-' ? `standard input ${digest}` : resolve(file);
	return { name, identity, text, digest };
}
