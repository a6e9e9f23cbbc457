import type { Readable, Writable } from 'node:stream';

/** An output that may be a terminal. */
export interface Output extends Writable {
	readonly isTTY?: boolean;
	/** Characters of a terminal's line. */
	readonly columns?: number;
}

/** What a command gets from the outside. */
export interface Surroundings {
	readonly env: Readonly<Record<string, string | undefined>>;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Fires when the process is asked to stop. */
	readonly stopped: AbortSignal;
	readonly stdin: Readable & { readonly isTTY?: boolean };
	readonly stdout: Output;
	/** For questions and progress; what is to be piped on goes to `stdout`. */
	readonly stderr: Output;
	/** Milliseconds since the epoch when the process began. */
	readonly startedAt: number;
	/** A line on standard error, for people. */
	complain(line: string): void;
}
