import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { secretHash } from '../src/accounts/secrets.ts';
import { EVERY_ROW, makeFilter } from '../src/domain/filter.ts';
import { identityOf, ownTextOf, rowBytes } from '../src/domain/row.ts';
import { currentSchema } from '../src/store/postgres/migrate.ts';
import type { Store } from '../src/store/seam.ts';
import { query } from './support/postgres.ts';
import { randomFrom, seedFrom } from './support/random.ts';
import {
	add,
	addedPlainly,
	assertSound,
	closeAll,
	emptyDatabase,
	openOn,
	type Person,
	pair,
	person,
	textOf,
	textsIn,
	write,
} from './support/stores.ts';

/**
 * Adds that a node sends without loading anything, going by what it remembers of the account, while another node does what makes
 * that untrue. Each test says of its adds which of them went that way: where none does, it would state nothing.
 */

afterEach(closeAll);

/** What quoting may get wrong: in JSON, in arrays of PostgreSQL, in SQL. */
const NASTY = fc.constantFrom(
	...'"\\\'{},[]:;$%\n\r\t\b\f\v\u001f\u007f\u0085\u2028\u2029\ufeff\uffff é€😀',
	'NULL',
	'null',
	'\\\\"',
	'\\x41',
	'\\u0000',
	'$1',
);

test('[4.8] adds to accounts that a node knows go together, in few transactions, and load nothing', async () => {
	const { url, a } = await pair();
	const people: Person[] = [];
	for (let i = 0; i < 50; i++) people.push(await person(a));
	const first = await Promise.all(people.map((one) => add(a, one, 'notes', { n: 0 })));
	assert.equal(await addedPlainly(url, first.map(textOf)), 0);
	const texts = (await Promise.all(people.map((one) => add(a, one, 'notes', { n: 1 })))).map(textOf);
	assert.equal(await addedPlainly(url, texts), 50);
	const [{ transactions }] = await query(
		url,
		'SELECT count(DISTINCT xmin::text) AS transactions FROM rows WHERE id = ANY($1::uuid[])',
		[texts.map((text) => identityOf(text).id)],
	);
	assert.ok(transactions <= 10, `${transactions} transactions`);
	for (const [i, one] of people.entries()) {
		assert.deepEqual(await textsIn(a, one, 'notes'), [textOf(first[i]!), texts[i]]);
	}
	await assertSound(url);
});

test('[2.2] whatever is in a row that loads nothing, it is read as it was answered', async (t) => {
	const { url, a, b } = await pair();
	const one = await person(a);
	for (const store of [a, b]) await add(store, one, 'notes', {});
	const seed = seedFrom('ADDS_SEED');
	t.diagnostic(`ADDS_SEED=${seed}`);
	await fc.assert(
		fc.asyncProperty(fc.array(fc.string({ unit: fc.oneof(NASTY, fc.string({ unit: 'binary' })) })), async (parts) => {
			const rows = [...parts, ''].map((part) => ({
				[`m${part}`.slice(0, 50).replaceAll('\0', '').toWellFormed()]: part.replaceAll('\0', '').toWellFormed(),
			}));
			const texts = (await Promise.all(rows.map((row) => add(a, one, 'notes', row)))).map(textOf);
			assert.equal(await addedPlainly(url, texts), rows.length);
			for (const [i, text] of texts.entries()) {
				const { id } = identityOf(text);
				assert.equal((await b.read.row(one.accountId, 'notes', id))!.text, text);
				assert.equal(ownTextOf(text), JSON.stringify(rows[i]));
			}
		}),
		{ numRuns: 60, seed },
	);
	await assertSound(url);
});

