import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type ByteSocket, openSocket } from './support/byte-socket.ts';
import { type Client, clientWith, codeOf, send, signIn } from './support/client.ts';
import { Load, UNLIMITED } from './support/load.ts';
import { NO_RATE_LIMITS, ROOT, runPumadb, startServer, type TestServer, temporaryDir } from './support/server.ts';

/** How a server stops: what it was asked before is finished, what comes after is told to come back. */

const STOP_DEADLINE_MS = 10_000;

/** The exit code, or undefined where the process is still there at the deadline. */
async function exitWithin(server: TestServer, deadlineMs = STOP_DEADLINE_MS): Promise<number | null | undefined> {
	const { process: child } = server;
	const gone = new Promise<number | null>((resolve) => {
		if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
		else child.once('exit', (code) => resolve(code));
	});
	const late = new AbortController();
	const deadline = pause(deadlineMs, undefined, { signal: late.signal }).catch(() => undefined);
	const code = await Promise.race([gone, deadline]);
	late.abort();
	return code;
}

/** Begins to add a row and waits until the server has taken the call on. */
async function beginAdd(server: TestServer, client: Client, body: string): Promise<ByteSocket> {
	const socket = await openSocket(server.url);
	socket.write(
		`POST /v1/notes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${client.key}\r\nExpect: 100-continue\r\n` +
			`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
	);
	await socket.until(/^HTTP\/1\.1 100 Continue\r\n/);
	return socket;
}

test('[9.4] npm start: a signal to npm reaches the server, which stops and lets go of its data', async () => {
	const dataDir = temporaryDir();
	const npm = spawn('npm', ['start'], {
		cwd: ROOT,
		env: { ...process.env, PUMADB_PORT: '0', PUMADB_DATA_DIR: dataDir },
		stdio: ['ignore', 'pipe', 'ignore'],
		detached: true,
	});
	const exited = once(npm, 'exit');
	try {
		await new Promise<void>((resolve) => {
			let out = '';
			npm.stdout!.setEncoding('utf8').on('data', (text: string) => {
				out += text;
				if (/http:\/\//.test(out)) resolve();
			});
		});
		npm.kill('SIGTERM');
		assert.equal((await exited)[0], 0);
		assert.equal((await runPumadb(['check', '--data-dir', dataDir])).code, 0);
		assert.equal(existsSync(join(dataDir, 'admin.sock')), false);
	} finally {
		// The whole group, should a server have been left behind.
		try {
			process.kill(-npm.pid!, 'SIGKILL');
		} catch {
			// Nothing was left.
		}
	}
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
	test(`[1.2] [9.4] ${signal}: calls in flight finish, new ones get 503 with Retry-After, the exit code is 0`, async () => {
		const server = await startServer();
		try {
			const ada = await signIn(server);
			const body = '{"text":"sent while the server was stopping"}';
			const inFlight = await beginAdd(server, ada, body);
			inFlight.write(body.slice(0, 10));
			const idle = await openSocket(server.url);
			idle.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
			await idle.until(/"ok"/);

			server.process.kill(signal);
			let refused = await ada.get('/v1/notes');
			while (refused.status === 200) {
				await pause(10);
				refused = await ada.get('/v1/notes');
			}
			assert.equal(`${refused.status} ${codeOf(refused)}`, '503 shutting_down', refused.text);
			assert.match(refused.headers.get('retry-after')!, /^[1-9]\d*$/);
			for (const [method, path] of [
				['GET', '/readyz'],
				['GET', '/openapi.json'],
				['POST', '/auth/verify'],
				['GET', '/nowhere'],
			] as const) {
				const answer = await send(server.url, method, path);
				assert.equal(answer.status, 503, `${method} ${path}: ${answer.text}`);
				assert.match(answer.headers.get('retry-after')!, /^[1-9]\d*$/);
			}
			idle.write('GET /v1/notes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
			assert.match(await idle.until(/shutting_down/), /HTTP\/1\.1 503 /);

			inFlight.write(body.slice(10));
			const text = await inFlight.ended();
			assert.match(text, /HTTP\/1\.1 201 Created\r\n/);
			assert.equal(await exitWithin(server), 0, server.log());
			const again = await startServer(NO_RATE_LIMITS, server.dataDir);
			const rows = await clientWith(again, ada.key).rows('notes');
			await again.stop();
			assert.deepEqual(
				rows.map((row) => row.text),
				[JSON.parse(body).text],
			);
		} finally {
			await server.kill();
		}
	});
}

test('[1.2] idle keep-alive connections and silent ones do not hold the stop up', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		await ada.add('notes', { a: 1 });
		const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(server.url)));
		for (const socket of sockets.slice(0, 10)) {
			socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
			await socket.until(/"ok"/);
		}
		for (const socket of sockets.slice(10, 15)) socket.write('GET /healthz HTTP/1.1\r\nHost:');
		server.process.kill('SIGTERM');
		assert.equal(await exitWithin(server), 0, server.log());
	} finally {
		await server.kill();
	}
});

test('[1.2] [1.3] calls that were refused before do not hold the stop up', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		for (const [method, path] of [
			['GET', '/v1/%zz'],
			['GET', '/%zz'],
			['POST', '/v1/_tables'],
			['OPTIONS', '/v1/notes'],
		] as const) {
			await ada.call(method, path);
		}
		await send(server.url, 'GET', '/v1/%zz');
		const gone = await openSocket(server.url);
		gone.write('POST /v1/notes HTTP/1.1\r\nContent-Length: 99999\r\n\r\n{');
		gone.destroy();
		server.process.kill('SIGTERM');
		// Calls that are counted as in flight for ever would make it wait its full time.
		assert.equal(await exitWithin(server, 5000), 0, 'the server waits for calls that were answered');
	} finally {
		await server.kill();
	}
});

test('[1.2] [8.1] an export that a slow client reads does not hold the stop up, nor lose a write', async () => {
	const server = await startServer(UNLIMITED);
	try {
		const ada = await signIn(server);
		const add = { action: 'add', row: { pad: 'x'.repeat(60_000) } };
		for (let n = 0; n < 5; n++) await ada.post('/v1/big/batch', { operations: Array(100).fill(add) });
		const slow = await Promise.all(Array.from({ length: 6 }, () => openSocket(server.url)));
		for (const socket of slow) {
			socket.write(`GET /v1/_export HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${ada.key}\r\n\r\n`);
		}
		await slow[0]!.until(/"big":/);
		for (const socket of slow) socket.pause();
		await ada.add('small', { a: 1 });
		server.process.kill('SIGTERM');
		assert.equal(await exitWithin(server), 0, server.log());
		for (const socket of slow) socket.destroy();
		assert.equal((await runPumadb(['check', '--data-dir', server.dataDir])).code, 0);
		const again = await startServer(UNLIMITED, server.dataDir);
		assert.equal((await clientWith(again, ada.key).get('/v1/small/count')).body.count, 1);
		await again.stop();
	} finally {
		await server.kill();
	}
});

test('[8.1] [1.2] a stop under load answers or refuses every call, and loses no answered write', async (t) => {
	const dataDir = temporaryDir();
	let server = await startServer(UNLIMITED, dataDir);
	const load = await Load.on(server, 24, 3);
	try {
		for (let round = 0; round < 4; round++) {
			let answered = 0;
			await load.run(() => {
				if (++answered === 200 + round * 150) server.process.kill('SIGTERM');
				return false;
			});
			assert.equal(await exitWithin(server), 0, server.log());
			assert.equal(server.log(), '');
			assert.equal((await runPumadb(['check', '--data-dir', dataDir])).code, 0);
			server = await startServer(UNLIMITED, dataDir);
			load.moveTo(server);
			await load.verify();
		}
		const { answered, refused } = load.figures();
		t.diagnostic(`4 stops, ${answered} answered writes, ${refused} refused while stopping`);
	} finally {
		await server.kill();
	}
});

test('[9.4] a stop right after the start ends the server, too', async () => {
	const server = await startServer();
	server.process.kill('SIGTERM');
	assert.equal(await exitWithin(server), 0);
});
