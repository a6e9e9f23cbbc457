import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
	chmodSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { COMMANDS } from '../src/cli/commands.ts';
import { EXIT_MEANINGS } from '../src/cli/exit-codes.ts';
import { type Client, signIn } from './support/client.ts';
import { type Home, makeHome } from './support/command-line.ts';
import { deadUrl, startFaultProxy } from './support/fault-proxy.ts';
import { NO_RATE_LIMITS, ROOT, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;
let home: Home;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
	home = makeHome({ PUMADB_URL: server.url, PUMADB_API_KEY: ada.key });
});
after(() => server.stop());

/** Runs to the end, which must be a good one, and answers what was printed. */
async function good(args: readonly string[], input?: string): Promise<string> {
	const { code, out, err } = await home.run(args, input === undefined ? {} : { input });
	assert.equal(code, 0, `${args.join(' ')}: ${err}${out}`);
	return out;
}

const json = async (args: readonly string[], input?: string) => JSON.parse(await good([...args, '--json'], input));

test('[13.1] add, get, update, upsert, delete, versions, restore: a session, for machines', async () => {
	const milk = await json(['add', 'tasks', 'title=Buy milk', 'size:=2', 'tags:=["a","b"]']);
	assert.deepEqual(
		{ title: milk.title, size: milk.size, tags: milk.tags },
		{ title: 'Buy milk', size: 2, tags: ['a', 'b'] },
	);
	const other = await json(['add', 'tasks', '{"title":"a=b","open":true}']);
	assert.deepEqual(await json(['add', 'tasks', '-'], '{"title":"piped"}'), (await ada.rows('tasks'))[2]);
	assert.deepEqual(await json(['get', 'tasks', milk.id]), milk);
	assert.deepEqual(await json(['get', 'tasks', 'size:=2']), { rows: [milk] });
	assert.deepEqual(await json(['get', 'tasks', 'title=a=b', 'open:=true']), { rows: [other] });
	assert.deepEqual(await json(['get', 'tasks', '--sort=-title', '--limit', '1']), {
		rows: [(await ada.rows('tasks'))[2]],
	});
	assert.deepEqual(await json(['get', 'tasks', '--count']), { count: 3 });
	assert.equal((await json(['update', 'tasks', milk.id, 'size:=3'])).row.size, 3);
	assert.equal((await json(['update', 'tasks', '--where', 'open:=true', 'open:=false'])).updated, 1);
	assert.equal((await json(['upsert', 'tasks', '--key', 'title', 'title=Buy milk', 'size:=4'])).created, false);
	assert.deepEqual(
		(await json(['versions', 'tasks', milk.id])).versions.map(({ version }: { version: number }) => version),
		[2, 1],
	);
	assert.deepEqual(await json(['delete', 'tasks', 'title=Buy milk', '--yes']), { deleted: 1 });
	assert.equal((await json(['restore', 'tasks', milk.id])).row.size, 4);
	assert.equal((await json(['restore', 'tasks', milk.id, '--version', '1'])).row.size, 2);
	assert.deepEqual(await json(['tables']), { tables: [{ name: 'tasks', rows: 3 }] });
});

test("[12.7] a table's name reaches no other path: no key is made, nothing is printed", async () => {
	const keys = await json(['keys', 'list']);
	for (const name of ['_keys', '_row_links', '_export', '_tables']) {
		for (const args of [
			['add', name, 'name=evil'],
			['get', name],
			['upsert', name, '--key', 'name', 'name=evil'],
		]) {
			const { code, out, err } = await home.run(args);
			assert.equal(code, 1, args.join(' '));
			assert.equal(out, '');
			assert.match(err, /^pumadb \w+: A table name is a letter followed by [^\n]*\n$/);
		}
	}
	assert.deepEqual(await json(['keys', 'list']), keys);
});

