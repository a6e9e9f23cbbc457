import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, type Any, type Client, clientWith, send, signIn } from './support/client.ts';
import { faultsOf, filesHolding, queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { fetchInTurn } from './support/nodes.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { runPumadb } from './support/server.ts';

const UNKNOWN_ID = '0197a1b2-0000-7000-8000-000000000000';
const HOUR_MS = 3_600_000;

let server: ClockedServer;
let ada: Client;

before(async () => {
	server = await startClocked();
	ada = await signIn(server);
});
after(() => server.stop());

const rowLink = (client: Client, json: object): Promise<Answer> => client.post('/v1/_row_links', json);
const textLink = (client: Client, json: object): Promise<Answer> => client.post('/v1/_text_field_links', json);
const queryLink = (client: Client, json: object): Promise<Answer> => client.post('/v1/_query_links', json);

interface Opened {
	readonly status: number;
	readonly headers: Headers;
	readonly bytes: Buffer;
	readonly text: string;
	readonly body: Any;
}

async function open(url: string, init: RequestInit = {}): Promise<Opened> {
	const response = await fetchInTurn(url, { redirect: 'manual', ...init });
	const bytes = Buffer.from(await response.arrayBuffer());
	const text = bytes.toString();
	const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
	return {
		status: response.status,
		headers: response.headers,
		bytes,
		text,
		body: isJson && text !== '' ? JSON.parse(text) : text,
	};
}

/** What a page sends when it saves. */
function save(
	viewer: string,
	tag: string | null,
	json: unknown,
	headers: Record<string, string> = {},
): Promise<Opened> {
	return open(`${viewer}/data`, {
		method: 'PUT',
		headers: {
			'content-type': 'application/json',
			origin: server.url,
			...(tag === null ? {} : { 'if-match': tag }),
			...headers,
		},
		body: JSON.stringify(json),
	});
}

function assertFault(answer: Opened, status: number, code: string): void {
	assert.equal(`${answer.status} ${answer.body?.error?.code}`, `${status} ${code}`, answer.text);
	assert.match(answer.body.error.message, /^[A-Z].{20,}[.!?]$/s);
}

/** A page in words, for people, of this status. */
function assertFaultPage(answer: Opened, status: number): void {
	assert.equal(answer.status, status);
	assert.match(answer.headers.get('content-type')!, /^text\/html/);
	assert.match(answer.text, /<h1>/);
	assertPrivate(answer);
}

function assertPrivate({ headers }: Opened): void {
	const policy = headers.get('content-security-policy')!;
	for (const directive of ["default-src 'none'", "base-uri 'none'", 'form-action', "frame-ancestors 'none'"]) {
		assert.ok(policy.includes(directive), policy);
	}
	assert.doesNotMatch(policy, /unsafe|\*|https?:/);
	assert.equal(headers.get('cache-control'), 'no-store');
	assert.equal(headers.get('referrer-policy'), 'no-referrer');
	assert.equal(headers.get('x-content-type-options'), 'nosniff');
	assert.equal(headers.get('x-robots-tag'), 'noindex');
	assert.equal(headers.get('access-control-allow-origin'), null);
}

test('[7.1] [7.7] the three operations answer URLs, their end and how to treat them', async () => {
	const row = await ada.add('plans', { title: 'Trip', text: '# Trip\n' });
	const begun = Date.now();
	const links = [
		assertStatus(await rowLink(ada, { table: 'plans', id: row.id }), 200),
		assertStatus(await textLink(ada, { table: 'plans', id: row.id, field: 'text' }), 200),
		assertStatus(await queryLink(ada, { table: 'plans' }), 200),
	];
	for (const link of links) {
		const [viewer, download] = [new URL(link.viewer_url), new URL(link.download_url)];
		assert.equal(viewer.origin, server.url);
		assert.equal(download.origin, server.url);
		// 43 characters of base64url are 256 bits.
		assert.match(viewer.pathname, /^\/view\/[a-z0-9]+\.[A-Za-z0-9_-]{43}$/);
		assert.match(download.pathname, /^\/download\/[a-z0-9]+\.[A-Za-z0-9_-]{43}$/);
		const life = Date.parse(link.expires_at) - begun;
		assert.ok(life > HOUR_MS - 1000 && life < HOUR_MS + 60_000, String(life));
		assert.match(link.safety, /^[A-Z].*for 1 hour: .*\.$/);
		for (const url of [link.viewer_url, link.download_url]) {
			const opened = await open(url);
			assert.equal(opened.status, 200);
			assertPrivate(opened);
		}
	}
	assert.deepEqual(
		links.map(({ table, id, field, filename, mime_type: type }) => ({ table, id, field, filename, type })),
		[
			{ table: 'plans', id: row.id, field: undefined, filename: `plans-${row.id}.json`, type: 'application/json' },
			{ table: 'plans', id: undefined, field: 'text', filename: 'plans-text.txt', type: 'text/plain' },
			{ table: 'plans', id: undefined, field: undefined, filename: 'plans.json', type: 'application/json' },
		],
	);
});

test('[7.1] a link works for an hour, until its key is revoked, and not a moment longer', async () => {
	const row = await ada.add('short', { text: 'x' });
	const made = assertStatus(await ada.post('/v1/_keys', { name: 'agent' }), 201);
	const other = clientWith(server, made.api_key);
	const mine = assertStatus(await rowLink(ada, { table: 'short', id: row.id }), 200);
	const theirs = assertStatus(await rowLink(other, { table: 'short', id: row.id }), 200);
	const all = (link: Any): string[] => [
		link.viewer_url,
		`${link.viewer_url}/data`,
		`${link.viewer_url}/versions`,
		link.download_url,
	];
	for (const url of [...all(mine), ...all(theirs)]) assert.equal((await open(url)).status, 200, url);
	await ada.del(`/v1/_keys/${made.id}`);
	for (const url of all(mine)) assert.equal((await open(url)).status, 200, url);
	const dead = async (link: Any): Promise<void> => {
		assertFaultPage(await open(link.viewer_url), 404);
		assertFaultPage(await open(link.download_url), 404);
		assertFault(await open(`${link.viewer_url}/data`), 404, 'link_not_found');
		assertFault(await open(`${link.viewer_url}/versions`), 404, 'link_not_found');
		assertFault(await save(link.viewer_url, '"x"', { row: {} }), 404, 'link_not_found');
	};
	await dead(theirs);
	server.advance(HOUR_MS - 60_000);
	for (const url of all(mine)) assert.equal((await open(url)).status, 200, url);
	server.advance(60_000);
	await dead(mine);
	assert.equal((await ada.rows('short')).length, 1);
});

test('[7.1] [7.8] tokens that are wrong, of the other kind, or of another account open nothing', async () => {
	const row = await ada.add('closed', { text: 'secret-of-ada' });
	const link = assertStatus(await rowLink(ada, { table: 'closed', id: row.id }), 200);
	const eve = await signIn(server);
	const viewer = new URL(link.viewer_url).pathname.split('/')[2]!;
	const download = new URL(link.download_url).pathname.split('/')[2]!;
	const [account, secret] = viewer.split('.') as [string, string];
	const flipped = `${account}.${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`;
	const wrong = [
		download,
		flipped,
		`${eve.accountId}.${secret}`,
		`${account}.`,
		secret,
		`${account}.${secret}x`,
		'x',
		'%00',
		'..%2f..%2fetc%2fpasswd',
		'%zz',
		`${'a'.repeat(65)}.${secret}`,
		viewer.toUpperCase(),
	];
	for (const token of wrong) {
		assertFaultPage(await open(`${server.url}/view/${token}`), 404);
		assertFault(await open(`${server.url}/view/${token}/data`), 404, 'link_not_found');
		const changed = await save(`${server.url}/view/${token}`, '"x"', { row: { text: 'eve' } });
		assertFault(changed, 404, 'link_not_found');
	}
	for (const token of [viewer, flipped, 'x']) assertFaultPage(await open(`${server.url}/download/${token}`), 404);
	assert.deepEqual(await ada.rows('closed'), [row]);
	// What is stored and logged does not give the tokens away.
	const hidden = [secret, download.split('.')[1]!];
	for (const text of hidden) assert.deepEqual(filesHolding(server.dataDir, text), []);
});

test('[7.3] a download is an attachment of exactly what the API answers', async () => {
	const text = 'première ligne\r\n\ttabbed \u202e 😀 <script>alert(1)</script>\u0001 end';
	const row = await ada.add('files', { text, n: 1, nested: { a: [1, null] } });
	await ada.add('files', { n: 2 });
	const whole = assertStatus(await rowLink(ada, { table: 'files', id: row.id }), 200);
	const field = assertStatus(
		await textLink(ada, { table: 'files', id: row.id, field: 'text', mimeType: 'text/html; charset=UTF-8' }),
		200,
	);
	const found = assertStatus(await queryLink(ada, { table: 'files', sort: '-n', limit: 1 }), 200);
	const rows = await ada.get('/v1/files', { filter: { id: row.id } });
	assert.equal(`{"rows":[${(await open(whole.download_url)).text}]}`, rows.text);
	assert.equal((await open(found.download_url)).text, (await ada.get('/v1/files', { sort: '-n', limit: 1 })).text);
	const file = await open(field.download_url);
	assert.deepEqual(file.bytes, Buffer.from(text));
	assert.equal(file.headers.get('content-type'), 'text/html; charset=utf-8');
	for (const { download_url: url } of [whole, field, found]) {
		const opened = await open(url);
		assert.match(opened.headers.get('content-disposition')!, /^attachment; filename=/);
		assert.match(opened.headers.get('content-security-policy')!, /\bsandbox\b/);
		assertPrivate(opened);
		const head = await open(url, { method: 'HEAD' });
		assert.equal(head.headers.get('content-length'), opened.headers.get('content-length'));
	}
});

test('[7.3] file names in UTF-8 are kept, and those that could deceive or break a header are refused', async () => {
	const row = await ada.add('names', { text: 'x' });
	const make = (filename: string) => textLink(ada, { table: 'names', id: row.id, field: 'text', filename });
	for (const name of [
		'plan.md',
		'Größe "neu"; x=1.txt',
		'日本 計画.txt',
		"it's 100% 😀.md",
		'a b.c',
		'ü'.repeat(127),
	]) {
		const link = assertStatus(await make(name), 200);
		assert.equal(link.filename, name);
		const header = (await open(link.download_url)).headers.get('content-disposition')!;
		assert.match(header, /^attachment; filename/);
		const extended = /filename\*=UTF-8''([^;]+)$/.exec(header)?.[1];
		const plain =
			/filename="((?:[^"\\]|\\.)*)"/.exec(header)?.[1]?.replaceAll(/\\(.)/g, '$1') ??
			/filename=([^;]+)/.exec(header)?.[1];
		assert.equal(extended === undefined ? plain : decodeURIComponent(extended), name, header);
	}
	for (const name of [
		'',
		'.',
		'..',
		'a/b',
		'a\\b',
		'a\r\nX-Evil: 1',
		'a\u0000b',
		'a\u202egpj.exe',
		'a\u200b.md',
		'a\u2028b',
		' a.md',
		'a.md ',
		'a.md.',

		'x'.repeat(256),
		'\ud800',
	]) {
		const details = assertRefused(await make(name), 400, 'invalid_filename');
		assert.equal(details.field, 'filename');
		assertRefused(await rowLink(ada, { table: 'names', id: row.id, filename: name }), 400, 'invalid_filename');
		assertRefused(await queryLink(ada, { table: 'names', filename: name }), 400, 'invalid_filename');
	}
	for (const mimeType of [
		'',
		'text',
		'text/',
		'text/html\r\nX: y',
		'text/ä',
		'a/b; c',
		'text/plain; charset=latin1',
		'multipart/form-data',
		`text/${'x'.repeat(130)}`,
	]) {
		const json = { table: 'names', id: row.id, field: 'text', mimeType };
		assertRefused(await textLink(ada, json), 400, 'invalid_media_type');
	}
});

