import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { PACKAGES, wrongContents } from '../scripts/package-contents.ts';
import { copyCheckout } from './support/checkout.ts';
import { makeHome } from './support/command-line.ts';
import { ROOT, temporaryDir } from './support/server.ts';

/** The packed server, client and adapters, installed in an empty directory as a user installs them. */

/** Another Node to run the installed program with, such as the oldest that it claims to run on. */
const NODE = process.env.PUMADB_TEST_NODE ?? process.execPath;
const directory = temporaryDir();
const home = makeHome().dir;
const env = {
	PATH: `${dirname(NODE)}${delimiter}${process.env.PATH}`,
	HOME: home,
	PUMADB_PORT: '0',
	PUMADB_DATA_DIR: join(home, 'data'),
};
const installed = join(directory, 'node_modules/.bin/pumadb');
const contents = new Map<string, string[]>();
let checkout: string;
let server: ReturnType<typeof spawn> | undefined;

interface Packed {
	filename: string;
	files: { path: string }[];
}

function pack(place: string): Packed {
	const options = ['pack', '--json', '--silent', '--pack-destination', directory];
	const answer = JSON.parse(execFileSync('npm', options, { cwd: place, encoding: 'utf8' }));
	return Array.isArray(answer) ? answer[0] : (Object.values(answer)[0] as Packed);
}
const pumadb = (...args: string[]): string => execFileSync(installed, args, { cwd: directory, env, encoding: 'utf8' });

/** What a checkout may hold beside what is published. */
const STRAYS =
	'.env bin/other.js lib/stale.js pages/dist/notes.txt src/debug.log client/.env client/notes.txt client/dist/stale.js adapters/.env adapters/dist/stale.js'.split(
		' ',
	);

before(() => {
	checkout = copyCheckout();
	for (const stray of STRAYS) {
		mkdirSync(dirname(join(checkout, stray)), { recursive: true });
		writeFileSync(join(checkout, stray), 'secret');
	}
	writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
	const tarballs = PACKAGES.map(({ name, directory: place }) => {
		const packed = pack(join(checkout, place));
		contents.set(
			name,
			packed.files.map(({ path }) => path),
		);
		return `./${packed.filename}`;
	});
	execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs], { cwd: directory });
});
after(() => server?.kill('SIGKILL'));

test('[15.1] each package has what is meant, and nothing else that lies about', () => {
	for (const one of PACKAGES) {
		const packed = contents.get(one.name)!;
		assert.deepEqual(wrongContents(one, packed, checkout), []);
		const changed = [...packed.filter((file) => file !== 'LICENSE'), 'dist/stale.js'];
		assert.deepEqual(wrongContents(one, changed, checkout), [
			`The package ${one.name} would hold dist/stale.js, which is not meant.`,
			`The package ${one.name} lacks LICENSE.`,
		]);
	}
});

test('[15.2] installed, it serves, signs in, imports, queries, restores and speaks MCP', async () => {
	server = spawn(installed, ['serve'], { cwd: directory, env, stdio: ['ignore', 'pipe', 'ignore'] });
	const ended = once(server, 'exit').then(([code]) => assert.fail(`the server ended with ${code}`));
	const [line] = await Promise.race([once(server.stdout!.setEncoding('utf8'), 'data'), ended]);
	const url = /http:\S+/.exec(line)![0];
	assert.equal((await fetch(`${url}/readyz`)).status, 200);
	assert.equal((await fetch(url, { headers: { Accept: 'text/html' } })).status, 200);
	pumadb('login', '--url', url, '--email', 'ada@example.com');
	const memory = join(directory, 'memory.jsonl');
	const entity = { type: 'entity', name: 'Ada', entityType: 'person', observations: ['likes tea'] };
	writeFileSync(memory, `${JSON.stringify(entity)}\n`);
	pumadb('import', memory);
	const rows = JSON.parse(pumadb('get', 'entities', '--json')).rows;
	assert.equal(rows[0].name, 'Ada');
	pumadb('update', 'entities', rows[0].id, 'name=Eve');
	pumadb('restore', 'entities', rows[0].id, '--version', '1');
	assert.equal(JSON.parse(pumadb('get', 'entities', '--json')).rows[0].name, 'Ada');
	const input = `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } } })}\n${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' })}\n`;
	const answers = execFileSync(installed, ['mcp'], { cwd: directory, env, input, encoding: 'utf8' });
	assert.match(answers, /"name":"remember"/);
	const program = `import { Puma } from '@pumadb/client'; console.log(typeof Puma)`;
	assert.equal(
		execFileSync(NODE, ['--input-type=module', '-e', program], { cwd: directory, encoding: 'utf8' }),
		'function\n',
	);
});

test('[12.8] [15.2] the first program of the adapters’ README runs with the installed packages and the real framework', () => {
	const readme = readFileSync(join(directory, 'node_modules/@pumadb/adapters/README.md'), 'utf8');
	writeFileSync(join(directory, 'memory.mjs'), /```js\n([\s\S]*?)```/.exec(readme)![1]!);
	mkdirSync(join(directory, 'node_modules/@langchain'));
	const framework = '@langchain/langgraph-checkpoint';
	symlinkSync(join(ROOT, 'adapters/node_modules', framework), join(directory, 'node_modules', framework));
	const { api_key: key } = JSON.parse(pumadb('keys', 'create', 'my-agent', '--json'));
	const { url } = JSON.parse(readFileSync(join(home, '.config/pumadb/login.json'), 'utf8'));
	const printed = execFileSync(NODE, ['memory.mjs'], {
		cwd: directory,
		env: { ...env, PUMADB_URL: url, PUMADB_API_KEY: key },
		encoding: 'utf8',
	});
	assert.equal(printed, "[ { key: 'preferences', value: { theme: 'dark', language: 'en' } } ]\n");
	const [row] = JSON.parse(pumadb('get', 'langgraph_store', '--json')).rows;
	assert.equal(row.namespace, '["users","ada"]');
});

test('[15.3] installed under an older Node, it says so in one sentence', () => {
	const preload = join(directory, 'older.cjs');
	writeFileSync(preload, "Object.defineProperty(process.versions, 'node', { value: '22.1.0' });");
	const program = join(directory, 'node_modules/pumadb/bin/pumadb.js');
	const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', preload, program], { encoding: 'utf8' });
	assert.equal(status, 1);
	assert.equal(stdout, '');
	assert.match(stderr, /^pumaDB needs Node\.js 24 or newer and this is 22\.1\.0: install a newer Node\.js.*\n$/);
});
