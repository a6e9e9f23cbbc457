import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OPERATIONS } from '../src/generated/operations.ts';
import { type Answer, type Client, type Options, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { sendOne } from './support/raw-bytes.ts';
import { sendRaw } from './support/raw-http.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

const JSON_TYPE = { 'content-type': 'application/json' };
const MIB = 1024 * 1024;
const WITH_BODY = Object.values(OPERATIONS).filter(({ hasBody }) => hasBody);
const LINKS: readonly string[] = ['createTextFieldLink', 'createRowLink', 'createQueryLink'];

type Operation = (typeof OPERATIONS)[keyof typeof OPERATIONS];

function pathOf(operation: Operation): string {
	return operation.path.replace('{table}', 'notes').replace('{id}', 'key_1');
}

/** Sends a body to an operation, as Ada. */
function sendBody(operation: Operation, options: Options): Promise<Answer> {
	return ada.call(operation.method, pathOf(operation), options);
}

/** What a refusal that has no status of its own gets. */
function plainStatus(operation: Operation): number {
	return operation.id === 'verifyMagicLink' ? 401 : 400;
}

test('[1.5] a body that does not say that it is JSON is refused by every operation that has one', async () => {
	const types = ['text/plain', 'text/html; charset=utf-8', 'application/x-www-form-urlencoded', 'multipart/form-data'];
	types.push('application/json; charset=iso-8859-1', 'application/json; charset=utf-16', 'application/jsonp');
	types.push('application/json-seq', 'application/xml', 'application/octet-stream', '*/*');
	// Not media types at all.
	types.push('json', 'application', '/', ';', '{"a":1}', 'application/json, text/plain');
	for (const operation of WITH_BODY) {
		const body = Buffer.from(operation.example);
		for (const type of types) {
			const answer = await sendBody(operation, { body, headers: { 'content-type': type } });
			assertRefused(answer, plainStatus(operation), 'invalid_content_type');
		}
		// Without the header, and with an empty one; fetch adds none to bytes.
		assertRefused(await sendBody(operation, { body }), plainStatus(operation), 'invalid_content_type');
		const headers = { authorization: `Bearer ${ada.key}`, 'content-length': String(body.length), 'content-type': '' };
		const empty = await sendRaw(server.url, operation.method, pathOf(operation), headers, operation.example);
		assertRefused(empty, plainStatus(operation), 'invalid_content_type');
		// No body, and nothing said of one.
		assert.equal((await sendBody(operation, {})).status, plainStatus(operation));
	}
});

test('[1.5] JSON may be said in any case, with its charset, and as a +json type', async () => {
	const types = ['application/json', 'APPLICATION/JSON', 'application/json;charset=utf-8'];
	types.push('application/json; charset=UTF-8', 'application/json ; charset="utf-8"', 'application/merge-patch+json');
	types.push('application/vnd.example.v1+json', 'application/ld+json; charset=utf-8');
	for (const type of types) {
		assertStatus(await ada.call('POST', '/v1/types', { body: '{"a":1}', headers: { 'content-type': type } }), 201);
	}
});

const NOT_JSON: Readonly<Record<string, string | Uint8Array>> = {
	'nothing at all': '',
	'white space': ' \n\t',
	'an object cut short': '{"a":1',
	'a string cut short': '{"a":"b',
	'two texts': '{"a":1}{"b":2}',
	'text behind it': '{"a":1} x',
	'a trailing comma': '{"a":1,}',
	'single quotes': "{'a':1}",
	'bare names': '{a:1}',
	'a comment': '{"a":1}//c',
	NaN: '{"a":NaN}',
	Infinity: '{"a":-Infinity}',
	'a leading zero': '{"a":01}',
	'a leading plus': '{"a":+1}',
	'hexadecimal digits': '{"a":0x10}',
	'a bare dot': '{"a":1.}',
	'a bare exponent': '{"a":1e}',
	'a raw line feed in a string': '{"a":"b\nc"}',
	'a bad escape': '{"a":"\\x41"}',
	'half an escape': '{"a":"\\u12"}',
	'no-break space between tokens': '{\u00a0"a":1}',
	'a byte order mark': '\ufeff{"a":1}',
	'a byte that UTF-8 has not': Uint8Array.of(0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d),
	'an overlong form': Buffer.from('7b2261223a22c080227d', 'hex'),
	'half a surrogate pair as bytes': Buffer.from('7b2261223a22eda080227d', 'hex'),
	'a character cut short': Buffer.from('7b2261223a22e282227d', 'hex'),
	'UTF-16': Buffer.from('{"a":1}', 'utf16le'),
	'a form': 'a=1&b=2',
	'100,000 levels left open': '['.repeat(100_000),
};

test('[1.3] [1.1] what is not JSON in UTF-8 is refused by every operation that has a body', async () => {
	for (const [name, body] of Object.entries(NOT_JSON)) {
		for (const operation of WITH_BODY) {
			const answer = await sendBody(operation, { body, headers: JSON_TYPE });
			assert.equal(answer.status, plainStatus(operation), `${name} to ${operation.id}: ${answer.text}`);
			assertRefused(answer, plainStatus(operation), 'invalid_json');
		}
	}
	assert.equal((await ada.rows('notes')).length, 0);
});

test('[1.3] [2.1] JSON that is no object is refused by every operation that has a body', async () => {
	const bodies = ['null', 'true', '0', '-1.5e3', '"text"', '[]', '[{}]', '[{"a":1}]', ' "{\\"a\\":1}" '];
	bodies.push(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
	for (const body of bodies) {
		for (const operation of WITH_BODY.filter(({ id }) => !LINKS.includes(id))) {
			const answer = await sendBody(operation, { body, headers: JSON_TYPE });
			assertRefused(answer, plainStatus(operation), 'invalid_request');
		}
	}
});

test('[2.5] [1.3] 100,000 levels are refused in a row and ignored where a member is not known', async () => {
	const arrays = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
	const objects = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
	for (const deep of [arrays, objects]) {
		const post = (path: string, body: string) => ada.call('POST', path, { body, headers: JSON_TYPE });
		assertRefused(await post('/v1/deep', `{"a":${deep}}`), 400, 'nesting_too_deep');
		assertRefused(await post('/v1/deep/upsert', `{"key":"k","row":{"k":1,"a":${deep}}}`), 400, 'nesting_too_deep');
		assertRefused(await post('/v1/deep/update_row', `{"id":"x","patch":{"a":${deep}}}`), 400, 'nesting_too_deep');
		const item = `{"action":"add","row":{"a":${deep}}}`;
		assertRefused(await post('/v1/deep/batch', `{"operations":[${item}]}`), 400, 'nesting_too_deep');
		assertStatus(await post('/v1/deep/batch', `{"operations":${deep}}`), 400);
		assertStatus(await post('/v1/deep/update_where', `{"filter":{"a":${deep}},"patch":{}}`), 400);
		// A number that looks as if a double might lose it makes the body be looked through once more.
		const large = 1152921504606846976n;
		assertStatus(await post('/v1/deep/upsert', `{"more":${deep},"key":"k","row":{"k":1,"n":${large}}}`), 200);
	}
	assertStatus(await ada.get('/v1/deep', { filter: `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}` }), 400);
	assertStatus(await ada.get('/v1/deep', { filter: '['.repeat(20_000) }), 400);
});

/** A body of exactly so many bytes: white space between tokens is part of no row. */
function padded(json: string, bytes: number): Buffer {
	return Buffer.concat([Buffer.alloc(bytes - Buffer.byteLength(json), ' '), Buffer.from(json)]);
}

/** Sends a body in chunks, without saying its length. */
function sendChunked(path: string, body: Buffer): Promise<Answer> {
	const headers = { ...JSON_TYPE, authorization: `Bearer ${ada.key}`, 'transfer-encoding': 'chunked' };
	return sendRaw(server.url, 'POST', path, headers, body as unknown as string);
}

test('[1.6] a body has at most 1 MiB, a batch 16 MiB, with its length said or not', async () => {
	const item = '{"operations":[{"action":"add","row":{"a":1}}]}';
	for (const [path, json, limit, status] of [
		['/v1/sizes', '{"a":1}', MIB, 413],
		['/v1/sizes/upsert', '{"key":"a","row":{"a":2}}', MIB, 400],
		['/v1/sizes/update_where', '{"filter":{"a":2},"patch":{}}', MIB, 400],
		['/v1/sizes/batch', item, 16 * MIB, 413],
	] as const) {
		const send = (bytes: number) => ada.call('POST', path, { body: padded(json, bytes), headers: JSON_TYPE });
		assert.ok((await send(limit)).status < 300, path);
		assert.equal(assertRefused(await send(limit + 1), status, 'body_too_large').limit, limit);
		assert.ok((await sendChunked(path, padded(json, limit))).status < 300, path);
		assert.equal(
			assertRefused(await sendChunked(path, padded(json, limit + 1)), status, 'body_too_large').limit,
			limit,
		);
	}
	assert.equal((await ada.rows('sizes')).length, 5);
});

test('[1.6] [1.1] every operation answers 413 to a body that is too large where it lists that, else 400 or 401', async () => {
	for (const operation of WITH_BODY) {
		const listed = (operation.statuses as readonly number[]).includes(413) ? 413 : plainStatus(operation);
		const body = padded(operation.example, (operation.id === 'batch' ? 16 * MIB : MIB) + 1);
		assertRefused(await sendBody(operation, { body, headers: JSON_TYPE }), listed, 'body_too_large');
	}
});

test('[1.6] [1.2] the refusal of a large body reaches a client that sends all of it first', async () => {
	const key = `Authorization: Bearer ${ada.key}\r\n`;
	for (const [path, authorization, status] of [
		['/v1/sizes', key, 413],
		['/v1/sizes/upsert', key, 400],
		['/v1/sizes', '', 401],
		['/auth/magic-link', '', 400],
		['/nowhere', key, 404],
		['/v1/_tables', key, 405],
	] as const) {
		for (const bytes of [MIB + 1, 3_000_000, 20_000_000]) {
			const body = Buffer.alloc(bytes, 'x');
			const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${authorization}Content-Type: application/json\r\n`;
			const length = [`${head}Content-Length: ${bytes}\r\n\r\n`, body];
			const size = bytes.toString(16);
			const chunked = [`${head}Transfer-Encoding: chunked\r\n\r\n${size}\r\n`, body, '\r\n0\r\n\r\n'];
			const closing = [`${head}Connection: close\r\nContent-Length: ${bytes}\r\n\r\n`, body];
			for (const pieces of [length, chunked, closing, closing]) {
				const answer = await sendOne(server.url, pieces);
				assert.equal(answer.status, status);
				assert.ok(
					['missing_api_key', 'body_too_large', 'not_found', 'method_not_allowed'].includes(answer.body.error.code),
				);
			}
		}
	}
	for (let i = 0; i < 5; i++) {
		const answer = await ada.call('POST', '/v1/sizes/batch', {
			body: Buffer.alloc(40_000_000, 'x'),
			headers: JSON_TYPE,
		});
		assertRefused(answer, 413, 'body_too_large');
	}
});

test('[1.6] a length that is too great is refused before the body comes', async () => {
	const head = `POST /v1/sizes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ada.key}\r\nContent-Type: application/json\r\n`;
	const answer = await sendOne(server.url, [`${head}Content-Length: 99999999999\r\n\r\n{"a":`]);
	assert.equal(answer.status, 413);
	assert.equal(answer.body.error.code, 'body_too_large');
});

test('[1.6] the bound grows with a raised row limit and stays where the row limit is off', async () => {
	for (const [setting, limit] of [
		['2000000', 2_000_000],
		['0', 0],
	] as const) {
		const raised: ClockedServer = await startClocked({ ...NO_RATE_LIMITS, PUMADB_MAX_ROW_BYTES: setting });
		try {
			const eve = await signIn(raised);
			const post = (path: string, body: string | Buffer) => eve.call('POST', path, { body, headers: JSON_TYPE });
			// The greatest row in its longest spelling: six bytes for one.
			const bytes = limit === 0 ? Math.floor(MIB / 6) - 100 : limit - '{"t":""}'.length;
			assertStatus(await post('/v1/large', `{"t":"${'\\u0078'.repeat(bytes)}"}`), 201);
			const status = assertRefused(await post('/v1/large', Buffer.alloc(20_000_000, 'x')), 413, 'body_too_large');
			if (limit === 0) assert.equal(status.limit, MIB);
			assertRefused(await post('/v1/large/batch', Buffer.alloc(40_000_000, 'x')), 413, 'body_too_large');
		} finally {
			await raised.stop();
		}
	}
});

test('[1.6] [2.3] a great string beside a great number is measured like any other', async () => {
	const text = 'x'.repeat(15_000_000);
	const number = '1152921504606846976';
	const post = (body: string) => ada.call('POST', '/v1/great/batch', { body, headers: JSON_TYPE });
	const row = (own: string) => `{"operations":[{"action":"add","row":${own}}]}`;
	assertRefused(await post(row(`{"n":${number},"t":"${text}"}`)), 413, 'row_too_large');
	assertStatus(await post(`{"note":"${text}",${row(`{"n":${number}}`).slice(1)}`), 200);
});

const DEADLINE_MS = 60_000;

/** The answer, or a failure where it does not come: then the server is busy with the call. */
async function inTime(answer: Promise<Answer>): Promise<Answer> {
	const { promise, reject } = Promise.withResolvers<never>();
	const timer = setTimeout(() => reject(new Error(`No answer came in ${DEADLINE_MS} ms.`)), DEADLINE_MS);
	try {
		return await Promise.race([answer, promise]);
	} finally {
		clearTimeout(timer);
	}
}

test('[1.6] [2.5] numbers that lose something, by the million and nested, keep no one waiting', async () => {
	const busy = await startServer();
	try {
		const eve = await signIn(busy);
		const post = (path: string, body: string) => inTime(eve.call('POST', path, { body, headers: JSON_TYPE }));
		const levels = 130_000;
		const nested = `${'[1e999,'.repeat(levels)}1${']'.repeat(levels)}`;
		// Two rules refuse it; either may speak.
		assertStatus(await post('/v1/lossy', `{"a":1e999,"b":${nested}}`), 400);
		const ignored = `"more":[${'1e999,'.repeat(500_000)}1]`;
		const zeros = Array.from({ length: 5000 }, (_, i) => `"n${i}":0`).join(',');
		const row = `{"action":"add","row":{"k":1e-3,${zeros}}}`;
		const operations = `"operations":[${Array(100).fill(row).join(',')}]`;
		assertStatus(await post('/v1/lossy/batch', `{${ignored},${operations}}`), 200);
		assertStatus(await post('/v1/lossy/batch', `{${operations},${ignored}}`), 200);
	} finally {
		await busy.kill();
	}
});
