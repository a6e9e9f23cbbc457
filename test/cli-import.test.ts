import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type Client, clientWith, signIn } from './support/client.ts';
import { type Home, makeHome, type Ran } from './support/command-line.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './support/fault-proxy.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let proxy: FaultProxy;
let ada: Client;
let home: Home;
let tables = 0;
let table: string;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	proxy = await startFaultProxy(server.url);
	ada = await signIn(server);
	home = makeHome({ PUMADB_URL: proxy.url, PUMADB_API_KEY: ada.key });
});
after(async () => {
	await proxy.stop();
	await server.stop();
});
beforeEach(() => {
	proxy.faults.length = 0;
	proxy.rule = undefined;
	proxy.seen.length = 0;
	table = `t${++tables}`;
	rmSync(join(home.dir, '.local'), { recursive: true, force: true });
});

/** Writes a file into the home directory and answers its path. */
function file(name: string, content: string | Uint8Array): string {
	const path = join(home.dir, name);
	writeFileSync(path, content);
	return path;
}

const load = (path: string, ...more: string[]): Promise<Ran> => home.run(['import', path, ...more]);
const into = (path: string, ...more: string[]): Promise<Ran> => load(path, '--table', table, ...more);

/** What was stored, without what the service adds. */
async function stored(name = table): Promise<unknown[]> {
	return (await ada.rows(name)).map(({ id: _, created_at: __, updated_at: ___, ...own }) => own);
}

const numbered = (count: number): { n: number }[] => Array.from({ length: count }, (_, n) => ({ n }));
const batches = (): number => proxy.seen.filter(({ path }) => path.endsWith('/batch')).length;
const journals = (): string[] => {
	const dir = join(home.dir, '.local/state/pumadb/imports');
	return existsSync(dir) ? readdirSync(dir).filter((name) => !name.endsWith('.ended')) : [];
};

test('[13.8] JSON: an array, rows of a query, and lines', async () => {
	const rows = [{ a: 1, deep: { b: [true, null, 'x'] } }, { a: 2 }];
	assert.equal((await into(file('a.json', JSON.stringify(rows)))).code, 0);
	assert.deepEqual(await stored(), rows);
	const lines = file('b.jsonl', `\ufeff${rows.map((row) => JSON.stringify(row)).join('\r\n')}\n\n`);
	const { code, out } = await into(lines);
	assert.equal(code, 0);
	assert.equal(out, `Imported 2 rows into ${table}.\n`);
	assert.equal((await stored()).length, 4);
	const answered = file('c.json', JSON.stringify({ rows: await ada.rows(table) }));
	const copied = await into(answered);
	assert.match(copied.err, /4 rows came with id, created_at and updated_at, which are given anew/);
	assert.equal((await stored()).length, 8);
	const piped = await home.run(['import', '-', '--table', table, '--json'], { input: '[{"z":1}]' });
	assert.deepEqual(JSON.parse(piped.out), { imported: [{ table, rows: 1 }] });
});

test('[13.8] CSV: quotes, line breaks, a byte order mark, any column name; text unless types are asked for', async () => {
	const csv = file('a.csv', '\ufeffname,"note, long",__proto__\r\n"Ada ""L""","first\nsecond",1\r\n愛,,true\r\n');
	assert.equal((await into(csv)).code, 0);
	const expected = [
		{ name: 'Ada "L"', 'note, long': 'first\nsecond', ['__proto__']: '1' },
		{ name: '愛', 'note, long': '', ['__proto__']: 'true' },
	];
	assert.equal(JSON.stringify(await stored()), JSON.stringify(expected));
	const typed = file('b.csv', 'id,n,b,s,big\n7,-1.5e3,true,007,9007199254740993\n8,0,null,1.,x\n');
	const refused = await into(typed, '--typed');
	assert.equal(refused.code, 1);
	assert.match(refused.err, /line 2: The member "id"[^\n]*--rename id=other_name\n$/);
	table = `${table}b`;
	assert.equal((await into(typed, '--typed', '--rename', 'id=number')).code, 0);
	assert.deepEqual(await stored(), [
		{ number: 7, n: -1500, b: true, s: '007', big: '9007199254740993' },
		{ number: 8, n: 0, b: null, s: '1.', big: 'x' },
	]);
	table = `${table}c`;
	assert.equal((await into(file('c.tsv', 'a\tb\n1,5\t2\n'))).code, 0);
	assert.equal((await into(file('d.csv', 'a;b\n1,5;2\n'), '--delimiter', ';')).code, 0);
	assert.deepEqual(await stored(), [
		{ a: '1,5', b: '2' },
		{ a: '1,5', b: '2' },
	]);
});