test('[13.2] the same for people: tables, and rows member by member', async () => {
	const { id } = await ada.add('people', { name: 'Ada', bio: 'first\nsecond', 名前: '愛田' });
	await ada.add('people', { name: 'Grace', size: 2 });
	const lines = (await good(['get', 'people'])).split('\n');
	assert.match(lines[0]!, /^id +name +bio +名前 +size +updated_at$/);
	assert.match(lines[1]!, /Ada +first\\nsecond +愛田 /);
	assert.equal(lines.length, 4);
	assert.match(await good(['get', 'people', id]), /^bio +first\n +second$/m);
	assert.equal(await good(['get', 'nothing']), 'No rows.\n');
	assert.equal(await good(['get', 'people', '--count']), '2\n');
	assert.match(await good(['tables']), /^people +2$/m);
	assert.match(await good(['delete', 'people', 'name=Grace', '--yes']), /^Deleted 1 row\. "pumadb restore people ID"/);
});

test('[13.2] what was stored cannot steer the terminal', async () => {
	const nasty = '\u001b]0;title\u0007\u001b[2J\u202eevil\r\u009b31m';
	const { id } = await ada.add('nasty', { [`name${nasty}`]: nasty });
	for (const args of [
		['get', 'nasty'],
		['get', 'nasty', id],
		['versions', 'nasty', id],
		['update', 'nasty', id, 'a=1'],
	]) {
		assert.doesNotMatch(await good(args), /(?!\n)[\p{Cc}\u202e]/u, args.join(' '));
	}
	assert.match(await good(['get', 'nasty']), /\\u\{1b\}\[2J\\u\{202e\}evil\\u\{d\}/);
	assert.equal((await json(['get', 'nasty', id]))[`name${nasty}`], nasty, 'machines get it as it is');
});

test('[13.2] members that are called as those of every object are shown where they are, and only there', async () => {
	await good(['add', 'proto', '{"constructor":"c","__proto__":"p","toString":1}']);
	await ada.add('proto', { n: 1 });
	const lines = (await good(['get', 'proto'])).split('\n');
	assert.match(lines[0]!, /^id +constructor +__proto__ +toString +n +updated_at$/);
	assert.match(lines[1]!, /^\S+ +c +p +1 +\S+$/);
	assert.match(lines[2]!, /^\S+ +1 +\S+$/);
	const dry = await good(['import', '-', '--table', 'proto', '--dry-run'], '[{"constructor":1},{"n":2}]');
	assert.match(dry, /Would add 2 rows/);
});

test('[13.2] numbers keep all their digits, or are refused', async () => {
	const row = await good(['add', 'exact', 'n:=1152921504606846976', '--json']);
	assert.match(row, /"n":1152921504606846976,/);
	assert.match(await good(['get', 'exact']), /1152921504606846976/);
	const lost = await home.run(['add', 'exact', 'n:=9007199254740993']);
	assert.equal(lost.code, 1);
	assert.match(lost.err, /^pumadb add: [^\n]*9007199254740993[^\n]*Send it as a string\.\n$/);
});

test('[13.1] batch: a file, a line each, or standard input; all or nothing', async () => {
	const file = join(home.dir, 'batch.json');
	writeFileSync(file, '[{"action":"add","row":{"n":1}},{"action":"add","row":{"n":2}}]');
	assert.equal((await json(['batch', 'batches', file])).results.length, 2);
	const lines = '{"action":"delete","filter":{"n":1}}\n{"action":"upsert","key":"n","row":{"n":2,"m":1}}\n';
	assert.deepEqual(
		(await json(['batch', 'batches'], lines)).results.map(({ action }: { action: string }) => action),
		['delete', 'upsert'],
	);
	for (const one of ['{"action":"upsert","key":"n","row":{"n":2,"m":2}}', '{\n"action":"delete",\n"filter":{"n":9}}\n'])
		assert.equal((await json(['batch', 'batches'], one)).results.length, 1);
	const second = await home.run(['batch', 'batches'], { input: `${lines.split('\n')[0]}\n\n{"action":}\n` });
	assert.equal(second.code, 2);
	assert.match(second.err, /^pumadb batch: line 3 of standard input is not JSON: /);
	const failed = await home.run(['batch', 'batches', '-', '--json'], {
		input: '{"operations":[{"action":"add","row":{"n":3}},{"action":"update_row","id":"x","patch":{}}]}',
	});
	assert.equal(failed.code, 4);
	const { error } = JSON.parse(failed.err);
	assert.equal(error.code, 'row_not_found');
	assert.deepEqual(error.details, { id: 'x', index: 1, action: 'update_row' });
	assert.deepEqual(await ada.rows('batches', { filter: { n: 3 } }), []);
	assert.equal((await home.run(['batch', 'batches'], { input: '"x"' })).code, 2);
});

test('[13.1] what is no UTF-8 is refused, not stored as something else', async () => {
	const bytes = Buffer.from('[{"action":"add","row":{"name":"caf\xe9"}}]', 'latin1');
	const file = join(home.dir, 'latin1.json');
	writeFileSync(file, bytes);
	for (const [args, input] of [
		[['batch', 'latin', file]],
		[['batch', 'latin'], bytes],
		[['add', 'latin', '-'], Buffer.from('{"name":"caf\xe9"}', 'latin1')],
		[['get', 'latin', '-'], Buffer.from('{"name":"caf\xe9"}', 'latin1')],
	] as const) {
		const { code, err } = await home.run(args, input === undefined ? {} : { input });
		assert.equal(code, 1, err);
		assert.match(err, /^pumadb \w+: [^\n]* is not UTF-8 \(line 1\)\.[^\n]*\n$/);
	}
	assert.deepEqual(await ada.rows('latin'), []);
});

test('[13.1] add with an idempotency key stores once', async () => {
	const first = await json(['add', 'once', 'n:=1', '--idempotency-key', 'k']);
	assert.deepEqual(await json(['add', 'once', 'n:=1', '--idempotency-key', 'k']), first);
	assert.equal((await ada.rows('once')).length, 1);
});

test('[13.1] export: to standard output, and to a private file that is whole', async () => {
	const file = join(home.dir, 'all.json');
	assert.match(await good(['export', file]), /^Wrote \S+all\.json \(\d+ bytes\)\.\n$/);
	const expected = (await ada.get('/v1/_export')).body;
	assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), expected);
	assert.equal(statSync(file).mode & 0o777, 0o600);
	assert.deepEqual(JSON.parse(await good(['export'])), expected);
	const again = await home.run(['export', file]);
	assert.equal(again.code, 2);
	assert.match(again.err, /exists already/);
	await good(['export', file, '--force']);
	const proxy = await startFaultProxy(server.url);
	proxy.rule = () => 'answer cut';
	const cut = await home.run(['export', file, '--force'], { env: { PUMADB_URL: proxy.url } });
	await proxy.stop();
	assert.equal(cut.code, 5, cut.err);
	assert.match(cut.err, /^pumadb export: The connection broke before the export was whole\. Try again\.\n$/);
	assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), expected, 'what was there is kept');
	const left = readdirSync(home.dir).filter((name) => name.includes('pumadb-export'));
	assert.deepEqual(left, [], 'and nothing is left over');
});

