import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewTokens } from '../src/accounts/grants.ts';
import type { AccountDone } from '../src/accounts/rules.ts';
import { secretHash } from '../src/accounts/secrets.ts';
import type { Store } from '../src/store/seam.ts';
import { faultsOf, queryDatabase } from './support/data-dir.ts';
import { temporaryDir } from './support/server.ts';
import { openStoreOn } from './support/store.ts';

/** What becomes of clients and grants over months, and at their bounds: the store's own commands, with a clock to move. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

class Months {
	readonly store: Store;
	readonly dataDir: string;
	readonly #moved: { ms: number };
	#n = 0;

	static async open(): Promise<Months> {
		const dataDir = temporaryDir();
		const moved = { ms: 0 };
		const store = await openStoreOn(dataDir, () => Date.now() + moved.ms);
		return new Months(store, dataDir, moved);
	}

	private constructor(store: Store, dataDir: string, moved: { ms: number }) {
		this.store = store;
		this.dataDir = dataDir;
		this.#moved = moved;
	}

	get now(): number {
		return Date.now() + this.#moved.ms;
	}

	advance(ms: number): void {
		this.#moved.ms += ms;
	}

	async sweep(): Promise<void> {
		for (let more = true; more; ) {
			const outcome = await this.store.writeAccounts({ command: 'sweep' });
			more = 'more' in outcome && outcome.more === true;
		}
	}

	register(name: string): Promise<AccountDone> {
		return this.store.writeAccounts({
			command: 'registerClient',
			client: {
				id: `client_${name}`,
				name,
				redirectUris: ['https://a.example/cb'],
				secretHash: null,
				createdAt: this.now,
				seenAt: this.now,
				fingerprint: secretHash(name),
			},
		});
	}

	async has(name: string): Promise<boolean> {
		return (await this.store.read.client(`client_${name}`)) !== undefined;
	}

	tokens(): NewTokens & { readonly access: string } {
		const n = ++this.#n;
		return {
			access: `access-${n}`,
			accessHash: secretHash(`access-${n}`),
			accessExpiresAt: this.now + 60 * MINUTE_MS,
			refreshHash: secretHash(`refresh-${n}`),
			refreshExpiresAt: this.now + 90 * DAY_MS,
		};
	}

	/** Takes a grant as far as a code. */
	async authorize(client: string, email: string): Promise<{ accountId: string; grantId: string; codeHash: string }> {
		const n = ++this.#n;
		const [requestHash, browserHash, tokenHash] = [`request-${n}`, `browser-${n}`, `magic-${n}`].map(secretHash) as [
			string,
			string,
			string,
		];
		const request = {
			clientId: `client_${client}`,
			clientName: client,
			redirectUri: 'https://a.example/cb',
			challenge: 'challenge',
			state: undefined,
			audience: 'https://memory.example/mcp',
		};
		const expiresAt = this.now + MINUTE_MS;
		await this.store.writeAccounts({ command: 'createMagicLink', tokenHash, email, requestHash, expiresAt });
		await this.store.writeAccounts({
			command: 'beginAuthorization',
			requestHash,
			browserHash,
			email,
			request,
			expiresAt,
		});
		const signedIn = await this.store.writeAccounts({
			command: 'signInForAuthorization',
			requestHash,
			browserHash,
			tokenHash,
			freshAccountId: `account${n}`,
		});
		const accountId = signedIn.accountId!;
		const grantId = `grant_${String(n).padStart(5, '0')}`;
		const codeHash = secretHash(`code-${n}`);
		await this.store.writeAccounts({
			command: 'grantAuthorization',
			requestHash,
			browserHash,
			grantId,
			code: { hash: codeHash, expiresAt: this.now + 5 * MINUTE_MS },
		});
		return { accountId, grantId, codeHash };
	}

	async connect(client: string, email: string): Promise<{ accountId: string; grantId: string; tokens: NewTokens }> {
		const { accountId, grantId, codeHash } = await this.authorize(client, email);
		const tokens = this.tokens();
		await this.store.writeAccounts({
			command: 'exchangeCode',
			accountId,
			codeHash,
			clientId: `client_${client}`,
			redirectUri: undefined,
			challenge: 'challenge',
			audience: 'https://memory.example/mcp',
			tokens,
		});
		return { accountId, grantId, tokens };
	}

	async refresh(client: string, accountId: string, tokenHash: string): Promise<NewTokens> {
		const tokens = this.tokens();
		await this.store.writeAccounts({
			command: 'refreshGrant',
			accountId,
			tokenHash,
			clientId: `client_${client}`,
			audience: 'https://memory.example/mcp',
			tokens,
		});
		return tokens;
	}
}

