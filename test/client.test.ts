import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { isPumaError, Puma, PumaError, parseExact, type Row, stringifyExact } from '../client/src/index.ts';
import { measureClient } from '../scripts/client-size.ts';
import { ERROR_CATALOGUE } from '../src/errors.ts';
import { type Client, signIn } from './support/client.ts';
import { deadUrl } from './support/fault-proxy.ts';
import { NO_RATE_LIMITS, ROOT, startServer, type TestServer, temporaryDir } from './support/server.ts';

let server: TestServer;
let ada: Client;
let puma: Puma;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_TABLES: '0' });
	ada = await signIn(server);
	puma = new Puma({ url: server.url, apiKey: ada.key });
});
after(() => server.stop());

interface Task {
	title: string;
	status: 'open' | 'done';
	size?: number;
	tags?: string[];
}

test('[12.1] every operation of the contract, with typed rows', async () => {
	const tasks = puma.table<Task>('tasks');
	const milk: Row<Task> = await tasks.add({ title: 'Buy milk', status: 'open' });
	assert.deepEqual(await tasks.get(milk.id), milk);
	assert.equal(await tasks.get('0197a1b2-0000-7000-8000-000000000000'), undefined);
	const { created, row } = await tasks.upsert('title', { title: 'Water plants', status: 'open', size: 2 });
	assert.equal(created, true);
	assert.deepEqual(await tasks.query({ sort: '-created_at', limit: 1 }), [row]);
	assert.deepEqual(await tasks.query({ filter: { title: 'Buy milk', status: 'open' } }), [milk]);
	assert.equal(await tasks.count(), 2);
	assert.equal(await tasks.count({ status: 'done' }), 0);
	assert.equal((await tasks.updateRow(milk.id, { status: 'done' })).status, 'done');
	const updated = await tasks.updateWhere({ status: 'open' }, { size: 3 }, { allowMultiple: true });
	assert.equal(updated.updated, 1);
	const [added, upserted, one, where, gone] = await tasks.batch([
		{ action: 'add', row: { title: 'Third', status: 'open' } },
		{ action: 'upsert', key: ['title', 'status'], row: { title: 'Third', status: 'open', tags: ['a'] } },
		{ action: 'update_row', id: milk.id, patch: { size: 1 } },
		{ action: 'update_where', filter: { title: 'Water plants' }, patch: { status: 'done' } },
		{ action: 'delete', filter: { title: 'Third' } },
	]);
	// Each has the type of what its single call answers.
	assert.equal(added.title, 'Third');
	assert.equal(upserted.created, false);
	assert.equal(one.row.size, 1);
	assert.equal(where.updated, 1);
	assert.equal(gone.deleted, 1);
	const versions = await tasks.versions(milk.id);
	assert.deepEqual(
		versions.map(({ version, row: { status, size } }) => [version, status, size]),
		[
			[2, 'done', undefined],
			[1, 'open', undefined],
		],
	);
	assert.equal((await tasks.restore(milk.id, 1)).status, 'open');
	assert.equal(await tasks.deleteWhere({ status: 'done' }), 1);
	assert.equal((await puma.limits()).maxTables, null);
	assert.equal((await puma.limits()).maxRowBytes, 65_536);
	assert.deepEqual(await puma.tables(), [{ name: 'tasks', rows: 1 }]);
	const exported = await puma.export();
	assert.deepEqual(exported, { tasks: await tasks.query() });
	assert.deepEqual(await new Response(await puma.exportStream()).json(), { tables: exported });
	for (const link of [
		await tasks.rowLink(milk.id),
		await tasks.textFieldLink(milk.id, 'title', { filename: 'milk.txt' }),
		await tasks.queryLink({ filter: { status: 'open' } }),
	]) {
		assert.equal((await fetch(link.download_url)).status, 200);
	}
	const key = await puma.createKey('second');
	assert.deepEqual(
		(await puma.keys()).map(({ name }) => name),
		[(await puma.keys())[0]!.name, 'second'],
	);
	assert.equal(await puma.revokeKey(key.id), true);
	assert.equal(await puma.revokeKey(key.id), false);
});

