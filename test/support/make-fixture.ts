/**
 * Makes test/fixtures/schema-NNNN.sqlite, a database of the current schema, and beside it schema-NNNN.json, which tells what the
 * service answered about it: test/upgrade.test.ts holds later versions of pumaDB against both. Run it once for each new schema,
 * before the version that has it is published, and never for an old one:
 *
 *   node test/support/make-fixture.ts && npm run format
 */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { currentSchema } from '../../src/store/sqlite/migrate.ts';
import { DATABASE_FILE } from '../../src/store/sqlite/store.ts';
import { type Any, type Client, signIn } from './client.ts';
import { queryDatabase } from './data-dir.ts';
import { type App, connect, newApp, type Tokens } from './oauth.ts';
import { NO_RATE_LIMITS, ROOT, startServer } from './server.ts';

/** Tokens are for one address: that of the server that gave them. */
const PORT = '18787';

/** What the service answered when the fixture was made. */
export interface Fixture {
	readonly madeAt: string;
	readonly accounts: readonly FixtureAccount[];
	readonly revokedKey: string;
	/** Download paths of links, from schema 2 on, and what they answered. */
	readonly links?: readonly { readonly path: string; readonly text: string }[];
	/** An app that the first account connected, from schema 3 on, and the address that its tokens are for. */
	readonly connected?: { readonly publicUrl: string; readonly app: App; readonly tokens: Tokens };
	/** A keyed add of the first account, with its answer. */
	readonly keyed: { readonly table: string; readonly key: string; readonly row: object; readonly answer: Any };
}

export interface FixtureAccount {
	readonly email: string;
	readonly key: string;
	readonly export: Any;
	readonly tables: Any;
	readonly keys: Any;
	/** Rows with versions: where they are, and what lists them. */
	readonly versions: readonly { readonly table: string; readonly id: string; readonly versions: Any }[];
}

const EVERY_VALUE = {
	text: 'ü, 猫, 😀, "quoted"\n',
	number: -1.5e-300,
	whole: 9007199254740991,
	yes: true,
	nothing: null,
	list: [1, [2, { three: [] }]],
	__proto_name__: { constructor: 'a name like any other' },
	'10': 'an index',
};

async function describe(client: Client, rows: readonly { table: string; id: string }[]): Promise<FixtureAccount> {
	const body = async (path: string, query: Record<string, string> = {}): Promise<Any> =>
		(await client.get(path, query)).body;
	const versions: FixtureAccount['versions'][number][] = [];
	for (const { table, id } of rows) {
		versions.push({ table, id, versions: (await body(`/v1/${table}/versions`, { id })).versions });
	}
	return {
		email: client.email,
		key: client.key,
		export: await body('/v1/_export'),
		tables: await body('/v1/_tables'),
		keys: await body('/v1/_keys'),
		versions,
	};
}

async function make(): Promise<void> {
	const name = `schema-${String(currentSchema()).padStart(4, '0')}`;
	const directory = join(ROOT, 'test/fixtures');
	const file = join(directory, `${name}.sqlite`);
	if (existsSync(file)) throw new Error(`${file} is there already. Remove it where its schema was never published.`);
	const server = await startServer({ ...NO_RATE_LIMITS, PUMADB_PORT: PORT });
	const ada = await signIn(server, 'ada@example.com');
	const bob = await signIn(server, 'bob@example.com');

	const values = await ada.add('values', EVERY_VALUE);
	const changed = await ada.add('values', { n: 0 });
	for (let n = 1; n <= 12; n++) await ada.post('/v1/values/update_row', { id: changed.id, patch: { n } });
	await ada.post('/v1/values/restore', { id: changed.id, version: 5 });
	const operations = Array.from({ length: 60 }, (_, n) => ({ action: 'add', row: { n, group: n % 4 } }));
	await ada.post('/v1/indexed/batch', { operations });
	const built = "SELECT 1 FROM member_indexes WHERE state = 'ready'";
	while (queryDatabase(server.dataDir, built).length === 0) await ada.rows('indexed', { filter: { group: 1 } });
	await ada.post('/v1/people/upsert', { key: ['name', 'day'], row: { name: 'Grace', day: 1, seen: 1 } });
	await ada.post('/v1/people/upsert', { key: ['name', 'day'], row: { name: 'Grace', day: 1, seen: 2 } });
	const deleted = await ada.add('deleted', { gone: true });
	await ada.del('/v1/deleted', { filter: { gone: true } });
	const keyed = { table: 'keyed', key: 'fixture-1', row: { once: true } };
	const answer = (await ada.post(`/v1/${keyed.table}`, keyed.row, { 'idempotency-key': keyed.key })).body;
	const revoked = (await ada.post('/v1/_keys', { name: 'revoked' })).body;
	await ada.call('DELETE', `/v1/_keys/${revoked.id}`);
	const link = (await ada.post('/v1/_row_links', { table: 'values', id: values.id })).body;
	const links = [{ path: new URL(link.download_url).pathname, text: await (await fetch(link.download_url)).text() }];
	const app = await newApp(server.url);
	const connected = { publicUrl: server.url, app, tokens: await connect(server.url, app, ada.email) };
	const note = await bob.add('notes', { text: 'another account' });

	const fixture: Fixture = {
		madeAt: new Date().toISOString(),
		accounts: [
			await describe(ada, [
				{ table: 'values', id: values.id },
				{ table: 'values', id: changed.id },
				{ table: 'deleted', id: deleted.id },
			]),
			await describe(bob, [{ table: 'notes', id: note.id }]),
		],
		revokedKey: revoked.api_key,
		links,
		connected,
		keyed: { ...keyed, answer },
	};
	const code = await server.stop();
	if (code !== 0) throw new Error(`The server ended with ${code}: ${server.log()}`);
	mkdirSync(directory, { recursive: true });
	copyFileSync(join(server.dataDir, DATABASE_FILE), file);
	writeFileSync(join(directory, `${name}.json`), `${JSON.stringify(fixture, undefined, '\t')}\n`);
	console.log(`Wrote ${file}.`);
}

if (import.meta.main) await make();
