import { PumaError, stringifyExact } from '../../client/src/index.ts';
import type { Values } from './command.ts';
import { exitCodeOf, Interrupted } from './exit-codes.ts';
import type { Surroundings } from './surroundings.ts';
import { systemTrouble } from './system-trouble.ts';
import { visible, visibleJson } from './visible.ts';

/** Tells of a failure in a sentence, and answers the exit code. */
export function tellFailure(words: string, thrown: unknown, values: Values, around: Surroundings): number {
	const error = around.stopped.aborted && !(thrown instanceof Interrupted) ? new Interrupted('Stopped.') : thrown;
	const message = `${messageOf(error)}${hintOf(error, words, around)}`;
	if (values.json) {
		const body = stringifyExact({ error: { code: codeOf(error), message, details: detailsOf(error) } });
		around.stderr.write(`${visibleJson(body)}\n`);
	} else around.complain(`pumadb ${words}: ${visible(message)}`);
	return exitCodeOf(error);
}

/** What a person does about it here: where a key comes from that does not work, and how to get another; which flag it takes. */
function hintOf(error: unknown, words: string, { env }: Surroundings): string {
	if (!(error instanceof PumaError)) return '';
	if (error.code === 'multiple_matches' && words === 'update') return ' Here that is --all.';
	if (error.code !== 'invalid_api_key') return '';
	return env.PUMADB_API_KEY?.trim()
		? ' It is that of PUMADB_API_KEY: set another, or unset it and run "pumadb login".'
		: ' Run "pumadb login" to get another.';
}

function messageOf(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	const { code, path, syscall } = error as NodeJS.ErrnoException;
	const known = syscall === undefined ? undefined : systemTrouble(code);
	return known === undefined ? error.message : `${path ?? 'A file'} ${known}.`;
}

function codeOf(error: unknown): string {
	if (error instanceof PumaError) return error.code;
	return ['failed', 'usage'][exitCodeOf(error) - 1] ?? 'stopped';
}

function detailsOf(error: unknown): unknown {
	return error instanceof PumaError && Object.keys(error.details).length > 0 ? error.details : undefined;
}
