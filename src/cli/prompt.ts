import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { Interrupted } from './exit-codes.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * Asks on standard error and reads a line from standard input, which need not be a terminal.
 * @param hidden what is typed is not shown
 * @throws Interrupted; Error where the input ends without a line
 */
export async function ask(around: Surroundings, question: string, hidden = false): Promise<string> {
	const { stdin: input, stderr, stopped } = around;
	let muted = false;
	const output = new Writable({
		write(chunk, _, done) {
			if (!muted) stderr.write(chunk);
			done();
		},
	});
	const lines = createInterface({ input, output, terminal: input.isTTY === true });
	try {
		stderr.write(question);
		muted = hidden;
		return await new Promise<string>((resolve, reject) => {
			lines.once('SIGINT', () => reject(new Interrupted('Stopped.')));
			stopped.addEventListener('abort', () => reject(new Interrupted('Stopped.')), { once: true });
			lines.once('line', resolve);
			lines.once('close', () => reject(new Error('The input ended without an answer.')));
		});
	} finally {
		if (hidden) stderr.write('\n');
		lines.close();
	}
}

/** Asks a question that only "y" or "yes" answers with yes. */
export async function confirm(around: Surroundings, question: string): Promise<boolean> {
	return /^y(es)?$/i.test((await ask(around, `${question} [y/N] `)).trim());
}
