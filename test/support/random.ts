/** Numbers that look random and are the same for the same seed. */
export interface Random {
	/** From 0 up to, not including, 1. */
	next(): number;
	/** A whole number from 0 up to, not including, `bound`. */
	below(bound: number): number;
	chance(share: number): boolean;
	pick<T>(from: readonly T[]): T;
}

/** Mulberry32: 32 bits of state are plenty for choosing what a test does next. */
export function randomFrom(seed: number): Random {
	let state = seed >>> 0;
	const next = (): number => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
	const below = (bound: number): number => Math.floor(next() * bound);
	return { next, below, chance: (share) => next() < share, pick: (from) => from[below(from.length)]! };
}

/** The seed that the environment variable gives, or a new one. Say which, so that a failure can be run again. */
export function seedFrom(name: string): number {
	const given = process.env[name];
	return given === undefined || given === '' ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}
