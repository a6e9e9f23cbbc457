import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { OPERATIONS } from '../src/generated/operations.ts';
import { DOC_PAGES, DOCS_DIRECTORY, type DocPage, docPath } from '../src/http/doc-pages.ts';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import { signIn } from './support/client.ts';
import { NO_RATE_LIMITS, ROOT, startServer, type TestServer, temporaryDir } from './support/server.ts';

// One directory for each program that is run.
process.setMaxListeners(40);

let server: TestServer;

before(async () => {
	server = await startServer({ ...NO_RATE_LIMITS, PUMADB_MAX_BATCH_OPERATIONS: '77', PUMADB_LINK_TTL_SECONDS: '900' });
});
after(() => server.stop());

interface Block {
	readonly language: string;
	readonly mark: string;
	readonly code: string;
}

const RUN = ['sh', 'ts', 'python'];
const ADAPTERS = ['langgraph', 'ai-sdk', 'openai-agents', 'anthropic-memory'];
/** What the last block of a page must print, where the page promises more than that nothing is refused. */
const LAST: Readonly<Record<string, RegExp>> = {
	'how-to-use sh': /"title":"Water the plants"/,
	'quickstart sh': /"title":"Water the plants"/,
	'quickstart ts': /^\[ 'Buy milk' \]$/m,
	'quickstart python': /^Call Ada$/m,
	'writes sh': /"deleted":1/,
	'versions sh': /"deleted":false[^\n]*\{"id":"[^"]+","text":"first"/s,
	'links sh': /"viewer_url":"http/,
	'errors ts': /\w/,
	'limits sh': /"x-pumadb-limits":\{"maxTables":20/,
	'self-hosting sh': /--data-dir/,
	'client ts': /^\d+$/m,
	'command-line sh': /^Would upsert, by email, 2 rows into people/m,
	'adapters ts': /Ada likes tea\./,
};
const BETWEEN = '-- next block --';

function blocksOf(text: string): Block[] {
	return [...text.matchAll(/^```(\w*) ?(\S*)\n([\s\S]*?)^```$/gm)].map(([, language, mark, code]) => ({
		language: language!,
		mark: mark!,
		code: code!,
	}));
}

async function twinOf(page: DocPage): Promise<string> {
	const response = await fetch(`${server.url}${docPath(page)}.md`);
	assert.equal(response.status, 200, page);
	assert.equal(response.headers.get('content-type'), 'text/markdown; charset=utf-8');
	return response.text();
}

test('[10.7] every page and its twin show this address and the limits in force, and no place is left open', async () => {
	assert.deepEqual(readdirSync(DOCS_DIRECTORY).toSorted(), DOC_PAGES.map((page) => `${page}.md`).toSorted());
	for (const page of DOC_PAGES) {
		const twin = await twinOf(page);
		const response = await fetch(server.url + docPath(page));
		assert.equal(response.status, 200, page);
		assert.match(response.headers.get('content-security-policy')!, /script-src 'self'/);
		const html = await response.text();
		const source = readFileSync(join(DOCS_DIRECTORY, `${page}.md`), 'utf8');
		for (const text of [twin, html]) {
			assert.doesNotMatch(text, /\{\{|%7B%7B|%[A-Z]+%|__[A-Z]+__/, page);
			assert.equal(text.split('undefined').length, source.split('undefined').length, page);
			if (source.includes('{{url}}')) assert.ok(text.includes(server.url), page);
		}
		assert.ok(html.includes(`href="${docPath(page)}.md"`), page);
		assert.doesNotMatch(html, /<script|style=/, page);
	}
	for (const path of ['/docs/limits', '/docs/limits.md', '/docs/writes', '/docs/writes.md']) {
		assert.match(await (await fetch(server.url + path)).text(), /\b77\b/, path);
	}
	assert.match(await twinOf('limits'), /\| writes a minute and key \| unlimited \|/);
	assert.match(await twinOf('links'), /lives 15 minutes/);
});

test('[10.7] every link of every page and twin leads to something that is there', async () => {
	for (const page of DOC_PAGES) {
		for (const [, to] of (await twinOf(page)).matchAll(/\]\(([^)]+)\)/g)) {
			assert.ok(to!.startsWith(`${server.url}/`), `${page}: ${to}`);
			assert.equal((await fetch(to!)).status, 200, `${page}: ${to}`);
		}
		const html = await (await fetch(server.url + docPath(page))).text();
		for (const [, to] of html.matchAll(/ href="([^"]+)"/g)) {
			if (to!.startsWith('#')) assert.ok(html.includes(`id="${to!.slice(1)}"`), `${page}: ${to}`);
			else assert.equal((await fetch(new URL(to!, server.url))).status, 200, `${page}: ${to}`);
		}
	}
});

