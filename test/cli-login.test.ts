import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, clientWith, signIn } from './support/client.ts';
import { type Home, makeHome, noTerminal } from './support/command-line.ts';
import { startFaultProxy } from './support/fault-proxy.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';
import { startMailServer } from './support/smtp.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

const loginFile = (home: Home): string => join(home.dir, '.config/pumadb/login.json');
const skip = noTerminal();

test('[13.6] login on a server without mail: the key is kept privately and used', async () => {
	const home = makeHome();
	const { code, out, err } = await home.run(['login', '--url', server.url, '--email', 'eve@example.com']);
	assert.equal(code, 0, err);
	assert.match(out, new RegExp(`^Signed in to ${server.url}\\. The API key is kept in ${loginFile(home)}\\.\n$`));
	assert.equal(statSync(loginFile(home)).mode & 0o777, 0o600);
	assert.equal(statSync(join(home.dir, '.config/pumadb')).mode & 0o777, 0o700);
	const { url, api_key: key } = JSON.parse(readFileSync(loginFile(home), 'utf8'));
	assert.equal(url, server.url);
	assert.ok(!`${out}${err}`.includes(key), 'the key is not shown');
	assert.equal((await home.run(['add', 'notes', 'a=1'])).code, 0);
	assert.equal((await clientWith(server, key).rows('notes')).length, 1);
	const elsewhere = makeHome({ XDG_CONFIG_HOME: join(home.dir, 'other') });
	assert.equal((await elsewhere.run(['login', '--url', server.url, '--email', 'eve@example.com', '--json'])).code, 0);
	assert.ok(existsSync(join(home.dir, 'other/pumadb/login.json')));
	assert.ok(!existsSync(loginFile(elsewhere)));
});