test('[12.1] signing in needs no key', async () => {
	const stranger = new Puma({ url: server.url });
	const { dev_magic_link: link } = await stranger.requestMagicLink('grace@example.com');
	const { api_key: apiKey } = await stranger.verifyMagicLink(new URL(link!).searchParams.get('token')!);
	assert.deepEqual(await new Puma({ url: server.url, apiKey }).tables(), []);
	await assert.rejects(stranger.tables(), { name: 'PumaError', code: 'missing_api_key' });
});

test('[12.1] wrong rows, filters and results do not compile', () => {
	const tasks = puma.table<Task>('tasks');
	// Never run: the compiler fails where one of these lines has no error.
	const _wrong = async (): Promise<void> => {
		// @ts-expect-error a member is missing
		await tasks.add({ title: 'x' });
		// @ts-expect-error no such value
		await tasks.query({ filter: { status: 'opne' } });
		// @ts-expect-error no such member
		await tasks.query({ sort: '-statsu' });
		// @ts-expect-error arrays cannot be filtered on
		await tasks.query({ filter: { tags: ['a'] } });
		// @ts-expect-error not a scalar
		await puma.table('any').query({ filter: { a: {} } });
		// @ts-expect-error a patch of another type
		await tasks.updateRow('id', { size: 'large' });
		// @ts-expect-error the service's own members are not written
		await tasks.upsert('title', { id: 'x', title: 'x', status: 'open' });
		const [deleted] = await tasks.batch([{ action: 'delete', filter: { title: 'x' } }]);
		// @ts-expect-error a delete answers a number, not rows
		deleted.row;
		// @ts-expect-error no such code
		isPumaError(undefined, 'no_such_code');
	};
	assert.ok(_wrong);
});

test('[12.2] a refusal has the code, status, message, details and request id of the answer', async () => {
	const tasks = puma.table('refused');
	await tasks.add({ n: 1 });
	await tasks.add({ n: 1 });
	const error = await tasks.updateWhere({ n: 1 }, {}).catch((thrown: unknown) => thrown);
	assert.ok(isPumaError(error, 'multiple_matches', 'row_not_found'));
	assert.equal(isPumaError(error as unknown, 'row_not_found'), false);
	assert.equal(error.status, 409);
	assert.equal(error.details.matched, 2);
	assert.match(error.message, /allowMultiple/);
	assert.match(error.requestId!, /^[0-9a-f]+-/);
	assert.equal(error.maybeDone, false);
});

test('[12.2] what is not a pumaDB server is told, not parsed', async () => {
	const other = createServer((req, res) => {
		if (req.url === '/v1/_tables') res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hello</h1>');
		else if (req.url === '/v1/_keys') res.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":');
		else res.writeHead(404).end();
	});
	await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
	try {
		const wrong = new Puma({ url: `http://127.0.0.1:${(other.address() as AddressInfo).port}`, apiKey: ada.key });
		for (const call of [wrong.tables(), wrong.keys(), wrong.table('x').query()]) {
			await assert.rejects(call, { name: 'PumaError', code: 'unexpected_answer', message: /pumaDB server\?/ });
		}
	} finally {
		other.close();
	}
});

test('[12.2] generated codes are those of the catalogue', () => {
	const text = readFileSync(join(ROOT, 'client/src/generated.ts'), 'utf8');
	const union = text.slice(text.indexOf('export type ServiceErrorCode'));
	const codes = [...union.matchAll(/^\t\| '(\w+)'/gm)].map((match) => match[1]);
	assert.deepEqual(codes, Object.keys(ERROR_CATALOGUE));
});

test('[12.6] a value that JSON would quietly change is refused, with the name of its member', async () => {
	const table = puma.table('exact');
	for (const value of [Number.NaN, Number.POSITIVE_INFINITY, () => 1, Symbol('s'), new Map(), new Set(), [undefined]]) {
		await assert.rejects(table.add({ deep: { value } }), (error) => isPumaError(error, 'not_json'), String(value));
	}
	const circular: Record<string, unknown> = {};
	circular.self = circular;
	await assert.rejects(table.add(circular), { code: 'not_json', message: /contains itself/ });
	await assert.rejects(table.add({ sizes: [1, Number.NaN] }), {
		message: /^NaN at \$\.sizes\[1\] cannot be sent/,
		details: { path: '$.sizes[1]' },
	});
	await assert.rejects(table.add({ big: 2n ** 53n + 1n }), { code: 'number_not_exact', message: /9007199254740993/ });
	assert.equal(await table.count(), 0);
	const row = await table.add({ big: 2n ** 60n, at: new Date(0), left: undefined, ['__proto__']: 1 });
	assert.equal(row.big, 2 ** 60);
	assert.equal(row.at, '1970-01-01T00:00:00.000Z');
	assert.ok(!('left' in row));
});

