import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, send, signIn } from './support/client.ts';
import type { ConnectionsOrder, ConnectionsReport } from './support/many-connections.ts';
import { hasProc, memory } from './support/processes.ts';
import { ROOT, startServer } from './support/server.ts';

const IDLE = 10_000;
const SLOW = 1000;
/** Descriptors besides those of connections. */
const OTHER_FILES = 500;
const MAX_MEMORY_MIB = 600;
/** Slow clients are cut off after 20 seconds, looked for every 5. */
const CUT_OFF_DEADLINE_MS = 90_000;

async function ask(child: ChildProcess, order: ConnectionsOrder | 'count' | 'reuse'): Promise<ConnectionsReport> {
	child.send(order);
	const [report] = (await once(child, 'message')) as [ConnectionsReport];
	return report;
}

/** Ordinary calls, one after the other, until told to stop. @returns the slowest one's milliseconds, and how many there were. */
async function ordinaryCalls(client: Client, goOn: () => boolean): Promise<{ calls: number; slowest: number }> {
	let calls = 0;
	let slowest = 0;
	for (; goOn(); calls += 2) {
		const begin = performance.now();
		const row = await client.add('calm', { n: calls });
		assert.deepEqual(await client.rows('calm', { filter: { id: row.id } }), [row]);
		slowest = Math.max(slowest, performance.now() - begin);
		await client.del('/v1/calm', { filter: { id: row.id } });
		await pause(20);
	}
	return { calls, slowest: Math.round(slowest) };
}

test('[1.10] many idle and slow connections stop nobody, and slow ones are cut off with 408', async (t) => {
	// Node raises the soft limit to the hard one for itself.
	const limit = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout.trim();
	if (limit !== 'unlimited' && !(Number(limit) >= IDLE + SLOW + OTHER_FILES)) {
		t.skip(`ulimit -Hn is ${limit}, and ${IDLE + SLOW} connections are opened`);
		return;
	}
	const server = await startServer();
	const child = fork(join(ROOT, 'test/support/many-connections.ts'));
	let busy = true;
	try {
		const ada = await signIn(server);
		const calls = ordinaryCalls(ada, () => busy);
		const port = Number(new URL(server.url).port);
		const opened = await Promise.race([ask(child, { port, idle: IDLE, slow: SLOW }), calls.then(() => undefined)]);
		assert.equal(opened?.idle, IDLE);
		let report = opened!;
		for (const end = Date.now() + CUT_OFF_DEADLINE_MS; report.slow > 0 && Date.now() < end; ) {
			await pause(500);
			report = await ask(child, 'count');
		}
		assert.deepEqual(report.slowAnswers, { 'HTTP/1.1 408 Request Timeout': SLOW });
		assert.deepEqual(
			report.slowBodies.map((body) => JSON.parse(body).error.code),
			['request_timeout'],
		);
		assert.equal(report.idle, IDLE, 'idle connections stay open');
		assert.equal((await ask(child, 'reuse')).reused, 100);
		busy = false;
		const { calls: made, slowest } = await calls;
		if (hasProc()) {
			const { now, peak } = memory(server.process.pid!);
			t.diagnostic(`${IDLE} idle and ${SLOW} slow connections: ${now} MiB, at most ${peak} MiB`);
			assert.ok(peak < MAX_MEMORY_MIB, `the server took ${peak} MiB`);
		}
		t.diagnostic(`${made} ordinary calls meanwhile, the slowest pair in ${slowest} ms`);
		child.kill('SIGKILL');
		assert.equal((await send(server.url, 'GET', '/readyz')).status, 200);
		assert.equal(await server.stop(), 0);
	} finally {
		busy = false;
		child.kill('SIGKILL');
		await server.kill();
	}
});
