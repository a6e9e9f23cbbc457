import { Refusal } from '../../errors.ts';

/** Lets so many run at once; the rest wait for their turn, in order. */
export class Turns {
	#free: number;
	readonly #maxWaiting: number;
	readonly #waiting: (() => void)[] = [];

	constructor(atOnce: number, maxWaiting: number) {
		this.#free = atOnce;
		this.#maxWaiting = maxWaiting;
	}

	/** @throws Refusal overloaded where too many wait already. */
	async take<T>(run: () => Promise<T>): Promise<T> {
		if (this.#free > 0) this.#free--;
		else {
			if (this.#waiting.length >= this.#maxWaiting) {
				const message = `The server has ${this.#maxWaiting} calls waiting and changed nothing. Send the call again in a second.`;
				throw new Refusal('overloaded', message);
			}
			await new Promise<void>((resolve) => this.#waiting.push(resolve));
		}
		try {
			return await run();
		} finally {
			const next = this.#waiting.shift();
			if (next === undefined) this.#free++;
			else next();
		}
	}
}