test('[7.6] a text link finds its row by id, by filter, or by both', async () => {
	const one = await ada.add('found', { kind: 'a', text: 'one', n: 1 });
	const two = await ada.add('found', { kind: 'a', text: 'two', list: [] });
	const make = (json: object) => textLink(ada, { table: 'found', field: 'text', ...json });
	const shown = async (json: object) => (await open(assertStatus(await make(json), 200).download_url)).text;
	assert.equal(await shown({ id: one.id }), 'one');
	assert.equal(await shown({ filter: { text: 'two' } }), 'two');
	assert.equal(await shown({ id: one.id, filter: { kind: 'a' } }), 'one');
	assert.equal(await shown({ id: two.id, filter: {} }), 'two');
	assertRefused(await make({ id: UNKNOWN_ID }), 404, 'row_not_found');
	assertRefused(await make({ id: 'x' }), 404, 'row_not_found');
	assertRefused(await make({ id: one.id, filter: { text: 'two' } }), 404, 'row_not_found');
	assertRefused(await make({ filter: { text: 'three' } }), 404, 'row_not_found');
	assert.equal(assertRefused(await make({ filter: { kind: 'a' } }), 409, 'multiple_matches').matched, 2);
	assert.equal(assertRefused(await make({ filter: {} }), 409, 'multiple_matches').matched, 2);
	for (const field of ['n', 'missing', 'list', 'constructor', '__proto__']) {
		assertRefused(await make({ id: field === 'list' ? two.id : one.id, field }), 400, 'not_a_text');
	}
	const neither = await make({});
	assertRefused(neither, 400, 'invalid_request');
	assert.match(neither.body.error.message, /needs one: id, filter\. Send/);
	assertRefused(await make({ id: one.id, field: '' }), 400, 'invalid_request');
	assertRefused(await make({ filter: { text: [] } }), 400, 'invalid_request');
	assertRefused(await textLink(ada, { table: '1x', field: 'text', id: one.id }), 400, 'invalid_table_name');
	assertRefused(await rowLink(ada, { table: 'found', id: UNKNOWN_ID }), 404, 'row_not_found');
	assertRefused(await rowLink(ada, { table: 'nothing', id: one.id }), 404, 'row_not_found');
	assertRefused(await rowLink(ada, { table: 'found' }), 400, 'invalid_request');
});