test('[13.8] CSV: line ends of both kinds in one file, and a tab written in two characters', async () => {
	const rows = [
		{ a: '1', b: 'x' },
		{ a: '2', b: 'y\rz' },
		{ a: '3', b: 'q\r\nq' },
		{ a: '4', b: 'w' },
	];
	for (const csv of ['a,b\n1,x\r\n2,y\rz\n3,"q\r\nq"\r\n4,w\n', 'a,b\r\n1,x\n2,y\rz\r\n3,"q\r\nq"\n4,w']) {
		table = `${table}x`;
		assert.equal((await into(file('ends.csv', csv))).code, 0);
		assert.deepEqual(await stored(), rows);
	}
	table = `${table}old`;
	assert.equal((await into(file('old.csv', 'a,b\r1,x\r4,w\r'))).code, 0);
	assert.deepEqual(await stored(), [rows[0], rows[3]]);
	table = `${table}tab`;
	assert.equal((await into(file('tab.txt', 'a\tb\n1\tx\n'), '--format', 'csv', '--delimiter', '\\t')).code, 0);
	assert.deepEqual(await stored(), [rows[0]]);
	for (const wrong of ['', 'ab', '"', '\n']) {
		const { code, err } = await into(file('d.csv', 'a\n1\n'), `--delimiter=${wrong}`);
		assert.equal(code, 2, err);
		assert.match(err, /--delimiter takes one character/);
	}
});

test('[13.8] --rename loses nothing: not onto a member that is there, and an id that gets another name is kept', async () => {
	const path = file('renames.json', '[{"a":1,"b":2},{"a":3}]');
	for (const [flags, says] of [
		[['a=b'], /row 1: with these --rename both "a" and "b" would be "b"/],
		[['a=c', 'b=c'], /row 1: [^\n]* both "a" and "b" would be "c"/],
		[['a=c', 'a=d'], /gives "a" two names/],
		[['x=y'], /--rename x=y: no row has a member "x"/],
		[['constructor=y'], /no row has a member "constructor"/],
	] as const) {
		const { code, err } = await into(path, ...flags.flatMap((pair) => ['--rename', pair]));
		assert.equal(code, 2, err);
		assert.match(err, says);
	}
	assert.equal(batches(), 0);
	assert.equal((await into(path, '--rename', 'a=b', '--rename', 'b=a')).code, 0);
	assert.deepEqual(await stored(), [{ b: 1, a: 2 }, { b: 3 }]);
	const rows = await ada.rows(table);
	const copy = file('renamed.json', JSON.stringify({ rows }));
	table = `${table}copy`;
	const { code, err } = await into(copy, '--rename', 'id=old_id', '--rename', 'created_at=made');
	assert.equal(code, 0, err);
	const expected = rows.map(({ id, created_at, updated_at: _, ...own }) => ({ old_id: id, made: created_at, ...own }));
	const byName = (row: unknown) => Object.entries(row as object).toSorted();
	assert.deepEqual((await stored()).map(byName), expected.map(byName));
});

test("[13.8] the MCP reference memory server's file: entities and relations, again without doubling", async () => {
	const lines = [
		{ type: 'entity', name: 'Ada', entityType: 'person', observations: ['likes tea', 'lives in London'] },
		{ type: 'entity', name: 'Tea', entityType: 'drink', observations: [] },
		{ type: 'relation', from: 'Ada', to: 'Tea', relationType: 'likes' },
	];
	const memory = file('memory.json', lines.map((line) => JSON.stringify(line)).join('\n'));
	for (const _ of [1, 2]) {
		const { code, err, out } = await load(memory);
		assert.equal(code, 0, err);
		assert.equal(out, 'Imported 2 rows into entities.\nImported 1 row into relations.\n');
	}
	assert.deepEqual(
		await stored('entities'),
		lines.slice(0, 2).map(({ type: _, ...own }) => own),
	);
	assert.deepEqual(await stored('relations'), [{ from: 'Ada', to: 'Tea', relationType: 'likes' }]);
	assert.equal((await load(memory, '--table', 'x')).code, 2);
});

