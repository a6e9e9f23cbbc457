/** The server with one commit for each write: what grouping is measured against. */
import { readConfig } from '../src/config.ts';
import { serve } from '../src/serve.ts';

const running = await serve({
	config: readConfig(process.env, {}),
	clock: Date.now,
	maxGroup: 1,
	onFatal: () => process.exit(1),
});
console.log(`listens on ${running.url}`);
process.once('SIGTERM', () => running.stop());