test('[7.5] a query link runs its query when it is opened, within the limits, and cannot change anything', async () => {
	const filter = { done: false, n: 9007199254740992 };
	const link = assertStatus(await queryLink(ada, { table: 'todo', filter, sort: '-title', limit: 2 }), 200);
	assert.deepEqual([link.filter, link.sort, link.limit], [filter, '-title', 2]);
	assert.deepEqual((await open(link.download_url)).body, { rows: [] });
	const rows: Any[] = [];
	for (const title of ['b', 'a', 'c']) rows.push(await ada.add('todo', { title, ...filter }));
	await ada.add('todo', { title: 'd', done: true });
	assert.deepEqual((await open(link.download_url)).body, { rows: [rows[2], rows[0]] });
	const data = (await open(`${link.viewer_url}/data`)).body;
	assert.deepEqual(data.rows, [rows[2], rows[0]]);
	assert.deepEqual(data.link.sort, '-title');
	assertFault(await save(link.viewer_url, '"x"', { row: {} }), 403, 'link_read_only');
	assertFault(await open(`${link.viewer_url}/versions`), 403, 'link_read_only');
	for (const limit of [0, -1, 1.5, 1001]) {
		assertRefused(
			await queryLink(ada, { table: 'todo', limit }),
			400,
			limit === 1001 ? 'invalid_limit' : 'invalid_request',
		);
	}
	assertRefused(await queryLink(ada, { table: 'todo', sort: '-' }), 400, 'invalid_sort');
	assertRefused(await queryLink(ada, { table: 'todo', filter: { a: '\ud800' } }), 400, 'invalid_string');
	assertRefused(await queryLink(ada, { table: 'todo', filter: { a: 'x'.repeat(20_000) } }), 400, 'invalid_request');
	const inexact = {
		body: '{"table":"todo","filter":{"n":9007199254740993}}',
		headers: { 'content-type': 'application/json' },
	};
	assertRefused(await ada.call('POST', '/v1/_query_links', inexact), 400, 'number_not_exact');
});

