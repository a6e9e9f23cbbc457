import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, clientWith, send, signIn } from './support/client.ts';
import { launch, run } from './support/launch.ts';
import { NO_RATE_LIMITS, startServer, type TestServer, temporaryDir } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

test('[9.4] a ready server has printed one line with its URL and nothing else', async () => {
	const started = launch(['serve', '--port', '0', '--data-dir', temporaryDir()], NO_RATE_LIMITS);
	const url = await started.url;
	assert.match(url ?? started.err(), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
	const ready = await send(url!, 'GET', '/readyz');
	assert.equal(ready.status, 200);
	const bob = await signIn({ url: url! });
	await bob.add('notes', { a: 1 });
	await send(url!, 'POST', '/v1/notes', { body: '{' });
	started.process.kill('SIGTERM');
	assert.equal(await started.ended, 0);
	assert.match(started.out(), /^[^\n]*http:\/\/127\.0\.0\.1:\d+[^\n]*\n$/);
	assert.ok(started.out().includes(url!));
});

test('[9.4] the URL printed is that of the address listened on, IPv6 too', async (t) => {
	const started = launch(['serve', '--port', '0', '--host', '::1', '--data-dir', temporaryDir()]);
	const url = await started.url;
	try {
		if (/EADDRNOTAVAIL|EAFNOSUPPORT|cannot be listened on|not available/.test(started.err())) {
			t.skip(`this machine has no ::1: ${started.err()}`);
			return;
		}
		assert.match(url ?? started.err(), /^http:\/\/\[::1\]:\d+$/);
		assert.equal((await send(url!, 'GET', '/readyz')).status, 200);
		assert.match((await signIn({ url: url! })).key, /^puma_live_/);
	} finally {
		await started.kill();
	}
});

test('[10.1] [1.9] /healthz and /readyz answer 200 without a key, to GET and HEAD', async () => {
	for (const path of ['/healthz', '/readyz', '/openapi.json']) {
		const answer = await send(server.url, 'GET', path);
		assert.equal(answer.status, 200);
		assert.match(answer.headers.get('content-type')!, /^application\/json/);
		assert.equal(typeof answer.body, 'object');
		const head = await send(server.url, 'HEAD', path);
		assert.equal(head.status, 200);
		assert.equal(head.text, '');
		const post = await send(server.url, 'POST', path);
		assert.equal(post.status, 405);
		assert.match(post.headers.get('allow')!, /\bGET\b/);
	}
});

test('[10.1] /metrics is there only where it is switched on', async () => {
	assert.equal((await send(server.url, 'GET', '/metrics')).status, 404);
	const measured = await startServer({ ...NO_RATE_LIMITS, PUMADB_METRICS: 'on' });
	try {
		const bob = await signIn(measured);
		await bob.add('secret_table', { a: 1 });
		await bob.rows('secret_table', { filter: { a: 1 } });
		await bob.call('DELETE', '/v1/_keys/key_secret');
		await send(measured.url, 'GET', '/nowhere/secret');
		const metrics = await send(measured.url, 'GET', '/metrics');
		assert.equal(metrics.status, 200);
		assert.match(metrics.headers.get('content-type')!, /^text\/plain/);
		assert.match(metrics.text, /^pumadb_http_requests_total\{method="POST",route="[^"]*",status="201"\} 1$/m);
		assert.match(metrics.text, /^process_resident_memory_bytes /m);
		assert.doesNotMatch(metrics.text, /secret|example\.com/);
		assert.doesNotMatch(metrics.text, new RegExp(bob.accountId));
	} finally {
		await measured.stop();
	}
});

/** Everything in a data directory that others may look into, with its mode. */
function tooOpen(dataDir: string): string[] {
	const modeOf = (path: string): number => statSync(path).mode & 0o777;
	const names = readdirSync(dataDir, { recursive: true, encoding: 'utf8' });
	const open = names.filter((name) => {
		const path = join(dataDir, name);
		return modeOf(path) !== (statSync(path).isDirectory() ? 0o700 : 0o600);
	});
	if (modeOf(dataDir) !== 0o700) open.push('.');
	return open.map((name) => `${name} ${modeOf(join(dataDir, name)).toString(8)}`);
}

test('[9.3] the data directory is 0700 and its files 0600, whatever the umask', async () => {
	for (const umask of ['000', '022', '077']) {
		const dataDir = join(temporaryDir(), 'made', 'by', 'the-server');
		for (let start = 0; start < 2; start++) {
			const args = ['serve', '--port', '0', '--data-dir', dataDir];
			const started = launch(args, NO_RATE_LIMITS, `umask ${umask}`);
			const bob = await signIn({ url: (await started.url) ?? started.err() });
			await bob.add('notes', { a: 1 });
			const names = readdirSync(dataDir);
			for (const suffix of ['', '-wal', '-shm']) assert.ok(names.includes(`pumadb.sqlite${suffix}`), names.join(' '));
			assert.deepEqual(tooOpen(dataDir), [], `umask ${umask}`);
			// Killed first, so that the second start finds the files of a crash.
			if (start === 0) await started.kill();
			else started.process.kill('SIGTERM');
			await started.ended;
			assert.deepEqual(tooOpen(dataDir), [], `umask ${umask}, after the end`);
		}
	}
});

test('[9.3] a data directory that is there already is closed to others', async () => {
	const dataDir = join(temporaryDir(), 'open');
	mkdirSync(dataDir);
	chmodSync(dataDir, 0o755);
	const started = await startServer(NO_RATE_LIMITS, dataDir);
	await started.stop();
	assert.deepEqual(tooOpen(dataDir), []);
});

test('[9.5] a second process on the same data directory is refused with a sentence, and the first goes on', async () => {
	const row = await ada.add('mine', { a: 1 });
	const { code, out, err } = await run(['serve'], { PUMADB_PORT: '0', PUMADB_DATA_DIR: server.dataDir });
	assert.equal(code, 1);
	assert.equal(out, '');
	assert.match(err, /^pumadb serve: [A-Z][^\n]*\.\n$/);
	assert.ok(err.includes(server.dataDir), err);
	assert.ok(err.includes(String(server.process.pid)), 'it says which process');
	assert.deepEqual(await ada.rows('mine'), [row]);
	await ada.add('mine', { a: 2 });
	assert.equal(readFileSync(join(server.dataDir, 'pumadb.pid'), 'utf8').trim(), String(server.process.pid));
});

test('[8.1] a killed process leaves no lock behind', async () => {
	const dataDir = temporaryDir();
	const first = await startServer(NO_RATE_LIMITS, dataDir);
	const bob = await signIn(first);
	const row = await bob.add('notes', { a: 1 });
	await first.kill();
	const second = await startServer(NO_RATE_LIMITS, dataDir);
	try {
		assert.deepEqual(await clientWith(second, bob.key).rows('notes'), [row]);
	} finally {
		await second.stop();
	}
});