test('[4.2] limits of rows and tables are exact, whichever nodes add, in turn or at once', async () => {
	const { url, a, b } = await pair({ PUMADB_MAX_ROWS_PER_TABLE: '40', PUMADB_MAX_TABLES: '3' });
	const stores = [a, b];
	const one = await person(a);
	for (const table of ['turns', 'once']) await add(a, one, table, { n: 0 });
	const turns = [];
	for (let i = 1; i < 50; i++) turns.push(await add(stores[(i >> 1) % 2]!, one, 'turns', { n: i }));
	assert.ok(turns.slice(39).every((became) => became === 'row_limit_reached'));
	assert.ok((await addedPlainly(url, turns.slice(0, 39).map(textOf))) > 10);

	await add(b, one, 'once', { n: 1 });
	const once = await Promise.all(Array.from({ length: 80 }, (_, i) => add(stores[i % 2]!, one, 'once', { n: 2 + i })));
	const rows = once.filter((became) => became !== 'row_limit_reached').map(textOf);
	assert.equal(rows.length, 38);
	for (const table of ['turns', 'once']) {
		assert.equal((await textsIn(a, one, table)).length, 40);
		for (const store of stores) assert.equal(await add(store, one, table, {}), 'row_limit_reached');
	}

	const fresh = ['three', 'four', 'five', 'three', 'four', 'five'];
	const begun = await Promise.all(fresh.map((table, i) => add(stores[i % 2]!, one, table, { n: i })));
	const tables = new Set(fresh.filter((_, i) => typeof begun[i] !== 'string'));
	assert.equal(tables.size, 1);
	for (const [i, became] of begun.entries()) if (!tables.has(fresh[i]!)) assert.equal(became, 'table_limit_reached');
	assert.equal((await b.read.usage(one.accountId))!.tables, 3);
	await assertSound(url);
});

test('[4.2] [2.3] the limit of bytes is exact, whichever nodes add, in turn or at once', async (t) => {
	const LIMIT = 3000;
	const { url, a, b } = await pair({ PUMADB_MAX_ACCOUNT_BYTES: String(LIMIT), PUMADB_MAX_ROW_BYTES: '200' });
	const stores = [a, b];
	const seed = seedFrom('ADDS_SEED');
	t.diagnostic(`ADDS_SEED=${seed}`);
	const random = randomFrom(seed);
	const row = () => ({ a: 'é'.repeat(random.below(80)) });
	const bytesOf = (texts: readonly string[]) => texts.reduce((sum, text) => sum + rowBytes(ownTextOf(text)), 0);

	const inTurn = await person(a);
	for (const table of ['x', 'y']) await add(b, inTurn, table, {});
	let bytes = 4;
	let full = 0;
	let plain = 0;
	for (let i = 0; full < 12; i++) {
		const own = row();
		const size = rowBytes(JSON.stringify(own));
		const became = await add(stores[(i >> 1) % 2]!, inTurn, random.pick(['x', 'y']), own);
		if (bytes + size > LIMIT) {
			assert.equal(became, 'account_full');
			full++;
			continue;
		}
		plain += await addedPlainly(url, [textOf(became)]);
		bytes += size;
	}
	assert.equal((await a.read.usage(inTurn.accountId))!.bytes, bytes);
	assert.ok(plain > 5, `${plain} were plain`);

	const exact = await person(a);
	const rowOf = (size: number) => ({ a: 'x'.repeat(size - rowBytes('{"a":""}')) });
	for (let left = LIMIT; left > 50; left -= 118) textOf(await add(b, exact, 'x', rowOf(118)));
	assert.equal(await add(b, exact, 'x', rowOf(51)), 'account_full');
	assert.equal(await addedPlainly(url, [textOf(await add(b, exact, 'x', rowOf(50)))]), 1);
	assert.equal(await add(b, exact, 'x', {}), 'account_full');

	for (let round = 0; round < 4; round++) {
		const atOnce = await person(a);
		for (const table of ['x', 'y']) await add(stores[round % 2]!, atOnce, table, {});
		const asked = Array.from({ length: 80 }, () => row());
		const calls = asked.map((own, i) => add(stores[i % 2]!, atOnce, i % 3 === 0 ? 'x' : 'y', own));
		const texts = (await Promise.all(calls)).flatMap((became) => (became === 'account_full' ? [] : [textOf(became)]));
		const all = [...(await textsIn(a, atOnce, 'x')), ...(await textsIn(a, atOnce, 'y'))];
		assert.equal(all.length, texts.length + 2);
		assert.ok(bytesOf(all) <= LIMIT && bytesOf(all) > LIMIT - 200, `${bytesOf(all)} bytes`);
		assert.equal((await b.read.usage(atOnce.accountId))!.bytes, bytesOf(all));
	}
	await assertSound(url);
});

