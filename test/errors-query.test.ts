import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OPERATIONS } from '../src/generated/operations.ts';
import { type Client, clientWith, send, signIn } from './support/client.ts';
import { sendRaw } from './support/raw-http.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

type Operation = (typeof OPERATIONS)[keyof typeof OPERATIONS];
const ALL: readonly Operation[] = Object.values(OPERATIONS);
const lists400 = ({ statuses }: Operation): boolean => (statuses as readonly number[]).includes(400);

/** A correct call of an operation, with this behind its path. */
function call({ method, path, hasBody, example }: Operation, query: string) {
	const at = path.replace('{table}', 'queried').replace('{id}', 'key_1');
	const body = hasBody ? { body: example, headers: { 'content-type': 'application/json' } } : {};
	return ada.call(method, `${at}?${query}`, body);
}

test('[1.7] an unknown query parameter is 400 where 400 is listed, and named', async () => {
	const names = ['status', 'Limit', 'filter[]', '__proto__', 'constructor', 'toString', 'a/b', ''];
	for (const operation of ALL.filter(lists400)) {
		for (const name of names) {
			const answer = await call(operation, `${encodeURIComponent(name)}=open`);
			const details = assertRefused(answer, 400, 'unknown_parameter');
			assert.equal(details.parameter, name);
			assert.ok(answer.body.error.message.includes(`"${name}"`), answer.text);
		}
		assertRefused(await call(operation, 'bare'), 400, 'unknown_parameter');
	}
	assert.equal((await ada.rows('queried')).length, 0);
});

test('[1.7] the refusal shows how a filter is written, where there are filters', async () => {
	for (const path of ['/v1/queried', '/v1/queried/count']) {
		const answer = await ada.get(path, { status: 'open & shut' });
		const example = /filter=(\S+)/.exec(answer.body.error.message)![1]!.replace(/[.,]$/, '');
		assert.deepEqual(JSON.parse(decodeURIComponent(example)), { status: 'open & shut' });
		assertStatus(await ada.call('GET', `${path}?filter=${example}`), 200);
	}
});

test('[1.7] an operation that lists no 400 ignores its query string', async () => {
	for (const operation of ALL.filter((one) => !lists400(one))) {
		for (const query of ['status=open', 'limit=0&limit=0', '%ZZ=%', '%FF', '&&=', 'x'.repeat(20_000)]) {
			const answer = await call(operation, query);
			if (operation.id === 'verifyMagicLink') assertRefused(answer, 401, 'invalid_magic_link');
			else assertStatus(answer, 200);
		}
	}
});

test('[1.7] [1.3] a parameter given twice is refused, however it is spelled', async () => {
	for (const query of [
		'limit=1&limit=1',
		'limit=1&%6Cimit=2',
		'filter={}&limit=1&filter={}',
		'sort=a&sort=b',
		'sort&sort',
	]) {
		const answer = await ada.call('GET', `/v1/queried?${query}`);
		const details = assertRefused(answer, 400, 'duplicate_parameter');
		assert.ok(query.includes(details.parameter));
	}
	assertRefused(await ada.call('GET', '/v1/queried/versions?id=a&id=a'), 400, 'duplicate_parameter');
});

test('[1.7] [1.3] a bad percent escape in name or value is refused', async () => {
	// Not hexadecimal, cut short, not UTF-8, an overlong form, half a surrogate pair.
	for (const bad of ['%', '%2', '%ZZ', '%FF', '%C3', '%C0%80', '%ED%A0%80', '%u0041']) {
		for (const query of [`sort=${bad}`, `sort=a${bad}`, `limit=1&filter=${bad}`, `${bad}=1`]) {
			assertRefused(await ada.call('GET', `/v1/queried?${query}`), 400, 'invalid_query');
		}
	}
});

test('[1.7] parameters are read as forms write them', async () => {
	await ada.add('forms', { 'a b': 'c+d', n: 1 });
	await ada.add('forms', { n: 2 });
	const count = async (query: string): Promise<number> => {
		const answer = await ada.call('GET', `/v1/forms?${query}`);
		return assertStatus(answer, 200).rows.length;
	};
	assert.equal(await count('filter=%7B%22a+b%22%3A%22c%2Bd%22%7D'), 1);
	assert.equal(await count('filter=%7B%22a%20b%22:%22c%2Bd%22%7D'), 1);
	assert.equal(await count('filter={%22a+b%22:%22c+d%22}'), 0);
	assert.equal(await count('%66ilter=%7B%22n%22%3A2%7D'), 1);
	assert.equal(await count(''), 2);
	assert.equal(await count('&&limit=1&'), 1);
	assert.equal(await count('limit=1&sort=-n'), 1);
});

test('[1.7] a refused query string changes nothing', async () => {
	await ada.add('kept', { n: 1 });
	assertRefused(await ada.call('POST', '/v1/kept?x=1', { json: { n: 2 } }), 400, 'unknown_parameter');
	assertRefused(
		await ada.call('DELETE', '/v1/kept?filter={}', { json: { filter: { n: 1 } } }),
		400,
		'unknown_parameter',
	);
	assert.deepEqual(
		(await ada.rows('kept')).map(({ n }) => n),
		[1],
	);
});

