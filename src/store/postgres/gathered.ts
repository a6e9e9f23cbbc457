interface Waiting<Question, Answer> {
	readonly question: Question;
	readonly resolve: (answer: Answer) => void;
	readonly reject: (error: unknown) => void;
}

export interface GatheredOptions<Question, Answer> {
	/** Asks all at once. @returns their answers, in order. */
	readonly askAll: (questions: readonly Question[]) => Promise<readonly Answer[]>;
	/** Questions in one statement at most. */
	readonly together: number;
	/** Statements on their way at once; while they are, questions gather. */
	readonly onTheWay: number;
}

/**
 * Asks questions that wait together by one statement: each is asked after it came in, at the cost of a share of a round trip, of a
 * statement's start and of its messages.
 */
export class Gathered<Question, Answer> {
	readonly #options: GatheredOptions<Question, Answer>;
	#waiting: Waiting<Question, Answer>[] = [];
	#onTheWay = 0;
	#scheduled = false;

	constructor(options: GatheredOptions<Question, Answer>) {
		this.#options = options;
	}

	/** Rejects with what its statement failed with. */
	ask(question: Question): Promise<Answer> {
		return new Promise((resolve, reject) => {
			this.#waiting.push({ question, resolve, reject });
			if (this.#scheduled) return;
			this.#scheduled = true;
			setImmediate(() => {
				this.#scheduled = false;
				this.#start();
			});
		});
	}

	#start(): void {
		while (this.#waiting.length > 0 && this.#onTheWay < this.#options.onTheWay) {
			void this.#ask(this.#waiting.splice(0, this.#options.together));
		}
	}

	async #ask(asked: readonly Waiting<Question, Answer>[]): Promise<void> {
		this.#onTheWay++;
		try {
			const answers = await this.#options.askAll(asked.map(({ question }) => question));
			for (const [i, { resolve }] of asked.entries()) resolve(answers[i]!);
		} catch (error) {
			for (const { reject } of asked) reject(error);
		} finally {
			this.#onTheWay--;
			this.#start();
		}
	}
}