test('[2.1] a row is not made before the last change of its account, whatever the clock of the node that adds it', async () => {
	const url = await emptyDatabase();
	let now = Date.UTC(2026, 0, 1);
	const [ahead, behind] = [await openOn(url, { clock: () => now + 120_000 }), await openOn(url, { clock: () => now })];
	const one = await person(ahead);
	const { id } = identityOf(textOf(await add(ahead, one, 'notes', { n: 0 })));
	await add(behind, one, 'notes', { n: 1 });
	assert.equal(await addedPlainly(url, [textOf(await add(behind, one, 'notes', { n: 2 }))]), 1);
	now += 1000;
	// A change gives out no id, but its moment counts.
	const changed = await write(ahead, one, 'notes', { action: 'update_row', id, patch: '{"n":3}' });
	const updatedAt = (JSON.parse(textOf(changed)) as { row: { updated_at: string } }).row.updated_at;
	const texts = [];
	for (let i = 4; i < 7; i++) texts.push(textOf(await add(behind, one, 'notes', { n: i })));
	assert.deepEqual(
		texts.map((text) => identityOf(text).createdAt),
		Array(3).fill(updatedAt),
	);
	assert.ok((await addedPlainly(url, texts)) >= 1);
	// Ids of one millisecond are counted: what the other node has given out meanwhile is passed over as a whole.
	for (let i = 7; i < 9; i++) texts.push(textOf(await add(ahead, one, 'notes', { n: i })));
	const late = await Promise.all([9, 10, 11, 12].map((i) => add(behind, one, 'notes', { n: i })));
	const ids = [...texts, ...late.map(textOf)].map((text) => identityOf(text).id);
	assert.deepEqual(ids, ids.toSorted());
	await assertSound(url);
});

test('[2.1] [3.3] nodes whose clocks are minutes apart: ids and times grow in the order in which adds are answered', async (t) => {
	const url = await emptyDatabase();
	const ahead = [0, -300_000, 120_000];
	const stores: Store[] = [];
	for (const by of ahead) stores.push(await openOn(url, { clock: () => Date.now() + by }));
	const one = await person(stores[0]!);
	const seed = seedFrom('ADDS_SEED');
	t.diagnostic(`ADDS_SEED=${seed}`);
	const random = randomFrom(seed);
	let last = { id: '', at: '' };
	const texts: string[] = [];
	for (let wave = 0; wave < 60; wave++) {
		// One store for some waves, so that it comes to know the account, or all of them at once.
		const size = random.chance(0.7) ? 1 : 1 + random.below(6);
		const store = stores[Math.floor(wave / 4) % 3]!;
		const calls = Array.from({ length: size }, (_, i) =>
			add(size === 1 ? store : stores[i % 3]!, one, random.pick(['x', 'y']), { n: wave }),
		);
		const answered = (await Promise.all(calls)).map(textOf);
		texts.push(...answered);
		for (const { id, createdAt } of answered.map(identityOf)) {
			assert.ok(id > last.id, `${id} after ${last.id}`);
			assert.ok(createdAt >= last.at, `${createdAt} after ${last.at}`);
		}
		for (const { id, createdAt } of answered.map(identityOf)) {
			last = { id: id > last.id ? id : last.id, at: createdAt > last.at ? createdAt : last.at };
		}
	}
	assert.ok((await addedPlainly(url, texts)) > 3);
	const all = [...(await textsIn(stores[0]!, one, 'x')), ...(await textsIn(stores[0]!, one, 'y'))].map(identityOf);
	const inOrder = all.toSorted((x, y) => (x.id < y.id ? -1 : 1)).map(({ createdAt }) => createdAt);
	assert.deepEqual(inOrder, inOrder.toSorted());
	await assertSound(url);
});

