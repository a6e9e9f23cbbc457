import { readConfig } from '../../src/config.ts';
import { type ServeOptions, serve } from '../../src/serve.ts';
import { type Env, NO_RATE_LIMITS, temporaryDir } from './server.ts';

/** A real server in this process, for rules about time: its clock is the test's to move. */
export interface ClockedServer {
	readonly url: string;
	readonly dataDir: string;
	/** Moves the server's clock on. */
	advance(milliseconds: number): void;
	stop(): Promise<void>;
}

export async function startClocked(
	env: Env = NO_RATE_LIMITS,
	dataDir: string = temporaryDir(),
	more: Pick<ServeOptions, 'fetchDocument'> = {},
): Promise<ClockedServer> {
	let ahead = 0;
	const config = readConfig({ PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir, PUMADB_LOG_LEVEL: 'silent', ...env }, {});
	const running = await serve({
		...more,
		config,
		clock: () => Date.now() + ahead,
		onFatal: () => {
			throw new Error('The writer failed.');
		},
	});
	return {
		url: running.url,
		dataDir,
		advance(milliseconds) {
			ahead += milliseconds;
		},
		stop: () => running.stop(),
	};
}
