import { readConfig } from '../../src/config.ts';
import { type ServeOptions, serve } from '../../src/serve.ts';
import { alternate, nodeSettings, TWO_NODES } from './nodes.ts';
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
	const settings = { PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir, PUMADB_LOG_LEVEL: 'silent', ...env };
	const start = async (database: Env) =>
		serve({
			...more,
			config: readConfig({ ...database, ...settings }, {}),
			clock: () => Date.now() + ahead,
			onFatal: () => {
				throw new Error('The writer failed.');
			},
		});
	const own = TWO_NODES ? await nodeSettings(dataDir) : {};
	const running = await Promise.all([start(own), ...(TWO_NODES ? [start(own)] : [])]);
	alternate(running.map(({ url }) => url));
	return {
		url: running[0]!.url,
		dataDir,
		advance(milliseconds) {
			ahead += milliseconds;
		},
		stop: async () => void (await Promise.all(running.map((node) => node.stop()))),
	};
}