test('[13.1] export: only a regular file is replaced, nothing beside it is touched, errors name the asked file', async () => {
	const beside = join(home.dir, 'kept.json.partial');
	const target = join(home.dir, 'target');
	writeFileSync(beside, 'mine');
	writeFileSync(target, 'mine');
	await good(['export', join(home.dir, 'kept.json')]);
	assert.equal(readFileSync(beside, 'utf8'), 'mine');
	const link = join(home.dir, 'link.json');
	symlinkSync(target, link);
	const dangling = join(home.dir, 'dangling.json');
	symlinkSync('/nowhere/at/all', dangling);
	const pipe = join(home.dir, 'pipe');
	assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
	for (const name of [link, dangling, home.dir, pipe]) {
		for (const force of [[], ['--force']]) {
			const { code, err } = await home.run(['export', name, ...force]);
			assert.equal(code, 2, err);
			assert.match(err, /^pumadb export: \S+ is not a regular file, so it is not replaced\.[^\n]*\n$/);
		}
	}
	assert.equal(readFileSync(target, 'utf8'), 'mine');
	const nowhere = join(home.dir, 'no-such-directory', 'all.json');
	const failed = await home.run(['export', nowhere]);
	assert.equal(failed.code, 1);
	assert.equal(failed.err, `pumadb export: ${join(home.dir, 'no-such-directory')} does not exist.\n`);
});