test('[12.6] stringifyExact writes what JSON.stringify writes, wherever that means the same', () => {
	fc.assert(
		fc.property(fc.jsonValue(), (value) => {
			assert.deepEqual(JSON.parse(stringifyExact(value)), JSON.parse(JSON.stringify(value)));
		}),
	);
	assert.equal(
		stringifyExact([2 ** 60, -(2 ** 60), -0, 1e21, 0.1, '\ud800', { a: undefined }]),
		'[1152921504606846976,-1152921504606846976,0,1e+21,0.1,"\\ud800",{}]',
	);
});

test('[12.6] a filter with an undefined member is refused: it would match more', async () => {
	const table = puma.table('filters');
	await table.add({ a: 1 });
	const filter = { a: 1, owner: undefined };
	for (const call of [
		() => table.query({ filter }),
		() => table.count(filter),
		() => table.deleteWhere(filter),
		() => table.updateWhere(filter, {}),
		() => table.queryLink({ filter }),
		() => table.batch([{ action: 'delete', filter }]),
		() => table.get(undefined as unknown as string),
	]) {
		await assert.rejects(async () => call(), { code: 'invalid_filter', message: /undefined/ });
	}
	assert.equal(await table.count(), 1);
});

test('[12.6] whatever number is stored comes back as it was sent', async () => {
	const table = puma.table<{ numbers: number[] }>('numbers');
	const { id } = await table.add({ numbers: [] });
	const large = fc
		.integer({ min: 53, max: 69 })
		.chain((bits) => fc.double({ min: 2 ** bits, max: 2 ** (bits + 1), noNaN: true }));
	const number = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), large.map(Math.round));
	const numbers = fc.array(number, { maxLength: 20 });
	await fc.assert(
		fc.asyncProperty(numbers, async (sent) => {
			const expected = sent.map((value) => value + 0);
			const stored = await table.updateRow(id, { numbers: sent });
			assert.deepEqual(stored.numbers, expected);
			assert.deepEqual((await table.get(id))?.numbers, expected);
		}),
		{ numRuns: 50 },
	);
});

test('[12.6] parseExact is JSON.parse, except for numbers that come out as others', () => {
	fc.assert(
		fc.property(fc.jsonValue(), (value) => {
			assert.deepEqual(parseExact(stringifyExact(value)), JSON.parse(JSON.stringify(value)));
		}),
	);
	fc.assert(
		fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (value) => {
			const text = `{"a":[${value}]}`;
			if (BigInt(Number(value)) === value) assert.deepEqual(parseExact(text), { a: [Number(value)] });
			else assert.throws(() => parseExact(text), { code: 'number_not_exact' });
		}),
	);
	for (const lost of ['1e400', '-1e400', '1e-400', '9007199254740993']) {
		assert.throws(() => parseExact(`{"a":${lost}}`), { code: 'number_not_exact', details: { path: '…a' } }, lost);
	}
	assert.deepEqual(parseExact('[0.1, 1e3, 0e-400, "9007199254740993"]'), [0.1, 1000, 0, '9007199254740993']);
	assert.throws(() => parseExact('{'), SyntaxError);
	assert.equal(parseExact('1152921504606846976'), 2 ** 60);
	assert.throws(() => parseExact('1152921504606847000'), { code: 'number_not_exact' });
});

