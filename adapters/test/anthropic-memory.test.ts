import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BetaLocalFilesystemMemoryTool, betaMemoryTool } from '@anthropic-ai/sdk/tools/memory/node';
import fc from 'fast-check';
import { Puma } from '../../client/src/index.ts';
import { type Client, signIn } from '../../test/support/client.ts';
import { NO_RATE_LIMITS, startServer, type TestServer, temporaryDir } from '../../test/support/server.ts';
import { PumaMemory } from '../src/anthropic-memory.ts';

let server: TestServer;
let ada: Client;
let puma: Puma;
let scopes = 0;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_ROWS_PER_TABLE: '0', PUMADB_MAX_QUERY_LIMIT: '5000' });
	ada = await signIn(server);
	puma = new Puma({ url: server.url, apiKey: ada.key });
});
after(() => server.stop());

const newMemory = (): PumaMemory => new PumaMemory(puma, { scope: `scope${++scopes}` });
type Command = Parameters<ReturnType<typeof betaMemoryTool>['run']>[0];

/** What the tool answers, or why it does not. */
async function outcome(tool: ReturnType<typeof betaMemoryTool>, command: Command): Promise<string> {
	try {
		return String(await tool.run(command));
	} catch (error) {
		return `error: ${(error as Error).message}`;
	}
}

const path = fc.constantFrom('/memories/a.txt', '/memories/b.md', '/memories/dir/c.txt', '/memories/dir/d.txt');
const word = fc.constantFrom('alpha', 'beta', 'gamma', 'delta');
const text = fc.uniqueArray(word, { maxLength: 4 }).map((words) => words.join('\n'));
const command = fc.oneof(
	{ weight: 3, arbitrary: fc.record({ command: fc.constant('create'), path, file_text: text }) },
	fc.record({
		command: fc.constant('view'),
		path,
		view_range: fc.option(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom(-1, 1, 2, 5)), { nil: undefined }),
	}),
	fc.record({ command: fc.constant('str_replace'), path, old_str: word, new_str: fc.constantFrom('x$&', 'y\nz', '') }),
	fc.record({
		command: fc.constant('insert'),
		path,
		insert_line: fc.integer({ min: -1, max: 5 }),
		insert_text: fc.constantFrom('one\n', 'two', 'a\nb\n'),
	}),
	fc.record({ command: fc.constant('delete'), path }),
	fc.record({ command: fc.constant('rename'), old_path: path, new_path: path }),
) as fc.Arbitrary<Command>;

test("[12.11] Anthropic memory: whatever is done to files, the SDK's own backend answers the same", async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
			const ours = betaMemoryTool(newMemory());
			const theirs = betaMemoryTool(await BetaLocalFilesystemMemoryTool.init(temporaryDir()));
			for (const one of commands)
				assert.equal(await outcome(ours, one), await outcome(theirs, one), JSON.stringify(one));
		}),
		{ numRuns: 30 },
	);
});

