import type { Answer } from './context.ts';

const MAX_ASKED = 10_000;
/** Queries with longer names are not remembered: filters may be long, and names take room too. */
const MAX_NAME = 500;

interface Ready extends Answer {
	readonly body: string;
	readonly generation: number;
}

/**
 * Answers of queries, kept while their table is unchanged. An entry counts only under the table's present generation, which
 * every answered write moves on, so a kept answer is never older than the last answered write.
 */
export class ReadyAnswers {
	readonly #maxCharacters: number;
	readonly #answers = new Map<string, Ready>();
	/** Queries that were asked once: an answer is kept from the second time on, because most are never asked again. */
	readonly #asked = new Set<string>();
	#characters = 0;

	/** @param maxCharacters room for all kept answers together, about a byte each. */
	constructor(maxCharacters: number) {
		this.#maxCharacters = maxCharacters;
	}

	get(name: string, generation: number | undefined): Answer | undefined {
		const found = this.#answers.get(name);
		return found !== undefined && found.generation === generation ? found : undefined;
	}

	set(name: string, generation: number | undefined, body: string): void {
		// One answer may take a hundredth of the room, so that a few large ones do not push out all others.
		if (generation === undefined || name.length > MAX_NAME || body.length > this.#maxCharacters / 100) return;
		if (!this.#asked.has(name)) {
			if (this.#asked.size >= MAX_ASKED) this.#asked.clear();
			this.#asked.add(name);
			return;
		}
		this.#drop(name);
		const size = name.length + body.length;
		for (const oldest of this.#answers.keys()) {
			if (this.#characters + size <= this.#maxCharacters) break;
			this.#drop(oldest);
		}
		this.#answers.set(name, { generation, body, ready: true });
		this.#characters += size;
	}

	#drop(name: string): void {
		const found = this.#answers.get(name);
		if (found === undefined) return;
		this.#characters -= name.length + found.body.length;
		this.#answers.delete(name);
	}
}