test('[12.7] the key goes to the one server: no redirect is followed, and no message repeats it', async () => {
	const seen: string[] = [];
	const other = createServer((req, res) => {
		seen.push(req.url!);
		res.writeHead(302, { location: '/elsewhere' }).end();
	});
	await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
	try {
		const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
		await assert.rejects(new Puma({ url, apiKey: ada.key }).tables(), { code: 'unexpected_answer', status: 302 });
		assert.deepEqual(seen, ['/v1/_tables']);
	} finally {
		other.close();
	}
	for (const apiKey of ['', 'two words', 'line\nbreak', 'ключ']) {
		assert.throws(
			() => new Puma({ url: server.url, apiKey }),
			(error) => isPumaError(error, 'invalid_api_key') && (apiKey === '' || !error.message.includes(apiKey)),
		);
	}
});

test('[12.7] an address that is none, and names that would lead to another path, are refused', async () => {
	for (const url of [
		'',
		'memory.example.com',
		'ftp://a',
		'https://user:pass@a',
		'https://a/path',
		'https://a/?q',
		'https://a/#h',
	]) {
		assert.throws(() => new Puma({ url, apiKey: ada.key }), { code: 'invalid_request' }, url);
	}
	assert.equal(new Puma({ url: 'https://memory.example.com/' }).url, 'https://memory.example.com');
	for (const name of ['', '.', '..']) await assert.rejects(puma.revokeKey(name), { code: 'invalid_request' });
});

test("[12.7] no table's name reaches the service's other paths: it is refused before anything is sent", async () => {
	let sent = 0;
	const counting = new Puma({
		url: server.url,
		apiKey: ada.key,
		fetch: (...args) => {
			sent++;
			return fetch(...args);
		},
	});
	const keys = await puma.keys();
	const names = [
		'_keys',
		'_row_links',
		'_export',
		'_tables',
		'',
		'.',
		'..',
		'../_keys',
		'a/b',
		'a\n',
		'é',
		'a'.repeat(65),
	];
	for (const name of names) {
		const table = counting.table(name);
		const refusal = { name: 'PumaError', code: 'invalid_table_name', status: undefined };
		await assert.rejects(table.add({ name: 'evil' }), refusal, name);
		await assert.rejects(table.query(), refusal, name);
		await assert.rejects(table.count(), refusal, name);
		await assert.rejects(table.upsert('name', { name: 'evil' }), refusal, name);
		await assert.rejects(table.deleteWhere({ id: keys[0]!.id }), refusal, name);
		await assert.rejects(table.batch([{ action: 'add', row: { name: 'evil' } }]), refusal, name);
	}
	assert.equal(sent, 0);
	assert.deepEqual(await puma.keys(), keys);
	assert.deepEqual(await counting.table('a'.repeat(64)).query(), []);
});

test('[12.1] small: at most 5 KB compressed, and nothing is imported', async (t) => {
	const { minified, compressed, code } = await measureClient();
	t.diagnostic(`${minified} bytes minified, ${compressed} bytes compressed`);
	assert.ok(compressed <= 5 * 1024, `${compressed}`);
	assert.doesNotMatch(code, /\bimport\b|\brequire\b|\bprocess\b|\bBuffer\b/);
	const manifest = JSON.parse(readFileSync(join(ROOT, 'client/package.json'), 'utf8'));
	assert.equal(manifest.dependencies, undefined);
});

/** A session in the compiled client, as plain JavaScript for any runtime. */
const SESSION = `
const { Puma, isPumaError, parseExact } = await import('./client/index.js');
const [url, apiKey, deadUrl] = ARGS;
const puma = new Puma({ url, apiKey });
const rows = puma.table('runtimes');
const row = await rows.add({ n: 1 }, { signal: AbortSignal.timeout(20000) });
await rows.batch([{ action: 'add', row: { n: 2 } }, { action: 'add', row: { n: 3 } }]);
await rows.updateRow(row.id, { n: 4 });
const dead = new Puma({ url: deadUrl, apiKey, maxRetries: 1 });
const error = await dead.table('x').updateRow('x', {}).catch((thrown) => thrown);
const refused = await rows.updateRow('x', {}).catch((thrown) => thrown);
const lost = (() => { try { return parseExact('9007199254740993'); } catch (thrown) { return thrown.code; } })();
console.log(JSON.stringify({
	n: (await rows.query({ sort: 'n' })).map(({ n }) => n),
	dead: [error.code, error.maybeDone], refused: isPumaError(refused, 'row_not_found'), lost,
}));
await rows.deleteWhere({ n: 2 }); await rows.deleteWhere({ n: 3 }); await rows.deleteWhere({ n: 4 });
`;

