import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Client, signIn } from './support/client.ts';
import { type Place, placesIn } from './support/places.ts';
import { assertRefused, assertStatus, rowOfBytes } from './support/refusals.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

const JSON_TYPE = { 'content-type': 'application/json' };

/** A table with one row for patches to go to. */
async function seeded(table: string) {
	const seed = await ada.add(table, { seed: true });
	return { seed, places: placesIn(ada, table, seed) };
}

async function assertRefusedAt(place: Place, members: string, code: string, path: string): Promise<void> {
	const answer = await place.send(members);
	const told = `${place.name} ${members.slice(0, 60)}`;
	assert.equal(`${told}: ${answer.status} ${answer.body.error?.code}`, `${told}: 400 ${code}`);
	assert.equal(answer.body.error.details.path, place.path + path, told);
}

/** Values that could not be stored unchanged, as JSON text, with the code that refuses them. */
const UNSTORABLE: readonly (readonly [text: string, code: string])[] = [
	// Integers that a double does not hold: next to 2^53, and of many digits.
	['9007199254740993', 'number_not_exact'],
	['-9007199254740993', 'number_not_exact'],
	['9223372036854775807', 'number_not_exact'],
	['18446744073709551615', 'number_not_exact'],
	['100000000000000000000000', 'number_not_exact'],
	['12345678901234567890', 'number_not_exact'],
	// Overflow.
	['1e309', 'number_not_exact'],
	['-1e400', 'number_not_exact'],
	['1.7976931348623159e308', 'number_not_exact'],
	[`1${'0'.repeat(400)}`, 'number_not_exact'],
	[`${'9'.repeat(310)}.5`, 'number_not_exact'],
	['1E+999999999999', 'number_not_exact'],
	// Underflow to 0.
	['1e-400', 'number_not_exact'],
	['-1e-400', 'number_not_exact'],
	['2e-324', 'number_not_exact'],
	['1E-999999999999', 'number_not_exact'],
	[`0.${'0'.repeat(400)}1`, 'number_not_exact'],
	[`0.${'0'.repeat(299)}1e-100`, 'number_not_exact'],
	// Half surrogate pairs, and U+0000.
	['"\\ud800"', 'invalid_string'],
	['"a\\udc00b"', 'invalid_string'],
	['"\\ude00\\ud83d"', 'invalid_string'],
	['"\\ud83d\\ud83d\\ude00"', 'invalid_string'],
	['"\\u0000"', 'invalid_string'],
	['"a\\u0000b"', 'invalid_string'],
];

test('[2.5] a value that would not be kept is refused with its path, in rows, patches and filters', async () => {
	const { seed, places } = await seeded('unstorable');
	for (const [text, code] of UNSTORABLE) {
		for (const place of [...places.rows, ...places.filters]) {
			await assertRefusedAt(place, `"n":${text}`, code, '.n');
			await assertRefusedAt(place, `"a":1,"odd name":${text}`, code, "['odd name']");
		}
		for (const place of places.rows) {
			await assertRefusedAt(place, `"a":{"b":[1,{"c":${text}}]}`, code, '.a.b[1].c');
			await assertRefusedAt(place, `"it's":[[${text}]]`, code, "['it\\'s'][0][0]");
		}
	}
	assert.deepEqual(await ada.rows('unstorable'), [seed]);
});

/** Names that are refused, as JSON text. */
const BAD_NAMES: readonly (readonly [text: string, code: string])[] = [
	['""', 'invalid_member_name'],
	[`"${'x'.repeat(257)}"`, 'invalid_member_name'],
	[`"${'é'.repeat(128)}x"`, 'invalid_member_name'],
	[`"${'😀'.repeat(65)}"`, 'invalid_member_name'],
	[`"${'\\u20ac'.repeat(86)}"`, 'invalid_member_name'],
	['"\\u0000"', 'invalid_string'],
	['"\\ud800"', 'invalid_string'],
];

