import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { strip } from '../scripts/strip-contract.ts';
import { send } from './support/client.ts';
import { ROOT, startServer } from './support/server.ts';

// biome-ignore lint/suspicious/noExplicitAny: OpenAPI documents are compared, not modelled, here.
type Any = any;

const read = (name: string): Any => JSON.parse(readFileSync(join(ROOT, 'contract', name), 'utf8'));

/** Everything of `part` must stand in `whole`, equal, whatever `whole` has besides. */
function assertHolds(whole: Any, part: Any, path: string): void {
	if (part === null || typeof part !== 'object') {
		assert.deepEqual(whole, part, path);
		return;
	}
	if (Array.isArray(part)) assert.equal(whole?.length, part.length, path);
	for (const name of Object.keys(part)) assertHolds(whole?.[name], part[name], `${path}/${name}`);
}

test('[1.1] our contract keeps all of the given one', () => {
	assertHolds(strip(read('openapi.json')), read('given.json'), '');
});

test('[10.1] [6.11] /openapi.json serves it with the limits in force', async () => {
	const server = await startServer();
	try {
		const served = (await send(server.url, 'GET', '/openapi.json')).body;
		const given = read('given.json');
		assert.equal(served['x-pumadb-limits'].readsPerMinute, null);
		assert.equal(served['x-pumadb-limits'].maxTables, 20);
		assertHolds({ ...(strip(served) as Any), 'x-pumadb-limits': given['x-pumadb-limits'] }, given, '');
		assert.deepEqual(served.servers, [{ url: server.url }]);
	} finally {
		await server.stop();
	}
});