test('[13.4] keys: a person lists, makes and revokes them; with --email it is the operator', async () => {
	const made = await json(['keys', 'create', 'laptop']);
	const { keys } = await json(['keys', 'list']);
	assert.equal(keys.at(-1).name, 'laptop');
	assert.equal((await home.run(['tables'], { env: { PUMADB_API_KEY: made.api_key } })).code, 0);
	assert.match(await good(['keys', 'list']), /^id +name +prefix/);
	assert.deepEqual(await json(['keys', 'revoke', made.id]), { revoked: 1 });
	assert.equal((await home.run(['keys', 'revoke', made.id])).code, 4);
	assert.equal((await home.run(['tables'], { env: { PUMADB_API_KEY: made.api_key } })).code, 3);
	const operator = await home.run(['keys', 'create', '--email', ada.email, '--data-dir', server.dataDir]);
	assert.equal(operator.code, 0, operator.err);
	assert.match(operator.out, new RegExp(`account_id: ${ada.accountId}`));
	const help = await good(['keys', 'create', '--help']);
	assert.match(help, /keys create NAME/);
	assert.match(help, /--email/);
});

test('[13.3] every failure has one sentence and its exit code, as the help lists them', async () => {
	const nowhere = await deadUrl();
	for (let twin = 0; twin < 2; twin++) await good(['add', 'twins', 'n:=1']);
	const id = '0197a1b2-0000-7000-8000-000000000000';
	const cases: readonly (readonly [
		code: number,
		args: readonly string[],
		says: RegExp,
		env?: Record<string, string>,
	])[] = [
		[1, ['add', 'bad-name!', 'a=1'], /table name/],
		[1, ['add', 'tasks', 'id=x'], /belongs to the service/],
		[2, ['add', 'tasks'], /Usage: pumadb add TABLE MEMBER…/],
		[2, ['add', 'tasks', 'title'], /"title" is not a member/],
		[2, ['add', 'tasks', 'a=1', 'a=2'], /given twice/],
		[2, ['add', 'tasks', 'a:=x'], /not JSON/],
		[2, ['add', 'tasks', '{"a":'], /not JSON/],
		[2, ['get', 'tasks', '--limit', 'x'], /--limit must be a whole number/],
		[
			2,
			['get', 'tasks', '--no-such-flag'],
			/There is no flag --no-such-flag here\. There are: --sort, --limit, --count, --json, --help\./,
		],
		[2, ['get', 'tasks', '-x'], /There is no flag -x here/],
		[
			2,
			['get', 'tasks', '--sort', '-created_at'],
			/: --sort takes a value: where it begins with "-", write --sort=-…$/m,
		],
		[2, ['get', 'tasks', '--limit'], /: --limit takes a value, and there is none; see --help\.$/m],
		[2, ['get', 'tasks', '--count=3'], /: --count takes no value; see --help\.$/m],
		[1, ['update', 'twins', '--where', 'n:=1', 'a=1'], /matches 2 rows[^\n]*Here that is --all\.$/m],
		[3, ['tables'], /It is that of PUMADB_API_KEY: set another/, { PUMADB_API_KEY: 'ключ' }],
		[2, ['get', 'tasks', id, '--count'], /not for one by its id/],
		[2, ['get', 'tasks', id, '--sort', 'n'], /not for one by its id/],
		[2, ['get', 'tasks', id, '--limit', '1'], /not for one by its id/],
		[2, ['update', 'tasks', 'a=1'], /by its id/],
		[2, ['delete', 'tasks', 'a=1'], /--yes/],
		[2, ['upsert', 'tasks', 'a=1'], /--key/],
		[2, ['tables'], /PUMADB_URL|url must be/, { PUMADB_URL: 'memory.example.com' }],
		[3, ['tables'], /unknown or revoked|API key/, { PUMADB_API_KEY: 'puma_live_wrong_key' }],
		[3, ['tables'], /You are not signed in. Run "pumadb login"/, { PUMADB_API_KEY: '' }],
		[4, ['get', 'tasks', id], /no row/],
		[4, ['update', 'tasks', id, 'a=1'], /[Nn]o/],
		[4, ['restore', 'tasks', id], /No versions/],
		[5, ['tables'], /cannot be reached \(ECONNREFUSED\)/, { PUMADB_URL: nowhere }],
		[1, ['batch', 'tasks', 'no-such-file'], /no-such-file does not exist\./],
		[1, ['import', 'no-such-file', '--table', 't'], /no-such-file does not exist\./],
	];
	const group = await home.run(['keys']);
	assert.equal(group.code, 2);
	assert.match(group.err, /^There is no command "keys"\. There are: keys create, keys list, keys revoke\.\n$/);
	assert.equal(await good(['help', 'get']), await good(['get', '--help']));
	const help = await good(['--help']);
	const page = readFileSync(join(ROOT, 'docs/command-line.md'), 'utf8');
	for (const [code, meaning] of EXIT_MEANINGS) {
		assert.ok(help.includes(`${code}  ${meaning}`));
		assert.ok(page.includes(`| ${code} | ${meaning.replace('it failed', 'failed')} |`), meaning);
	}
	for (const { words, group } of COMMANDS) {
		if (group === 'person') assert.match(page, new RegExp(`\`${words}\\b|, \`${words}`), words);
	}
	await Promise.all(
		cases.map(async ([code, args, says, env = {}]) => {
			const ran = await home.run(args, { env });
			assert.equal(ran.code, code, `${args.join(' ')}: ${ran.err}`);
			assert.match(ran.err, says);
			assert.match(ran.err, /^pumadb [a-z ]+: [^\n]+\n$/, args.join(' '));
			assert.equal(ran.out, '');
			const machine = await home.run([...args, '--json'], { env });
			assert.equal(machine.code, code);
			assert.equal(typeof JSON.parse(machine.err).error.message, 'string');
		}),
	);
});