test('[4.1] [5.4] a table that one node emptied, and the sweep forgot, counts right when another adds to it again', async () => {
	const url = await emptyDatabase();
	let now = Date.UTC(2026, 0, 1);
	const options = { env: { PUMADB_MAX_TABLES: '1', PUMADB_VERSION_RETENTION_DAYS: '1' }, clock: () => now };
	const [a, b] = [await openOn(url, options), await openOn(url, options)];
	for (const forgotten of [false, true]) {
		const one = await person(a);
		const empty = async (table: string): Promise<void> => {
			for (const text of await textsIn(a, one, table)) {
				await write(a, one, table, { action: 'delete', filter: makeFilter([['id', identityOf(text).id]]) });
			}
			if (!forgotten) return;
			now += 3 * 86_400_000;
			for (let more = true; more; ) more = (await a.writeAccounts({ command: 'sweep' })).more === true;
			assert.deepEqual(await query(url, 'SELECT * FROM tables WHERE account_id = $1', [one.accountId]), []);
		};
		await add(b, one, 'notes', { n: 0 });
		assert.equal(await addedPlainly(url, [textOf(await add(b, one, 'notes', { n: 1 }))]), 1);
		await empty('notes');
		assert.equal((await b.read.usage(one.accountId))!.tables, 0);
		const text = textOf(await add(b, one, 'notes', { n: 2 }));
		assert.deepEqual(await textsIn(a, one, 'notes'), [text]);
		assert.equal((await b.read.usage(one.accountId))!.tables, 1);
		assert.deepEqual(await b.read.tables(one.accountId, '9999'), [{ name: 'notes', rows: 1 }]);
		assert.equal(await addedPlainly(url, [textOf(await add(b, one, 'notes', { n: 3 }))]), 1);
		// Its place is taken by another table meanwhile.
		await empty('notes');
		textOf(await add(a, one, 'other', { n: 4 }));
		assert.equal(await add(b, one, 'notes', { n: 5 }), 'table_limit_reached');
		assert.equal(await b.read.count(one.accountId, 'notes', EVERY_ROW), 0);
		await assertSound(url);
	}
});

test('[4.7] adds with an idempotency key make one row, however well both nodes know the account', async () => {
	const { url, a, b } = await pair();
	const one = await person(a);
	for (const store of [a, b, a, b]) await add(store, one, 'notes', { n: 0 });
	for (let round = 0; round < 10; round++) {
		const idempotency = { key: `k${round}`, fingerprint: 'f' };
		const keyed = { action: 'add', own: `{"n":${round}}`, idempotency } as const;
		const calls = [0, 1, 2, 3].map((i) => write(i % 2 === 0 ? a : b, one, 'notes', keyed));
		const plain = [add(a, one, 'notes', { n: -1 }), add(b, one, 'notes', { n: -1 })];
		const texts = (await Promise.all(calls)).map(textOf);
		assert.equal(new Set(texts).size, 1);
		await Promise.all(plain);
	}
	assert.equal((await textsIn(a, one, 'notes')).length, 4 + 10 * 3);
	await assertSound(url);
});

