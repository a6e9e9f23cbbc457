import { readConfig } from '../../src/config.ts';
import { type ServeOptions, serve } from '../../src/serve.ts';
import { alternate, nodeSettings, sharedAddress, TWO_NODES } from './nodes.ts';
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
	const settings = { PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir, PUMADB_LOG_LEVEL: 'silent' };
	const start = async (own: Env) =>
		serve({
			...more,
			config: readConfig({ ...settings, ...own }, {}),
			clock: () => Date.now() + ahead,
			onFatal: () => {
				throw new Error('The writer failed.');
			},
		});
	const running = TWO_NODES ? await startBoth() : [await start(env)];
	alternate(running.map(({ url }) => url));
	async function startBoth() {
		const { first, second } = await sharedAddress({ ...(await nodeSettings(dataDir)), ...env });
		return Promise.all([start(first), start(second)]);
	}
	return {
		url: running[0]!.url,
		dataDir,
		advance(milliseconds) {
			ahead += milliseconds;
		},
		stop: async () => void (await Promise.all(running.map((node) => node.stop()))),
	};
}