test('[13.3] a reader that goes away, and a disk that is full', async () => {
	const closed = await home.run(['export'], { shell: '| true' });
	assert.equal(closed.code, 141, closed.err);
	assert.match(closed.err, /^pumadb export: Whoever read the output has closed it\.\n$/);
	for (const args of [
		...[['export'], ['get', 'tasks'], ['tables', '--json'], ['--help'], ['get', '--help'], ['--version']],
		...[
			['completions', 'bash'],
			['keys', 'create', '--email', 'full@example.com', '--data-dir', server.dataDir],
		],
	]) {
		const full = await home.run(args, { shell: '> /dev/full' });
		assert.equal(full.code, 1, full.err);
		assert.match(full.err, /^[^\n]*Standard output cannot be written: the disk is full\.[^\n]*\n$/, args.join(' '));
		assert.equal((await home.run(args, { shell: '> /dev/full 2> /dev/full' })).code, 1);
	}
	assert.equal((await home.run(['--help'], { shell: '| true' })).code, 141);
});

test('[13.3] a file that cannot be written is named', async () => {
	const path = join(home.dir, 'large.json');
	// A bound on the size of files stands for a disk that is full.
	const small = { shell: '', prefix: 'ulimit -f 0;' };
	const exported = await home.run(['export', path], small);
	assert.equal(exported.code, 1);
	assert.equal(exported.err, `pumadb export: ${path} cannot be written: a file may not become so large here.\n`);
	const login = await home.run(['login', '--with-key', '--url', server.url], { ...small, input: `${ada.key}\n` });
	assert.equal(login.code, 1);
	assert.match(login.err, /pumadb login: \S+\/\.config\/pumadb\/login\.json cannot be written: a file may not become/);
	writeFileSync(path, '[{"n":1}]');
	const imported = await home.run(['import', path, '--table', 'small'], small);
	assert.equal(imported.code, 1);
	assert.match(imported.err, /^pumadb import: \S+\/imports\/\S+ cannot be written: [^\n]*\n$/);
	assert.deepEqual(await ada.rows('small'), []);
});

test('[13.3] the version, and a key that the server does not know', async () => {
	const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
	for (const flag of ['--version', '-V']) assert.equal(await good([flag]), `${version}\n`);
	const env = { PUMADB_API_KEY: 'puma_live_wrong_key' };
	const set = await home.run(['tables'], { env });
	assert.equal(set.code, 3);
	assert.match(set.err, /It is that of PUMADB_API_KEY: set another, or unset it and run "pumadb login"\.\n$/);
	const machine = await home.run(['tables', '--json'], { env });
	assert.match(JSON.parse(machine.err).error.message, /run "pumadb login"/);
});

