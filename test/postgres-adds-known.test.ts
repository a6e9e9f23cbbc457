import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { newAccountId, newGrantId, newSessionId, secretHash } from '../src/accounts/secrets.ts';
import { makeFilter } from '../src/domain/filter.ts';
import type { Store } from '../src/store/seam.ts';
import { query } from './support/postgres.ts';
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
 * Adds that a node sends without loading anything, going by the keys and member indexes that it remembers of the account, while
 * another node ends those keys and makes and gives up indexes.
 */

afterEach(closeAll);

/** A session of the console, for a new account. */
async function session(store: Store, email: string): Promise<Person> {
	const [tokenHash, id] = [secretHash(`link of ${email}`), newSessionId()];
	const expiresAt = Date.now() + 3_600_000;
	await store.writeAccounts({ command: 'createMagicLink', tokenHash, email, requestHash: null, expiresAt });
	const made = await store.writeAccounts({
		command: 'verifyMagicLinkForSession',
		tokenHash,
		freshAccountId: newAccountId(),
		session: { id, secretHash: secretHash(id), expiresAt },
	});
	return { accountId: made.accountId!, keyId: id, email };
}

/** An app's grant, of a new account. */
async function grant(store: Store, email: string): Promise<Person> {
	const [requestHash, browserHash, tokenHash] = ['request', 'browser', 'link'].map((of) =>
		secretHash(`${of} ${email}`),
	);
	const expiresAt = Date.now() + 3_600_000;
	const of = { requestHash: requestHash!, browserHash: browserHash! };
	const request = {
		...{ clientId: 'client_a', clientName: 'a', redirectUri: 'https://a.example/cb', challenge: 'c', state: undefined },
		audience: 'https://memory.example/mcp',
	};
	await store.writeAccounts({
		command: 'createMagicLink',
		tokenHash: tokenHash!,
		email,
		requestHash: requestHash!,
		expiresAt,
	});
	await store.writeAccounts({ command: 'beginAuthorization', ...of, email, request, expiresAt });
	const signedIn = await store.writeAccounts({
		...{ command: 'signInForAuthorization', ...of },
		...{ tokenHash: tokenHash!, freshAccountId: newAccountId() },
	} as const);
	const grantId = newGrantId();
	const code = { hash: secretHash(grantId), expiresAt };
	await store.writeAccounts({ command: 'grantAuthorization', ...of, grantId, code });
	return { accountId: signedIn.accountId!, keyId: grantId, email };
}

const ENDINGS = {
	'a key that is revoked': {
		make: person,
		end: (store: Store, { accountId, keyId }: Person) =>
			store.writeAccounts({ command: 'revokeKey', accountId, keyId }),
	},
	'a session that ends': {
		make: session,
		end: (store: Store, { accountId, keyId }: Person) =>
			store.writeAccounts({ command: 'endSession', accountId, secretHash: secretHash(keyId) }),
	},
	'a grant that is revoked': {
		make: grant,
		end: (store: Store, { accountId, keyId }: Person) =>
			store.writeAccounts({ command: 'revokeGrant', accountId, grantId: keyId }),
	},
} as const;

for (const [what, { make, end }] of Object.entries(ENDINGS)) {
	test(`[6.7] [10.3] [14.15] ${what} on one node adds nothing on another that knows it well`, async () => {
		const { url, a, b } = await pair();
		for (let round = 0; round < 5; round++) {
			const one = await make(a, `${round}@example.com`);
			const other = await person(a, one.email);
			const rows = [textOf(await add(b, one, 'notes', { n: 0 })), textOf(await add(b, one, 'notes', { n: 1 }))];
			assert.equal(await addedPlainly(url, rows), 1);
			// Some are on their way meanwhile: they were before it, or not at all.
			const racing = Array.from({ length: round * 5 }, (_, i) => add(b, one, 'notes', { n: 2 + i }));
			await end(a, one);
			const late = [await add(b, one, 'notes', { n: -1 })];
			late.push(...(await Promise.all(Array.from({ length: 5 }, () => add(b, one, 'notes', { n: -1 })))));
			assert.deepEqual(late, Array(6).fill('invalid_api_key'));
			for (const became of await Promise.all(racing)) {
				if (became !== 'invalid_api_key') rows.push(textOf(became));
			}
			// The account's live key adds as before, and makes the dead one no better.
			rows.push(textOf(await add(b, other, 'notes', { n: -2 })), textOf(await add(b, other, 'notes', { n: -3 })));
			assert.equal(await addedPlainly(url, rows.slice(-1)), 1);
			assert.equal(await add(b, one, 'notes', { n: -1 }), 'invalid_api_key');
			assert.deepEqual((await textsIn(b, one, 'notes')).toSorted(), rows.toSorted());
		}
		await assertSound(url);
	});
}