test('[4.7] [5.3] answers of keyed adds that load nothing are kept, for every node and within their bound', async () => {
	const { url, a, b } = await pair({ PUMADB_MAX_ACCOUNT_BYTES: '4000', PUMADB_MAX_ROW_BYTES: '1000' });
	const one = await person(a);
	for (const store of [a, b]) await add(store, one, 'notes', {});
	const keyed = (n: number, text = '') => {
		const own = JSON.stringify({ n, text });
		return { action: 'add', own, idempotency: { key: `k${n}`, fingerprint: own } } as const;
	};
	const texts = (await Promise.all([0, 1, 2, 3].map((n) => write(a, one, 'notes', keyed(n))))).map(textOf);
	assert.equal(await addedPlainly(url, texts), 4);
	for (const store of [a, b]) {
		for (const n of [0, 1, 2, 3]) assert.equal(textOf(await write(store, one, 'notes', keyed(n))), texts[n]);
		assert.equal(await write(store, one, 'notes', keyed(0, 'other')), 'idempotency_key_reused');
	}
	const sum = (of: readonly string[]) => of.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0);
	const [before] = await query(url, 'SELECT kept_bytes FROM accounts');
	assert.equal(before.kept_bytes, sum(texts));
	const further = await Promise.all([4, 5].map((n) => write(b, one, 'notes', keyed(n))));
	texts.push(...further.map(textOf));
	assert.equal(new Set((await query(url, 'SELECT seq FROM kept_answers')).map(({ seq }) => seq)).size, 6);
	// The last answer that fits, and one more: younger than an hour, none gives way.
	const became = [];
	for (let n = 10; n < 30; n++) {
		became.push(await write(n % 2 === 0 ? a : b, one, 'notes', keyed(n, 'x'.repeat(900))));
		await write(a, one, 'notes', { action: 'delete', filter: makeFilter([['n', n]]) });
	}
	assert.ok(
		became.slice(-5).every((one) => one === 'archive_full'),
		JSON.stringify(became.slice(-5)),
	);
	const kept = became.filter((one) => one !== 'archive_full').map(textOf);
	const [after] = await query(url, 'SELECT kept_bytes FROM accounts');
	assert.equal(after.kept_bytes, sum([...texts, ...kept]));
	await assertSound(url);
});

test('[8.1] a database of schema 1 is brought up to date with what it holds, and serves', async () => {
	const url = await emptyDatabase();
	const first = new URL('../src/store/postgres/migrations/0001.sql', import.meta.url);
	await query(url, 'CREATE SCHEMA pumadb');
	await query(url, 'CREATE TABLE pumadb.schema_version (one integer PRIMARY KEY, version integer NOT NULL)');
	await query(url, readFileSync(first, 'utf8'));
	await query(url, 'INSERT INTO schema_version VALUES (1, 1)');
	const [accountId, keyId, id] = ['someone', 'key_1', '019b7618-d000-7000-8000-000000000001'];
	const at = '2026-01-01T00:00:00.000Z';
	const text = `{"id":"${id}","n":1,"created_at":"${at}","updated_at":"${at}"}`;
	await query(
		url,
		`INSERT INTO accounts (account_id, email, created_at, tables, bytes, last_id, clock) VALUES ($1, 'a@example.com', $2, 1, 7, $3, $4)`,
		[accountId, at, id, Date.parse(at)],
	);
	await query(url, `INSERT INTO emails VALUES ('a@example.com', $1)`, [accountId]);
	await query(
		url,
		`INSERT INTO api_keys (account_id, key_id, key_no, name, secret_hash, prefix, made_by, created_at)
			VALUES ($1, $2, 0, 'k', $3, 'p', 'api', $4)`,
		[accountId, keyId, secretHash('secret'), at],
	);
	await query(url, `INSERT INTO tables VALUES ($1, 'notes', 1, false)`, [accountId]);
	await query(url, `INSERT INTO rows VALUES ($1, 'notes', $2, 0, 7, $3)`, [accountId, id, text]);

	// Two nodes that start together.
	const [a, b] = (await Promise.all([openOn(url), openOn(url)])) as [Store, Store];
	assert.deepEqual(await query(url, 'SELECT version FROM schema_version'), [{ version: currentSchema() }]);
	assert.ok(currentSchema() >= 2);
	assert.deepEqual(await a.read.caller(accountId, secretHash('secret')), { accountId, keyId });
	const one = { accountId, keyId };
	const texts = [text];
	for (const store of [b, b, a, a]) texts.push(textOf(await add(store, one, 'notes', { n: texts.length + 1 })));
	assert.ok((await addedPlainly(url, texts)) >= 2);
	assert.deepEqual(await textsIn(b, one, 'notes'), texts);
	await a.writeAccounts({ command: 'revokeKey', accountId, keyId });
	assert.equal(await add(b, one, 'notes', {}), 'invalid_api_key');
	await assertSound(url);
});