test('[2.5] a name that is empty, above 256 bytes or not storable is refused with the path of its object', async () => {
	const { seed, places } = await seeded('names');
	for (const [name, code] of BAD_NAMES) {
		for (const place of [...places.rows, ...places.filters]) await assertRefusedAt(place, `"a":1,${name}:1`, code, '');
		for (const place of places.rows) {
			await assertRefusedAt(place, `"a":[0,{"b":{${name}:1}}]`, code, '.a[1].b');
			await assertRefusedAt(place, `"a":{${name}:null}`, code, '.a');
		}
		for (const [key, path] of [
			[name, '$.key'],
			[`["k",${name}]`, '$.key[1]'],
		]) {
			const body = `{"key":${key},"row":{"k":1}}`;
			const answer = await ada.call('POST', '/v1/names/upsert', { body, headers: JSON_TYPE });
			assert.equal(assertRefused(answer, 400, code).path, path);
			const batch = `{"operations":[{"action":"upsert",${body.slice(1)}]}`;
			const inBatch = await ada.call('POST', '/v1/names/batch', { body: batch, headers: JSON_TYPE });
			assert.equal(assertRefused(inBatch, 400, code).path, path!.replace('$', '$.operations[0]'));
		}
	}
	assert.deepEqual(await ada.rows('names'), [seed]);
});

test('[2.5] names of up to 256 bytes are kept, at every level', async () => {
	const { seed, places } = await seeded('longnames');
	for (const name of [
		'x'.repeat(256),
		'é'.repeat(128),
		'😀'.repeat(64),
		' ',
		'\n',
		'"',
		'\\',
		'\u{10ffff}',
		'0',
		'-1',
	]) {
		const own = { [name]: { [name]: [{ [name]: 1 }] }, flat: 1 };
		for (const place of places.rows) assert.ok((await place.send(JSON.stringify(own).slice(1, -1))).status < 300);
		const flat = { [name]: 'one' };
		for (const place of places.filters) assertStatus(await place.send(JSON.stringify(flat).slice(1, -1)), 200);
		const answer = await ada.post('/v1/longnames/upsert', { key: [name], row: flat });
		assert.equal(assertStatus(answer, 200).row[name], 'one');
		assert.deepEqual(await ada.rows('longnames', { filter: flat }), [answer.body.row]);
	}
	const kept = (await ada.rows('longnames', { filter: { id: seed.id } }))[0];
	assert.equal(kept['\u{10ffff}']['\u{10ffff}'][0]['\u{10ffff}'], 1);
});

/** Numbers that are kept, as sent and as answered. */
const NUMBERS: readonly (readonly [sent: string, answered: string])[] = [
	['0', '0'],
	['-0', '0'],
	['-0.0', '0'],
	['0e99999', '0'],
	['0e-99999', '0'],
	['-0E-400', '0'],
	[`0.${'0'.repeat(400)}`, '0'],
	['1.0', '1'],
	['1e2', '100'],
	['1E+2', '100'],
	['10e-1', '1'],
	['0.1', '0.1'],
	['0.30000000000000004', '0.30000000000000004'],
	['0.1000000000000000055511151231257827', '0.1'],
	['3.14159265358979323846264338327950288', '3.141592653589793'],
	['-1.5', '-1.5'],
	['9007199254740991', '9007199254740991'],
	['9007199254740992', '9007199254740992'],
	['-9007199254740992', '-9007199254740992'],
	['9007199254740994', '9007199254740994'],
	// With a fraction or exponent it is a decimal, which rounds.
	['9007199254740993.0', '9007199254740992'],
	['9007199254740993e0', '9007199254740992'],
	['1e23', '1e+23'],
	// Great integers that a double holds, 2^60 and 2^64, are the same number when they come back, whoever reads them.
	['1152921504606846976', '1152921504606846976'],
	['18446744073709551616', '18446744073709551616'],
	['10000000000000000000000', '1e+22'],
	['1.7976931348623157e308', '1.7976931348623157e+308'],
	['5e-324', '5e-324'],
	['3e-324', '5e-324'],
	['-2.2250738585072014E-308', '-2.2250738585072014e-308'],
];

