import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPERATIONS } from '../src/generated/operations.ts';
import { signIn } from './support/client.ts';
import { type Env, ROOT, startServer } from './support/server.ts';

async function runDemo(env: Env = {}): Promise<{ code: number; out: string; err: string }> {
	const inherited = Object.entries(process.env).filter(([name]) => !/^(PUMADB_|NODE_TEST)/.test(name));
	const child = spawn(process.execPath, [join(ROOT, 'scripts/demo.ts')], {
		env: { ...Object.fromEntries(inherited), ...env },
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let out = '';
	let err = '';
	child.stdout.setEncoding('utf8').on('data', (text) => {
		out += text;
	});
	child.stderr.setEncoding('utf8').on('data', (text) => {
		err += text;
	});
	const [code] = (await once(child, 'close')) as [number];
	return { code, out, err };
}

const STEPS = ['store', 'retry', 'query', 'filter', 'sort', 'change', 'delete', 'versions', 'restore', 'export'];

function assertWholeRun({ code, out, err }: { code: number; out: string; err: string }): void {
	assert.equal(err, '');
	assert.equal(code, 0);
	for (const step of STEPS) assert.match(out, new RegExp(`^${step} +.*\\d`, 'm'), step);
	assert.match(out, new RegExp(`^store +${Object.keys(OPERATIONS).length} operations in one batch`, 'm'));
	assert.match(out, /^batch .*changes nothing$/m);
	assert.match(out, /^done +\d+ reads and \d+ writes .* every answer was checked$/m);
}

test('[2.2] [4.6] [5.5] the demo runs on a server of its own, within the default limits', async () => {
	const ran = await runDemo();
	assertWholeRun(ran);
	assert.match(ran.out, /^server +http:\/\/127\.0\.0\.1:\d+, of the demo's own, limits at their defaults$/m);
	assert.match(ran.out, /the rate limits were never met/);
});

test('[2.2] [4.5] the demo runs on a given server and account, and takes away what it stored', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		const row = await ada.add('notes', { mine: true });
		for (let run = 0; run < 2; run++) {
			const ran = await runDemo({ PUMADB_URL: server.url, PUMADB_KEY: ada.key });
			assertWholeRun(ran);
			assert.doesNotMatch(ran.out, /puma_live_/);
			assert.deepEqual((await ada.get('/v1/_export')).body, { tables: { notes: [row] } });
		}
	} finally {
		await server.stop();
	}
});

test('[6.5] the demo ends with 1 and a sentence where something is wrong', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		await ada.add('operations', { mine: true });
		for (const [env, says] of [
			[{ PUMADB_URL: 'http://127.0.0.1:1', PUMADB_KEY: ada.key }, /does not answer/],
			[{ PUMADB_URL: server.url, PUMADB_KEY: 'puma_live_no_key' }, /unknown or revoked/],
			[{ PUMADB_URL: server.url, PUMADB_KEY: ada.key }, /table operations already/],
		] as const) {
			const { code, err } = await runDemo(env);
			assert.equal(code, 1);
			assert.match(err, /^demo: [A-Za-z][^\n]+\.\n$/);
			assert.match(err, says);
			assert.doesNotMatch(err, /puma_live_[a-z0-9]{5}/);
		}
		assert.equal((await ada.rows('operations')).length, 1);
	} finally {
		await server.stop();
	}
});