test('[12.11] Anthropic memory: directories are listed two levels deep, renamed and deleted with all in them', async () => {
	const tool = betaMemoryTool(newMemory());
	const create = (name: string, file_text: string) =>
		tool.run({ command: 'create', path: `/memories/${name}`, file_text });
	assert.match(String(await tool.run({ command: 'view', path: '/memories' })), /^Here're [^\n]*\n0B\t\/memories$/);
	for (const [name, content] of [
		['z.txt', 'x'.repeat(1536)],
		['d/e/f.txt', 'deep'],
		['d/g.txt', 'é'],
		['.hidden', 'h'],
	] as const)
		await create(name, content);
	const expected = [
		'1.5K\t/memories',
		'6B\t/memories/d/',
		'4B\t/memories/d/e/',
		'2B\t/memories/d/g.txt',
		'1.5K\t/memories/z.txt',
	];
	assert.deepEqual(
		String(await tool.run({ command: 'view', path: '/memories/' }))
			.split('\n')
			.slice(1),
		expected,
	);
	await tool.run({ command: 'rename', old_path: '/memories/d', new_path: '/memories/moved' });
	assert.match(await outcome(tool, { command: 'view', path: '/memories/moved/e/f.txt' }), /1\tdeep$/);
	assert.match(
		await outcome(tool, { command: 'create', path: '/memories/z.txt/below', file_text: '' }),
		/error: \/memories\/z\.txt is a file/,
	);
	assert.match(await outcome(tool, { command: 'create', path: '/memories/moved', file_text: '' }), /already exists/);
	assert.match(
		await outcome(tool, { command: 'rename', old_path: '/memories/moved', new_path: '/memories/moved/in' }),
		/error/,
	);
	await tool.run({ command: 'delete', path: '/memories/moved' });
	assert.match(await outcome(tool, { command: 'view', path: '/memories/moved' }), /does not exist/);
	for (const name of ['delete', 'view'] as const)
		assert.match(await outcome(tool, { command: name, path: '/memories/moved/g.txt' }), /does not exist/);
	assert.match(await outcome(tool, { command: 'delete', path: '/memories' }), /Cannot delete/);
});

test('[12.11] Anthropic memory: no path leads out of /memories, nor to another scope', async () => {
	const tool = betaMemoryTool(newMemory());
	await betaMemoryTool(new PumaMemory(puma, { scope: 'other' })).run({
		command: 'create',
		path: '/memories/secret',
		file_text: 's',
	});
	for (const bad of [
		'/etc/passwd',
		'/memoriesx',
		'memories/a',
		'',
		'/memories/../etc/passwd',
		'/memories/a/../../b',
		'/memories/./a',
		'/memories//a',
		'/memories/%2e%2e/a',
		'/memories/..%2fa',
		'/memories/%2E%2E%5Ca',
		'/memories/a\\..\\b',
		'/memories/a\u0000b',
		'/memories/a\nb',
	]) {
		for (const one of [
			{ command: 'view', path: bad },
			{ command: 'create', path: bad, file_text: 'x' },
			{ command: 'str_replace', path: bad, old_str: 'a', new_str: 'b' },
			{ command: 'insert', path: bad, insert_line: 0, insert_text: 'x' },
			{ command: 'delete', path: bad },
			{ command: 'rename', old_path: bad, new_path: '/memories/x' },
			{ command: 'rename', old_path: '/memories/x', new_path: bad },
		] as Command[]) {
			assert.match(await outcome(tool, one), /^error: Path /, `${one.command} ${bad}`);
		}
	}
	assert.match(await outcome(tool, { command: 'view', path: '/memories/secret' }), /does not exist/);
});

test('[12.11] Anthropic memory: edits at the same time are all kept, and of two creations one is told', async () => {
	const memory = newMemory();
	const tool = betaMemoryTool(memory);
	const created = await Promise.all(
		Array.from({ length: 4 }, (_, n) =>
			outcome(tool, { command: 'create', path: '/memories/one', file_text: `by ${n}` }),
		),
	);
	assert.equal(created.filter((text) => text.startsWith('File created')).length, 1, created.join('; '));
	await tool.run({ command: 'create', path: '/memories/log', file_text: '' });
	await Promise.all(
		Array.from({ length: 4 }, (_, n) =>
			tool.run({ command: 'insert', path: '/memories/log', insert_line: 0, insert_text: `line ${n}` }),
		),
	);
	const log = String(await tool.run({ command: 'view', path: '/memories/log' }));
	for (let n = 0; n < 4; n++) assert.match(log, new RegExp(`line ${n}$`, 'm'));
	assert.match(
		await outcome(tool, { command: 'create', path: '/memories/large', file_text: 'x'.repeat(70_000) }),
		/error: .*65536|bytes/,
	);
	const [row] = await ada.rows('memory_files', { filter: { path: '/memories/log' } });
	assert.ok(
		(await ada.get('/v1/memory_files/versions', { id: row.id })).body.versions.length >= 4,
		'earlier texts are kept',
	);
});

test('[12.11] Anthropic memory: of renames at the same time to one path, or of one file, one is done and the others are told', async () => {
	for (let round = 0; round < 10; round++) {
		const tool = betaMemoryTool(newMemory());
		const scope = `scope${scopes}`;
		const sources = ['a', 'b', 'dir/c'].map((name) => `/memories/${name}`);
		for (const path of sources) await tool.run({ command: 'create', path, file_text: `text of ${path}` });
		const onto = await Promise.all(
			sources.map((path) => outcome(tool, { command: 'rename', old_path: path, new_path: '/memories/one' })),
		);
		assert.equal(onto.filter((text) => text.startsWith('Successfully renamed')).length, 1, onto.join('; '));
		assert.equal(onto.filter((text) => text === 'error: The destination /memories/one already exists').length, 2);
		const away = await Promise.all(
			['x', 'y', 'z'].map((name) =>
				outcome(tool, { command: 'rename', old_path: '/memories/one', new_path: `/memories/${name}` }),
			),
		);
		assert.equal(away.filter((text) => text.startsWith('Successfully renamed')).length, 1, away.join('; '));
		assert.equal(away.filter((text) => text === 'error: The path /memories/one does not exist').length, 2);
		const rows = await ada.rows('memory_files', { filter: { scope } });
		assert.deepEqual(rows.map(({ text }) => text).toSorted(), sources.map((path) => `text of ${path}`).toSorted());
		assert.equal(new Set(rows.map(({ path }) => path)).size, 3, 'no two files have one path');
		const done = away.findIndex((text) => text.startsWith('Successfully'));
		assert.ok(rows.some(({ path }) => path === `/memories/${['x', 'y', 'z'][done]}`));
	}
});

test('[12.11] Anthropic memory: a directory is renamed as a whole or not, with what was left of a creation cut short', async () => {
	const tool = betaMemoryTool(newMemory());
	const scope = `scope${scopes}`;
	await tool.run({ command: 'create', path: '/memories/d/a', file_text: 'first' });
	await ada.add('memory_files', { scope, path: '/memories/d/a', text: 'left over' });
	await tool.run({ command: 'rename', old_path: '/memories/d', new_path: '/memories/e' });
	const rows = await ada.rows('memory_files', { filter: { scope } });
	assert.deepEqual(
		rows.map(({ path, text }) => [path, text]),
		[['/memories/e/a', 'first']],
	);
	for (let n = 0; n < 50; n++) await ada.add('memory_files', { scope, path: `/memories/e/${n}`, text: '' });
	assert.equal(
		await outcome(tool, { command: 'rename', old_path: '/memories/e', new_path: '/memories/f' }),
		'error: /memories/e has more than 50 files: rename its parts',
	);
	await tool.run({ command: 'delete', path: '/memories/e/0' });
	await tool.run({ command: 'rename', old_path: '/memories/e', new_path: '/memories/f' });
	assert.equal(
		(await ada.rows('memory_files', { filter: { scope } })).filter(({ path }) => path.startsWith('/memories/f/'))
			.length,
		50,
	);
});
