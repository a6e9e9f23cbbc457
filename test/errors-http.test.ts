import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { type Client, signIn } from './support/client.ts';
import { type RawAnswer, sendBytes, sendOne } from './support/raw-bytes.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;
let key: string;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
	key = `Authorization: Bearer ${ada.key}\r\n`;
});
after(() => server.stop());

const HOST = 'Host: localhost\r\n';
const JSON_TYPE = 'Content-Type: application/json\r\n';

/** The answer must be this refusal with the error body, and the connection must be said to close. */
function assertParserRefusal(answer: RawAnswer, status: number, code: string, name: string): void {
	assert.equal(`${name}: ${answer.status} ${answer.body?.error?.code}`, `${name}: ${status} ${code}`);
	assert.match(answer.body.error.message, /^[A-Z].{15,}\.$/s, name);
	assert.match(answer.headers.get('content-type')!, /^application\/json\b/, name);
	assert.equal(answer.headers.get('connection')?.toLowerCase(), 'close', name);
	assert.match(answer.headers.get('x-request-id')!, /^[0-9a-f]+-[0-9a-z]+$/, name);
	assert.equal(answer.headers.get('cache-control'), 'no-store', name);
}

const MALFORMED: Readonly<Record<string, string>> = {
	'no HTTP': 'hello\r\n\r\n',
	'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
	'a method that no one knows': `FOO /v1/notes HTTP/1.1\r\n${HOST}\r\n`,
	'no path': `GET HTTP/1.1\r\n${HOST}\r\n`,
	'a space in the path': `GET /v1/no tes HTTP/1.1\r\n${HOST}\r\n`,
	'HTTP/2 in clear text': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
	'a version that is none': `GET /v1/notes HTTP/3.7\r\n${HOST}\r\n`,
	'a header without a colon': `GET /v1/notes HTTP/1.1\r\n${HOST}nothing\r\n\r\n`,
	'a space in a header name': `GET /v1/notes HTTP/1.1\r\n${HOST}a b: c\r\n\r\n`,
	'a space before the colon': `GET /v1/notes HTTP/1.1\r\n${HOST}a : c\r\n\r\n`,
	'U+0000 in a header': `GET /v1/notes HTTP/1.1\r\n${HOST}a: b\0c\r\n\r\n`,
	'a line feed alone in a header': `GET /v1/notes HTTP/1.1\r\n${HOST}a: b\rc\r\n\r\n`,
	'a length that is no number': `POST /v1/notes HTTP/1.1\r\n${HOST}Content-Length: 5x\r\n\r\n{}`,
	'a negative length': `POST /v1/notes HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n{}`,
	'a length beyond 64 bits': `POST /v1/notes HTTP/1.1\r\n${HOST}Content-Length: 99999999999999999999999\r\n\r\n{}`,
	'two lengths': `POST /v1/notes HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
	'a length beside chunks': `POST /v1/notes HTTP/1.1\r\n${HOST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
};

test('[1.10] [1.3] a malformed request is 400 with the error body', async () => {
	for (const [name, bytes] of Object.entries(MALFORMED)) {
		const answer = await sendOne(server.url, [Buffer.from(bytes, 'latin1')], { untilClosed: true });
		assertParserRefusal(answer, 400, 'bad_request', name);
	}
});

test('[1.10] [1.3] HTTP/1.1 without Host is 400 with the error body', async () => {
	for (const path of ['/v1/notes', '/nowhere', '/openapi.json']) {
		const answer = await sendOne(server.url, [`GET ${path} HTTP/1.1\r\n${key}\r\n`]);
		assert.equal(answer.status, 400);
		assert.equal(answer.body.error.code, 'bad_request');
	}
});

test('[1.10] malformed chunks are 400 with the error body, once, and store nothing', async () => {
	const head = `POST /v1/chunks HTTP/1.1\r\n${HOST}${key}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n`;
	for (const chunks of [
		'ZZ\r\n{}\r\n',
		'2\r\n{}X\r\n0\r\n\r\n',
		'-2\r\n{}\r\n',
		'2\r\n{}\r\nZZ',
		'7\r\n{"a":1}\r\nx\r\n\r\n',
	]) {
		const answer = await sendOne(server.url, [head, chunks], { untilClosed: true });
		assertParserRefusal(answer, 400, 'bad_request', chunks);
	}
	assert.deepEqual(await ada.rows('chunks'), []);
});

test('[1.10] a body that ends early is 400 with the error body, once, and stores nothing', async () => {
	const head = `POST /v1/short HTTP/1.1\r\n${HOST}${key}${JSON_TYPE}`;
	for (const body of ['', '{"a":1', '{"a":1}', '{"a":1}   ']) {
		const cut = await sendOne(server.url, [`${head}Content-Length: 100\r\n\r\n${body}`], {
			end: true,
			untilClosed: true,
		});
		assertParserRefusal(cut, 400, 'bad_request', body);
		const size = body.length.toString(16);
		const chunk = body === '' ? '' : `${size}\r\n${body}\r\n`;
		const open = await sendOne(server.url, [`${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`], {
			end: true,
			untilClosed: true,
		});
		assertParserRefusal(open, 400, 'bad_request', body);
	}
	assert.deepEqual(await ada.rows('short'), []);
});

test('[1.10] a client that goes away in the middle of a request harms no one', async () => {
	const { hostname, port } = new URL(server.url);
	const pieces = [
		'',
		'POST /v1/gone HT',
		`POST /v1/gone HTTP/1.1\r\n${HOST}${key}${JSON_TYPE}Content-Length: 7\r\n\r\n{"a"`,
	];
	for (const piece of [...pieces, ...pieces, ...pieces]) {
		const socket = connect(Number(port), hostname);
		await once(socket, 'connect');
		if (piece !== '') await new Promise((resolve) => socket.write(piece, resolve));
		socket.resetAndDestroy();
	}
	assert.deepEqual(await ada.rows('gone'), []);
	await ada.add('gone', { a: 1 });
});

test('[1.10] a header section above 64 KB is 431 with the error body, however far above', async () => {
	for (const bytes of [66_000, 100_000, 300_000, 5_000_000]) {
		const long = 'x'.repeat(bytes);
		for (const [name, head] of [
			['header', `GET /v1/notes HTTP/1.1\r\n${HOST}X: ${long}\r\n\r\n`],
			['path', `GET /v1/${long} HTTP/1.1\r\n${HOST}\r\n`],
			['filter', `GET /v1/notes?filter=${long} HTTP/1.1\r\n${HOST}\r\n`],
			['many headers', `GET / HTTP/1.1\r\n${HOST}${'X: 12345\r\n'.repeat(bytes / 5)}\r\n`],
		] as const) {
			const answer = await sendOne(server.url, [head], { untilClosed: true });
			assertParserRefusal(answer, 431, 'headers_too_large', `${bytes} ${name}`);
		}
	}
});

test('[1.1] [1.2] an expectation that is not understood gets a status that the operation lists', async () => {
	const body = '{"a":1}';
	const head = `POST /v1/expected HTTP/1.1\r\n${HOST}${key}${JSON_TYPE}Content-Length: ${body.length}\r\n`;
	const answer = await sendOne(server.url, [`${head}Expect: magic\r\n\r\n${body}`]);
	assert.ok(answer.status === 201 || answer.body.error.code === 'bad_request', `${answer.status} ${answer.text}`);
	const found = await sendOne(server.url, [`GET /nowhere HTTP/1.1\r\n${HOST}Expect: magic\r\n\r\n`]);
	assert.ok(found.status === 404 || found.status === 400, String(found.status));
});

test('[1.4] [1.6] a client that waits for 100 Continue is told to go on, or is refused', async () => {
	const ask = (authorization: string, bytes: number): Promise<number> =>
		new Promise((resolve, reject) => {
			const headers = {
				authorization,
				expect: '100-continue',
				'content-type': 'application/json',
				'content-length': bytes,
			};
			const sent = request(`${server.url}/v1/waited`, { method: 'POST', agent: false, headers }, (response) => {
				response.resume().on('end', () => resolve(response.statusCode!));
			});
			sent.on('continue', () => sent.end(`{"a":"${'x'.repeat(bytes - 8)}"}`)).on('error', reject);
			sent.flushHeaders();
		});
	assert.equal(await ask(`Bearer ${ada.key}`, 100), 201);
	assert.equal(await ask(`Bearer ${ada.key}`, 100_000), 413);
	assert.equal(await ask(`Bearer ${ada.key}`, 2_000_000), 413);
	assert.equal(await ask('Bearer puma_live_none_none', 100), 401);
});

test('[1.2] requests in other forms of HTTP are answered', async () => {
	const rows = [await ada.add('forms', { a: 1 })];
	for (const head of [
		// RFC 9112 section 3.2.2: a server must take the absolute form too.
		`GET http://localhost/v1/forms HTTP/1.1\r\n${HOST}${key}\r\n`,
		`GET /v1/forms HTTP/1.0\r\n${key}\r\n`,
		`GET /v1/forms HTTP/1.1\r\nhOST: x\r\n${key.replace('Authorization', 'AUTHORIZATION').replace('Bearer', 'bearer')}\r\n`,
		`GET /v1/forms HTTP/1.1\r\n${HOST}${key}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
		`GET /v1/forms HTTP/1.1\r\n${HOST}${key}TE: trailers\r\nAccept: text/html\r\n\r\n`,
	]) {
		const answer = await sendOne(server.url, [head]);
		assert.equal(answer.status, 200, head);
		assert.deepEqual(answer.body, { rows });
	}
	const chunked = `POST /v1/forms HTTP/1.1\r\n${HOST}${key}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n`;
	const trailed = '3;note=x\r\n{"a\r\n4\r\n":2}\r\n0\r\nX-Note: y\r\n\r\n';
	assert.equal((await sendOne(server.url, [chunked, trailed])).status, 201);
});

test('[1.2] CONNECT, which names no path, is refused with an answer', async () => {
	for (const target of ['example.com:443', '/v1/notes']) {
		const answer = await sendOne(server.url, [`CONNECT ${target} HTTP/1.1\r\n${HOST}\r\n`], { untilClosed: true });
		assert.ok([400, 404, 405].includes(answer.status), String(answer.status));
		assert.equal(typeof answer.body.error.message, 'string');
	}
});

test('[1.10] requests sent at once on one connection are answered in order', async () => {
	const get = (table: string) => `GET /v1/${table}/count HTTP/1.1\r\n${HOST}${key}\r\n`;
	await ada.add('pipe', { a: 1 });
	const body = '{"a":2}';
	const post = `POST /v1/pipe HTTP/1.1\r\n${HOST}${key}${JSON_TYPE}Content-Length: ${body.length}\r\n\r\n${body}`;
	const bad = `GET /nowhere HTTP/1.1\r\n${HOST}\r\n`;
	const last = `GET /v1/pipe/count HTTP/1.1\r\n${HOST}${key}Connection: close\r\n\r\n`;
	const answers = await sendBytes(server.url, [get('pipe') + post + bad + get('pipe') + last], { untilClosed: true });
	assert.deepEqual(
		answers.map(({ status }) => status),
		[200, 201, 404, 200, 200],
	);
});
