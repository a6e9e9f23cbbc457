import { addAll } from './add-all.ts';
import { type Any, type Client, clientWith, send, signIn } from './client.ts';
import { httpCaller } from './mcp.ts';
import { type App, authorizeUrl, connect, newApp, pkce, register, type Tokens, Visitor } from './oauth.ts';
import { assertStatus } from './refusals.ts';
import type { TestServer } from './server.ts';

/** A service with something of everything, and what it answers, for tests that move it. */

const TABLES = ['notes', 'gone', 'tasks'];

/** What was made, and what opens it. */
export interface Filled {
	readonly keys: readonly string[];
	readonly revokedKey: string;
	/** Ids of rows that are or were, by table. */
	readonly ids: Readonly<Record<string, readonly string[]>>;
	readonly links: readonly string[];
	/** The cookie of a session of the console. */
	readonly cookie: string;
	readonly app: App;
	readonly tokens: Tokens;
	/** A magic link's token that was not used yet. */
	readonly waiting: string;
}

export const KEYED = { headers: { 'idempotency-key': 'once' }, row: { n: 1, text: 'kept – 一度だけ' } };

export async function fill(server: TestServer): Promise<Filled> {
	const ada = await signIn(server, 'ada@example.com');
	const bob = await signIn(server, 'bob@example.com');
	const carol = await signIn(server, 'carol@example.com');
	const notes = await addAll(
		ada,
		'notes',
		Array.from({ length: 70 }, (_, n) => ({
			n,
			group: `g${n % 3}`,
			text: `Zeile ${n} – "\\\n é😀\u2028`,
			10: [n, { b: 1, a: null }],
		})),
	);
	const ids: Record<string, string[]> = { notes: notes.map(({ id }) => id), gone: [], tasks: [] };
	for (const n of [1, 2]) ids.tasks!.push((await bob.add('tasks', { n, title: `bob’s ${n}` })).id);
	// Changes of two people in turn, so that their versions mix.
	await change(bob, 'tasks', ids.tasks![0]!, { sooner: true });
	// The first, some in the middle and the last go; one of them comes back.
	for (const at of [0, 20, 21, 69]) await remove(ada, 'notes', ids.notes![at]!);
	await restore(ada, 'notes', ids.notes![20]!);
	for (const at of [3, 3, 3, 40]) {
		await change(ada, 'notes', ids.notes![at]!, { seen: at, text: `neu ${at} 🌍` });
	}
	for (const row of await addAll(ada, 'gone', [{ a: 1 }, { a: 2.5e-300 }])) ids.gone!.push(row.id);
	for (const id of ids.gone!) await remove(ada, 'gone', id);
	await change(bob, 'tasks', ids.tasks![1]!, { later: true });
	assertStatus(await bob.post('/v1/tasks', KEYED.row, KEYED.headers), 201);
	assertStatus(await ada.post('/v1/notes', KEYED.row, KEYED.headers), 201);
	// Enough rows for an index, which is made for a filter.
	for (let times = 0; times < 3; times++) await ada.rows('notes', { filter: { group: 'g1' } });
	const made = assertStatus(await ada.post('/v1/_keys', { name: 'to be revoked ✂' }), 201);
	assertStatus(await ada.del(`/v1/_keys/${made.id}`), 200);
	const links = [
		await ada.post('/v1/_row_links', { table: 'notes', id: ids.notes![3] }),
		await ada.post('/v1/_text_field_links', { table: 'notes', id: ids.notes![4], field: 'text', filename: 'ä.md' }),
		await ada.post('/v1/_query_links', { table: 'notes', filter: { group: 'g2' } }),
	].map((answer) => assertStatus(answer, 200).download_url as string);
	const app = await newApp(server.url);
	const secret = await register(server.url, { redirect_uris: ['https://app.example/cb'] });
	if (secret.status !== 201) throw new Error(`A client was not registered: ${secret.status}`);
	const tokens = await connect(server.url, app, 'ada@example.com');
	// Somebody on the way between an app's request and the answer to it.
	const visitor = new Visitor(server.url);
	const asked = await visitor.open(authorizeUrl(app, pkce().challenge), {}, 'cross-site');
	await visitor.submit(asked, { email: 'erin@example.com' });
	const begun = await send(server.url, 'POST', '/console/api/sign-in', {
		json: { token: await magicLink(server, 'ada@example.com') },
		headers: { origin: server.url },
	});
	assertStatus(begun, 200);
	return {
		keys: [ada.key, bob.key, carol.key],
		revokedKey: made.api_key,
		ids,
		links,
		cookie: begun.headers.get('set-cookie')!.split(';')[0]!,
		app,
		tokens,
		waiting: await magicLink(server, 'dora@example.com'),
	};
}