test('[13.6] login with a link from a mail, pasted; what is no link is told', async () => {
	const mail = await startMailServer();
	const mailing = await startServer({
		...NO_RATE_LIMITS,
		PUMADB_SMTP_URL: mail.url,
		PUMADB_MAIL_FROM: 'a@example.com',
	});
	try {
		const home = makeHome({ PUMADB_URL: mailing.url });
		const wrong = await home.run(['login'], { input: 'eve@example.com\nnot a link\n' });
		assert.equal(wrong.code, 3);
		assert.match(wrong.err, /paste the whole address/);
		const used = await home.run(['login'], { input: 'eve@example.com\nno-such-token\n' });
		assert.equal(used.code, 3);
		const silent = await home.run(['login'], { input: 'eve@example.com\n' });
		assert.equal(silent.code, 1);
		assert.match(silent.err, /ended without an answer/);
		assert.ok(!existsSync(loginFile(home)));
		if (skip !== undefined) return;
		const terminal = home.onTerminal(['login']);
		await terminal.see(/Email address: /);
		const before = mail.mails.length;
		terminal.type('eve@example.com\r');
		await terminal.see(/paste it here[\s\S]*Link: /);
		while (mail.mails.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
		const link = /https?:\S+token=[\w-]+/.exec(mail.mails.at(-1)!.parts.get('text/plain')!)![0];
		terminal.type(`${link}\r`);
		assert.equal(await terminal.ended, 0, terminal.screen());
		assert.ok(!terminal.screen().includes(new URL(link).searchParams.get('token')!), 'the link is not shown');
		assert.equal((await home.run(['tables'])).code, 0);
	} finally {
		await mailing.stop();
		await mail.stop();
	}
});

test('[13.6] login with a key that one has; one that does not work takes nothing away', async () => {
	const home = makeHome();
	const good = await home.run(['login', '--with-key', '--url', server.url], { input: `${ada.key}\n` });
	assert.equal(good.code, 0, good.err);
	assert.ok(!`${good.out}${good.err}`.includes(ada.key));
	const kept = readFileSync(loginFile(home), 'utf8');
	for (const input of ['puma_live_wrong_key\n', '\n', '']) {
		assert.notEqual((await home.run(['login', '--with-key'], { input })).code, 0);
		assert.equal(readFileSync(loginFile(home), 'utf8'), kept);
	}
});

test('[13.6] the environment wins, and the kept key goes to no other server', async () => {
	const other = await startFaultProxy(server.url);
	const home = makeHome();
	await home.run(['login', '--with-key', '--url', server.url], { input: `${ada.key}\n` });
	const refused = await home.run(['tables'], { env: { PUMADB_URL: other.url } });
	assert.equal(refused.code, 3);
	assert.match(refused.err, /is for http[^\n]*Set PUMADB_API_KEY too/);
	assert.equal(other.seen.length, 0);
	const eve = await signIn(server);
	await eve.add('eves', { n: 1 });
	const both = await home.run(['tables'], { env: { PUMADB_URL: other.url, PUMADB_API_KEY: eve.key } });
	assert.match(both.out, /eves/);
	assert.equal(other.seen.length, 1);
	const keyOnly = await home.run(['tables'], { env: { PUMADB_API_KEY: eve.key } });
	assert.match(keyOnly.out, /eves/);
	const noted = await home.run(['login', '--with-key', '--url', server.url], {
		input: `${ada.key}\n`,
		env: { PUMADB_API_KEY: eve.key },
	});
	assert.match(noted.err, /PUMADB_API_KEY is set, and wins/);
	await other.stop();
});

test('[13.6] a login that others may read, or that is damaged, is refused', async () => {
	const home = makeHome();
	mkdirSync(join(home.dir, '.config/pumadb'), { recursive: true });
	writeFileSync(loginFile(home), JSON.stringify({ url: server.url, api_key: ada.key }));
	chmodSync(loginFile(home), 0o644);
	const open = await home.run(['tables']);
	assert.equal(open.code, 1);
	assert.match(open.err, /Others may read \S+login\.json, which holds an API key\. Run: chmod 600 /);
	const own = await home.run(['tables'], { env: { PUMADB_API_KEY: ada.key } });
	assert.equal(own.code, 0, own.err);
	const hello = {
		env: { PUMADB_API_KEY: ada.key },
		input: `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })}\n`,
	};
	for (const args of [['mcp'], ['mcp', '--url', server.url]]) {
		assert.equal((await home.run(args, hello)).out, '{"jsonrpc":"2.0","id":1,"result":{}}\n');
	}
	chmodSync(loginFile(home), 0o600);
	assert.equal((await home.run(['tables'])).code, 0);
	writeFileSync(loginFile(home), '{"url":');
	const damaged = await home.run(['tables']);
	assert.equal(damaged.code, 1);
	assert.match(damaged.err, /cannot be read\. Run "pumadb login"/);
	assert.equal((await home.run(['login', '--with-key', '--url', server.url], { input: `${ada.key}\n` })).code, 0);
});

test('[13.6] mcp speaks to the server of the login', async () => {
	const home = makeHome();
	const hello = `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })}\n`;
	const none = await home.run(['mcp'], { input: hello });
	assert.equal(none.code, 3);
	assert.match(none.err, /Sign in by "pumadb login"/);
	assert.equal((await home.run(['mcp', '--data-dir', home.dir], { input: hello })).code, 2);
	await home.run(['login', '--with-key', '--url', server.url], { input: `${ada.key}\n` });
	for (const args of [['mcp'], ['mcp', '--url', server.url]]) {
		const { code, out, err } = await home.run(args, { input: hello });
		assert.equal(code, 0, err);
		assert.equal(JSON.parse(out).result.tools.length, 19);
	}
	const other = await home.run(['mcp', '--url', 'https://other.example.com'], { input: hello });
	assert.equal(other.code, 3);
	assert.match(other.err, /Set PUMADB_API_KEY/);
});

test('[13.6] logout without a server forgets the key all the same, and says that it still works', async () => {
	const home = makeHome();
	const own = await startFaultProxy(server.url);
	await home.run(['login', '--url', own.url, '--email', 'away@example.com']);
	const { api_key: key } = JSON.parse(readFileSync(loginFile(home), 'utf8'));
	await own.stop();
	const { code, err } = await home.run(['logout']);
	assert.equal(code, 5, err);
	assert.match(
		err,
		/^pumadb logout: The server at \S+ cannot be reached \(ECONNREFUSED\)\. \S+login\.json is gone all the same, but the key (puma_live_[a-z0-9]+_.{4})… still works: revoke it in \S+\/console once the server is there\.\n$/,
	);
	assert.ok(!err.includes(key));
	assert.ok(!existsSync(loginFile(home)));
	assert.equal((await clientWith(server, key).get('/v1/_tables')).status, 200);
});

test('[13.3] a key of the login that the server does not know names the way to another', async () => {
	const home = makeHome();
	await home.run(['login', '--url', server.url, '--email', 'gone@example.com']);
	const { api_key: key } = JSON.parse(readFileSync(loginFile(home), 'utf8'));
	const client = clientWith(server, key);
	const [own] = (await client.get('/v1/_keys')).body.keys;
	await client.del(`/v1/_keys/${own.id}`);
	const { code, err } = await home.run(['tables']);
	assert.equal(code, 3);
	assert.match(err, / Run "pumadb login" to get another\.\n$/);
});

test('[13.3] on a terminal one is told of a wait, and how long it is', { skip: skip ?? false }, async () => {
	const proxy = await startFaultProxy(server.url);
	const home = makeHome({ PUMADB_URL: proxy.url, PUMADB_API_KEY: ada.key });
	const limited = {
		status: 429,
		headers: { 'retry-after': '2', 'content-type': 'application/json' },
		body: '{"error":{"code":"rate_limited","message":"Too many."}}',
	};
	proxy.faults.push(limited);
	const told = home.onTerminal(['tables']);
	await told.see(/Waiting 3 s, then trying again: too many calls for now/);
	assert.equal(await told.ended, 0);
	proxy.faults.push(limited);
	const piped = await home.run(['tables']);
	assert.deepEqual([piped.code, piped.err], [0, '']);
	await proxy.stop();
});

test('[13.6] logout revokes the key and forgets it', async () => {
	const home = makeHome();
	await home.run(['login', '--url', server.url, '--email', 'out@example.com']);
	const { api_key: key } = JSON.parse(readFileSync(loginFile(home), 'utf8'));
	const { code, out } = await home.run(['logout']);
	assert.equal(code, 0);
	assert.match(out, /the key is revoked/);
	assert.ok(!existsSync(loginFile(home)));
	assert.equal((await clientWith(server, key).get('/v1/_tables')).status, 401);
	assert.match((await home.run(['logout'])).out, /You are not signed in/);
});

test('[13.7] delete shows what will go and asks; no deletes nothing, yes deletes what was shown and no other row', {
	skip: skip ?? false,
}, async () => {
	const home = makeHome({ PUMADB_URL: server.url, PUMADB_API_KEY: ada.key });
	for (let n = 0; n < 130; n++) await ada.add('going', { n, status: 'done' });
	for (const [typed, says] of [
		['\r', /Nothing was deleted/],
		['n\r', /Nothing was deleted/],
		['yess\r', /Nothing was deleted/],
	] as const) {
		const no = home.onTerminal(['delete', 'going', 'status=done']);
		await no.see(/Delete these 130 rows from going\? \[y\/N\] /);
		assert.match(no.screen(), /… and 110 more/);
		no.type(typed);
		assert.equal(await no.ended, 0);
		assert.match(no.screen(), says);
	}
	const interrupted = home.onTerminal(['delete', 'going', 'status=done']);
	await interrupted.see(/\[y\/N\] /);
	interrupted.type('\u0003');
	assert.equal(await interrupted.ended, 130, interrupted.screen());
	assert.equal((await ada.rows('going')).length, 130);
	const yes = home.onTerminal(['delete', 'going', 'status=done']);
	await yes.see(/\[y\/N\] /);
	const late = await ada.add('going', { n: 130, status: 'done' });
	const [first] = await ada.rows('going');
	await ada.post('/v1/going/update_row', { id: first.id, patch: { status: 'open' } });
	yes.type('y\r');
	assert.equal(await yes.ended, 0, yes.screen());
	assert.match(yes.screen(), /Deleted 129 rows/);
	assert.deepEqual(
		(await ada.rows('going')).map(({ id }) => id),
		[first.id, late.id],
	);
});

test('[13.7] delete keeps to the batches that the server takes, outlasts a lost answer, and says how far it came', {
	skip: skip ?? false,
}, async () => {
	const own = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_BATCH_OPERATIONS: '20' });
	const proxy = await startFaultProxy(own.url);
	const eve = await signIn(own);
	const home = makeHome({ PUMADB_URL: proxy.url, PUMADB_API_KEY: eve.key });
	for (let n = 0; n < 50; n++) await eve.add('going', { n, status: n < 45 ? 'done' : 'open' });
	const answeredYes = async () => {
		const command = home.onTerminal(['delete', 'going', 'status=done']);
		await command.see(/\[y\/N\] /);
		command.type('y\r');
		return { code: await command.ended, screen: command.screen().replaceAll('\r\n', '\n') };
	};
	let batch = 0;
	const full = {
		status: 413,
		headers: { 'content-type': 'application/json' },
		body: '{"error":{"code":"account_full","message":"The account is full."}}',
	};
	proxy.rule = ({ path }) => (path.endsWith('/batch') && ++batch === 2 ? full : undefined);
	const failed = await answeredYes();
	assert.equal(failed.code, 1, failed.screen);
	assert.match(failed.screen, /\npumadb delete: The account is full\. 20 of 45 rows are deleted\.\n/);
	assert.equal((await eve.rows('going')).length, 30);
	batch = 0;
	proxy.rule = ({ path }) => (path.endsWith('/batch') && ++batch === 1 ? 'answer lost' : undefined);
	const done = await answeredYes();
	assert.equal(done.code, 0, done.screen);
	assert.match(done.screen, /Deleted 25 rows\./);
	assert.equal(batch, 3);
	assert.equal((await eve.rows('going')).length, 5);
	await proxy.stop();
	await own.stop();
});

