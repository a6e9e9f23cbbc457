import { PumaError, stringifyExact } from '../../client/src/index.ts';
import type { Values } from './command.ts';
import { exitCodeOf, Interrupted } from './exit-codes.ts';
import type { Surroundings } from './surroundings.ts';

/** What systems call the common troubles with files (errno(3)). */
const SYSTEM: Readonly<Record<string, string>> = {
	ENOENT: 'does not exist',
	EACCES: 'may not be read or written by you',
	EPERM: 'may not be read or written by you',
	EISDIR: 'is a directory',
	ENOTDIR: 'has a file where a directory should be',
	ENOSPC: 'cannot be written: the disk is full',
	EDQUOT: 'cannot be written: your quota of the disk is used up',
	EROFS: 'cannot be written: the file system is read-only',
};

/** Tells of a failure in a sentence, and answers the exit code. */
export function tellFailure(words: string, thrown: unknown, values: Values, around: Surroundings): number {
	const error = around.stopped.aborted && !(thrown instanceof Interrupted) ? new Interrupted('Stopped.') : thrown;
	const message = messageOf(error);
	if (values.json)
		around.complain(stringifyExact({ error: { code: codeOf(error), message, details: detailsOf(error) } }));
	else around.complain(`pumadb ${words}: ${message}`);
	return exitCodeOf(error);
}

function messageOf(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	const { code, path, syscall } = error as NodeJS.ErrnoException;
	const known = syscall === undefined ? undefined : SYSTEM[code ?? ''];
	return known === undefined ? error.message : `${path ?? 'A file'} ${known}.`;
}

function codeOf(error: unknown): string {
	if (error instanceof PumaError) return error.code;
	return ['failed', 'usage'][exitCodeOf(error) - 1] ?? 'stopped';
}

function detailsOf(error: unknown): unknown {
	return error instanceof PumaError && Object.keys(error.details).length > 0 ? error.details : undefined;
}