test("[13.8] a memory file tells again of what is known: observations come together, in the file and with the table's", async () => {
	const eve = await signIn(server);
	const env = { PUMADB_API_KEY: eve.key };
	const entity = (name: string, observations: unknown, entityType = 'person') => ({
		...{ type: 'entity', name, entityType, observations },
	});
	const lines = (...rows: object[]): string => rows.map((row) => JSON.stringify(row)).join('\n');
	const relation = { type: 'relation', from: 'Ada', to: 'Tea', relationType: 'likes' };
	const first = file(
		'memory-1.jsonl',
		lines(entity('Ada', ['likes tea']), relation, entity('Ada', ['likes tea', 'plays chess']), relation),
	);
	const one = await home.run(['import', first], { env });
	assert.equal(one.code, 0, one.err);
	assert.match(one.err, /^Told of again by 2 lines: what lines tell of one thing is merged\.$/m);
	assert.equal(one.out, 'Imported 1 row into entities.\nImported 1 row into relations.\n');
	const [ada1] = await eve.rows('entities');
	assert.deepEqual(ada1.observations, ['likes tea', 'plays chess']);
	await eve.post('/v1/entities/update_row', { id: ada1.id, patch: { seen: true } });
	const second = file(
		'memory-2.jsonl',
		lines(entity('Ada', ['lives in London', 'plays chess'], 'human'), entity('Bob', [])),
	);
	for (const _ of [1, 2]) assert.equal((await home.run(['import', second], { env })).code, 0);
	const [ada2, bob] = await eve.rows('entities');
	assert.deepEqual(ada2.observations, ['likes tea', 'plays chess', 'lives in London']);
	assert.deepEqual([ada2.id, ada2.entityType, ada2.seen, bob.name], [ada1.id, 'human', true, 'Bob']);
	const large = file('memory-3.jsonl', lines(entity('Bob', []), entity('Ada', ['x'.repeat(65_500)])));
	const refused = await home.run(['import', large], { env });
	assert.equal(refused.code, 1);
	assert.match(refused.err, /line 2: The row has \d+ bytes, and a row may have 65536/);
});

test('[13.8] rows with one key are one row: the last of them, counted once', async () => {
	const path = file('same.csv', 'email,name\na@x.example,A\nb@x.example,B\na@x.example,C\n');
	const dry = JSON.parse((await into(path, '--key', 'email', '--dry-run', '--json')).out);
	assert.equal(dry.would_import[0].rows, 2);
	const { code, out, err } = await into(path, '--key', 'email');
	assert.equal(code, 0, err);
	assert.equal(out, `Imported 2 rows into ${table}.\n`);
	assert.match(err, /^The key of 1 row comes again later: of each key the last row counts\.$/m);
	assert.deepEqual(await stored(), [
		{ email: 'a@x.example', name: 'C' },
		{ email: 'b@x.example', name: 'B' },
	]);
});

test('[13.9] CSV with another delimiter is refused with the flag that it needs', async () => {
	for (const [delimiter, flag] of [
		[';', ';'],
		['\t', '\\t'],
		['|', '|'],
	] as const) {
		const path = file('other.csv', `a${delimiter}b\n1,5${delimiter}2\n`);
		const { code, err } = await into(path);
		assert.equal(code, 2, err);
		assert.ok(err.includes(`--delimiter "${flag}"`), err);
		assert.equal((await into(path, '--delimiter', flag)).code, 0);
	}
	assert.equal((await stored()).length, 3);
	table = `${table}one`;
	assert.equal((await into(file('one.csv', 'a;b\nx\n'), '--delimiter', ',')).code, 0);
	assert.deepEqual(await stored(), [{ 'a;b': 'x' }]);
});

