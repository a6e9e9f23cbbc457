import { readConfig } from '../config.ts';
import { aborted, serve } from '../serve.ts';
import { textOf, type Values } from './command.ts';
import { print } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Runs the server until it is asked to stop. */
export async function runServe(values: Values, around: Surroundings): Promise<number> {
	const flags = Object.fromEntries(Object.keys(values).map((name) => [name, textOf(values, name)]));
	const config = readConfig(around.env, flags);
	const fatal = new AbortController();
	const running = await serve({ config, clock: around.clock, onFatal: () => fatal.abort() });
	// It serves all the same where nobody reads that.
	await print(around, `pumaDB listens on ${running.url}`).catch((error: Error) =>
		around.complain(`pumadb serve: ${error.message}`),
	);
	await Promise.race([aborted(around.stopped), aborted(fatal.signal)]);
	if (fatal.signal.aborted) {
		around.complain('pumadb serve: the writer failed; see the log. Start the server again.');
		process.exit(1);
	}
	await running.stop();
	return 0;
}