test('[1.10] a filter of 60 KB in the URL is answered', async () => {
	const text = `${'x'.repeat(29_990)}€${'ä'.repeat(4_990)}`;
	const row = await ada.add('long', { text });
	await ada.add('long', { text: text.slice(1) });
	const filter = JSON.stringify({ text });
	const url = `/v1/long?filter=${encodeURIComponent(filter)}`;
	assert.ok(url.length > 59_000 && url.length < 61_000);
	assert.deepEqual(assertStatus(await ada.call('GET', url), 200).rows, [row]);
	assert.equal(assertStatus(await ada.call('GET', url.replace('?', '/count?')), 200).count, 1);
	// Headers have room for as much.
	const headers = { authorization: `Bearer ${ada.key}`, 'x-note': 'x'.repeat(64_000) };
	assertStatus(await sendRaw(server.url, 'GET', '/v1/long?limit=1', headers), 200);
});

const BAD_NAMES = [
	'_x',
	'_tables_',
	'1a',
	'-a',
	'a b',
	'a%20b',
	'%C3%A4',
	'a.b',
	'a%2Fb',
	'a:b',
	'a$',
	'%00',
	'a%00',
	'__proto__',
];
BAD_NAMES.push(
	'x'.repeat(65),
	'x'.repeat(20_000),
	'notes%0A',
	'%20notes',
	'..%2Fnotes',
	'%ZZ',
	'a%',
	'%FF',
	'%ED%A0%80',
);

const TABLE_CALLS = ALL.filter(({ path }) => path.includes('{table}'));

test('[1.8] [1.4] a table name that does not follow the pattern is 400, and 401 without a key', async () => {
	const nobody = clientWith(server, 'puma_live_none_none');
	for (const operation of TABLE_CALLS) {
		for (const name of BAD_NAMES) {
			const { method, hasBody, example } = operation;
			const path = operation.path.replace('{table}', name);
			const query = operation.id === 'listVersions' ? '?id=x' : '';
			const body = hasBody ? { body: example, headers: { 'content-type': 'application/json' } } : {};
			assertRefused(await nobody.call(method, path + query, body), 401, 'invalid_api_key');
			const answer = await ada.call(method, path + query, body);
			assert.equal(`${method} ${path} ${answer.status}`, `${method} ${path} 400`);
			assertRefused(answer, 400, 'invalid_table_name');
		}
	}
});

test('[1.8] table names are 1 to 64 letters, digits, "_" and "-", with a letter first; escapes are decoded', async () => {
	for (const name of ['a', 'Z', 'a1', 'a_b-C', 'x'.repeat(64), 'constructor', 'toString', 'count', 'upsert', 'v1']) {
		const row = await ada.add(name, { n: 1 });
		assert.deepEqual(await ada.rows(name), [row]);
		assert.equal(assertStatus(await ada.get(`/v1/${name}/count`), 200).count, 1);
		const escaped = `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
		assert.deepEqual(await ada.rows(escaped), [row]);
		assertStatus(await ada.del(`/v1/${name}`, { filter: { n: 1 } }), 200);
	}
	// Names are told apart by case.
	await ada.add('Case', { n: 1 });
	assert.deepEqual(await ada.rows('case'), []);
});

test('[1.8] a literal path wins over a pattern', async () => {
	assert.deepEqual(Object.keys(assertStatus(await ada.get('/v1/_tables'), 200)), ['tables']);
	assert.deepEqual(Object.keys(assertStatus(await ada.get('/v1/_keys'), 200)), ['keys']);
	assert.deepEqual(Object.keys(assertStatus(await ada.get('/v1/_export'), 200)), ['tables']);
	assertRefused(await ada.post('/v1/_tables', { n: 1 }), 405, 'method_not_allowed');
	assertRefused(await ada.del('/v1/_export', { filter: { n: 1 } }), 405, 'method_not_allowed');
	assertRefused(await ada.get('/v1/_row_links'), 405, 'method_not_allowed');
	assertRefused(await ada.get('/v1/_tables/count'), 400, 'invalid_table_name');
	assertStatus(await ada.post('/v1/_export/batch', { operations: [] }), 400);
});

test('[1.1] [1.2] escapes in other places of a path', async () => {
	for (const id of ['%ZZ', '%', 'a%2Fb', '%00', '%FF', 'x'.repeat(20_000)]) {
		assert.deepEqual(assertStatus(await ada.del(`/v1/_keys/${id}`), 200), { revoked: 0 });
		assertRefused(await ada.get(`/v1/_keys/${id}`), 405, 'method_not_allowed');
		assertRefused(await send(server.url, 'PUT', `/v1/${id}`), 405, 'method_not_allowed');
	}
	for (const path of ['/v1/notes/%ZZ', '/v1/notes/upsert/%ZZ', '/%ZZ', '/%ZZ/notes', '/auth/%FF']) {
		assertRefused(await ada.get(path), 404, 'not_found');
		assertRefused(await send(server.url, 'POST', path), 404, 'not_found');
	}
});

test('[1.11] an operation that has no body ignores one, whatever it is and says it is', async () => {
	const bodies: [string, string | undefined][] = [
		['{"a":1}', 'application/json'],
		['{', 'application/json'],
	];
	bodies.push(['text', 'text/plain'], ['x', ';;;'], ['x', undefined], ['x'.repeat(3_000_000), 'application/json']);
	for (const { method, path } of ALL.filter(({ hasBody }) => !hasBody)) {
		const at =
			path.replace('{table}', 'bodiless').replace('{id}', 'key_1') + (path.endsWith('versions') ? '?id=x' : '');
		for (const [body, type] of bodies) {
			for (const framing of [{ 'content-length': String(body.length) }, { 'transfer-encoding': 'chunked' }]) {
				const headers = {
					authorization: `Bearer ${ada.key}`,
					...framing,
					...(type === undefined ? {} : { 'content-type': type }),
				};
				assertStatus(await sendRaw(server.url, method, at, headers, body), 200);
			}
		}
	}
});