test('[13.9] what the service refuses of a line is named by that line', async () => {
	for (const name of ['x', 'x']) await ada.add(table, { name });
	const csv = file('twice.csv', 'name,n\ny,1\n\n"x",2\n');
	const { code, err } = await into(csv, '--key', 'name');
	assert.equal(code, 1);
	assert.match(err, /^pumadb import: line 4: [^\n]*\n$/);
	const jsonl = await into(file('twice.jsonl', '{"name":"y"}\n\n{"name":"x"}\n'), '--key', 'name');
	assert.match(jsonl.err, /^pumadb import: line 3: /);
});

test('[13.8] one JSON object on one line is a row', async () => {
	const { code, err } = await home.run(['import', '-', '--table', table], { input: '{"a":1}\n' });
	assert.equal(code, 0, err);
	assert.deepEqual(await stored(), [{ a: 1 }]);
});

test('[13.8] an export goes back in, with the tables it has', async () => {
	const bob = await signIn(server);
	await bob.add('one', { n: 2 ** 53 });
	await bob.add('two', { text: 'x' });
	const env = { PUMADB_API_KEY: bob.key };
	const path = join(home.dir, 'export.json');
	assert.equal((await home.run(['export', path], { env })).code, 0);
	const eve = await signIn(server);
	const { code, err } = await home.run(['import', path], { env: { PUMADB_API_KEY: eve.key } });
	assert.equal(code, 0, err);
	assert.deepEqual((await eve.get('/v1/_tables')).body, (await bob.get('/v1/_tables')).body);
	assert.equal((await eve.rows('one'))[0].n, 2 ** 53);
});

test('[13.8] --key upserts', async () => {
	await ada.add(table, { email: 'ada@example.com', name: 'A' });
	const rows = [
		{ email: 'ada@example.com', name: 'Ada' },
		{ email: 'grace@example.com', name: 'Grace' },
	];
	for (const _ of [1, 2]) assert.equal((await into(file('k.json', JSON.stringify(rows)), '--key', 'email')).code, 0);
	assert.deepEqual(await stored(), rows);
	const missing = await into(file('k2.json', '[{"email":"x"},{"name":"y"}]'), '--key', 'email');
	assert.equal(missing.code, 1);
	assert.match(missing.err, /row 2: "email" identifies a row/);
});

test('[13.9] --dry-run stores nothing and says what would be stored', async () => {
	const path = file('dry.json', JSON.stringify(numbered(12)));
	const { code, out } = await into(path, '--dry-run');
	assert.equal(code, 0);
	assert.match(out, new RegExp(`^Would add 12 rows into ${table}, beginning with\nn\n0\n1\n2\n3\n4\n$`));
	assert.deepEqual(JSON.parse((await into(path, '--dry-run', '--json')).out), {
		dry_run: true,
		would_import: [{ table, rows: 12 }],
	});
	assert.deepEqual(await stored(), []);
	assert.deepEqual(journals(), []);
});