test('[7.4] saving through a link is the API’s update: archived, within the limits, and only of an unchanged row', async () => {
	const row = await ada.add('edits', { text: 'first', n: 1 });
	const whole = assertStatus(await rowLink(ada, { table: 'edits', id: row.id }), 200);
	const field = assertStatus(await textLink(ada, { table: 'edits', id: row.id, field: 'text' }), 200);
	const data = await open(`${field.viewer_url}/data`);
	const tag = data.headers.get('etag')!;
	assert.equal(data.body.text, 'first');
	// A text link shows one member and nothing else of its row.
	assert.deepEqual(Object.keys(data.body).toSorted(), ['link', 'text', 'updated_at']);
	assert.equal((await open(`${whole.viewer_url}/data`)).headers.get('etag'), tag);

	const saved = await save(field.viewer_url, tag, { text: 'second' });
	assert.equal(saved.status, 200, saved.text);
	assert.equal(saved.body.text, 'second');
	assertPrivate(saved);
	assert.notEqual(saved.headers.get('etag'), tag);
	const [now] = await ada.rows('edits');
	assert.deepEqual([now.text, now.n, now.id, now.created_at], ['second', 1, row.id, row.created_at]);

	// The state it was made of is gone: nothing is saved, and what is there stays.
	assertFault(await save(field.viewer_url, tag, { text: 'third' }), 412, 'row_changed');
	assertFault(await save(whole.viewer_url, tag, { row: {} }), 412, 'row_changed');
	assertFault(await save(field.viewer_url, null, { text: 'third' }), 428, 'precondition_required');
	assertFault(await save(field.viewer_url, '*', { text: 'third' }), 428, 'precondition_required');
	assert.equal((await ada.rows('edits'))[0].text, 'second');

	const fresh = (await open(`${whole.viewer_url}/data`)).headers.get('etag')!;
	const replaced = await save(whole.viewer_url, fresh, { row: { text: 'whole', list: [1] } });
	assert.equal(replaced.status, 200, replaced.text);
	const { id, created_at: createdAt, updated_at: _, ...own } = replaced.body.row;
	assert.deepEqual([id, createdAt, own], [row.id, row.created_at, { text: 'whole', list: [1] }]);

	const versions = (await open(`${whole.viewer_url}/versions`)).body.versions;
	assert.deepEqual(
		versions.map((version: Any) => version.row.text),
		['second', 'first'],
	);
	assert.deepEqual(versions, (await ada.get('/v1/edits/versions', { id: row.id })).body.versions);
	const texts = (await open(`${field.viewer_url}/versions`)).body.versions;
	assert.deepEqual(
		texts.map((version: Any) => [version.version, version.text, version.row]),
		[
			[2, 'second', undefined],
			[1, 'first', undefined],
		],
	);

	const current = replaced.headers.get('etag')!;
	const refused: [unknown, number, string][] = [
		[{ row: { id: 'x' } }, 400, 'reserved_field'],
		[{ row: { '': 1 } }, 400, 'invalid_member_name'],
		[{ row: { a: '\u0000' } }, 400, 'invalid_string'],
		[{ row: { a: 'x'.repeat(65_536) } }, 413, 'row_too_large'],
		[{ row: [] }, 400, 'invalid_request'],
		[{ text: 'x' }, 400, 'invalid_request'],
		[[], 400, 'invalid_request'],
	];
	for (const [json, status, code] of refused) assertFault(await save(whole.viewer_url, current, json), status, code);
	const texted: [unknown, number, string][] = [
		[{ text: 'x'.repeat(65_536) }, 413, 'row_too_large'],
		[{ text: 5 }, 400, 'invalid_request'],
		[{ row: {} }, 400, 'invalid_request'],
		[{ text: '\ud800' }, 400, 'invalid_string'],
	];
	for (const [json, status, code] of texted) assertFault(await save(field.viewer_url, current, json), status, code);
	assert.deepEqual((await ada.rows('edits'))[0].list, [1]);
	const system = assertStatus(await textLink(ada, { table: 'edits', id: row.id, field: 'created_at' }), 200);
	assert.equal((await open(`${system.viewer_url}/data`)).body.link.editable, false);
	assertFault(await save(system.viewer_url, current, { text: 'never' }), 400, 'reserved_field');
});

