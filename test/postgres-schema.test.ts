import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { query } from './support/postgres.ts';
import { closeAll, emptyDatabase, openOn } from './support/stores.ts';

/** The schema can be distributed over servers by account: docs/postgres.md says why each of the others is global. */
const GLOBAL = ['authorizations', 'clients', 'emails', 'magic_links', 'schema_version'];

afterEach(closeAll);

test('every table of account data leads with account_id, in its primary key too, and none refers to another', async () => {
	const url = await emptyDatabase();
	await openOn(url);
	const tables = await query(
		url,
		`SELECT c.relname AS name, first.attname AS first, key.attname AS key FROM pg_class c
			JOIN pg_attribute first ON first.attrelid = c.oid AND first.attnum = 1
			LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
			LEFT JOIN pg_attribute key ON key.attrelid = c.oid AND key.attnum = i.indkey[0]
			WHERE c.relnamespace = 'pumadb'::regnamespace AND c.relkind = 'r' ORDER BY c.relname COLLATE "C"`,
	);
	const others = tables.filter(({ first, key }) => first !== 'account_id' || key !== 'account_id');
	assert.deepEqual(
		others.map(({ name }) => name),
		GLOBAL,
	);
	assert.ok(tables.length > others.length);
	const foreignKeys = await query(
		url,
		`SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'pumadb'::regnamespace`,
	);
	assert.deepEqual(foreignKeys, []);
});