test('[13.9] what is wrong anywhere is named by its place, and nothing is sent', async () => {
	const bad: readonly (readonly [name: string, content: string | Uint8Array, says: RegExp])[] = [
		['e1.jsonl', '{"a":1}\n{"a":\n', /line 2 of \S+ is not JSON/],
		['e2.jsonl', '{"a":1}\n[1]\n', /line 2 is not a JSON object/],
		['e3.json', '[{"a":1},{"a":9007199254740993}]', /row 2: The number 9007199254740993 at \$\.a cannot be kept/],
		[
			'e3l.json',
			'{"rows":[{"a":1152921504606846976},{"b":{"a":[-9007199254740993]}}]}',
			/row 2: [^\n]* at \$\.b\.a\[0\] cannot/,
		],
		['e3k.jsonl', '{"a":1}\n{"a":9007199254740993}\n', /line 2 of \S+: The number 9007199254740993/],
		['e3o.json', '[{"a":1},{"a":1e400}]', /row 2: Infinity at \$\.a/],
		['e3u.json', '[{"a":1},{"a":1e-400}]', /1e-400/],
		['e4.json', '[{"a":1},{"id":"x"}]', /row 2: The member "id"/],
		['e5.json', `[{"a":1},{"a":"${'x'.repeat(70_000)}"}]`, /row 2: The row has 70008 bytes, and a row may have 65536/],
		['e6.json', '[{"a":"\\u0000"}]', /row 1: /],
		['e7.json', '{"a":1}', /must hold an array/],
		['e8.csv', 'a,b\n1,2\n1,2,3\n', /is not CSV: [^\n]*line 3/],
		['e9.csv', 'a,a\n1,2\n', /two columns "a"/],
		[
			'e10.csv',
			Buffer.from([...Buffer.from('a\nx\ny'), 0xe9, 0x0a]),
			/is not UTF-8 \(line 3\)\. Convert it first, for example: iconv/,
		],
		['e11.csv', Buffer.from('\ufeffa,b\n1,2\n', 'utf16le'), /is UTF-16/],
		['e12.csv', 'a\n"x\n', /is not CSV/],
		['e13.txt', 'hello', /--format/],
		['e14.csv', '', /is empty/],
		['e15.json', JSON.stringify(numbered(1001)), /1,001 rows[^\n]*1,000 rows/],
	];
	for (const [name, content, says] of bad) {
		const { code, out, err } = await into(file(name, content));
		assert.ok(code === 1 || code === 2, `${name}: ${code}`);
		assert.match(err, says, name);
		assert.match(err, /^pumadb import: [^\n]+\n$/, name);
		assert.equal(out, '');
	}
	assert.equal(batches(), 0);
	assert.deepEqual(await stored(), []);
	for (const n of numbered(3)) await ada.add(table, n);
	const { code, err } = await into(file('room.json', JSON.stringify(numbered(998))));
	assert.equal(code, 1);
	assert.match(err, /may have 1,000 rows and has 3, so 998 rows more do not fit\. Nothing was sent/);
	assert.deepEqual(journals(), []);
});

test('[13.9] a file of 100 MB is looked at in one go and refused in one sentence', async () => {
	const line = `{"text":"${'x'.repeat(1000)}"}\n`;
	const { code, err } = await into(file('large.jsonl', line.repeat(100_000)));
	assert.equal(code, 1);
	assert.match(
		err,
		/^pumadb import: \S+large\.jsonl has 100,000 rows for \w+, and a table may have 1,000 rows\. Nothing was sent\.\n$/,
	);
	const csv = await into(file('large.csv', `a,b\n${`${'y'.repeat(500)},${'z'.repeat(500)}\n`.repeat(100_000)}`));
	assert.match(csv.err, /has 100,000 rows/);
	assert.equal(batches(), 0);
});

for (const fault of ['dropped', 'answer lost', 'answer cut'] as const) {
	test(`[13.10] the network goes in the middle (${fault}): the same command goes on, nothing is stored twice`, async () => {
		const path = file(`net-${fault}.json`, JSON.stringify(numbered(450)));
		let sent = 0;
		proxy.rule = ({ path: target }) => (target.endsWith('/batch') && ++sent > 2 ? fault : undefined);
		// With waits of seconds between attempts a signal is the quicker end.
		const broken = await home.run(['import', path, '--table', table], {
			started: (child) => stopWhen(child, () => sent > 3),
		});
		assert.equal(broken.code, 130, broken.err);
		// Where the answer was lost, they are stored.
		assert.match(
			broken.err,
			/Stopped\. 200 of 450 rows are stored, and perhaps the next 100, which were not answered\. Run the same command again to go on/,
		);
		assert.equal(journals().length, 1);
		proxy.rule = undefined;
		const { code, err } = await into(path);
		assert.equal(code, 0, err);
		assert.match(err, /Going on after 200 rows that are stored already/);
		assert.deepEqual(await stored(), numbered(450));
		assert.deepEqual(journals(), []);
	});
}

/** Sends SIGINT, as Ctrl-C does, once the condition holds. */
function stopWhen(
	child: { kill(signal: 'SIGINT' | 'SIGKILL'): boolean; exitCode: number | null },
	holds: () => boolean,
	signal: 'SIGINT' | 'SIGKILL' = 'SIGINT',
): void {
	const timer = setInterval(() => {
		if (!holds() && child.exitCode === null) return;
		clearInterval(timer);
		child.kill(signal);
	}, 5);
}

