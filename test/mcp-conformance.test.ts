import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { signIn } from './support/client.ts';
import { type ConformanceServer, startConformanceServer } from './support/conformance-server.ts';
import { keyAdder } from './support/mcp.ts';
import { ROOT, startServer, type TestServer } from './support/server.ts';

/**
 * The protocol's own conformance suite: against the product, the scenarios that apply to a server whatever tools it has; against
 * the product with the suite's tools, all that a revision of the protocol requires.
 */

const SUITE = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

const SCENARIOS: Readonly<Record<string, readonly string[]>> = {
	'2025-11-25': ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection', 'server-session-lifecycle'],
	'2026-07-28': [
		...['server-stateless', 'tools-list', 'caching', 'http-header-validation', 'dns-rebinding-protection'],
		...['server-sse-multiple-streams', 'input-required-result-unsupported-methods'],
	],
};

/** Scenarios that each revision requires, and those that it runs without counting them. */
const REQUIRED: Readonly<Record<string, number>> = { '2025-11-25': 33, '2026-07-28': 50 };

let server: TestServer;
let proxy: { url: string; close(): void };
let withFixtures: ConformanceServer;

before(async () => {
	server = await startServer();
	proxy = await keyAdder(server.url, (await signIn(server)).key);
	withFixtures = await startConformanceServer();
});
after(async () => {
	proxy.close();
	await server.stop();
	await withFixtures.stop();
});

/** Runs the suite; fails where a check fails that is not expected to, and where one passes that is. */
async function conforms(url: string, expected: string, args: readonly string[]): Promise<string> {
	const all = ['server', '--url', url, '--expected-failures', join(ROOT, 'test', expected), ...args];
	const child = spawn(process.execPath, [SUITE, ...all], { stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => {
			said += text;
		});
	}
	const [code] = await once(child, 'close');
	assert.equal(code, 0, said);
	return said;
}

for (const [version, scenarios] of Object.entries(SCENARIOS)) {
	for (const scenario of scenarios) {
		test(`[11.1] [11.10] conformance of the product: ${scenario}, ${version}`, async () => {
			const args = ['--scenario', scenario, '--spec-version', version];
			const said = await conforms(`${proxy.url}/mcp`, 'mcp-conformance-product.yaml', args);
			assert.match(said, /Passed: \d+\/\d+/, said);
		});
	}
}

const failed = new Set<string>();

for (const [version, count] of Object.entries(REQUIRED)) {
	test(`[11.1] [11.4] [11.9] [11.10] [11.11] conformance to all that ${version} requires, with the suite's tools`, async () => {
		const said = await conforms(withFixtures.url, 'mcp-conformance-fixtures.yaml', ['--requirements', version]);
		assert.match(said, new RegExp(`Running requirements ${version} \\(${count} scenarios\\)`), said);
		assert.match(said, /Baseline check passed: all failures are expected/, said);
		for (const [, check] of said.matchAll(/^ {2}~ (\S+)$/gm)) failed.add(check!);
		// Run, but not counted by the revision.
		assert.match(said, /✓ json-schema-2020-12: 8 passed, 0 failed/, said);
	});
}

test('[11.1] what the suite is excused from is what failed, and nothing else', () => {
	const excused = readFileSync(join(ROOT, 'test/mcp-conformance-fixtures.yaml'), 'utf8').matchAll(
		/^ {2}- (\S+) # \S/gm,
	);
	assert.deepEqual([...failed].toSorted(), Array.from(excused, (match) => match[1]!).toSorted());
});
