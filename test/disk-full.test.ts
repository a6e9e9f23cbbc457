import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, type Any, type Client, clientWith, codeOf, send, signIn } from './support/client.ts';
import { Load, UNLIMITED } from './support/load.ts';
import { cpuSeconds } from './support/processes.ts';
import { runPumadb, startServer } from './support/server.ts';
import { canUnshare, type SmallDisk, smallDisk } from './support/small-disk.ts';

/**
 * What happens on a disk that fills up. Each test mounts a small one; where that takes rights that this process lacks, the
 * file runs itself again in a namespace where it has them.
 */

const MEBIBYTE = 1024 * 1024;
const INSIDE = 'DISK_FULL_INSIDE';
/** The log's faults are expected here and tell nothing. */
const ENV = { ...UNLIMITED, PUMADB_LOG_LEVEL: 'silent' };

function assertUnavailable(answer: Answer): void {
	assert.equal(`${answer.status} ${codeOf(answer)}`, '503 storage_unavailable', answer.text);
	assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
}

async function assertSound(dataDir: string): Promise<void> {
	const { code, err } = await runPumadb(['check', '--data-dir', dataDir]);
	assert.equal(code, 0, err);
}

/** Adds rows until the disk is full. @returns how many were answered with 201. */
async function addUntilFull(client: Client, table: string): Promise<number> {
	for (let n = 0; n < 10_000; n++) {
		const answer = await client.post(`/v1/${table}`, { n, pad: 'x'.repeat(20_000) });
		if (answer.status !== 201) {
			assertUnavailable(answer);
			return n;
		}
	}
	throw new Error('The disk was never full.');
}

async function fullByWrites(disk: SmallDisk): Promise<void> {
	const server = await startServer(ENV, disk.dir);
	try {
		const ada = await signIn(server);
		const small = await ada.add('small', { kept: true });
		disk.fill(6 * MEBIBYTE);
		const answered = await addUntilFull(ada, 'big');
		assert.ok(answered > 0);

		const rows = {
			operations: Array.from({ length: 50 }, (_, n) => ({ action: 'add', row: { n, pad: 'y'.repeat(20_000) } })),
		};
		assertUnavailable(await ada.post('/v1/big/batch', rows));
		assert.deepEqual((await ada.get('/v1/big/count')).body, { count: answered });
		assert.deepEqual(await ada.rows('small'), [small]);
		assert.equal((await ada.get('/v1/_export')).body.tables.big.length, answered);
		assert.equal((await send(server.url, 'GET', '/healthz')).status, 200);

		disk.free();
		assert.equal((await ada.post('/v1/big/batch', rows)).status, 200);
		assert.equal((await ada.del('/v1/big', { filter: { n: 0 } })).status, 200);
		assert.equal((await ada.post('/v1/_keys', { name: 'after' })).status, 201);
		await assertSound(disk.dir);
		assert.equal(await server.stop(), 0);
	} finally {
		await server.kill();
	}
	const again = await startServer(ENV, disk.dir);
	await again.stop();
	await assertSound(disk.dir);
}

/** Not even the log can grow, and the server is killed before there is room again. */
async function fullToTheLastByte(disk: SmallDisk): Promise<void> {
	const server = await startServer(ENV, disk.dir);
	const ada = await signIn(server);
	let before: Any[];
	try {
		const row = await ada.add('notes', { a: 1 });
		disk.fill(0);
		await addUntilFull(ada, 'notes');
		before = await ada.rows('notes');
		assertUnavailable(await ada.post('/v1/notes/update_row', { id: row.id, patch: { pad: 'z'.repeat(60_000) } }));
		assertUnavailable(await send(server.url, 'POST', '/auth/magic-link', { json: { email: 'full@example.com' } }));
		assertUnavailable(await ada.post('/v1/_keys', { name: 'no room' }));
		assert.deepEqual(await ada.rows('notes'), before);
	} finally {
		await server.kill();
	}
	disk.free();
	const again = await startServer(ENV, disk.dir);
	try {
		await assertSound(disk.dir);
		const still = clientWith(again, ada.key);
		assert.deepEqual(await still.rows('notes'), before);
		await still.add('notes', { again: true });
	} finally {
		await again.stop();
	}
	await assertSound(disk.dir);
}

/** CPU time says whether it spins, however busy the machine is: one that tries without a pause takes all of it. */
async function fullAndIdle(disk: SmallDisk): Promise<void> {
	const server = await startServer(ENV, disk.dir);
	try {
		const ada = await signIn(server);
		await ada.post('/v1/notes/batch', {
			operations: Array(100).fill({ action: 'add', row: { pad: 'x'.repeat(900) } }),
		});
		disk.fill(0);
		await addUntilFull(ada, 'notes');
		await ada.rows('notes', { filter: { wants: 'an index' } });
		const before = cpuSeconds(server.process.pid!);
		await pause(3000);
		const used = cpuSeconds(server.process.pid!) - before;
		assert.ok(used < 1.5, `${used} seconds of CPU in 3 seconds without a call`);
		disk.free();
		await ada.add('notes', { a: 1 });
	} finally {
		await server.stop();
	}
	await assertSound(disk.dir);
}

/** Many clients run into the full disk at once, several times; the model knows which of their writes were answered. */
async function fullUnderLoad(disk: SmallDisk): Promise<void> {
	const server = await startServer(ENV, disk.dir);
	try {
		const load = await Load.on(server, 16, 20);
		for (let round = 0; round < 3; round++) {
			disk.fill(2 * MEBIBYTE);
			let refused = 0;
			await load.run((outcome) => outcome === 'refused' && ++refused >= 40);
			disk.free();
			await load.verify();
			let answered = 0;
			await load.run((outcome) => outcome === 'answered' && ++answered >= 100);
		}
		await load.verify();
		await assertSound(disk.dir);
		assert.equal(await server.stop(), 0);
		await assertSound(disk.dir);
	} finally {
		await server.kill();
	}
}

const probe = smallDisk(1);
probe?.unmount();

if (probe === undefined && process.env[INSIDE] === undefined) {
	test('[1.2] [8.1] a full disk, with mount rights in a namespace', (t) => {
		if (!canUnshare()) {
			t.skip('this process may neither mount a tmpfs nor make a namespace in which it may');
			return;
		}
		const env = { ...process.env, [INSIDE]: '1', NODE_TEST_CONTEXT: undefined };
		const args = ['-rm', process.execPath, '--test', import.meta.filename];
		const { status, stdout } = spawnSync('unshare', args, { env, encoding: 'utf8' });
		assert.equal(status, 0, stdout);
	});
} else {
	for (const [title, mebibytes, run] of [
		['[1.2] [8.1] writes are refused with 503, reads go on, and room brings writes back', 32, fullByWrites],
		['[1.2] [8.1] on a disk that is full to the last byte nothing answered is lost', 16, fullToTheLastByte],
		['[1.2] a server whose disk is full waits for calls instead of spinning', 24, fullAndIdle],
		[
			'[1.2] [8.1] [4.6] a disk that fills up under load halves no batch and loses no answered write',
			64,
			fullUnderLoad,
		],
	] as const) {
		test(title, async () => {
			const disk = smallDisk(mebibytes)!;
			try {
				await run(disk);
			} finally {
				disk.unmount();
			}
		});
	}
}