const RUNTIMES: Readonly<Record<string, { readonly run: readonly string[]; readonly args: string }>> = {
	node: { run: [process.execPath], args: 'process.argv.slice(2)' },
	deno: { run: ['deno', 'run', '--quiet', '--allow-net', '--allow-read'], args: 'Deno.args' },
	bun: { run: ['bun', 'run'], args: 'process.argv.slice(2)' },
};

for (const [name, { run, args }] of Object.entries(RUNTIMES)) {
	test(`[12.1] compiled, it runs in ${name}`, async (t) => {
		const dead = await deadUrl();
		const [program, ...flags] = run;
		if (spawnSync(program!, ['--version']).error !== undefined) return t.skip(`there is no ${name} on the PATH`);
		const dir = temporaryDir();
		const built = spawnSync(
			process.execPath,
			[
				join(ROOT, 'node_modules/typescript/bin/tsc'),
				'-p',
				join(ROOT, 'client/tsconfig.build.json'),
				'--outDir',
				join(dir, 'client'),
			],
			{ encoding: 'utf8' },
		);
		assert.equal(built.status, 0, built.stdout);
		assert.ok(readdirSync(join(dir, 'client')).includes('index.d.ts'));
		writeFileSync(join(dir, 'session.mjs'), SESSION.replace('ARGS', args));
		const { stdout, stderr, status } = spawnSync(
			program!,
			[...flags, join(dir, 'session.mjs'), server.url, ada.key, dead],
			{
				encoding: 'utf8',
			},
		);
		assert.equal(status, 0, stderr);
		assert.deepEqual(JSON.parse(stdout), {
			n: [2, 3, 4],
			dead: ['connection_failed', false],
			refused: true,
			lost: 'number_not_exact',
		});
	});
}

test('[12.1] packed, it installs and compiles, and the example of its README runs', async () => {
	const eve = await signIn(server);
	const dir = temporaryDir();
	const run = (command: string, args: readonly string[], cwd: string): string => {
		const env = { ...process.env, PUMADB_URL: server.url, PUMADB_API_KEY: eve.key };
		const { stdout, stderr, status } = spawnSync(command, args, { cwd, encoding: 'utf8', env });
		assert.equal(status, 0, `${stdout}${stderr}`);
		return stdout;
	};
	const packed = run('npm', ['pack', '--silent', '--pack-destination', dir], join(ROOT, 'client'))
		.trim()
		.split('\n')
		.at(-1)!;
	const files = run('tar', ['-tzf', packed], dir).trim().split('\n');
	for (const wanted of ['dist/index.js', 'dist/index.d.ts', 'README.md', 'LICENSE', 'package.json']) {
		assert.ok(files.includes(`package/${wanted}`), wanted);
	}
	assert.ok(
		files.every((file) => /^package\/(dist\/[\w.]+|README\.md|LICENSE|package\.json)$/.test(file)),
		files.join(' '),
	);
	const installed = join(dir, 'node_modules/@pumadb/client');
	mkdirSync(installed, { recursive: true });
	run('tar', ['-xzf', packed, '-C', installed, '--strip-components=1'], dir);
	const readme = readFileSync(join(installed, 'README.md'), 'utf8');
	const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
	writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
	writeFileSync(join(dir, 'example.ts'), example);
	writeFileSync(
		join(dir, 'tsconfig.json'),
		JSON.stringify({
			compilerOptions: {
				strict: true,
				module: 'nodenext',
				target: 'es2023',
				noEmit: true,
				types: ['node'],
				typeRoots: [join(ROOT, 'node_modules/@types')],
			},
			files: ['example.ts'],
		}),
	);
	run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir], dir);
	run(process.execPath, ['example.ts'], dir);
	assert.equal((await eve.rows('tasks', { filter: { title: 'Water plants' } })).length, 1);
});

test('[12.2] an error is told from others', () => {
	assert.ok(isPumaError(new PumaError('timeout', 'x')));
	assert.ok(!isPumaError(new Error('x')));
	assert.ok(!isPumaError(undefined, 'timeout'));
});