/** Asks for a magic link. @returns its token. */
export async function magicLink(server: Pick<TestServer, 'url'>, email: string): Promise<string> {
	const asked = await send(server.url, 'POST', '/auth/magic-link', { json: { email } });
	return new URL(assertStatus(asked, 200).dev_magic_link).searchParams.get('token')!;
}

async function remove(client: Client, table: string, id: string): Promise<void> {
	const answer = await client.del(`/v1/${table}`, { filter: { id } });
	if (assertStatus(answer, 200).deleted !== 1) throw new Error(answer.text);
}

async function change(client: Client, table: string, id: string, patch: unknown): Promise<void> {
	assertStatus(await client.post(`/v1/${table}/update_row`, { id, patch }), 200);
}

async function restore(client: Client, table: string, id: string): Promise<void> {
	const { versions } = assertStatus(await client.get(`/v1/${table}/versions`, { id }), 200);
	assertStatus(await client.post(`/v1/${table}/restore`, { id, version: versions[0].version }), 200);
}

/** Everything that the service answers to those who were there before, without the times at which keys were used. */
export async function portrait(server: TestServer, filled: Filled): Promise<Record<string, unknown>> {
	const seen: Record<string, unknown> = {};
	for (const [who, key] of filled.keys.entries()) {
		const client = clientWith(server, key);
		for (const path of ['/v1/_export', '/v1/_tables', ...TABLES.map((table) => `/v1/${table}`)]) {
			seen[`${who} ${path}`] = (await client.get(path)).text;
		}
		seen[`${who} filtered`] = (await client.get('/v1/notes', { filter: { group: 'g1' }, sort: '-n' })).text;
		seen[`${who} keys`] = withoutUse((await client.get('/v1/_keys')).text);
		for (const [table, ids] of Object.entries(filled.ids)) {
			for (const id of ids) seen[`${who} ${table} ${id}`] = (await client.get(`/v1/${table}/versions`, { id })).text;
		}
	}
	for (const [who, table] of ['notes', 'tasks'].entries()) {
		const again = await clientWith(server, filled.keys[who]!).post(`/v1/${table}`, KEYED.row, KEYED.headers);
		seen[`replayed ${table}`] = [again.status, again.text, again.headers.get('idempotency-replayed')];
	}
	seen.revoked = (await clientWith(server, filled.revokedKey).get('/v1/notes')).status;
	for (const link of filled.links) {
		const { pathname } = new URL(link);
		const answer = await send(server.url, 'GET', pathname);
		seen[pathname] = [answer.status, answer.text, answer.headers.get('content-disposition')];
	}
	const headers = { cookie: filled.cookie };
	seen.session = (await send(server.url, 'GET', '/console/api/session', { headers })).text;
	seen.grants = withoutUse((await send(server.url, 'GET', '/console/api/grants', { headers })).text);
	const call = httpCaller(server.url, filled.tokens.access);
	seen.tool = (await call('query', { table: 'notes', filter: { group: 'g0' } }).catch((error: Any) =>
		String(error),
	)) as unknown;
	return seen;
}

function withoutUse(text: string): string {
	return text.replaceAll(/"last_used_at":("[^"]*"|null)/g, '"last_used_at":…');
}
