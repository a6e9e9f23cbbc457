import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, type Client, signIn } from './support/client.ts';
import { placesIn } from './support/places.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
});
after(() => server.stop());

const RESERVED = ['id', 'created_at', 'updated_at'];
/** Names that mean something in JavaScript, and are data here. */
const STRANGE = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'toJSON', 'then'];
STRANGE.push('length', 'isPrototypeOf', '__defineGetter__', 'undefined', 'null', '$', 'ID', 'Id', 'createdAt');

function sendText(path: string, body: string): Promise<Answer> {
	return ada.call('POST', path, { body, headers: { 'content-type': 'application/json' } });
}

/** The text of the own members of the last row in an answer. */
function ownText(answer: Answer): string {
	const rows = answer.text.matchAll(
		/\{"id":"[-0-9a-f]{36}",?((?:(?!\{"id":"[-0-9a-f]{36}").)*?),?"created_at":"[-0-9T:.Z]{24}","updated_at"/gs,
	);
	return [...rows].at(-1)![1]!;
}

test('[2.1] the service owns id, created_at and updated_at', async () => {
	const row = await ada.add('owned', { a: 1 });
	assert.match(row.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	assert.match(row.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
	assert.equal(row.updated_at, row.created_at);
	const { row: changed } = (await ada.post('/v1/owned/update_row', { id: row.id, patch: { a: 2 } })).body;
	assert.deepEqual({ ...changed, a: 1, updated_at: row.updated_at }, row);
	assert.match(changed.updated_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
	assert.ok(changed.updated_at >= changed.created_at);
});

test('[2.1] a row or patch that carries one of them is refused, whatever its value', async () => {
	const seed = await ada.add('reserved', { seed: true });
	for (const place of placesIn(ada, 'reserved', seed).rows) {
		for (const field of RESERVED) {
			for (const value of ['"mine"', 'null', '1', '{}', `"${seed.id}"`, JSON.stringify(seed.created_at)]) {
				for (const members of [
					`"${field}":${value}`,
					`"a":1,"${field}":${value}`,
					`"${field}":1,"${field}":${value}`,
				]) {
					const details = assertRefused(await place.send(members), 400, 'reserved_field');
					assert.equal(details.field, field);
					assert.equal(details.path, `${place.path}.${field}`);
				}
			}
			// Spelled with escapes it is the same name.
			assertRefused(
				await place.send(`"\\u00${field.charCodeAt(0).toString(16)}${field.slice(1)}":1`),
				400,
				'reserved_field',
			);
		}
	}
	assert.deepEqual(await ada.rows('reserved'), [seed]);
});

test('[2.1] below the top level, and in other spellings, the names are free', async () => {
	const own = {
		ID: 1,
		Id: 2,
		created_At: 3,
		' id': 4,
		inner: { id: 5, created_at: null, list: [{ updated_at: 'x' }] },
	};
	const { id, created_at, updated_at, ...kept } = await ada.add('free', own);
	assert.deepEqual(kept, own);
});

test('[2.1] [1.3] a row and a patch are JSON objects', async () => {
	const seed = await ada.add('shapes', { seed: true });
	const id = JSON.stringify(seed.id);
	for (const value of ['null', '1', '"x"', 'true', '[]', '[{"a":1}]']) {
		for (const [path, body] of [
			['', value],
			['/upsert', `{"key":"k","row":${value}}`],
			['/update_row', `{"id":${id},"patch":${value}}`],
			['/update_where', `{"filter":{"seed":true},"patch":${value}}`],
			['/batch', `{"operations":[{"action":"add","row":${value}}]}`],
			['/batch', `{"operations":[{"action":"update_row","id":${id},"patch":${value}}]}`],
		] as const) {
			assertRefused(await sendText(`/v1/shapes${path}`, body), 400, 'invalid_request');
		}
	}
	assert.deepEqual(await ada.rows('shapes'), [seed]);
});

test('[2.2] an answer has id first, the own members in the order sent, then the stamps', async () => {
	const own = '"z":1,"a":{"y":[1,{"b":2,"a":3}],"x":null},"m":"text","B":true,"_":{},"é":[]';
	const stamps = '"created_at":"[^"]*","updated_at":"[^"]*"';
	const whole = new RegExp(`^\\{"id":"[^"]*",${own.replaceAll(/[[\]{}]/g, '\\$&')},${stamps}\\}$`);
	const added = await sendText('/v1/ordered', `{${own}}`);
	assert.match(added.text, whole);
	const { id } = added.body;
	const queried = await ada.get('/v1/ordered');
	assert.equal(queried.text, `{"rows":[${added.text}]}`);
	assert.equal((await ada.get('/v1/ordered', { sort: 'z', filter: { z: 1 } })).text, queried.text);
	for (const [path, body] of [
		['/upsert', `{"key":"z","row":{${own}}}`],
		['/update_row', `{"id":"${id}","patch":{}}`],
		['/update_where', `{"filter":{"z":1},"patch":{}}`],
		['/restore', `{"id":"${id}","version":1}`],
		['/batch', `{"operations":[{"action":"update_row","id":"${id}","patch":{}}]}`],
	] as const) {
		const answer = await sendText(`/v1/ordered${path}`, body);
		assertStatus(answer, 200);
		assert.equal(ownText(answer), own, path);
	}
	assert.equal(ownText(await ada.get('/v1/ordered/versions', { id })), own);
	assert.ok((await ada.get('/v1/_export')).text.includes(`"ordered":[{"id":"${id}",${own},"created_at"`));
	assert.equal(ownText(await sendText('/v1/ordered', '{}')), '');
});

test('[2.2] names that are array indices are kept; they may come first', async () => {
	const seed = await ada.add('indices', { seed: true });
	const sent = '"b":1,"10":2,"a":3,"2":4,"01":5,"-1":6,"4294967295":7,"1e1":8';
	for (const place of placesIn(ada, 'indices', seed).rows) {
		const answer = await place.send(sent);
		assert.ok(answer.status < 300, answer.text);
		const names = [...ownText(answer).matchAll(/"([^"]+)":/g)].map((match) => match[1]!);
		const others = names.filter((name) => !/^\d$|^10$/.test(name) && !['seed', 'k'].includes(name));
		assert.deepEqual(others, ['b', 'a', '01', '-1', '4294967295', '1e1'], place.name);
	}
	const rows: Any[] = await ada.rows('indices', { filter: { '10': 2, '2': 4 } });
	assert.equal(rows.length, 4);
	for (const row of rows) assert.deepEqual([row['10'], row['2'], row.b, row['4294967295']], [2, 4, 1, 7]);
	assert.deepEqual(await ada.rows('indices', { sort: '-10', limit: 1 }), rows.slice(0, 1));
});

test('[2.2] of a name sent twice the last value counts', async () => {
	const answer = await sendText('/v1/doubles', '{"a":1,"b":{"c":1,"c":[2]},"a":{"x":1},"b":{"c":3},"a":"last"}');
	assert.deepEqual([answer.body.a, answer.body.b], ['last', { c: 3 }]);
	assert.equal(answer.text.match(/"a":/g)!.length, 1);
	assert.deepEqual((await ada.rows('doubles', { filter: '{"a":1,"a":"last"}' })).length, 1);
});

test('[2.6] names that mean something in JavaScript are data in rows and patches', async () => {
	for (const name of STRANGE) {
		const seed = await ada.add('strange', { seed: true });
		for (const place of placesIn(ada, 'strange', seed).rows) {
			for (const value of ['1', '"x"', 'null', `{"${name}":{"${name}":[{"${name}":null}]},"a":1}`, '[]']) {
				const answer = await place.send(`"a":0,"${name}":${value},"z":{"${name}":${value}}`);
				assert.ok(answer.status < 300, `${place.name} ${name}: ${answer.text}`);
				assert.ok(ownText(answer).includes(`"a":0,"${name}":${value},"z":{"${name}":${value}}`), answer.text);
			}
		}
		const { text } = await ada.get('/v1/strange', { filter: { id: seed.id } });
		assert.ok(text.includes(`"seed":true,"a":0,"${name}":[],"z":{"${name}":[]}`), text);
		const { versions } = (await ada.get('/v1/strange/versions', { id: seed.id })).body;
		const { version } = versions.find(({ row }: Any) => Object.hasOwn(row, name) && row[name] === 1);
		const restored = await ada.post('/v1/strange/restore', { id: seed.id, version });
		assert.equal(ownText(restored), `"seed":true,"a":0,"${name}":1,"z":{"${name}":1}`);
		await ada.del('/v1/strange', { filter: { a: 0 } });
	}
});

test('[2.6] names that mean something in JavaScript are data in filters, sort and keys', async () => {
	for (const [i, name] of STRANGE.entries()) {
		const table = `named${i}`;
		const bare = await ada.add(table, { bare: true });
		const one = (await sendText(`/v1/${table}`, `{"${name}":1}`)).body;
		const two = (await sendText(`/v1/${table}/upsert`, `{"key":"${name}","row":{"${name}":"two"}}`)).body.row;
		const ids = async (query: object): Promise<string[]> => (await ada.rows(table, { ...query })).map((row) => row.id);
		assert.deepEqual(await ids({ filter: `{"${name}":1}` }), [one.id], name);
		assert.deepEqual(await ids({ filter: `{"${name}":null}` }), [], name);
		assert.deepEqual(await ids({ filter: `{"${name}":"two","bare":true}` }), []);
		assert.deepEqual(await ids({ sort: name }), [one.id, two.id, bare.id], name);
		assert.deepEqual(await ids({ sort: `-${name}` }), [two.id, one.id, bare.id], name);
		const again = await sendText(`/v1/${table}/upsert`, `{"key":["${name}"],"row":{"${name}":"two","v":2}}`);
		assert.equal(again.body.created, false);
		assert.equal(ownText(again), `"${name}":"two","v":2`);
		assertRefused(await sendText(`/v1/${table}/upsert`, `{"key":"${name}","row":{"a":1}}`), 400, 'invalid_key');
		const deleted = await ada.call('DELETE', `/v1/${table}`, {
			body: `{"filter":{"${name}":"two"}}`,
			headers: { 'content-type': 'application/json' },
		});
		assert.deepEqual(deleted.body, { deleted: 1 });
	}
});

test('[2.6] [1.7] a prototype in the envelope brings no members with it', async () => {
	for (const body of [
		'{"__proto__":{"key":"a","row":{"a":1}}}',
		'{"__proto__":{"key":"a"},"row":{"a":1}}',
		'{"constructor":{"prototype":{"key":"a","row":{}}}}',
	]) {
		assertRefused(await sendText('/v1/polluted/upsert', body), 400, 'invalid_request');
	}
	assertStatus(await sendText('/v1/polluted/update_where', '{"filter":{"a":1},"__proto__":{"patch":{}}}'), 400);
	const plain = '{"filter":{"a":1},"patch":{},"__proto__":{"allowMultiple":true}}';
	await ada.add('polluted', { a: 1 });
	await ada.add('polluted', { a: 1 });
	assertRefused(await sendText('/v1/polluted/update_where', plain), 409, 'multiple_matches');
	const inBatch = `{"operations":[{"__proto__":{"action":"add"},"row":{}}]}`;
	assertRefused(await sendText('/v1/polluted/batch', inBatch), 400, 'invalid_request');
});

test('[2.7] a patch replaces members in their place, adds new ones last, and stores null', async () => {
	const { id } = (await sendText('/v1/patched', '{"a":1,"b":{"x":1,"y":2},"c":[1,2],"d":"d"}')).body;
	const patch = async (text: string): Promise<string> =>
		ownText(await sendText('/v1/patched/update_row', `{"id":"${id}","patch":${text}}`));
	assert.equal(
		await patch('{"z":0,"c":null,"a":{"n":1},"e":[]}'),
		'"a":{"n":1},"b":{"x":1,"y":2},"c":null,"d":"d","z":0,"e":[]',
	);
	// Shallow: an object replaces an object, and null inside is kept.
	assert.equal(await patch('{"b":{"y":null}}'), '"a":{"n":1},"b":{"y":null},"c":null,"d":"d","z":0,"e":[]');
	assert.equal(
		await patch('{"__proto__":1,"constructor":null}'),
		'"a":{"n":1},"b":{"y":null},"c":null,"d":"d","z":0,"e":[],"__proto__":1,"constructor":null',
	);
	assert.equal(
		await patch('{"a":1,"a":2,"__proto__":{"a":3}}'),
		'"a":2,"b":{"y":null},"c":null,"d":"d","z":0,"e":[],"__proto__":{"a":3},"constructor":null',
	);
	assert.equal(
		await patch('{}'),
		'"a":2,"b":{"y":null},"c":null,"d":"d","z":0,"e":[],"__proto__":{"a":3},"constructor":null',
	);
	const where = await sendText('/v1/patched/update_where', '{"filter":{"a":2},"patch":{"b":null,"f":1}}');
	assert.equal(
		ownText(where),
		'"a":2,"b":null,"c":null,"d":"d","z":0,"e":[],"__proto__":{"a":3},"constructor":null,"f":1',
	);
});

test('[2.7] {} is a valid patch, of a row without members too', async () => {
	const { id } = await ada.add('empty', {});
	const answer = await ada.post('/v1/empty/update_row', { id, patch: {} });
	assert.equal(assertStatus(answer, 200).row.id, id);
	assert.equal(ownText(answer), '');
	assert.equal((await ada.post('/v1/empty/update_where', { filter: { id }, patch: {} })).body.updated, 1);
	assert.equal(ownText(await ada.post('/v1/empty/update_row', { id, patch: { a: null } })), '"a":null');
});