/** A test with a store of its own, which must be sound in the end. */
function over(title: string, run: (months: Months) => Promise<void>): void {
	test(title, async () => {
		const months = await Months.open();
		try {
			await run(months);
			assert.deepEqual(faultsOf(months.dataDir), []);
		} finally {
			await months.store.close();
		}
	});
}

over('[14.2] [14.11] a client that nobody used goes after 30 days; one whose tokens live stays', async (months) => {
	await months.register('unused');
	await months.register('used');
	const { accountId, tokens } = await months.connect('used', 'ada@example.com');
	months.advance(29 * DAY_MS);
	await months.sweep();
	assert.ok(await months.has('unused'));
	months.advance(2 * DAY_MS);
	await months.sweep();
	assert.ok(!(await months.has('unused')));
	let { refreshHash } = tokens;
	for (let n = 0; n < 12; n++) {
		months.advance(50 * DAY_MS);
		await months.sweep();
		({ refreshHash } = await months.refresh('used', accountId, refreshHash));
	}
	assert.ok(await months.has('used'));
	months.advance(501 * DAY_MS);
	await months.sweep();
	assert.ok(!(await months.has('used')));
	assert.deepEqual(await months.store.read.grants(accountId, months.now), []);
});

over('[14.2] a client that registers again, or that somebody begins to connect, stays 30 days more', async (months) => {
	await months.register('again');
	await months.register('begun');
	await months.register('forgotten');
	months.advance(29 * DAY_MS);
	await months.register('again');
	await months.authorize('begun', 'ada@example.com');
	months.advance(29 * DAY_MS);
	await months.sweep();
	assert.deepEqual(
		[await months.has('again'), await months.has('begun'), await months.has('forgotten')],
		[true, true, false],
	);
});

over('[14.2] of clients that were never used, the oldest gives way where there are 10,000', async (months) => {
	const names = Array.from({ length: 10_000 }, (_, n) => `n${n}`);
	await Promise.all(names.map((name) => months.register(name)));
	await assert.rejects(months.register('more'), { code: 'overloaded' });
	assert.ok(!(await months.has('more')));
	// Known ones are known all the same.
	await months.register('n7');
	months.advance(15 * MINUTE_MS);
	await months.register('more');
	assert.ok(await months.has('more'));
	const left = await Promise.all(names.map((name) => months.has(name)));
	assert.equal(left.filter((has) => !has).length, 1);
});

over('[14.9] [14.14] a grant goes with its last token; used tokens do not keep it', async (months) => {
	await months.register('app');
	const one = await months.connect('app', 'ada@example.com');
	const { codeHash, ...never } = await months.authorize('app', 'ada@example.com');
	assert.ok(codeHash);
	const of = async () => (await months.store.read.grants(one.accountId, months.now)).map(({ id }) => id);
	// Its person can take it back from the beginning.
	assert.deepEqual((await of()).toSorted(), [one.grantId, never.grantId].toSorted());
	months.advance(6 * MINUTE_MS);
	await months.sweep();
	const outcome = await months.store.writeAccounts({ command: 'revokeGrant', ...never });
	assert.equal('count' in outcome && outcome.count, 0, 'it went with its code');
	months.advance(80 * DAY_MS);
	await months.sweep();
	const next = await months.refresh('app', one.accountId, one.tokens.refreshHash);
	months.advance(89 * DAY_MS);
	await months.sweep();
	assert.deepEqual(await of(), [one.grantId]);
	assert.ok(next);
	months.advance(2 * DAY_MS);
	assert.deepEqual(await of(), []);
	await months.sweep();
	const gone = await months.store.writeAccounts({
		command: 'revokeGrant',
		accountId: one.accountId,
		grantId: one.grantId,
	});
	assert.equal('count' in gone && gone.count, 0);
});

