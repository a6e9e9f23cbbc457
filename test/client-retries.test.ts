import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type CallOptions, Puma, PumaError, type PumaOptions } from '../client/src/index.ts';
import { type Client, signIn } from './support/client.ts';
import { deadUrl, type Fault, type FaultProxy, startFaultProxy } from './support/fault-proxy.ts';
import { NO_RATE_LIMITS, ROOT, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;
let proxy: FaultProxy;
let tables = 0;
let table: string;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
	proxy = await startFaultProxy(server.url);
});
after(async () => {
	await proxy.stop();
	await server.stop();
});
beforeEach(() => {
	proxy.faults.length = 0;
	proxy.rule = undefined;
	proxy.seen.length = 0;
	table = `t${++tables}`;
});

const client = (options: Partial<PumaOptions> = {}): Puma => new Puma({ url: proxy.url, apiKey: ada.key, ...options });

const SERVICE_503: Fault = {
	status: 503,
	headers: { 'content-type': 'application/json' },
	body: '{"error":{"code":"shutting_down","message":"The server is stopping."}}',
};
const DISK_503: Fault = {
	status: 503,
	headers: { 'content-type': 'application/json' },
	body: '{"error":{"code":"storage_unavailable","message":"The server cannot write now."}}',
};
const GATEWAY_502: Fault = { status: 502, body: '<h1>Bad gateway</h1>' };

async function failureOf(call: Promise<unknown>): Promise<PumaError> {
	const error = await call.then(
		() => assert.fail('it should have failed'),
		(thrown: unknown) => thrown,
	);
	assert.ok(error instanceof PumaError, String(error));
	return error;
}

