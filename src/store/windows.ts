import type { Awaitable } from '../awaitable.ts';

/** Counts calls in windows of fixed length, each begun by the first call in it. */
export interface Windows {
	/**
	 * Counts one call.
	 * @param accountId whose call it is; undefined where no account is known.
	 * @param name what is counted, within the account.
	 * @returns whether it is within `limit`, how many more are, and the seconds until the window ends.
	 */
	count(accountId: string | undefined, name: string, limit: number): Awaitable<Admission>;
}

/** Whether a call is within its limit, and what is left of it. */
export interface Admission {
	readonly admitted: boolean;
	readonly limit: number;
	readonly remaining: number;
	readonly resetSeconds: number;
}

/** @param count calls in the window, this one included, whether or not it is admitted. @param left milliseconds until the window ends. */
export function admission(count: number, limit: number, left: number): Admission {
	return {
		admitted: count <= limit,
		limit,
		remaining: Math.max(0, limit - count),
		resetSeconds: Math.max(1, Math.ceil(left / 1000)),
	};
}

/** Windows of one process. Small on purpose: one entry a name that is active, forgotten when its window ends. */
export class LocalWindows implements Windows {
	readonly #windowMs: number;
	readonly #clock: () => number;
	readonly #counts = new Map<string, { count: number; ends: number }>();
	#sweepAt = 0;

	constructor(windowMs: number, clock: () => number) {
		this.#windowMs = windowMs;
		this.#clock = clock;
	}

	count(accountId: string | undefined, within: string, limit: number): Admission {
		const name = accountId === undefined ? within : `${accountId} ${within}`;
		const now = this.#clock();
		if (now >= this.#sweepAt) this.#sweep(now);
		let window = this.#counts.get(name);
		if (window === undefined || window.ends <= now || window.ends > now + this.#windowMs) {
			window = { count: 0, ends: now + this.#windowMs };
			this.#counts.set(name, window);
		}
		return admission(++window.count, limit, window.ends - now);
	}

	#sweep(now: number): void {
		for (const [name, window] of this.#counts) if (window.ends <= now) this.#counts.delete(name);
		this.#sweepAt = now + this.#windowMs;
	}
}
