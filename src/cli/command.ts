import type { Surroundings } from './surroundings.ts';

/** A flag of a command. A text alone is the meaning of one that takes a value. */
export type Flag =
	| string
	| {
			readonly meaning: string;
			/** What stands for the value in the help; a flag that has none is a switch. */
			readonly value?: string;
			/** May be given several times. */
			readonly multiple?: true;
	  };

/** Values of flags, by name: a text, `true` for a switch, a list where it may be given several times. */
export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface Command {
	readonly words: string;
	readonly summary: string;
	/** Who it is for: a person with a key, or who operates the server and has its data directory. */
	readonly group: 'person' | 'operator';
	readonly flags: Readonly<Record<string, Flag>>;
	/** Names of what follows; `[…]` may be left out, and `…` at the end stands for several. */
	readonly positionals: readonly string[];
	/** Further help, and examples. */
	readonly notes?: string;
	/** Does this command take the arguments that follow its words? Where two have the same words. */
	readonly takes?: (args: readonly string[]) => boolean;
	run(values: Values, positionals: readonly string[], around: Surroundings): Promise<number>;
}

/** Wrong usage: one sentence, exit code 2. */
export class UsageError extends Error {}

/** The value of a flag that takes one. */
export function textOf(values: Values, name: string): string | undefined {
	const value = values[name];
	return typeof value === 'string' ? value : undefined;
}

/** @throws UsageError where the flag is not given */
export function need(values: Values, name: string): string {
	const value = textOf(values, name);
	if (value !== undefined && value !== '') return value;
	throw new UsageError(`--${name} is missing; see --help.`);
}

export function listOf(values: Values, name: string): readonly string[] {
	const value = values[name];
	return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** @throws UsageError */
export function wholeNumber(text: string | undefined, what: string): number | undefined {
	if (text === undefined) return undefined;
	if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
	throw new UsageError(`${what} must be a whole number from 1 on, not "${text}".`);
}