for (const fault of ['dropped', 'answer lost', 'answer cut', GATEWAY_502, SERVICE_503, DISK_503] as const) {
	const name =
		typeof fault === 'string' ? fault : (/"code":"(\w+)/.exec(fault.body ?? '')?.[1] ?? `status ${fault.status}`);
	test(`[12.3] ${name}: an add and a batch of adds are sent again and stored once`, async () => {
		const rows = client().table(table);
		proxy.faults.push(fault, fault);
		const added = await rows.add({ n: 0 });
		assert.equal(proxy.seen.length, 3);
		const keys = new Set(proxy.seen.map(({ headers }) => headers['idempotency-key']));
		assert.equal(keys.size, 1);
		proxy.faults.push(fault, fault);
		const batch = await rows.batch([
			{ action: 'add', row: { n: 1 } },
			{ action: 'add', row: { n: 1 } },
		]);
		assert.deepEqual(await ada.rows(table), [added, ...batch]);
	});
	test(`[12.3] ${name}: reads and links are asked for again`, async () => {
		const row = await ada.add(table, { n: 0 });
		proxy.faults.push(fault, fault);
		assert.deepEqual(await client().table(table).get(row.id), row);
		proxy.faults.push(fault);
		assert.equal((await client().table(table).rowLink(row.id)).id, row.id);
	});
}

/** Every write that is not an add, on a table with the row `row`. */
const OTHER_WRITES: Readonly<Record<string, (puma: Puma, id: string, options: CallOptions) => Promise<unknown>>> = {
	upsert: (puma, _, options) => puma.table(table).upsert('n', { n: 5 }, options),
	updateRow: (puma, id, options) => puma.table(table).updateRow(id, { m: 1 }, options),
	updateWhere: (puma, _, options) => puma.table(table).updateWhere({ n: 0 }, { m: 1 }, options),
	deleteWhere: (puma, _, options) => puma.table(table).deleteWhere({ n: 0 }, options),
	restore: (puma, id, options) => puma.table(table).restore(id, 1, options),
	batch: (puma, id, options) =>
		puma.table(table).batch(
			[
				{ action: 'add', row: { n: 1 } },
				{ action: 'update_row', id, patch: { m: 1 } },
			],
			options,
		),
	createKey: (puma, _, options) => puma.createKey('one', options),
};

for (const [name, write] of Object.entries(OTHER_WRITES)) {
	test(`[12.2] [12.3] ${name}: is not sent again where it may have been done, and the error says so`, async () => {
		const { id } = await ada.add(table, { n: 0 });
		await ada.post(`/v1/${table}/update_row`, { id, patch: {} });
		for (const fault of ['answer lost', 'answer cut', GATEWAY_502, DISK_503] as const) {
			proxy.seen.length = 0;
			proxy.faults.push(fault);
			const error = await failureOf(write(client(), id, {}));
			assert.equal(error.maybeDone, true);
			assert.equal(proxy.seen.length, 1);
			if (typeof fault === 'string') assert.match(error.message, /may have been made or not/);
		}
	});
	test(`[12.3] ${name}: is sent again after a refusal for a passing reason, and where the caller says so`, async () => {
		const { id } = await ada.add(table, { n: 0 });
		await ada.post(`/v1/${table}/update_row`, { id, patch: {} });
		proxy.faults.push(SERVICE_503, SERVICE_503);
		await write(client(), id, {});
		assert.equal(proxy.seen.length, 3);
		await ada.post(`/v1/${table}/upsert`, { key: 'n', row: { n: 0 } });
		proxy.seen.length = 0;
		proxy.faults.push('dropped');
		await write(client(), id, { retry: 'always' });
		assert.equal(proxy.seen.length, 2);
	});
}

test('[12.3] a lost answer of an add that was not sent again: the error carries the key, and with it nothing doubles', async () => {
	const rows = client({ maxRetries: 1 }).table(table);
	proxy.faults.push('answer lost', 'answer lost');
	const error = await failureOf(rows.add({ n: 1 }));
	assert.equal(error.code, 'connection_failed');
	assert.equal(error.maybeDone, true);
	const added = await rows.add({ n: 1 }, { idempotencyKey: error.idempotencyKey });
	assert.deepEqual(await ada.rows(table), [added]);
	proxy.faults.push('answer lost', 'answer lost');
	const adds = [{ action: 'add', row: { n: 2 } }] as const;
	const again = await failureOf(rows.batch(adds));
	await rows.batch(adds, { idempotencyKey: again.idempotencyKey });
	assert.equal((await ada.rows(table)).length, 2);
});

test('[12.3] without retries no key is made, and one of the caller is used', async () => {
	const rows = client({ maxRetries: 0 }).table(table);
	await rows.add({ n: 1 });
	await rows.add({ n: 1 }, { idempotencyKey: 'mine' });
	await rows.batch([{ action: 'add', row: { n: 2 } }]);
	const keys = proxy.seen.map(({ headers }) => headers['idempotency-key']);
	assert.deepEqual(keys, [undefined, 'mine', undefined]);
	assert.equal(proxy.seen[2]!.body, '{"operations":[{"action":"add","row":{"n":2}}]}');
});

test('[12.3] refusals that ask for something else are not sent again', async () => {
	const rows = client().table(table);
	for (const call of [
		() => rows.add({ id: 'mine' }),
		() => rows.updateRow('0197a1b2-0000-7000-8000-000000000000', {}),
		() => new Puma({ url: proxy.url, apiKey: 'puma_live_wrong' }).tables(),
	]) {
		proxy.seen.length = 0;
		const error = await failureOf(call());
		assert.equal(error.maybeDone, false);
		assert.equal(proxy.seen.length, 1);
	}
});

test('[12.2] a server that fails in the middle of a change: it may have been made, and a read changes nothing', async () => {
	const fault: Fault = { ...DISK_503, status: 500, body: '{"error":{"code":"internal_error","message":"It failed."}}' };
	proxy.faults.push(fault, fault);
	assert.equal((await failureOf(client().table(table).add({ n: 1 }))).maybeDone, true);
	assert.equal((await failureOf(client().table(table).query())).maybeDone, false);
});

test('[12.3] a storm of faults: every add is stored once, none is lost', async () => {
	const through = undefined;
	const storm = [
		'answer lost',
		through,
		GATEWAY_502,
		through,
		SERVICE_503,
		'answer cut',
		through,
		'dropped',
		through,
	] as const;
	proxy.rule = (_, index) => storm[index % storm.length];
	const rows = client({ maxRetries: 20 }).table<{ n: number }>(table);
	const added = await Promise.all(Array.from({ length: 24 }, (_, n) => rows.add({ n })));
	proxy.rule = undefined;
	const stored = await ada.rows(table);
	assert.deepEqual(
		stored.map(({ n }) => n).toSorted((a, b) => a - b),
		Array.from({ length: 24 }, (_, n) => n),
	);
	assert.deepEqual(new Set(stored.map(({ id }) => id)), new Set(added.map(({ id }) => id)));
	assert.ok(proxy.seen.length > 36, 'the storm was one');
});

test('[12.3] a server that is killed and started again in between loses and doubles nothing', async () => {
	let first = await startServer();
	const bob = await signIn(first);
	const between = await startFaultProxy(first.url);
	try {
		const rows = new Puma({ url: between.url, apiKey: bob.key, maxRetries: 30 }).table<{ n: number }>('notes');
		await rows.add({ n: -1 });
		const adding = Promise.all(Array.from({ length: 40 }, (_, n) => rows.add({ n })));
		await first.kill();
		first = await startServer(NO_RATE_LIMITS, first.dataDir);
		between.target = first.url;
		const added = await adding;
		const stored = await rows.query();
		assert.equal(stored.length, 41);
		assert.deepEqual(new Set(stored.slice(1).map(({ id }) => id)), new Set(added.map(({ id }) => id)));
	} finally {
		await between.stop();
		await first.stop();
	}
});

test('[12.4] waits at least as long as Retry-After says, and tells before each wait', async () => {
	const limited = await startServer({ PUMADB_WRITES_PER_MINUTE: '2' });
	const between = await startFaultProxy(limited.url);
	try {
		const bob = await signIn(limited);
		const waits: number[] = [];
		const rows = new Puma({
			url: between.url,
			apiKey: bob.key,
			onRetry: ({ error, retry, waitMs }) => {
				assert.equal(error.code, 'unexpected_answer');
				assert.equal(retry, waits.length + 1);
				waits.push(waitMs);
			},
		}).table('notes');
		between.rule = (_, index) => {
			// A date has whole seconds, so this one is at least a second away.
			const date = new Date(Date.now() + 2000).toUTCString();
			return [
				{ status: 429, headers: { 'retry-after': '1' } },
				{ status: 503, headers: { 'retry-after': date } },
			][index];
		};
		await rows.add({ n: 0 });
		assert.equal(waits.length, 2);
		for (const [index, wait] of waits.entries()) {
			assert.ok(wait >= 900, `${wait}`);
			// A timer may fire a millisecond early by another clock.
			assert.ok(between.seen[index + 1]!.at - between.seen[index]!.at >= wait - 2);
		}
		await rows.add({ n: 1 });
		const real = await failureOf(
			new Puma({ url: between.url, apiKey: bob.key, maxRetryAfterMs: 500 }).table('notes').add({ n: 2 }),
		);
		assert.equal(real.code, 'rate_limited');
		assert.equal(real.status, 429);
		assert.ok(real.retryAfterSeconds! >= 1);
	} finally {
		await between.stop();
		await limited.stop();
	}
});

test('[12.4] without Retry-After the waits double, half by chance; after maxRetries the last error is thrown', async () => {
	proxy.rule = () => SERVICE_503;
	const waits: number[] = [];
	const error = await failureOf(client({ maxRetries: 3, onRetry: ({ waitMs }) => waits.push(waitMs) }).tables());
	assert.equal(error.code, 'shutting_down');
	assert.equal(error.status, 503);
	assert.equal(proxy.seen.length, 4);
	for (const [index, wait] of waits.entries()) {
		const most = 250 * 2 ** index;
		assert.ok(wait >= most / 2 && wait < most, `${wait}`);
	}
	const others: number[] = [];
	await failureOf(client({ maxRetries: 3, onRetry: ({ waitMs }) => others.push(waitMs) }).tables());
	assert.notDeepEqual(others, waits);
});

test('[12.5] timeoutMs bounds each attempt, and the time-out is an error of its own', async () => {
	proxy.faults.push('answer kept back');
	const added = await client({ timeoutMs: 500 }).table(table).add({ n: 1 });
	assert.deepEqual(await ada.rows(table), [added]);
	proxy.rule = () => 'answer kept back';
	const error = await failureOf(
		client()
			.table(table)
			.updateRow(added.id as string, { n: 2 }, { timeoutMs: 300 }),
	);
	assert.equal(error.code, 'timeout');
	assert.equal(error.maybeDone, true);
	assert.match(error.message, /300 ms/);
});

test('[12.5] a signal ends a call, and a wait, with its own reason', async () => {
	const reason = new Error('enough');
	proxy.rule = () => 'answer kept back';
	const stop = new AbortController();
	const hanging = client().tables({ signal: stop.signal });
	while (proxy.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
	stop.abort(reason);
	await assert.rejects(hanging, (error) => error === reason);
	proxy.rule = () => ({ status: 503, headers: { 'retry-after': '50' } });
	const stopWait = new AbortController();
	const waiting = client({ onRetry: () => stopWait.abort(reason) }).tables({ signal: stopWait.signal });
	await assert.rejects(waiting, (error) => error === reason);
	proxy.seen.length = 0;
	await assert.rejects(client().tables({ signal: AbortSignal.abort(reason) }), (error) => error === reason);
	assert.equal(proxy.seen.length, 0);
});

test('[12.2] [12.3] no server: any call is tried again, and then the error says that nothing was done', async () => {
	let retries = 0;
	const puma = new Puma({ url: await deadUrl(), apiKey: ada.key, maxRetries: 2, onRetry: () => retries++ });
	const error = await failureOf(puma.table(table).updateRow('x', {}));
	assert.equal(error.code, 'connection_failed');
	assert.equal(error.maybeDone, false);
	assert.match(error.message, /cannot be reached \(ECONNREFUSED\)/);
	assert.equal(retries, 2);
});

test('[12.2] [12.3] a connection that can never be made: nothing was done, and it is tried once', async () => {
	const pem = (name: string): string => readFileSync(join(ROOT, `test/fixtures/app.example.${name}.pem`), 'utf8');
	let requests = 0;
	const secure = createSecureServer({ key: pem('key'), cert: pem('cert') }, () => requests++);
	secure.listen(0, '127.0.0.1');
	await once(secure, 'listening');
	const urls = [
		`https://127.0.0.1:${(secure.address() as AddressInfo).port}`,
		proxy.url.replace('http:', 'https:'),
		'http://127.0.0.1:6000',
	];
	try {
		for (const url of urls) {
			let retries = 0;
			const puma = new Puma({ url, apiKey: ada.key, onRetry: () => retries++ });
			const error = await failureOf(puma.table(table).updateRow('x', {}));
			assert.equal(error.code, 'connection_failed', url);
			assert.equal(error.maybeDone, false, error.message);
			assert.match(error.message, /cannot be reached \(/);
			assert.equal(retries, 0, url);
		}
		assert.equal(requests + proxy.seen.length, 0);
	} finally {
		secure.closeAllConnections();
		secure.close();
	}
});

test('[12.2] JSON that is not the answer of the operation is unexpected_answer, whatever the call', async () => {
	const puma = client();
	const rows = puma.table(table);
	const calls: Record<string, () => Promise<unknown>> = {
		query: () => rows.query(),
		get: () => rows.get('x'),
		count: () => rows.count(),
		add: () => rows.add({ n: 1 }),
		upsert: () => rows.upsert('n', { n: 1 }),
		updateRow: () => rows.updateRow('x', {}),
		updateWhere: () => rows.updateWhere({ n: 1 }, {}),
		deleteWhere: () => rows.deleteWhere({ n: 1 }),
		batch: () => rows.batch([{ action: 'add', row: { n: 1 } }]),
		versions: () => rows.versions('x'),
		restore: () => rows.restore('x', 1),
		rowLink: () => rows.rowLink('x'),
		textFieldLink: () => rows.textFieldLink('x', 'n'),
		queryLink: () => rows.queryLink(),
		tables: () => puma.tables(),
		export: () => puma.export(),
		limits: () => puma.limits(),
		keys: () => puma.keys(),
		createKey: () => puma.createKey('x'),
		revokeKey: () => puma.revokeKey('x'),
		requestMagicLink: () => puma.requestMagicLink('ada@example.com'),
		verifyMagicLink: () => puma.verifyMagicLink('x'),
	};
	for (const body of ['null', '{}', '[]', '1', '"x"', '{"rows":null,"results":null}']) {
		proxy.rule = () => ({ status: 200, headers: { 'content-type': 'application/json' }, body });
		for (const [name, call] of Object.entries(calls)) {
			assert.equal((await failureOf(call())).code, 'unexpected_answer', `${name} ${body}`);
		}
	}
});

test('[12.3] keys of the adds of a batch are no key that a single add can have, and one of 250 characters is not too long', async () => {
	const rows = client().table(table);
	await rows.add({ n: 1 }, { idempotencyKey: 'k-0' });
	await rows.batch([{ action: 'add', row: { n: 2 } }], { idempotencyKey: 'k' });
	const adds = Array.from({ length: 100 }, (_, n) => ({ action: 'add' as const, row: { n } }));
	const long = 'x'.repeat(250);
	for (const _ of [1, 2]) await rows.batch(adds, { idempotencyKey: long });
	assert.equal((await ada.rows(table)).length, 102);
	const error = await failureOf(rows.batch(adds, { idempotencyKey: 'x'.repeat(255) }));
	assert.equal(error.code, 'invalid_idempotency_key');
	assert.equal((await ada.rows(table)).length, 102);
});

test('[12.2] what an earlier attempt may have done, a later one that never arrived does not take back', async () => {
	const rows = client({ maxRetries: 1 }).table(table);
	proxy.faults.push('answer lost', SERVICE_503);
	const error = await failureOf(rows.upsert('n', { n: 1 }, { retry: 'always' }));
	assert.equal(error.code, 'shutting_down');
	assert.equal(error.maybeDone, true);
	assert.equal((await ada.rows(table)).length, 1);
	proxy.faults.push(SERVICE_503, SERVICE_503);
	assert.equal((await failureOf(rows.upsert('n', { n: 1 }, { retry: 'always' }))).maybeDone, false);
});

test('[12.5] a timeout that is longer than timers are, as Infinity is, does not end a call at once', async () => {
	for (const timeoutMs of [Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 31 - 1, Number.MAX_SAFE_INTEGER]) {
		const options = { timeoutMs, maxRetries: 0 };
		assert.deepEqual(await client(options).table(table).query(), []);
		assert.deepEqual(await client().table(table).query({}, options), []);
	}
});

test('[12.2] an idempotency key that no header carries as it is is refused before anything is sent', async () => {
	const rows = client().table(table);
	for (const idempotencyKey of ['', ' ', ' a', 'a ', 'a\t', 'a\nb', 'a\r\nx: y', 'a\0b', 'ключ', '😀', 'a\u007f']) {
		const error = await failureOf(rows.add({ n: 1 }, { idempotencyKey }));
		assert.equal(error.code, 'invalid_idempotency_key', JSON.stringify(idempotencyKey));
		assert.equal(error.status, undefined);
		assert.equal(error.maybeDone, false);
	}
	assert.equal(proxy.seen.length, 0);
	const added = await rows.add({ n: 1 }, { idempotencyKey: 'a b~' });
	assert.deepEqual(await rows.add({ n: 1 }, { idempotencyKey: 'a b~' }), added);
});
