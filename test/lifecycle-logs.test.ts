import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openSocket } from './support/byte-socket.ts';
import { type Answer, type Client, send, signIn } from './support/client.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

/** What the log says, and what it must never say. */

const EMAIL = 'marguerite.private@example.com';
/** Stands in everything that people send here. */
const PRIVATE = 'marguerite';
const JSON_TYPE = { 'content-type': 'application/json' };

interface Line {
	readonly requestId?: string;
	readonly method?: string;
	readonly route?: string;
	readonly status?: number;
	readonly [name: string]: unknown;
}

/** Stops the server, which writes out what it still has to log, and reads the log. */
async function logOf(server: TestServer): Promise<Line[]> {
	assert.equal(await server.stop(), 0);
	return server
		.log()
		.trimEnd()
		.split('\n')
		.map((line) => {
			const parsed: unknown = JSON.parse(line);
			assert.ok(typeof parsed === 'object' && parsed !== null, line);
			return parsed as Line;
		});
}

function assertPrivate(log: string, secrets: readonly string[]): void {
	for (const secret of secrets) {
		const at = log.indexOf(secret);
		assert.equal(at, -1, `${secret} is in the log: ${log.slice(Math.max(0, at - 200), at + 200)}`);
	}
}

/** A form sent to the page behind a magic link, which answers with a page. */
async function signInPage(server: TestServer): Promise<Answer> {
	const response = await fetch(`${server.url}/sign-in`, {
		method: 'POST',
		headers: { 'content-type': 'application/x-www-form-urlencoded', origin: server.url },
		body: `token=${PRIVATE}`,
	});
	return { status: response.status, headers: response.headers, body: undefined, text: await response.text() };
}

/** Good and bad calls of every kind, each with the private word wherever it can stand. */
async function callEverything(server: TestServer, client: Client): Promise<Answer[]> {
	const table = `/v1/${PRIVATE}_table`;
	const call = client.call;
	const keyed = { 'idempotency-key': `${PRIVATE}-key`, 'user-agent': PRIVATE, referer: `https://${PRIVATE}.example` };
	const answers = [await call('POST', table, { json: { text: PRIVATE }, headers: keyed })];
	const { id } = answers[0]!.body;
	const open = (method: string, path: string, json?: unknown): Promise<Answer> =>
		send(server.url, method, path, json === undefined ? {} : { json });
	answers.push(
		await call('GET', `${table}?filter=${encodeURIComponent(`{"text":"${PRIVATE}"}`)}`),
		await call('GET', `${table}?${PRIVATE}=1`),
		await call('GET', `${table}?sort=-${PRIVATE}&limit=${PRIVATE}`),
		await call('GET', `${table}?filter=${PRIVATE}`),
		await call('GET', `${table}/count`),
		await call('GET', `${table}/versions?id=${id}`),
		await call('HEAD', table),
		await call('OPTIONS', table),
		await call('PUT', `/v1/${PRIVATE}/update_row`),
		await call('POST', `${table}/upsert`, { json: { key: PRIVATE, row: { [PRIVATE]: PRIVATE } } }),
		await call('POST', `${table}/update_row`, { json: { id, patch: { text: `${PRIVATE}2` } } }),
		await call('POST', `${table}/batch`, { json: { operations: [{ action: 'add', row: { id: PRIVATE } }] } }),
		await call('POST', table, { body: `{"text": "${PRIVATE}`, headers: JSON_TYPE }),
		await call('POST', table, { body: PRIVATE, headers: { 'content-type': `text/${PRIVATE}` } }),
		await call('POST', table, { body: `"${PRIVATE.repeat(200_000)}"`, headers: JSON_TYPE }),
		await call('DELETE', table, { json: { filter: { text: PRIVATE } } }),
		await call('GET', '/v1/_export'),
		await call('POST', '/v1/_keys', { json: { name: PRIVATE } }),
		await call('DELETE', `/v1/_keys/${PRIVATE}`),
		await call('GET', `/v1/%zz${PRIVATE}`),
		await call('GET', `/v1/-${PRIVATE}`),
		await call('GET', `/${PRIVATE}/nowhere?token=${PRIVATE}`),
		await open('GET', `/sign-in?token=${PRIVATE}`),
		await signInPage(server),
		await open('POST', '/auth/verify', { token: PRIVATE }),
		await open('POST', '/auth/magic-link', { email: `no address ${PRIVATE}` }),
		await send(server.url, 'GET', table, { headers: { authorization: `Bearer puma_live_${PRIVATE}_${PRIVATE}` } }),
		await send(server.url, 'GET', table, { headers: { authorization: `Basic ${PRIVATE}` } }),
	);
	return answers;
}

