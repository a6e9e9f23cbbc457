import assert from 'node:assert/strict';
import { newAccountId, newKeyId, secretHash } from '../../src/accounts/secrets.ts';
import { readConfig } from '../../src/config.ts';
import { EVERY_ROW } from '../../src/domain/filter.ts';
import { identityOf } from '../../src/domain/row.ts';
import type { RowOperation } from '../../src/domain/writes.ts';
import { Refusal } from '../../src/errors.ts';
import { openStore } from '../../src/store/open.ts';
import { faultsOf } from '../../src/store/postgres/store.ts';
import type { RowsCall, Store } from '../../src/store/seam.ts';
import { database, query } from './postgres.ts';
import type { Env } from './server.ts';

/** Several stores on one PostgreSQL database, as nodes have them, without servers. */

let databases = 0;

/** An empty database of its own. @returns its URL. */
export function emptyDatabase(): Promise<string> {
	return database(`adds_${process.pid}_${++databases}`);
}

export interface OpenStore {
	readonly env?: Env;
	/** Milliseconds since the epoch. */
	readonly clock?: () => number;
	/** Told of faults; each fails the test unless it is given. */
	readonly onFault?: (message: string, cause: string) => void;
}

let opened: Store[] = [];

/** Opens a store, until {@link closeAll}. */
export async function openOn(url: string, { env = {}, clock = Date.now, onFault }: OpenStore = {}): Promise<Store> {
	const store = await openStore({
		config: readConfig({ PUMADB_DATABASE_CONNECTIONS: '6', PUMADB_DATABASE_URL: url, ...env }, {}),
		clock,
		onFault: onFault ?? ((message, cause) => assert.fail(`${message} ${cause}`)),
		onFatal: () => assert.fail('The writer failed.'),
	});
	opened.push(store);
	return store;
}

/** Two stores on one new database. */
export async function pair(env: Env = {}): Promise<{ url: string; a: Store; b: Store }> {
	const url = await emptyDatabase();
	return { url, a: await openOn(url, { env }), b: await openOn(url, { env }) };
}

/** Closes every store that was opened, as after each test. */
export async function closeAll(): Promise<void> {
	const closing = opened;
	opened = [];
	for (const store of closing) await store.close();
}

/** An account, and the key, session or grant that calls for it. */
export interface Person {
	readonly accountId: string;
	readonly keyId: string;
	readonly email: string;
}

let people = 0;

/** A new account with a key, or a further key of the account with this address. */
export async function person(store: Store, email = `person-${++people}@example.com`): Promise<Person> {
	const id = newKeyId();
	const key = { id, name: 'k', secretHash: secretHash(id), secretStart: 'abcd', madeBy: 'api' } as const;
	const freshAccountId = newAccountId();
	const made = await store.writeAccounts({ command: 'createKeyForEmail', email, freshAccountId, key });
	return { accountId: made.accountId!, keyId: id, email };
}

/** What became of a call: its results, or the code of its refusal. */
export type Became = readonly string[] | string;

export async function write(
	store: Store,
	{ accountId, keyId }: Pick<RowsCall, 'accountId' | 'keyId'>,
	table: string,
	...operations: readonly RowOperation[]
): Promise<Became> {
	const call = { accountId, table, operations, ...(keyId === undefined ? {} : { keyId }) };
	try {
		const outcome = await store.writeRows(call);
		return 'results' in outcome ? outcome.results : outcome.refusal.code;
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		return error.code;
	}
}

export function add(
	store: Store,
	caller: Pick<RowsCall, 'accountId' | 'keyId'>,
	table: string,
	row: unknown,
): Promise<Became> {
	return write(store, caller, table, { action: 'add', own: JSON.stringify(row) });
}

/** The text of the row; fails where the add was refused. */
export function textOf(became: Became): string {
	if (typeof became === 'string') assert.fail(`refused: ${became}`);
	assert.equal(became.length, 1);
	return became[0]!;
}

/** Texts of all live rows of a table, in order of creation. */
export function textsIn(
	store: Store,
	{ accountId }: Pick<Person, 'accountId'>,
	table: string,
): Promise<string[]> | string[] {
	return store.read.rowTexts(accountId, table, EVERY_ROW) as Promise<string[]>;
}

/**
 * How many of these rows were added by a statement that had nothing before it: commands of a transaction that change or lock
 * something are numbered from 0 on, and a row remembers its own (PostgreSQL manual, section 5.6, cmin). Whoever decides under the
 * account's lock has locked it by then.
 */
export async function addedPlainly(url: string, texts: readonly string[]): Promise<number> {
	const ids = texts.map((text) => identityOf(text).id);
	const counted = await query(
		url,
		`SELECT count(*) AS n FROM rows WHERE id = ANY($1::uuid[]) AND version = 0 AND cmin::text = '0'`,
		[ids],
	);
	return counted[0].n;
}

export async function assertSound(url: string): Promise<void> {
	assert.deepEqual(await faultsOf(url), []);
}