test('[10.9] the reference has every operation with its statuses', async () => {
	const reference = await twinOf('reference');
	for (const { id, method, path, statuses } of Object.values(OPERATIONS)) {
		const part = reference.split(`\n## ${id}\n`)[1]?.split('\n## ')[0];
		assert.ok(part?.includes(`\`${method} ${path}\``), id);
		for (const status of statuses) assert.ok(part!.includes(`\n| ${status} |`), `${id} ${status}`);
	}
});

test('[10.8] every block is in a language that is run, is data, or says that it is not run', async () => {
	const marks: Record<string, number> = {};
	for (const page of DOC_PAGES) {
		const blocks = blocksOf(await twinOf(page));
		const fences = readFileSync(join(DOCS_DIRECTORY, `${page}.md`), 'utf8').match(/^\s*(```|~~~)/gm) ?? [];
		assert.equal(fences.length, blocks.length * 2, `${page} has a fence that this test does not see`);
		for (const { language, mark } of blocks) {
			assert.ok([...RUN, 'json'].includes(language), `${page}: ${language}`);
			assert.ok(['', 'not-run', 'refused'].includes(mark), `${page}: ${mark}`);
			if (mark !== '') marks[mark] = (marks[mark] ?? 0) + 1;
		}
		const html = await (await fetch(server.url + docPath(page))).text();
		const told = html.split('Not run by the tests.').length - 1;
		assert.equal(told, blocks.filter(({ mark }) => mark === 'not-run').length, page);
	}
	assert.deepEqual(marks, { 'not-run': 12, refused: 1 });
});

test('[10.7] where limits are switched off, every text says so in words', async (t) => {
	const names = Object.keys(DEFAULT_LIMITS).map((name) => `PUMADB_${name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`);
	const free = await startServer(Object.fromEntries(names.map((name) => [name, '0'])));
	t.after(() => free.stop());
	const paths = DOC_PAGES.flatMap((page) => [docPath(page), `${docPath(page)}.md`]);
	for (const path of [...paths, '/llms.md', '/llms.txt', '/install', '/', '/openapi.json']) {
		const text = await (await fetch(free.url + path)).text();
		// In a table, as the value of a limit, the word is right.
		const sentences = text.split('\n').filter((line) => !/^\||<td/.test(line));
		assert.doesNotMatch(
			sentences.join('\n'),
			/(last|most|to|for|than) unlimited|unlimited \w+s\b|Infinity|null (days|rows|bytes)/,
			path,
		);
	}
	const twin = async (page: DocPage) => (await fetch(`${free.url}${docPath(page)}.md`)).text();
	assert.match(await twin('versions'), /Kept are all versions of a row, however old\./);
	assert.match(await twin('writes'), /^Any number of operations on one table/m);
	assert.match(await twin('filters'), /One query answers all rows that match;/);
	assert.match(await twinOf('versions'), /Kept are the last 10 versions of a row, for 30 days\./);
});

test('[12.8] [12.9] [12.10] [12.11] the page of the adapters has the examples of their README', async () => {
	const readme = blocksOf(readFileSync(join(ROOT, 'adapters/README.md'), 'utf8')).filter(
		({ language }) => language === 'ts',
	);
	const page = blocksOf(await twinOf('adapters'));
	for (const { code } of readme)
		assert.ok(
			page.some((block) => block.code === code),
			code,
		);
});

for (const page of DOC_PAGES) {
	for (const language of RUN) {
		const source = readFileSync(join(DOCS_DIRECTORY, `${page}.md`), 'utf8');
		if (!blocksOf(source).some((block) => block.language === language && block.mark !== 'not-run')) continue;
		test(`[10.8] ${page}: the ${language} blocks do what they say`, (t) => runBlocks(t, page, language));
	}
}

/** Runs the blocks of one language of one page in turn, as one program, for a new account. */
async function runBlocks(t: TestContext, page: DocPage, language: string): Promise<void> {
	if (language === 'python' && spawnSync('python3', ['-c', 'import requests']).status !== 0) {
		const reason = 'There is no python3 with requests here: "apt-get install python3-requests" brings it.';
		console.log(reason);
		t.skip(reason);
		return;
	}
	if (page === 'adapters' && !existsSync(join(ROOT, 'adapters/node_modules'))) {
		const reason = 'The frameworks of the adapters are not installed here: "npm test -- docs" installs them.';
		console.log(reason);
		t.skip(reason);
		return;
	}
	const blocks = blocksOf(await twinOf(page)).filter(
		(block) => block.language === language && block.mark !== 'not-run',
	);
	const dir = temporaryDir();
	const [command, args] = programOf(language, blocks, dir);
	const { key } = await signIn(server);
	// The command line signs in by itself.
	const signedIn = page === 'command-line' ? {} : { PUMADB_API_KEY: key, PUMADB_URL: server.url };
	const outside = Object.entries(process.env).filter(([name]) => !/^(PUMADB|XDG)_/.test(name));
	const env = { ...Object.fromEntries(outside), HOME: dir, ...signedIn, PUMADB_DATA_DIR: join(dir, 'data') };
	const child = spawn(command, args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
	let out = '';
	let err = '';
	child.stdout.setEncoding('utf8').on('data', (text) => {
		out += text;
	});
	child.stderr.setEncoding('utf8').on('data', (text) => {
		err += text;
	});
	const [code] = await once(child, 'close');
	assert.equal(code, 0, `${out}\n${err}`);
	const outputs = out.split(`${BETWEEN}\n`).slice(0, -1);
	assert.equal(outputs.length, blocks.length, out);
	const last = LAST[`${page} ${language}`];
	if (last !== undefined) assert.match(outputs.at(-1)!, last);
	if (language !== 'sh') return;
	for (const [at, output] of outputs.entries()) {
		assert.notEqual(output.trim(), '', blocks[at]!.code);
		if (blocks[at]!.mark === 'refused') assert.match(output, /^\{"error":\{"code":"\w+","message":/);
		else assert.doesNotMatch(output, /"error":\{"code"|"isError":true/);
	}
}

function programOf(language: string, blocks: readonly Block[], dir: string): [command: string, args: string[]] {
	const joined = (say: string) => blocks.map(({ code }) => `${code}\n${say}\n`).join('');
	if (language === 'python') {
		writeFileSync(join(dir, 'blocks.py'), joined(`print('${BETWEEN}')`));
		return ['python3', ['blocks.py']];
	}
	if (language === 'ts') {
		const packages = {
			'@pumadb/client': { '.': 'client/src/index.ts' },
			'@pumadb/adapters': Object.fromEntries(ADAPTERS.map((name) => [`./${name}`, `adapters/src/${name}.ts`])),
		};
		for (const [name, files] of Object.entries(packages)) {
			const place = join(dir, 'node_modules', name);
			mkdirSync(place, { recursive: true });
			const entries = Object.entries(files).map(([path, file], at) => {
				const source = pathToFileURL(join(ROOT, file)).href;
				writeFileSync(join(place, `${at}.js`), `export * from ${JSON.stringify(source)};`);
				return [path, `./${at}.js`];
			});
			writeFileSync(
				join(place, 'package.json'),
				JSON.stringify({ type: 'module', exports: Object.fromEntries(entries) }),
			);
		}
		writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
		writeFileSync(join(dir, 'blocks.ts'), joined(`console.log('${BETWEEN}');`));
		const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
		const compilerOptions = {
			noUnusedLocals: false,
			typeRoots: [join(ROOT, 'node_modules/@types')],
			paths: {
				'@pumadb/client': [join(ROOT, 'client/src/index.ts')],
				'@pumadb/adapters/*': [join(ROOT, 'adapters/src/*.ts')],
			},
		};
		const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files: ['blocks.ts'] };
		writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
		const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', dir], { encoding: 'utf8' });
		assert.equal(status, 0, stdout);
		return [process.execPath, ['blocks.ts']];
	}
	// A call that is refused ends the script, unless its block shows a refusal. `pumadb` is this pumaDB.
	const head = `set -euo pipefail
pumadb() { '${process.execPath}' '${join(ROOT, 'bin/pumadb.js')}' "$@"; }
npx() { "$@"; }
curl() { command curl --fail-with-body "$@"; }
`;
	const parts = blocks.map(({ code, mark }) => {
		const body = mark === 'refused' ? `(set +e; ${code.trimEnd()}; [ $? = 22 ])` : code;
		return `${body}\necho\necho '${BETWEEN}'\n`;
	});
	writeFileSync(join(dir, 'blocks.sh'), head + parts.join(''));
	return ['bash', ['blocks.sh']];
}
