import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { JsonDocument } from '../src/domain/json.ts';
import { mergePatch, ownText } from '../src/domain/row.ts';
import { sortRows } from '../src/domain/value.ts';
import { type Answer, type Client, signIn } from './support/client.ts';
import { readJson } from './support/read-json.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

/**
 * Member names that must be written with an escape, after names with a backslash were read from someone else. JSON.parse of
 * V8 13.6 and 14.6 then takes one for the other (https://github.com/nodejs/node/issues/63785): the service must not.
 */

let server: TestServer;
let ada: Client;
let eve: Client;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
	eve = await signIn(server);
});
after(() => server.stop());

/** A name of someone else, a name as it is sent, and as it is answered; each as the inside of a JSON string. */
const NAMES: readonly (readonly [other: string, sent: string, kept: string])[] = [
	['\\\\', '\\"', '\\"'],
	['\\\\', '\\n', '\\n'],
	['\\\\', '\\u0022', '\\"'],
	['C:\\\\', 'C:\\t', 'C:\\t'],
	['say \\\\', 'say \\"', 'say \\"'],
	['a\\\\u004', 'a\\u0041bcde', 'aAbcde'],
	['\\\\/', '\\/x', '/x'],
	['€\\\\', '€\\"', '€\\"'],
	['\\"\\\\', '\\"\\"', '\\"\\"'],
];

/** Members before the name, fresh for each test: what is taken for what depends on what stands before. */
let shapes = 0;
function beginnings(): string[] {
	shapes++;
	return ['', `"shape${shapes}":1,`, `"shape${shapes}":1,"more":[],`];
}

function send(client: Client, path: string, body: string, method = 'POST'): Promise<Answer> {
	return client.call(method, `/v1/${path}`, { body, headers: { 'content-type': 'application/json' } });
}

test('[2.5] [8.2] names in rows, patches, keys and filters are those sent, whatever names others have', async () => {
	for (const [i, [other, sent, kept]] of NAMES.entries()) {
		for (const [j, begin] of beginnings().entries()) {
			const table = `names${i}x${j}`;
			const mine = `${begin}"${kept}":2`;
			const first = assertStatus(await send(ada, table, `{${begin}"${sent}":2}`), 201);
			// Someone else's name goes everywhere: body, patch, filter, sort.
			const theirs = assertStatus(await send(eve, table, `{${begin}"${other}":2}`), 201);
			assertStatus(await send(eve, `${table}/update_row`, `{"id":"${theirs.id}","patch":{${begin}"${other}":2}}`), 200);
			await eve.get(`/v1/${table}`, { filter: `{${begin}"${other}":2}`, sort: 'more' });

			const added = await send(ada, table, `{${begin}"${sent}":2}`);
			assert.ok(added.text.includes(`,${mine},"created_at"`), `${sent} was added as ${added.text}`);
			const patched = await send(ada, `${table}/update_row`, `{"id":"${first.id}","patch":{"z":0}}`);
			assert.ok(patched.text.includes(`,${mine},"z":0,"created_at"`), `${sent} was patched as ${patched.text}`);
			const renewed = await send(ada, `${table}/update_row`, `{"id":"${first.id}","patch":{${begin}"${sent}":2}}`);
			assert.ok(renewed.text.includes(`,${mine},"z":0,"created_at"`), `${sent} was renewed as ${renewed.text}`);
			for (const query of [{}, { sort: '-z' }, { filter: `{${begin.split('"more"')[0]}"${sent}":2}` }]) {
				const { text } = await ada.get(`/v1/${table}`, query);
				assert.equal(text.split(`,${mine},`).length, 3, `${sent} was read as ${text}`);
			}
			const sorted = await ada.get(`/v1/${table}`, { sort: readJson(`"-${sent}"`) as string });
			assert.equal(sorted.text.split(`,${mine},`).length, 3);
			assertRefused(
				await send(ada, `${table}/upsert`, `{"key":"${sent}","row":{${begin}"${sent}":2}}`),
				400,
				'key_not_unique',
			);
			assert.deepEqual((await send(ada, table, `{"filter":{"${sent}":2}}`, 'DELETE')).body, { deleted: 2 });
			const restored = await send(ada, `${table}/restore`, `{"id":"${first.id}","version":1}`);
			assert.ok(restored.text.includes(`,${mine},"created_at"`), restored.text);
		}
	}
});

test('[4.7] keyed adds that differ in such a name are other JSON', async () => {
	const [begin] = beginnings().slice(1);
	const add = (name: string) =>
		ada.call('POST', '/v1/keyed', {
			body: `{${begin}"${name}":2}`,
			headers: { 'content-type': 'application/json', 'idempotency-key': 'one' },
		});
	assertStatus(await add('\\\\'), 201);
	assertRefused(await add('\\"'), 400, 'idempotency_key_reused');
	assertRefused(await add('\\n'), 400, 'idempotency_key_reused');
});

test('[2.5] a name that would not be kept is refused even where it looks like another', async () => {
	const [begin] = beginnings().slice(1);
	assertStatus(await send(eve, 'looks', `{${begin}"\\\\":2}`), 201);
	for (const bad of ['\\u0000', '\\ud800']) {
		assertRefused(await send(ada, 'looks', `{${begin}"${bad}":2}`), 400, 'invalid_string');
	}
	const names = await send(ada, 'looks', `{${begin}"\\u0069\\u0064":2}`);
	assertRefused(names, 400, 'reserved_field');
	const twice = await send(ada, 'looks', `{${begin}"\\u006e":9007199254740993,"n":1,"\\n":9007199254740992}`);
	assert.ok(twice.text.includes('"n":1,"\\n":9007199254740992'), twice.text);
});

test('[2.5] [2.7] documents, patches and sorting tell such names apart', () => {
	for (const [other, sent, kept] of NAMES) {
		for (const begin of beginnings()) {
			const poison = `{${begin}"${other}":2}`;
			const text = `{${begin}"${sent}":2}`;
			JsonDocument.fromText(poison, 'text');
			const { value } = JsonDocument.fromText(text, 'text');
			assert.equal(ownText(value as never), `{${begin}"${kept}":2}`);
			mergePatch(poison, {});
			assert.equal(mergePatch(`{${begin}"${kept}":2}`, {}), `{${begin}"${kept}":2}`);
			const name = readJson(`"${sent}"`) as string;
			const rows = [`{${begin}"${kept}":2}`, `{${begin}"${kept}":1}`];
			assert.deepEqual(sortRows([poison, ...rows], { member: name, descending: false }), [rows[1], rows[0], poison]);
		}
	}
});