test('[9.3] the log is JSON lines that tell each call by request id and route, and nothing that people sent', async () => {
	const server = await startServer({ ...NO_RATE_LIMITS, PUMADB_LOG_LEVEL: 'debug' });
	try {
		const asked = await send(server.url, 'POST', '/auth/magic-link', { json: { email: EMAIL } });
		const token = new URL(asked.body.dev_magic_link).searchParams.get('token')!;
		await send(server.url, 'GET', `/sign-in?token=${token}`);
		const client = await signIn(server, EMAIL);
		const answers = [asked, ...(await callEverything(server, client))];
		for (const bytes of [
			`${PRIVATE} nonsense\r\n\r\n`,
			`GET /${PRIVATE} HTTP/1.1\r\nX: ${PRIVATE.repeat(8000)}\r\n\r\n`,
		]) {
			const socket = await openSocket(server.url);
			socket.write(bytes);
			await socket.ended();
		}
		const lines = await logOf(server);
		for (const answer of answers) {
			const requestId = answer.headers.get('x-request-id')!;
			const own = lines.filter((line) => line.requestId === requestId && line.method !== undefined);
			assert.equal(own.length, 1, `${requestId} has ${own.length} lines`);
			assert.equal(own[0]!.status, answer.status);
		}
		const routes = new Set(lines.flatMap(({ route }) => (route === undefined ? [] : [route])));
		for (const route of routes) assert.match(route, /^((\/[\w.{}:-]+)+|\(none\))$/);
		assert.ok([...routes].some((route) => /^\/v1\/[:{]table/.test(route)));
		const secret = client.key.split('_').at(-1)!;
		assertPrivate(server.log(), [PRIVATE, EMAIL, token, client.key, secret, secret.slice(0, 12), 'puma_live_']);
	} finally {
		await server.kill();
	}
});

/** Does to a running server's database what only a fault could do. */
function damage(server: TestServer, sql: string): void {
	const db = new DatabaseSync(join(server.dataDir, 'pumadb.sqlite'), { timeout: 5000 });
	db.exec(sql);
	db.close();
}

function assertInternal(answer: Answer): void {
	assert.equal(`${answer.status} ${answer.body.error?.code}`, '500 internal_error', answer.text);
	assert.doesNotMatch(answer.text, /sqlite|SQL|node:|\.ts|JSON/);
	assert.ok(!answer.text.includes(PRIVATE), answer.text);
}

test('[1.2] [9.3] a fault is 500, told to the log by its request id, without what was stored or sent', async () => {
	const server = await startServer();
	try {
		const client = await signIn(server, EMAIL);
		const { id } = await client.add('broken', { text: PRIVATE });
		damage(server, `UPDATE rows SET text = replace(text, '"${PRIVATE}"', '"${PRIVATE}" ${PRIVATE}')`);
		const faults: Answer[] = [];
		for (const [path, query] of [
			['/v1/broken', { sort: 'text' }],
			['/v1/broken', { filter: { text: PRIVATE } }],
			['/v1/broken/count', { filter: { text: PRIVATE } }],
		] as const) {
			faults.push(await client.get(path, query));
		}
		faults.push(await client.post('/v1/broken/update_row', { id, patch: { text: PRIVATE } }));
		damage(server, 'ALTER TABLE versions RENAME TO gone');
		faults.push(await client.get('/v1/broken/versions', { id }));
		faults.push(await client.post('/v1/broken/restore', { id, version: 1 }));
		for (const answer of faults) assertInternal(answer);
		damage(server, 'ALTER TABLE gone RENAME TO versions');
		await client.add('whole', { a: 1 });
		const lines = await logOf(server);
		for (const answer of faults) {
			const requestId = answer.headers.get('x-request-id')!;
			const own = lines.filter((line) => line.requestId === requestId && line.status === 500);
			assert.equal(own.length, 1, `${requestId} has ${own.length} lines`);
		}
		const causes = lines.filter(({ level, cause }) => Number(level) >= 50 && typeof cause === 'string');
		assert.equal(causes.length, faults.length, 'each fault is logged with its cause');
		assertPrivate(server.log(), [PRIVATE, EMAIL, client.key]);
	} finally {
		await server.kill();
	}
});