over('[14.14] an account has 100 grants; the one used longest ago gives way', async (months) => {
	await months.register('app');
	const grants: { accountId: string; grantId: string; tokens: NewTokens }[] = [];
	for (let n = 0; n < 100; n++) {
		grants.push(await months.connect('app', 'ada@example.com'));
		months.advance(1000);
	}
	const [first, second] = grants;
	const { accountId } = first!;
	const at = new Date(months.now).toISOString();
	await months.store.writeAccounts({ command: 'touchKeys', used: [{ accountId, keyId: first!.grantId, at }] });
	const other = await months.connect('app', 'bob@example.com');
	const more = await months.connect('app', 'ada@example.com');
	const ids = (await months.store.read.grants(accountId, months.now)).map(({ id }) => id);
	assert.equal(ids.length, 100);
	assert.ok(ids.includes(first!.grantId), 'it was used just now');
	assert.ok(!ids.includes(second!.grantId));
	assert.ok(ids.includes(more.grantId));
	assert.equal((await months.store.read.grants(other.accountId, months.now)).length, 1);
	const { accessHash } = second!.tokens;
	assert.equal(await months.store.read.accessToken(accountId, accessHash, months.now), undefined);
});

over('[14.8] a used code is known for a day: a second use ends its grant', async (months) => {
	await months.register('app');
	const use = (codeHash: string, accountId: string) =>
		months.store.writeAccounts({
			command: 'exchangeCode',
			accountId,
			codeHash,
			clientId: 'client_app',
			redirectUri: undefined,
			challenge: 'challenge',
			audience: 'https://memory.example/mcp',
			tokens: months.tokens(),
		});
	const { accountId, codeHash, grantId } = await months.authorize('app', 'ada@example.com');
	await use(codeHash, accountId);
	months.advance(23 * 60 * MINUTE_MS);
	await months.sweep();
	assert.equal((await months.store.read.grants(accountId, months.now)).length, 1);
	assert.equal((await months.store.read.grants(accountId, months.now))[0]!.id, grantId);
	await assert.rejects(use(codeHash, accountId), { code: 'invalid_grant' });
	assert.deepEqual(await months.store.read.grants(accountId, months.now), []);
});

over('[14.9] a grant has at most 100 tokens of a kind that work, however often it is refreshed', async (months) => {
	await months.register('app');
	const { accountId, tokens } = await months.connect('app', 'ada@example.com');
	const pairs: NewTokens[] = [];
	for (let n = 0; n < 150; n++) {
		months.advance(1);
		pairs.push(await months.refresh('app', accountId, tokens.refreshHash));
	}
	const opens = async ({ accessHash }: NewTokens) =>
		(await months.store.read.accessToken(accountId, accessHash, months.now)) !== undefined;
	const open = await Promise.all(pairs.map(opens));
	assert.equal(open.filter(Boolean).length, 100);
	assert.ok(open.slice(50).every(Boolean), 'the newest are those that work');
	// The last one goes on and on, and what it leaves behind is bounded too.
	let { refreshHash } = pairs.at(-1)!;
	for (let n = 0; n < 2100; n++) ({ refreshHash } = await months.refresh('app', accountId, refreshHash));
	const [{ n: rows }] = queryDatabase(months.dataDir, 'SELECT count(*) AS n FROM tokens') as [{ n: number }];
	assert.ok(rows <= 2200, `${rows} rows`);
});
