import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { codeOf, signIn } from './support/client.ts';
import { NO_RATE_LIMITS, runPumadb, startServer } from './support/server.ts';

test('[6.7] a key that is revoked while a body is on its way is refused', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		const { api_key: key, id } = (await ada.post('/v1/_keys', { name: 'second' })).body;
		const body = '{"late":true}';
		const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
		const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
		socket.write(
			`POST /v1/late HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
		);
		// The head has arrived once a call that was sent after it is answered.
		await ada.rows('late');
		assert.equal((await ada.del(`/v1/_keys/${id}`)).body.revoked, 1);
		socket.write(body);
		assert.match(await answer, /^HTTP\/1\.1 401 /);
		socket.destroy();
		assert.deepEqual(await ada.rows('late'), []);
	} finally {
		await server.stop();
	}
});

test('[4.6] [1.1] a batch whose answer would be too large is refused as a whole', async () => {
	const server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_BATCH_OPERATIONS: '200' });
	try {
		const ada = await signIn(server);
		const text = 'x'.repeat(60_000);
		for (let i = 0; i < 20; i++) {
			await ada.post('/v1/big/batch', {
				operations: Array.from({ length: 10 }, () => ({ action: 'add', row: { g: 1, text } })),
			});
		}
		const touch = { action: 'update_where', filter: { g: 1 }, patch: { seen: true }, allowMultiple: true };
		const answer = await ada.post('/v1/big/batch', { operations: Array.from({ length: 10 }, () => touch) });
		assert.equal(answer.status, 413);
		assert.equal(codeOf(answer), 'answer_too_large');
		assert.equal(answer.body.error.details.index, 5);
		assert.equal((await ada.get('/v1/big/count', { filter: { seen: true } })).body.count, 0);
	} finally {
		await server.stop();
	}
});

test('[4.6] [8.1] a single write whose answer would be too large leaves nothing behind', async () => {
	const server = await startServer({
		...NO_RATE_LIMITS,
		PUMADB_MAX_ROW_BYTES: '100000000',
		PUMADB_MAX_ACCOUNT_BYTES: '0',
	});
	try {
		const ada = await signIn(server);
		const answer = await ada.post('/v1/big', { text: 'x'.repeat(68_000_000) });
		assert.equal(answer.status, 413);
		assert.equal(codeOf(answer), 'answer_too_large');
		assert.equal((await ada.get('/v1/big/count')).body.count, 0);
	} finally {
		await server.stop();
	}
	const checked = await runPumadb(['check', '--data-dir', server.dataDir]);
	assert.equal(checked.code, 0, checked.out + checked.err);
});

test('[1.3] an unknown action of a batch is told which there are', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		const answer = await ada.post('/v1/notes/batch', { operations: [{ action: 'insert', row: {} }] });
		assert.equal(answer.status, 400);
		assert.match(answer.body.error.message, /must be one of add, upsert, update_row, update_where, delete\./);
	} finally {
		await server.stop();
	}
});

test('[1.3] slips are told what to send: a filter that is no JSON, a delete without a body, a body that is no object', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		const unreadable = await ada.call('GET', '/v1/notes?filter=status%3Dopen');
		assert.equal(codeOf(unreadable), 'invalid_json');
		assert.match(unreadable.body.error.message, /for example \{"status":"open"\}/);
		const bare = await ada.call('DELETE', '/v1/notes');
		assert.equal(codeOf(bare), 'invalid_content_type');
		assert.match(bare.body.error.message, /filter in the body, for example \{"filter":/);
		const list = await ada.post('/v1/notes', []);
		assert.equal(codeOf(list), 'invalid_request');
		assert.equal(list.body.error.details.expected, 'object');
	} finally {
		await server.stop();
	}
});

test('[1.5] JSON is known by its media type, whatever its parameters, but only in UTF-8', async () => {
	const server = await startServer();
	try {
		const ada = await signIn(server);
		const add = (type: string) => ada.call('POST', '/v1/types', { body: '{"a":1}', headers: { 'content-type': type } });
		for (const type of ['application/json; profile=x', 'application/json;charset=UTF-8; a=b', 'application/geo+json']) {
			assert.equal((await add(type)).status, 201, type);
		}
		for (const type of ['application/json; charset=latin1', 'application/json; a=b; charset="utf-16"', 'text/json']) {
			assert.equal(codeOf(await add(type)), 'invalid_content_type', type);
		}
	} finally {
		await server.stop();
	}
});
