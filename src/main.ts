import { runCommand } from './cli/commands.ts';
import { visible } from './cli/visible.ts';

/** The program: alone reads the environment, the arguments, the clock and signals. Sets the exit code. */
export async function main(): Promise<void> {
	const stop = new AbortController();
	for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
	// Where standard error is closed or full, there is nowhere left to say so.
	process.stderr.on('error', () => {});
	process.exitCode = await runCommand(process.argv.slice(2), {
		env: process.env,
		clock: Date.now,
		stopped: stop.signal,
		stdin: process.stdin,
		stdout: process.stdout,
		stderr: process.stderr,
		startedAt: performance.timeOrigin,
		complain: (line) => process.stderr.write(`${visible(line, true)}\n`),
	});
}
