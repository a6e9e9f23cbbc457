/**
 * The server as it is, with the conformance suite's tools in place of its own, behind a proxy that adds an API key, because
 * the suite sends none. `node test/support/conformance-server.ts` starts it to run the suite by hand.
 */
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/serve.ts';
import { signIn } from './client.ts';
import { CONFORMANCE_TOOLS } from './conformance-tools.ts';
import { keyAdder } from './mcp.ts';
import { NO_RATE_LIMITS, temporaryDir } from './server.ts';

export interface ConformanceServer {
	/** Of `/mcp`, on the proxy. */
	readonly url: string;
	stop(): Promise<void>;
}

export async function startConformanceServer(): Promise<ConformanceServer> {
	const settings = { PUMADB_PORT: '0', PUMADB_DATA_DIR: temporaryDir(), PUMADB_LOG_LEVEL: 'silent' };
	const running = await serve({
		config: readConfig({ ...settings, ...NO_RATE_LIMITS }, {}),
		clock: Date.now,
		onFatal: () => {
			throw new Error('The writer failed.');
		},
		mcpTools: CONFORMANCE_TOOLS,
	});
	const proxy = await keyAdder(running.url, (await signIn(running)).key);
	return {
		url: `${proxy.url}/mcp`,
		async stop() {
			proxy.close();
			await running.stop();
		},
	};
}

if (import.meta.main) {
	const { url, stop } = await startConformanceServer();
	console.log(`The suite's server: ${url}`);
	process.once('SIGINT', stop);
	process.once('SIGTERM', stop);
}