test('[7.4] a row that was deleted meanwhile is told of, and comes back by restoring', async () => {
	const row = await ada.add('gone', { text: 'here' });
	const whole = assertStatus(await rowLink(ada, { table: 'gone', id: row.id }), 200);
	const field = assertStatus(await textLink(ada, { table: 'gone', id: row.id, field: 'text' }), 200);
	const tag = (await open(`${whole.viewer_url}/data`)).headers.get('etag')!;
	await ada.del('/v1/gone', { filter: { id: row.id } });
	for (const { viewer_url: viewer, download_url: download } of [whole, field]) {
		assertFault(await open(`${viewer}/data`), 404, 'row_not_found');
		assertFaultPage(await open(download), 404);
	}
	assertFault(await save(whole.viewer_url, tag, { row: { text: 'late' } }), 404, 'row_not_found');
	const restore = (viewer: string, json: object): Promise<Opened> =>
		open(`${viewer}/restore`, {
			method: 'POST',
			headers: { 'content-type': 'application/json', origin: server.url },
			body: JSON.stringify(json),
		});
	assertFault(await restore(whole.viewer_url, { version: 7 }), 404, 'version_not_found');
	assertFault(await restore(whole.viewer_url, {}), 400, 'invalid_request');
	assertFault(await restore(field.viewer_url, { version: 1 }), 403, 'link_read_only');
	const back = await restore(whole.viewer_url, { version: 1 });
	assert.equal(back.status, 200, back.text);
	assert.equal(back.body.row.text, 'here');
	assert.equal((await ada.rows('gone'))[0].id, row.id);
	// A member that is no text any more is told of too.
	await ada.post('/v1/gone/update_row', { id: row.id, patch: { text: 5 } });
	assertFault(await open(`${field.viewer_url}/data`), 400, 'not_a_text');
});