test('[13.10] Ctrl-C and kill at any moment: a rerun finishes it', async () => {
	for (const [round, signal] of (['SIGINT', 'SIGKILL', 'SIGINT', 'SIGKILL'] as const).entries()) {
		table = `${table}x`;
		const path = file(`stop-${round}.json`, JSON.stringify(numbered(600)));
		proxy.seen.length = 0;
		const stopped = await home.run(['import', path, '--table', table], {
			started: (child) => stopWhen(child as never, () => batches() > round, signal),
		});
		if (signal === 'SIGINT' && stopped.code !== 0) assert.equal(stopped.code, 130, stopped.err);
		const { code, err } = await into(path);
		assert.equal(code, 0, err);
		// One that came to its end before the signal is another import by now.
		assert.deepEqual(await stored(), stopped.code === 0 ? [...numbered(600), ...numbered(600)] : numbered(600));
	}
});

test('[13.10] a file that changed in between: rows that are stored are not stored again', async () => {
	const rows = numbered(250).map((row) => JSON.stringify(row));
	const path = file('grows.jsonl', `${rows.join('\n')}\n`);
	let sent = 0;
	proxy.rule = ({ path: target }) => (target.endsWith('/batch') && ++sent > 1 ? 'answer lost' : undefined);
	await home.run(['import', path, '--table', table], { started: (child) => stopWhen(child as never, () => sent > 2) });
	proxy.rule = undefined;
	writeFileSync(path, `{"n":-1}\n${rows.slice(10).join('\n')}\n`);
	appendFileSync(path, '{"n":7}\n{"n":250}\n');
	const { code, err } = await into(path);
	assert.equal(code, 0, err);
	assert.match(err, /has changed since its import stopped/);
	const values = (await stored()).map((row) => (row as { n: number }).n);
	assert.deepEqual(
		values.toSorted((a, b) => a - b),
		[-1, ...numbered(251).map(({ n }) => n)],
	);
});

test('[13.10] a refusal in the middle says how far it came; equal rows are all stored', async () => {
	const path = file('equal.json', JSON.stringify([...Array(150).fill({ same: true }), { n: 1 }]));
	const refusal = {
		status: 413,
		headers: { 'content-type': 'application/json' },
		body: '{"error":{"code":"account_full","message":"The account is full.","details":{"index":50}}}',
	};
	let sent = 0;
	proxy.rule = ({ path: target }) => (target.endsWith('/batch') && ++sent === 2 ? refusal : undefined);
	const { code, err } = await into(path);
	assert.equal(code, 1);
	assert.match(
		err,
		/^pumadb import: row 151: The account is full\. 100 of 151 rows are stored\. Run the same command again/,
	);
	assert.equal((await into(path)).code, 0);
	assert.deepEqual(await stored(), [...Array(150).fill({ same: true }), { n: 1 }]);
	assert.equal((await into(path)).code, 0, 'a finished import may be made again');
	assert.equal((await stored()).length, 302);
});

test('[13.10] with a restart of the server in between, and with a rate limit', async () => {
	let own = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_ROWS_PER_TABLE: '5000' });
	const between = await startFaultProxy(own.url);
	const eve = await signIn(own);
	const path = file('restart.json', JSON.stringify(numbered(3000)));
	let restarted: Promise<void> | undefined;
	between.rule = ({ path: target }, index) => {
		if (index === 9) {
			restarted = (async () => {
				await own.kill();
				own = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_ROWS_PER_TABLE: '5000' }, own.dataDir);
				between.target = own.url;
			})();
		}
		return target.endsWith('/batch') && index === 4 ? { status: 429, headers: { 'retry-after': '1' } } : undefined;
	};
	const { code, err } = await home.run(['import', path, '--table', 'rows'], {
		env: { PUMADB_URL: between.url, PUMADB_API_KEY: eve.key },
	});
	await restarted;
	assert.equal(code, 0, err);
	const { body } = await clientWith(own, eve.key).get('/v1/rows/count');
	assert.equal(body.count, 3000);
	await between.stop();
	await own.stop();
});