test('[13.2] on a terminal a table is cut to its width, and an import shows a bar', {
	skip: skip ?? false,
}, async () => {
	const home = makeHome({ PUMADB_URL: server.url, PUMADB_API_KEY: ada.key });
	await ada.add('wide', { text: '愛'.repeat(80), other: 'x'.repeat(80) });
	const table = home.onTerminal(['get', 'wide']);
	assert.equal(await table.ended, 0);
	const row = table.screen().split(/\r?\n/)[1]!;
	assert.match(row, /愛…/);
	assert.ok(row.replaceAll('愛', '愛 ').length <= 100, row);
	assert.match(table.screen(), /1 row/);
	const path = join(home.dir, 'rows.json');
	writeFileSync(path, JSON.stringify(Array.from({ length: 250 }, (_, n) => ({ n }))));
	const bar = home.onTerminal(['import', path, '--table', 'barred']);
	assert.equal(await bar.ended, 0, bar.screen());
	assert.match(bar.screen(), /░+ 100\/250 rows/);
	assert.match(bar.screen(), /Imported 250 rows into barred\./);
});

test('[13.10] Ctrl-C on a terminal while an import waits for the rate limit', { skip: skip ?? false }, async () => {
	const limited = await startServer({ PUMADB_WRITES_PER_MINUTE: '2' });
	try {
		const eve = await signIn(limited);
		const home = makeHome({ PUMADB_URL: limited.url, PUMADB_API_KEY: eve.key });
		const path = join(home.dir, 'rows.json');
		writeFileSync(path, JSON.stringify(Array.from({ length: 250 }, (_, n) => ({ n }))));
		const waiting = home.onTerminal(['import', path, '--table', 'rows']);
		await waiting.see(/200\/250 rows +waiting \d+ s \(rate limited\)/);
		waiting.type('\u0003');
		assert.equal(await waiting.ended, 130);
		assert.match(waiting.screen(), /Stopped\. 200 of 250 rows are stored/);
	} finally {
		await limited.stop();
	}
});
