import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signIn } from './support/client.ts';
import { keyAdder } from './support/mcp.ts';
import { ROOT, startServer, type TestServer } from './support/server.ts';

/** The protocol's own conformance suite: the scenarios that apply to a server whatever tools it has. */

const SUITE = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

const SCENARIOS: Readonly<Record<string, readonly string[]>> = {
	'2025-11-25': ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection', 'server-session-lifecycle'],
	'2026-07-28': [
		...['server-stateless', 'tools-list', 'caching', 'http-header-validation', 'dns-rebinding-protection'],
		...['server-sse-multiple-streams', 'input-required-result-unsupported-methods'],
	],
};

let server: TestServer;
let proxy: { url: string; close(): void };

before(async () => {
	server = await startServer();
	proxy = await keyAdder(server.url, (await signIn(server)).key);
});
after(async () => {
	proxy.close();
	await server.stop();
});

for (const [version, scenarios] of Object.entries(SCENARIOS)) {
	for (const scenario of scenarios) {
		test(`[11.1] [11.10] conformance: ${scenario}, ${version}`, async () => {
			const args = ['server', '--url', `${proxy.url}/mcp`, '--scenario', scenario, '--spec-version', version];
			const expected = ['--expected-failures', join(ROOT, 'test/mcp-conformance.yaml')];
			const child = spawn(process.execPath, [SUITE, ...args, ...expected], { stdio: ['ignore', 'pipe', 'pipe'] });
			let said = '';
			for (const stream of [child.stdout, child.stderr]) {
				stream.setEncoding('utf8').on('data', (text: string) => {
					said += text;
				});
			}
			const [code] = await once(child, 'close');
			assert.equal(code, 0, said);
			assert.match(said, /Passed: \d+\/\d+/, said);
		});
	}
}