/** Imports 250 rows, of which the second batch is lost on its way, and makes the import older. */
async function stopped(path: string, hours: number, fault: Fault = 'answer lost'): Promise<void> {
	let sent = 0;
	proxy.rule = ({ path: target }) => (target.endsWith('/batch') && ++sent > 1 ? fault : undefined);
	await home.run(['import', path, '--table', table], { started: (child) => stopWhen(child as never, () => sent > 1) });
	proxy.rule = undefined;
	const journal = join(home.dir, '.local/state/pumadb/imports', journals()[0]!);
	const entry = JSON.parse(readFileSync(journal, 'utf8'));
	assert.equal(entry.done, 100);
	const then = (time: number): number => time - hours * 3_600_000;
	writeFileSync(journal, JSON.stringify({ ...entry, startedAt: then(entry.startedAt), sentAt: then(entry.sentAt) }));
}

test('[13.10] after an hour, when the service may have forgotten the keys, what may be stored is not sent again', async () => {
	const path = file('old.json', JSON.stringify(numbered(250)));
	await stopped(path, 1);
	const old = await into(path);
	assert.equal(old.code, 1);
	assert.match(
		old.err,
		/stopped after 100 rows, too long ago to go on without storing rows twice: of its rows from row 101 to row 200 it is not known whether they are stored\.[^\n]*--new/,
	);
	assert.equal((await into(path, '--new')).code, 0);
	assert.equal((await stored()).length, 450);
});

test('[13.10] after any time an import goes on where nothing that was sent is in doubt', async () => {
	const path = file('certain.json', JSON.stringify(numbered(250)));
	await stopped(path, 100, { status: 429, headers: { 'retry-after': '30' } });
	const { code, err } = await into(path);
	assert.equal(code, 0, err);
	assert.match(err, /Going on after 100 rows/);
	assert.deepEqual(await stored(), numbered(250));
	table = `${table}changed`;
	await stopped(path, 100, { status: 429, headers: { 'retry-after': '30' } });
	writeFileSync(path, JSON.stringify(numbered(251)));
	const changed = await into(path);
	assert.equal(changed.code, 1);
	assert.match(changed.err, /which of its rows they are is not known, for it has changed since/);
	assert.equal((await into(path, '--new')).code, 0);
});

test('[13.10] the keys of an hour are kept, whatever room they need', async () => {
	const path = file('kept.json', JSON.stringify(numbered(250)));
	await stopped(path, 0.9);
	assert.equal((await into(path)).code, 0);
	assert.deepEqual(await stored(), numbered(250));
});

