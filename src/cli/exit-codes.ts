import { PumaError } from '../../client/src/index.ts';
import { ConfigError } from '../config.ts';
import { Refusal } from '../errors.ts';
import { UsageError } from './command.ts';
import { OutputClosed } from './output.ts';

/** What the process's exit code says. */
export const EXIT = {
	done: 0,
	failed: 1,
	usage: 2,
	notSignedIn: 3,
	notFound: 4,
	tryLater: 5,
	interrupted: 130,
	outputClosed: 141,
} as const;

/** The same in words, for the help. */
export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
	[EXIT.done, 'done'],
	[EXIT.failed, 'it failed: refused by the server, or a file that cannot be read or written'],
	[EXIT.usage, 'wrong usage'],
	[EXIT.notSignedIn, 'no API key, or one that is not valid'],
	[EXIT.notFound, 'no such row or version'],
	[EXIT.tryLater, 'no network, no answer, overload or rate limit: try again later'],
	[EXIT.interrupted, 'stopped by Ctrl-C'],
	[EXIT.outputClosed, 'whoever read the output has gone'],
];

/** Thrown when Ctrl-C or SIGTERM ended the command; the message says what was done and how to go on. */
export class Interrupted extends Error {}

export function exitCodeOf(error: unknown): number {
	if (error instanceof Interrupted) return EXIT.interrupted;
	if (error instanceof OutputClosed) return EXIT.outputClosed;
	if (error instanceof UsageError || error instanceof ConfigError || error instanceof Refusal) return EXIT.usage;
	if (!(error instanceof PumaError)) return EXIT.failed;
	if (error.code === 'timeout' || error.code === 'connection_failed') return EXIT.tryLater;
	// Said by the client of what it was given.
	if (error.code === 'invalid_request' && error.status === undefined) return EXIT.usage;
	if (error.status === 401 || error.code === 'invalid_api_key' || error.code === 'missing_api_key')
		return EXIT.notSignedIn;
	if (error.status === 404) return error.code === 'unexpected_answer' ? EXIT.failed : EXIT.notFound;
	if (error.status === 429 || (error.status !== undefined && error.status >= 500)) return EXIT.tryLater;
	return EXIT.failed;
}