test('[7.4] of two pages that save the same state one wins and the other is told', async () => {
	const row = await ada.add('race', { text: 'start' });
	const link = assertStatus(await textLink(ada, { table: 'race', id: row.id, field: 'text' }), 200);
	const tag = (await open(`${link.viewer_url}/data`)).headers.get('etag')!;
	const saves = await Promise.all(
		Array.from({ length: 20 }, (_, n) => save(link.viewer_url, tag, { text: `page ${n}` })),
	);
	assert.equal(saves.filter(({ status }) => status === 200).length, 1);
	assert.equal(saves.filter(({ status }) => status === 412).length, 19);
	assert.equal((await ada.get('/v1/race/versions', { id: row.id })).body.versions.length, 1);
});

/** What the first of two racing calls is given before the second, so that either wins at times, on any machine. */
class HeadStart {
	#ms = 0;

	async after<T>(second: () => Promise<T>): Promise<T> {
		if (this.#ms > 0) await pause(this.#ms);
		return second();
	}

	tell(firstWon: boolean): void {
		this.#ms = firstWon ? Math.floor(this.#ms / 2) : this.#ms * 2 + 1;
	}
}

test('[7.4] a save answers what it saved, though others write at the same time, and their write is met as a conflict', async () => {
	const row = await ada.add('busy', { text: 'start', pin: '6559' });
	const link = assertStatus(await textLink(ada, { table: 'busy', id: row.id, field: 'text' }), 200);
	let met = 0;
	const start = new HeadStart();
	for (let round = 0; round < 30; round++) {
		const tag = (await open(`${link.viewer_url}/data`)).headers.get('etag')!;
		// A count of changes: a hash of the row would let the rest of it be guessed.
		assert.match(tag, /^"\d+"$/);
		const [mine, theirs] = await Promise.all([
			save(link.viewer_url, `W/${tag}`, { text: `mine ${round}` }),
			start.after(() => ada.post('/v1/busy/update_row', { id: row.id, patch: { text: `theirs ${round}` } })),
		]);
		start.tell(mine.status === 200);
		assert.equal(theirs.status, 200);
		if (mine.status === 412) continue;
		assert.equal(mine.status, 200, mine.text);
		assert.equal(mine.body.text, `mine ${round}`);
		met++;
		assert.equal((await ada.rows('busy'))[0].text, `theirs ${round}`);
		assertFault(await save(link.viewer_url, mine.headers.get('etag'), { text: 'more' }), 412, 'row_changed');
	}
	assert.ok(met > 0, 'in no round was the save first');
});

test('[7.4] a save that was done is answered as done, though the row is gone the moment after', async () => {
	let met = 0;
	const start = new HeadStart();
	for (let round = 0; round < 30; round++) {
		const row = await ada.add('brief', { text: 'start' });
		const link = assertStatus(await textLink(ada, { table: 'brief', id: row.id, field: 'text' }), 200);
		const tag = (await open(`${link.viewer_url}/data`)).headers.get('etag')!;
		const [mine] = await Promise.all([
			save(link.viewer_url, tag, { text: 'mine' }),
			start.after(() => ada.del('/v1/brief', { filter: { id: row.id } })),
		]);
		start.tell(mine.status === 200);
		const [newest] = (await ada.get('/v1/brief/versions', { id: row.id })).body.versions;
		assert.equal(mine.status, newest.row.text === 'mine' ? 200 : 404, mine.text);
		if (mine.status === 200) met++;
	}
	assert.ok(met > 0, 'in no round was the save first');
});

test('[7.8] changes come from pages of the same origin only', async () => {
	const row = await ada.add('guarded', { text: 'safe' });
	const link = assertStatus(await rowLink(ada, { table: 'guarded', id: row.id }), 200);
	const tag = (await open(`${link.viewer_url}/data`)).headers.get('etag')!;
	const send = (headers: Record<string, string>) =>
		open(`${link.viewer_url}/data`, {
			method: 'PUT',
			headers: { 'content-type': 'application/json', 'if-match': tag, ...headers },
			body: '{"row":{"text":"evil"}}',
		});
	for (const headers of [
		{},
		{ origin: 'https://evil.example' },
		{ origin: 'null' },
		{ 'sec-fetch-site': 'cross-site', origin: server.url },
		{ 'sec-fetch-site': 'same-site', origin: server.url },
		{ 'sec-fetch-site': 'none', origin: server.url },
	]) {
		assertFault(await send(headers as Record<string, string>), 403, 'cross_origin_request');
	}
	assertFault(await send({ origin: server.url, 'content-type': 'text/plain' }), 400, 'invalid_content_type');
	assertPrivate(await send({}));
	assert.deepEqual(await ada.rows('guarded'), [row]);
	assert.equal((await send({ 'sec-fetch-site': 'same-origin' })).status, 200);
});

test('[7.1] [7.8] an account has at most 1000 live links; erasing and sweeping leave none behind', async () => {
	const [eve, bob] = [await signIn(server), await signIn(server)];
	for (let n = 0; n < 1000; n += 100) {
		const made = await Promise.all(Array.from({ length: 100 }, () => queryLink(eve, { table: 'notes' })));
		for (const answer of made) assertStatus(answer, 200);
	}
	const refused = await queryLink(eve, { table: 'notes' });
	assertRefused(refused, 429, 'link_limit_reached');
	const wait = Number(refused.headers.get('retry-after'));
	assert.ok(wait > 3000 && wait <= 3600, String(wait));
	assertStatus(await queryLink(ada, { table: 'notes' }), 200);
	// Links of a key that was revoked take no place.
	const made = assertStatus(await bob.post('/v1/_keys', { name: 'agent' }), 201);
	const agent = clientWith(server, made.api_key);
	for (let n = 0; n < 1000; n += 100) {
		await Promise.all(Array.from({ length: 100 }, () => queryLink(agent, { table: 'notes' })));
	}
	assertRefused(await queryLink(bob, { table: 'notes' }), 429, 'link_limit_reached');
	await bob.del(`/v1/_keys/${made.id}`);
	assertStatus(await queryLink(bob, { table: 'notes' }), 200);
	server.advance(HOUR_MS);
	const live = assertStatus(await queryLink(eve, { table: 'notes' }), 200);
	assert.deepEqual(faultsOf(server.dataDir), []);
	const count = () =>
		queryDatabase(server.dataDir, `SELECT count(*) AS n FROM links WHERE account_id = '${eve.accountId}'`)[0]!.n;
	assert.equal(count(), 1001);
	const erased = await runPumadb(['accounts', 'delete', '--data-dir', server.dataDir, '--account', eve.accountId]);
	assert.equal(erased.code, 0, erased.err);
	assert.equal(count(), 0);
	assertFaultPage(await open(live.viewer_url), 404);
});

test('[6.8] what a page does counts against the key that made its link', async () => {
	const limited = await startClocked({ PUMADB_READS_PER_MINUTE: '5', PUMADB_WRITES_PER_MINUTE: '2' });
	try {
		const eve = await signIn(limited);
		const row = await eve.add('notes', { text: 'x' });
		const link = assertStatus(await rowLink(eve, { table: 'notes', id: row.id }), 200);
		const first = await open(`${link.viewer_url}/data`);
		assert.match(first.headers.get('ratelimit')!, /^"reads";r=3;t=\d+$/);
		for (let n = 0; n < 3; n++) assert.equal((await open(link.download_url)).status, 200);
		assertFault(await open(`${link.viewer_url}/data`), 429, 'rate_limited');
		const page = await open(link.download_url);
		assertFaultPage(page, 429);
		assert.match(page.headers.get('retry-after')!, /^\d+$/);
		// The page itself opens, to say so.
		assert.equal((await open(link.viewer_url)).status, 200);
	} finally {
		await limited.stop();
	}
});

test('[7.1] [1.8] the three operations need a key', async () => {
	for (const [path, json] of [
		['/v1/_text_field_links', { table: 'notes', field: 'text', id: 'x' }],
		['/v1/_row_links', { table: 'notes', id: 'x' }],
		['/v1/_query_links', { table: 'notes' }],
	] as const) {
		assertRefused(await send(server.url, 'POST', path, { json }), 401, 'missing_api_key');
	}
});