test('[13.10] --new beside an import that runs is refused; of two that begin at once, however short, one stores', async () => {
	const path = file('runs.json', JSON.stringify(numbered(250)));
	proxy.rule = ({ path: target }) => (target.endsWith('/batch') ? 'dropped' : undefined);
	let refused: Ran | undefined;
	const first = home.run(['import', path, '--table', table], {
		started: (child) => stopWhen(child as never, () => refused !== undefined),
	});
	while (batches() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
	refused = await into(path, '--new');
	assert.equal(refused.code, 1);
	assert.match(refused.err, /An import of \S+runs\.json is running, as process \d+/);
	assert.equal((await first).code, 130);
	proxy.rule = undefined;
	for (const flags of [[], ['--new']]) {
		table = `${table}x`;
		const tiny = file(`tiny${flags.length}.json`, JSON.stringify(numbered(3)));
		const both = await Promise.all([into(tiny, ...flags), into(tiny, ...flags), into(tiny, ...flags)]);
		// One that comes late may be told that another runs.
		for (const { code, err } of both) assert.ok(code === 0 || (flags.length > 0 && /is running/.test(err)), err);
		assert.deepEqual(await stored(), numbered(3), flags.join());
		assert.equal((await into(tiny, ...flags)).code, 0);
		assert.equal((await stored()).length, 6, 'and one after them is another');
	}
});

test('[13.9] what does not end is read up to 256 MB, and a signal ends the reading', async () => {
	// The writer meets a closed pipe (141 is SIGPIPE): the reader did not take all of it.
	const shell = '< <(head -c 300M /dev/zero; echo $? > head-status); code=$?; wait $!; exit $code';
	const piped = await home.run(['import', '-', '--table', table], { shell });
	assert.equal(piped.code, 1);
	assert.match(piped.err, /^pumadb import: standard input has more than 256 MB\.[^\n]*\n$/);
	assert.equal(readFileSync(join(home.dir, 'head-status'), 'utf8'), '141\n');
	const fifo = join(home.dir, 'fifo');
	assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
	const writer = spawn('bash', ['-c', 'head -c 300M /dev/zero > "$0"', fifo]);
	const ended = once(writer, 'close');
	const large = await into(fifo);
	assert.equal(large.code, 1);
	assert.match(large.err, /fifo has more than 256 MB/);
	assert.deepEqual(await ended, [141, null]);
	for (const [words, from] of [
		[['import', fifo, '--table', table], fifo],
		[['batch', table, fifo], fifo],
	] as const) {
		const held = spawn('bash', ['-c', 'exec 3> "$0"; echo "[" >&3; echo open; exec sleep 1000', from]);
		let open = false;
		held.stdout.once('data', () => {
			open = true;
		});
		const { code, err } = await home.run(words, { started: (child) => stopWhen(child as never, () => open) });
		held.kill();
		assert.equal(code, 130, err);
		assert.match(err, /^pumadb \w+: Stopped\.\n$/);
	}
	assert.equal(batches(), 0);
});

/** Imports until the first batch is stored and its answer lost, and then stops. */
async function stopUnanswered(path: string, ...flags: string[]): Promise<void> {
	let sent = 0;
	proxy.rule = ({ path: target }) => (target.endsWith('/batch') && ++sent > 0 ? 'answer lost' : undefined);
	const { code, err } = await home.run(['import', path, ...flags], {
		started: (child) => stopWhen(child as never, () => sent > 1),
	});
	assert.equal(code, 130, err);
	proxy.rule = undefined;
}

test('[13.10] an import that almost fills a table goes on, though its rows are there and were never answered', async () => {
	const path = file('full.json', JSON.stringify(numbered(1000)));
	await stopUnanswered(path, '--table', table);
	assert.equal((await stored()).length, 100);
	const looked = await into(path, '--dry-run');
	assert.equal(looked.code, 0, looked.err);
	const { code, err } = await into(path);
	assert.equal(code, 0, err);
	assert.deepEqual(await stored(), numbered(1000));
});

test('[13.10] with other flags an import is not gone on with: its rows would be others', async () => {
	const path = file(
		'flags.csv',
		`n,m\n${numbered(250)
			.map(({ n }) => `${n},x`)
			.join('\n')}\n`,
	);
	await stopUnanswered(path, '--table', table);
	for (const other of [
		['--table', table, '--typed'],
		['--table', table, '--rename', 'n=number'],
		['--table', table, '--delimiter', ';'],
		['--table', table, '--key', 'n'],
		['--table', `${table}other`],
	]) {
		const { code, err } = await load(path, ...other);
		assert.equal(code, 2, other.join(' '));
		assert.match(
			err,
			/with other flags stopped after 0 rows[^\n]*Use the same flags [^\n]*, or --new to begin anew\.\n$/,
		);
	}
	assert.equal((await stored()).length, 100);
	assert.equal((await into(path)).code, 0);
	assert.equal((await stored()).length, 250);
	table = `${table}keyed`;
	await stopUnanswered(path, '--table', table, '--key', 'n');
	assert.equal((await into(path)).code, 2, 'nor one that upserted');
	assert.equal((await into(path, '--key', 'n')).code, 0);
	assert.equal((await stored()).length, 250);
	table = `${table}new`;
	await stopUnanswered(path, '--table', table);
	assert.equal((await into(path, '--typed', '--new')).code, 0);
	assert.equal((await stored()).length, 350);
});

test('[13.10] one import that is started twice at the same time stores its rows once', async () => {
	const path = file('twice.json', JSON.stringify(numbered(450)));
	const begun = (): number => proxy.seen.filter(({ path: target }) => target === '/openapi.json').length;
	// Neither may begin its run before the other has looked, nor come to its end before the other has begun.
	proxy.rule = ({ path: target }) =>
		(target === '/v1/_tables' && begun() < 2) || (target.endsWith('/batch') && batches() < 4) ? 'dropped' : undefined;
	const both = await Promise.all([into(path), into(path)]);
	for (const { code, err } of both) assert.equal(code, 0, err);
	assert.deepEqual(await stored(), numbered(450));
	assert.deepEqual(journals(), []);
});
