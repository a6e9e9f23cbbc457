import { stringifyExact } from '../../client/src/index.ts';
import type { Values } from './command.ts';
import type { Surroundings } from './surroundings.ts';
import { systemTrouble } from './system-trouble.ts';
import { visible, visibleJson } from './visible.ts';

/** Whoever read the output has closed it. */
export class OutputClosed extends Error {}

/** Writes to standard output and waits until it is taken. @throws OutputClosed; Error for a full disk and the like */
export async function write(around: Surroundings, text: string | Uint8Array): Promise<void> {
	const error = await new Promise<Error | null | undefined>((resolve) => {
		// A closed output tells twice: the callback, and an event that would end the process were nobody listening.
		if (around.stdout.listenerCount('error') === 0) around.stdout.on('error', () => {});
		around.stdout.write(text, (failed) => resolve(failed));
	});
	if (error === undefined || error === null) return;
	const { code } = error as NodeJS.ErrnoException;
	if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED')
		throw new OutputClosed('Whoever read the output has closed it.');
	throw new Error(`Standard output ${systemTrouble(code) ?? `cannot be written (${code})`}.`);
}

/** A line, or several, for people. @throws as {@link write} */
export function print(around: Surroundings, text: string): Promise<void> {
	return write(around, `${visible(text, true)}\n`);
}

/** What a command answers: JSON for machines, with --json; else a text for people. */
export async function answer(around: Surroundings, values: Values, json: unknown, text: () => string): Promise<void> {
	await write(around, `${values.json ? visibleJson(stringifyExact(json)) : visible(text(), true)}\n`);
}
