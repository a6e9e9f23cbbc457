import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { Interrupted } from './exit-codes.ts';
import type { Surroundings } from './surroundings.ts';

/** Asks on standard error and reads lines from standard input, which need not be a terminal. Close it, or the program waits on. */
export class Prompt {
	readonly #around: Surroundings;
	readonly #lines: Interface;
	/** Lines that came before they were asked for: a pipe brings all at once. */
	readonly #waiting: string[] = [];
	/** Settles the question that is open. */
	#settle: (() => void) | undefined;
	#ended = false;
	#interrupted = false;
	#muted = false;

	constructor(around: Surroundings) {
		this.#around = around;
		const output = new Writable({
			write: (chunk, _, done) => {
				if (!this.#muted) around.stderr.write(chunk);
				done();
			},
		});
		this.#lines = createInterface({ input: around.stdin, output, terminal: around.stdin.isTTY === true });
		this.#lines.on('line', (line) => {
			this.#waiting.push(line);
			this.#settle?.();
		});
		this.#lines.on('close', () => {
			this.#ended = true;
			this.#settle?.();
		});
		const interrupt = (): void => {
			this.#interrupted = true;
			this.#settle?.();
		};
		this.#lines.on('SIGINT', interrupt);
		around.stopped.addEventListener('abort', interrupt, { once: true });
	}

	/**
	 * @param hidden what is typed is not shown
	 * @throws Interrupted; Error where the input ends without a line
	 */
	async ask(question: string, hidden = false): Promise<string> {
		this.#around.stderr.write(question);
		this.#muted = hidden;
		await new Promise<void>((resolve) => {
			this.#settle = resolve;
			if (this.#waiting.length > 0 || this.#ended || this.#interrupted) resolve();
		});
		if (hidden || this.#interrupted) this.#around.stderr.write('\n');
		this.#muted = false;
		if (this.#interrupted) throw new Interrupted('Stopped.');
		const line = this.#waiting.shift();
		if (line === undefined) throw new Error('The input ended without an answer.');
		return line;
	}

	/** Asks a question that only "y" or "yes" answers with yes. */
	async confirm(question: string): Promise<boolean> {
		return /^y(es)?$/i.test((await this.ask(`${question} [y/N] `)).trim());
	}

	close(): void {
		this.#lines.close();
	}
}

/** Runs something that asks. */
export async function withPrompt<T>(around: Surroundings, asking: (prompt: Prompt) => Promise<T>): Promise<T> {
	const prompt = new Prompt(around);
	try {
		return await asking(prompt);
	} finally {
		prompt.close();
	}
}