test('[6.10] [8.2] after an account is erased on one node, another that knows it well adds nothing to it', async () => {
	const { url, a, b } = await pair();
	const [one, other] = [await person(a), await person(a)];
	for (const who of [one, other]) await add(b, who, 'notes', { n: 0 });
	const rows = [textOf(await add(b, one, 'notes', { n: 1 }))];
	assert.equal(await addedPlainly(url, rows), 1);
	// Keys of one account are none of another.
	assert.equal(await add(b, { accountId: one.accountId, keyId: other.keyId }, 'notes', { n: 2 }), 'invalid_api_key');
	const racing = Array.from({ length: 20 }, (_, i) => add(b, one, 'notes', { n: 2 + i }));
	await a.writeAccounts({ command: 'eraseAccount', accountId: one.accountId });
	const late = [
		await add(b, one, 'notes', { n: -1 }),
		await add(b, { accountId: one.accountId } as Person, 'notes', {}),
	];
	assert.deepEqual(late, ['invalid_api_key', 'invalid_api_key']);
	for (const became of await Promise.all(racing)) if (became !== 'invalid_api_key') textOf(became);
	for (let more = true; more; ) more = (await a.writeAccounts({ command: 'sweep' })).more === true;
	assert.deepEqual(await query(url, 'SELECT * FROM rows WHERE account_id = $1', [one.accountId]), []);
	assert.equal((await textsIn(b, other, 'notes')).length, 1);
	await assertSound(url);
});

const n = (text: string): number => (JSON.parse(text) as { n: number }).n;

test('[3.1] an index that one node makes has every row that another adds meanwhile and afterwards', async () => {
	const { url, a, b } = await pair({ PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_BATCH_OPERATIONS: '0' });
	const one = await person(a);
	// More rows than one step of building takes.
	const operations = Array.from(
		{ length: 1700 },
		(_, i) => ({ action: 'add', own: `{"n":${i},"k":${i % 7}}` }) as const,
	);
	const texts = [...(await write(b, one, 'notes', ...operations))];
	const plain = async (): Promise<boolean> => {
		const text = textOf(await add(b, one, 'notes', { n: texts.length, k: texts.length % 7 }));
		texts.push(text);
		return (await addedPlainly(url, [text])) === 1;
	};
	await plain();
	assert.ok(await plain());
	// The first filter on the member asks for the index.
	await a.read.count(one.accountId, 'notes', makeFilter([['k', 1]]));
	for (let ready = false; !ready; ) {
		await plain();
		const [index] = await query(url, 'SELECT state FROM member_indexes');
		ready = index?.state === 'ready';
	}
	const indexed: boolean[] = [];
	for (let i = 0; i < 20; i++) indexed.push(await plain());
	assert.deepEqual(indexed.slice(1), Array(19).fill(true));
	// Another member's index, beside the first.
	await a.read.count(one.accountId, 'notes', makeFilter([['n', 1]]));
	for (let all = false; !all; await plain()) {
		all = (await query(url, `SELECT 1 FROM member_indexes WHERE state = 'ready'`)).length === 2;
	}
	assert.ok(await plain());
	const [{ entries }] = await query(url, 'SELECT count(*) AS entries FROM index_entries');
	assert.equal(entries, 2 * texts.length);
	for (const store of [a, b]) {
		for (let k = 0; k < 7; k++) {
			const found = await store.read.rowTexts(one.accountId, 'notes', makeFilter([['k', k]]));
			assert.deepEqual(
				found,
				texts.filter((text) => n(text) % 7 === k),
			);
		}
		assert.deepEqual(await store.read.rowTexts(one.accountId, 'notes', makeFilter([['n', texts.length - 1]])), [
			texts.at(-1),
		]);
	}
	await assertSound(url);
});

test('[3.1] [5.4] an index that one node gives up for another gets no entries from a node that knew it', async () => {
	const url = await emptyDatabase();
	let now = Date.UTC(2026, 0, 1);
	const options = { clock: () => now };
	const [a, b] = [await openOn(url, options), await openOn(url, options)];
	const one = await person(a);
	const own = (i: number): string =>
		JSON.stringify(Object.fromEntries(Array.from({ length: 9 }, (_, m) => [`m${m}`, i])));
	const plain = async (): Promise<boolean> => {
		const text = textOf(await write(b, one, 'notes', { action: 'add', own: own(60) }));
		return (await addedPlainly(url, [text])) === 1;
	};
	await write(a, one, 'notes', ...Array.from({ length: 60 }, (_, i) => ({ action: 'add', own: own(i) }) as const));
	const states = (): Promise<{ state: string }[]> => query(url, 'SELECT state FROM member_indexes ORDER BY index_no');
	// One more index than a table may have, an hour and more after the others were used.
	for (let m = 0; m < 9; m++) {
		if (m === 8) {
			now += 2 * 3_600_000;
			await plain();
			assert.ok(await plain());
		}
		await a.read.count(one.accountId, 'notes', makeFilter([[`m${m}`, 1]]));
		for (let made = false; !made; ) {
			const all = await states();
			made = all.length === m + 1 && all.at(-1)!.state === 'ready';
		}
	}
	assert.deepEqual(
		(await states()).filter(({ state }) => state === 'dropping'),
		[{ state: 'dropping' }],
	);
	for (let more = true; more; ) more = (await a.writeAccounts({ command: 'sweep' })).more === true;
	assert.equal((await states()).length, 8);
	for (let i = 0; i < 3; i++) await plain();
	assert.ok(await plain());
	await assertSound(url);
});