test('[2.4] numbers are doubles: decimals round to nearest, -0 is 0, spelling is not kept', async () => {
	const { seed, places } = await seeded('numbers');
	for (const [sent, answered] of NUMBERS) {
		for (const place of places.rows) {
			const answer = await place.send(`"n":${sent},"a":{"b":[${sent}]}`);
			assert.ok(
				answer.text.includes(`"n":${answered},"a":{"b":[${answered}]}`),
				`${place.name} ${sent}: ${answer.text}`,
			);
		}
		const { text } = await ada.get('/v1/numbers', { filter: { id: seed.id } });
		assert.ok(text.includes(`"n":${answered},"a":{"b":[${answered}]}`), text);
		// The same number is found however it is spelled, -0 with 0.
		for (const spelled of [sent, answered]) {
			const found = await ada.get('/v1/numbers', { filter: `{"n":${spelled}}` });
			assert.ok(assertStatus(found, 200).rows.length >= 3, spelled);
		}
		const body = `{"filter":{"n":${answered}}}`;
		assert.ok((await ada.call('DELETE', '/v1/numbers', { body, headers: JSON_TYPE })).body.deleted >= 3, answered);
		assertStatus(
			await ada.post('/v1/numbers/restore', { id: seed.id, version: await newest('numbers', seed.id) }),
			200,
		);
	}
});

async function newest(table: string, id: string): Promise<number> {
	return (await ada.get(`/v1/${table}/versions`, { id })).body.versions[0].version;
}

test('[2.2] [2.5] of a name sent twice the last value counts, and only that is checked', async () => {
	const { places } = await seeded('twice');
	for (const place of places.rows) {
		for (const [members, kept] of [
			['"n":1,"n":2', '"n":2'],
			['"n":9007199254740993,"n":1', '"n":1'],
			['"n":1e400,"m":0,"n":1', '"n":1'],
			['"n":{"a":[1e400]},"n":{"a":[0]}', '"n":{"a":[0]}'],
			['"n":{"a":1e-400,"a":0}', '"n":{"a":0}'],
			['"n":[1e400,{"x":9007199254740993}],"n":0,"e":1e-3', '"n":0'],
			['"\\u006e":9007199254740993,"n":1', '"n":1'],
			['"n":"\\ud800","n":"x"', '"n":"x"'],
			['"n":{"":1},"n":{"m":1}', '"n":{"m":1}'],
			[`"n":${'['.repeat(100)}${']'.repeat(100)},"n":[]`, '"n":[]'],
		] as const) {
			const answer = await place.send(members);
			assert.ok(answer.status < 300, `${place.name} ${members}: ${answer.text}`);
			assert.ok(answer.text.includes(kept), `${place.name} ${members}: ${answer.text}`);
		}
		await assertRefusedAt(place, '"n":1,"n":9007199254740993', 'number_not_exact', '.n');
		await assertRefusedAt(place, '"n":1e400,"n":1e400', 'number_not_exact', '.n');
		await assertRefusedAt(place, '"n":5,"n":{"a":[0,1e-400]}', 'number_not_exact', '.n.a[1]');
		await assertRefusedAt(place, '"n":"x","n":"\\u0000"', 'invalid_string', '.n');
	}
	for (const place of places.filters) {
		assertStatus(await place.send('"z":9007199254740993,"z":1'), 200);
		assertStatus(await place.send('"z":[1],"z":1'), 200);
		await assertRefusedAt(place, '"z":1,"z":9007199254740993', 'number_not_exact', '.z');
	}
});

test('[2.5] what is not kept in members of the envelope that are ignored does not matter', async () => {
	const seed = await ada.add('envelope', { seed: true });
	const junk = '"more":[1e400,9007199254740993,"\\ud800",{"":"\\u0000"}],"__proto__":{"row":1}';
	const post = (path: string, body: string): Promise<Answer> =>
		ada.call('POST', `/v1/envelope${path}`, { body, headers: JSON_TYPE });
	assertStatus(await post('/upsert', `{${junk},"key":"n","row":{"n":1152921504606846976}}`), 200);
	assertStatus(await post('/update_row', `{"id":"${seed.id}","patch":{"n":0.0},${junk}}`), 200);
	const item = `{"action":"add","row":{"n":0},${junk}}`;
	assertStatus(await post('/batch', `{${junk},"operations":[${item}],"e":1e-999}`), 200);
	assertRefused(
		await post('/batch', `{${junk},"operations":[{"action":"add","row":{${junk}}}]}`),
		400,
		'number_not_exact',
	);
});