test('[13.2] nothing that a server says steers the terminal, in errors either; JSON keeps its meaning', async () => {
	const nasty = 'x\u001b]0;title\u0007\u009b2J\u202e\r\ny';
	const proxy = await startFaultProxy(server.url);
	const env = { PUMADB_URL: proxy.url };
	const steering = /(?!\n)[\p{Cc}\u202e]/u;
	const json = { 'content-type': 'application/json' };
	const error = JSON.stringify({ error: { code: `bad${nasty}`, message: nasty, details: { nasty } } });
	proxy.faults.push({ status: 400, headers: json, body: error }, { status: 400, headers: json, body: error });
	const told = await home.run(['tables'], { env });
	assert.match(told.err, /^pumadb tables: x\\u\{1b\}[^\n]*y\n$/);
	assert.doesNotMatch(told.err, steering);
	const machine = await home.run(['tables', '--json'], { env });
	assert.doesNotMatch(machine.err, steering);
	assert.equal(JSON.parse(machine.err).error.details.nasty, nasty);
	const key = JSON.stringify({ api_key: nasty, id: nasty, prefix: 'x', scope: 'x' });
	const link = JSON.stringify({ viewer_url: `http://x.example/${nasty}` });
	for (const [args, status, body] of [
		[['keys', 'create', 'x'], 201, key],
		[['open', 'tasks', '--print'], 201, link],
		[['open', 'tasks', '--print', '--json'], 201, link],
	] as const) {
		proxy.faults.push({ status, headers: json, body });
		const { code, out, err } = await home.run(args, { env });
		assert.equal(code, 0, err);
		assert.doesNotMatch(out, steering, args.join(' '));
	}
	for (const args of [['get', 'tasks', nasty], [nasty], ['batch', 'tasks', nasty], ['import', nasty]]) {
		assert.doesNotMatch((await home.run(args, { env })).err, steering, args.join(' '));
	}
	await proxy.stop();
});

test('[13.3] a rate limit is waited for, and a storm of 503 outlasted', async () => {
	const proxy = await startFaultProxy(server.url);
	const storm = { status: 503, headers: { 'retry-after': '1' } };
	proxy.faults.push(storm, { status: 429, headers: { 'retry-after': '1' } }, 'answer lost');
	const { code, err } = await home.run(['add', 'stormy', 'n:=1'], { env: { PUMADB_URL: proxy.url } });
	await proxy.stop();
	assert.equal(code, 0, err);
	assert.equal((await ada.rows('stormy')).length, 1);
});

test('[13.5] open makes a link and gives it to the browser, as an argument and through no shell', async () => {
	const bin = join(home.dir, 'bin');
	mkdirSync(bin);
	writeFileSync(join(bin, 'xdg-open'), `#!/bin/sh\nprintf '%s' "$1" > "${home.dir}/opened"\n`);
	chmodSync(join(bin, 'xdg-open'), 0o755);
	const { id } = await ada.add('shown', { text: 'hello', n: 1 });
	const env = { PATH: `${bin}:${process.env.PATH}` };
	for (const args of [['shown', id], ['shown', id, '--field', 'text'], ['shown', 'n:=1', '--sort=-n'], ['shown']]) {
		const { code, out, err } = await home.run(['open', ...args], { env });
		assert.equal(code, 0, err);
		assert.equal(readFileSync(join(home.dir, 'opened'), 'utf8'), out.trim());
		assert.equal((await fetch(out.trim())).status, 200);
	}
	rmSync(join(home.dir, 'opened'));
	const proxy = await startFaultProxy(server.url);
	for (const viewer of ['file:///etc/passwd', 'javascript:alert(1)', 'smb://host/share', '--help', '']) {
		const body = JSON.stringify({ id, viewer_url: viewer });
		proxy.faults.push({ status: 201, headers: { 'content-type': 'application/json' }, body });
		const { code, out, err } = await home.run(['open', 'shown', id], { env: { ...env, PUMADB_URL: proxy.url } });
		assert.equal(code, 1, viewer);
		assert.equal(out, '');
		assert.match(err, /no http or https address, so it is not opened\.\n$/);
	}
	await proxy.stop();
	assert.equal(existsSync(join(home.dir, 'opened')), false);
	const none = await home.run(['open', 'shown'], { env: { PATH: '/nowhere' } });
	assert.equal(none.code, 1);
	assert.match(none.err, /No browser could be started here/);
	assert.equal((await home.run(['open', 'shown', '--print'], { env: { PATH: '/nowhere' } })).code, 0);
	assert.equal((await home.run(['open', 'shown', '--field', 'text'])).code, 2);
});
