import assert from 'node:assert/strict';
import { readConfig } from '../../src/config.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/seam.ts';
import { nodeSettings, TWO_NODES } from './nodes.ts';
import type { Env } from './server.ts';

/** Opens the store in a data directory, or in the database that stands for it, without a server. A fault fails the test. */
export async function openStoreOn(dataDir: string, clock: () => number, env: Env = {}): Promise<Store> {
	const database = TWO_NODES ? await nodeSettings(dataDir) : {};
	return openStore({
		config: readConfig({ PUMADB_DATA_DIR: dataDir, ...database, ...env }, {}),
		clock,
		onFault: (message, cause) => assert.fail(`${message} ${cause}`),
		onFatal: () => assert.fail('The writer failed.'),
	});
}
