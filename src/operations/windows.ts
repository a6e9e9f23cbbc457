/**
 * Counts calls in windows of fixed length, each begun by the first call in it. Small on purpose: one entry a name that is
 * active, forgotten when its window ends.
 */
export class Windows {
	readonly #windowMs: number;
	readonly #clock: () => number;
	readonly #counts = new Map<string, { count: number; ends: number }>();
	#sweepAt = 0;

	constructor(windowMs: number, clock: () => number) {
		this.#windowMs = windowMs;
		this.#clock = clock;
	}

	/**
	 * Counts one call under `name`.
	 * @returns whether it is within `limit`, how many more are, and the seconds until the window ends.
	 */
	count(name: string, limit: number): Admission {
		const now = this.#clock();
		if (now >= this.#sweepAt) this.#sweep(now);
		let window = this.#counts.get(name);
		if (window === undefined || window.ends <= now || window.ends > now + this.#windowMs) {
			window = { count: 0, ends: now + this.#windowMs };
			this.#counts.set(name, window);
		}
		const admitted = window.count < limit;
		if (admitted) window.count++;
		return {
			admitted,
			limit,
			remaining: limit - window.count,
			resetSeconds: Math.max(1, Math.ceil((window.ends - now) / 1000)),
		};
	}

	#sweep(now: number): void {
		for (const [name, window] of this.#counts) if (window.ends <= now) this.#counts.delete(name);
		this.#sweepAt = now + this.#windowMs;
	}
}

/** Whether a call is within its limit, and what is left of it. */
export interface Admission {
	readonly admitted: boolean;
	readonly limit: number;
	readonly remaining: number;
	readonly resetSeconds: number;
}
