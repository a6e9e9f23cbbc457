import type { Readable, Writable } from 'node:stream';

/** What a command gets from the outside. */
export interface Surroundings {
	readonly env: Readonly<Record<string, string | undefined>>;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Fires when the process is asked to stop. */
	readonly stopped: AbortSignal;
	/** For commands that speak a protocol on them. */
	readonly stdin: Readable;
	readonly stdout: Writable;
	print(line: string): void;
	complain(line: string): void;
}
