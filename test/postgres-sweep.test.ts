import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import pg from 'pg';
import { makeFilter } from '../src/domain/filter.ts';
import { identityOf } from '../src/domain/row.ts';
import type { Store } from '../src/store/seam.ts';
import { query } from './support/postgres.ts';
import {
	add,
	assertSound,
	closeAll,
	emptyDatabase,
	openOn,
	type Person,
	person,
	textOf,
	write,
} from './support/stores.ts';

/** What has run out is swept away on PostgreSQL, beside calls. */

const DAY_MS = 86_400_000;
/** More than one sweep removes, in rows with as many versions as are kept. */
const ROWS = 25;
const VERSIONS = 10;

afterEach(closeAll);

/** Gives rows of an account all the versions that are kept of a row. */
async function change(store: Store, one: Person, rows: number): Promise<void> {
	for (let row = 0; row < rows; row++) {
		const { id } = identityOf(textOf(await add(store, one, 'notes', { n: 0 })));
		const filter = makeFilter([['id', id]]);
		for (let n = 1; n <= VERSIONS; n++) {
			const patch = `{"n":${n}}`;
			await write(store, one, 'notes', { action: 'update_where', filter, patch, allowMultiple: false });
		}
	}
}

test('[5.4] an account that is held, whose versions are the oldest, keeps none of the others from being swept', async (t) => {
	const url = await emptyDatabase();
	let now = Date.UTC(2026, 0, 1);
	const store = await openOn(url, { env: { PUMADB_VERSION_RETENTION_DAYS: '1' }, clock: () => now });
	const [busy, quiet] = [await person(store), await person(store)];
	await change(store, busy, ROWS);
	now += 1000;
	await change(store, quiet, 1);
	now += 3 * DAY_MS;
	const versions = async ({ accountId }: Person): Promise<number> =>
		(await query(url, 'SELECT count(*) AS n FROM versions WHERE account_id = $1', [accountId]))[0].n;
	assert.deepEqual([await versions(busy), await versions(quiet)], [ROWS * VERSIONS, VERSIONS]);

	const holder = new pg.Client({ connectionString: url });
	await holder.connect();
	t.after(() => holder.end());
	await holder.query('BEGIN');
	await holder.query('SELECT FROM pumadb.accounts WHERE account_id = $1 FOR UPDATE', [busy.accountId]);
	await store.writeAccounts({ command: 'sweep' });
	assert.deepEqual([await versions(busy), await versions(quiet)], [ROWS * VERSIONS, 0]);
	await holder.query('COMMIT');
	for (let more = true; more; ) more = (await store.writeAccounts({ command: 'sweep' })).more === true;
	assert.equal(await versions(busy), 0);
	await assertSound(url);
});