/** A value of so many levels, arrays and objects in turn. */
function levels(count: number): string {
	const open = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? '[' : '{"a":'));
	const close = open.map((text) => (text === '[' ? ']' : '}')).reverse();
	return `${open.join('')}${count % 2 === 0 ? '1' : ''}${close.join('')}`;
}

test('[2.5] a row has at most 64 levels, itself the first; so has a patch', async () => {
	const { places } = await seeded('levels');
	const arrays = (count: number) => `${'['.repeat(count)}${']'.repeat(count)}`;
	for (const place of places.rows) {
		for (const value of [arrays(63), levels(63), levels(62)]) {
			const answer = await place.send(`"a":${value}`);
			assert.ok(answer.text.includes(`"a":${value}`), `${place.name}: ${answer.text}`);
		}
		await assertRefusedAt(place, `"a":${arrays(64)}`, 'nesting_too_deep', `.a${'[0]'.repeat(63)}`);
		await assertRefusedAt(place, `"a":[1,${levels(63)}]`, 'nesting_too_deep', `.a[1]${'[0].a'.repeat(31)}`);
		await assertRefusedAt(place, `"b":1,"a":${arrays(1000)}`, 'nesting_too_deep', `.a${'[0]'.repeat(63)}`);
	}
});

test('[2.3] a size is the bytes of compact JSON of the own members, however they were spelled', async () => {
	const { seed, places } = await seeded('sizes');
	const add = (body: string) => ada.call('POST', '/v1/sizes', { body, headers: JSON_TYPE });
	const limit = 65_536;
	const fill = (member: string, bytes: number) => `"t":"${'x'.repeat(bytes - `{${member},"t":""}`.length)}"`;
	assertStatus(await ada.post('/v1/sizes', rowOfBytes(limit)), 201);
	assert.deepEqual(assertRefused(await ada.post('/v1/sizes', rowOfBytes(limit + 1)), 413, 'row_too_large'), {
		bytes: limit + 1,
		limit,
	});
	// As sent, and as compact JSON writes it: what counts is the second.
	for (const [sent, compact] of [
		['"m":"\\u0041\\u00e9"', '"m":"A\u00e9"'],
		['"m":"€😀"', '"m":"€😀"'],
		['"m":"\\ud83d\\ude00"', '"m":"😀"'],
		['"m":"\\/\\u002f"', '"m":"//"'],
		['"m":"\\n\\u0001\\u007f"', '"m":"\\n\\u0001\u007f"'],
		['"m":"\\u0022\\u005c"', '"m":"\\"\\\\"'],
		['"m" : 1.000e0', '"m":1'],
		['"m": [ 1 , { } ]', '"m":[1,{}]'],
		['"\\u006d":-0', '"m":0'],
		['"m":1,"m":2', '"m":2'],
		['"m":1e22', '"m":1e+22'],
	] as const) {
		const asLatin = Buffer.from(compact).toString('latin1');
		const exact = fill(asLatin, limit);
		const answer = await add(`{${sent},${exact}}`);
		assertStatus(answer, 201);
		assert.ok(answer.text.includes(`${compact},"t"`), compact);
		assertRefused(await add(`{${sent},${fill(asLatin, limit + 1)}}`), 413, 'row_too_large');
		for (const place of places.rows.filter(({ name }) => name.includes('upsert'))) {
			const room = fill(asLatin, limit - ',"k":"one"'.length);
			assertStatus(await place.send(`${sent},${room}`), 200);
			const status = place.name === 'upsert' ? 400 : 413;
			assertRefused(await place.send(`${sent},${room.replace('xx', 'xxx')}`), status, 'row_too_large');
		}
	}
	// A patch is measured by the row it makes.
	const patch = { t: 'x'.repeat(limit - '{"seed":true,"t":""}'.length) };
	assertStatus(await ada.post('/v1/sizes/update_row', { id: seed.id, patch }), 200);
	const one = await ada.post('/v1/sizes/update_row', { id: seed.id, patch: { ...patch, t: `${patch.t}x` } });
	assert.equal(assertRefused(one, 400, 'row_too_large').bytes, limit + 1);
	assertStatus(await ada.post('/v1/sizes/update_row', { id: seed.id, patch: { seed: 1234 } }), 200);
	assertRefused(await ada.post('/v1/sizes/update_row', { id: seed.id, patch: { seed: 12345 } }), 400, 'row_too_large');
});
