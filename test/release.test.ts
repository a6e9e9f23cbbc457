import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { before, beforeEach, test } from 'node:test';
import { copyCheckout } from './support/checkout.ts';
import { temporaryDir } from './support/server.ts';

/** The release script in a repository of its own. Nothing here reaches a registry: where it would publish, a program that notes it down stands for npm. */

let checkout: string;
let ready: string;

const git = (...args: string[]): string =>
	execFileSync('git', args, { cwd: checkout, encoding: 'utf8', stdio: 'pipe' }).trim();

function change(file: string, edit: (text: string) => string): void {
	writeFileSync(join(checkout, file), edit(readFileSync(join(checkout, file), 'utf8')));
}
// biome-ignore lint/suspicious/noExplicitAny: a manifest, whatever a test does to it
function changeJson(file: string, edit: (manifest: any) => void): void {
	change(file, (text) => {
		const manifest = JSON.parse(text);
		edit(manifest);
		return `${JSON.stringify(manifest, null, '\t')}\n`;
	});
}
const commit = (): string => git('commit', '--quiet', '--all', '--message', 'a change');

const CI_TOKENS = { ACTIONS_ID_TOKEN_REQUEST_URL: undefined, SIGSTORE_ID_TOKEN: undefined };

function release(
	args: readonly string[],
	env: NodeJS.ProcessEnv = {},
): { status: number | null; out: string; err: string } {
	const options = { cwd: checkout, encoding: 'utf8', env: { ...process.env, ...CI_TOKENS, ...env } } as const;
	const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/release.ts', ...args], options);
	return { status, out: stdout, err: stderr };
}

/** Refused with this sentence alone, whether it would publish or not, and nothing is tagged. */
function assertRefused(sentence: string): void {
	for (const args of [['--no-tests'], ['--publish']]) {
		const { status, out, err } = release(args, { ACTIONS_ID_TOKEN_REQUEST_URL: 'http://127.0.0.1:9' });
		assert.equal(err, `${sentence}\n`);
		assert.equal(status, 1);
		assert.equal(out, '');
	}
}

before(() => {
	checkout = copyCheckout();
	git('init', '--quiet', '--initial-branch', 'main');
	git('config', 'user.name', 'Ada');
	git('config', 'user.email', 'ada@example.com');
	appendFileSync(join(checkout, '.git/info/exclude'), 'node_modules\n');
	for (const [file, directory] of [
		['package.json', undefined],
		['client/package.json', 'client'],
		['adapters/package.json', 'adapters'],
	] as const) {
		changeJson(file, (manifest) => {
			delete manifest.private;
			manifest.repository = { type: 'git', url: 'git+https://git.example.com/pumadb/pumadb.git', directory };
			manifest.bugs = { url: 'https://git.example.com/pumadb/pumadb/issues' };
			manifest.homepage = 'https://pumadb.example.com';
		});
	}
	change('CHANGELOG.md', (text) => `${text}\n## [0.1.0] - 2026-12-01\n\nThe first version.\n`);
	git('add', '.');
	commit();
	ready = git('rev-parse', 'HEAD');
});

beforeEach(() => {
	git('checkout', '--quiet', '--force', '-B', 'main', ready);
	git('clean', '--quiet', '--force', '-d');
	for (const tag of git('tag').split('\n').filter(Boolean)) git('tag', '--delete', tag);
});

test('[15.4] a release is refused in one sentence for each thing that is not ready', async (t) => {
	await t.test('a tree with changes', () => {
		change('README.md', (text) => `${text}\n`);
		writeFileSync(join(checkout, 'new.txt'), '');
		assertRefused('The tree has changes that are not committed (README.md, new.txt): commit or remove them.');
	});
	await t.test('a branch other than main', () => {
		git('checkout', '--quiet', '-b', 'feature');
		assertRefused('The branch is feature: releases are made from main.');
		git('checkout', '--quiet', '--detach');
		assertRefused('The branch is none: releases are made from main.');
	});
	await t.test('a version that is tagged', () => {
		git('tag', 'v0.1.0');
		assertRefused('The tag v0.1.0 is there already: raise the version in the three package.json files.');
		git('tag', '--delete', 'v0.1.0');
	});
	await t.test('a version without a section of the changelog, or an empty one', () => {
		for (const section of [
			'## [0.1.1] - 2026-12-01\n\nThe first version.',
			'## [0.1.0]\n\nUndated.',
			'## [0.1.0] - 2026-12-01\n',
		]) {
			git('checkout', '--quiet', '--force', '-B', 'main', ready);
			change('CHANGELOG.md', (text) => text.replace('## [0.1.0] - 2026-12-01\n\nThe first version.\n', `${section}\n`));
			commit();
			assertRefused('CHANGELOG.md has no section "## [0.1.0] - YYYY-MM-DD" with text: write what users get.');
		}
	});
	await t.test('versions that differ', () => {
		git('checkout', '--quiet', '--force', '-B', 'main', ready);
		changeJson('client/package.json', (manifest) => {
			manifest.version = '0.2.0';
		});
		commit();
		assertRefused('client/package.json has version 0.2.0 and package.json 0.1.0: make them the same.');
		git('checkout', '--quiet', '--force', '-B', 'main', ready);
		changeJson('adapters/package.json', (manifest) => {
			manifest.peerDependencies['@pumadb/client'] = '0.0.9';
		});
		commit();
		assertRefused(
			'adapters/package.json asks for @pumadb/client 0.0.9: ask for 0.1.0, the client of the same release.',
		);
		git('checkout', '--quiet', '--force', '-B', 'main', ready);
		changeJson('package-lock.json', (lock) => {
			lock.version = '0.0.9';
		});
		commit();
		assertRefused('package-lock.json is of version 0.0.9: run npm install in . and commit it.');
	});
	await t.test('a private package', () => {
		git('checkout', '--quiet', '--force', '-B', 'main', ready);
		changeJson('package.json', (manifest) => {
			manifest.private = true;
		});
		commit();
		assertRefused('package.json has "private": true: remove it once the package may be published.');
	});
	for (const [field, sentence] of [
		[
			'repository',
			'repository.url such as git+https://github.com/OWNER/NAME.git: fill in the public repository, which provenance names.',
		],
		['bugs', 'bugs.url: fill in an address that begins with https://.'],
		['homepage', 'homepage: fill in an address that begins with https://.'],
	] as const) {
		await t.test(`a package without ${field}`, () => {
			git('checkout', '--quiet', '--force', '-B', 'main', ready);
			changeJson('package.json', (manifest) => {
				delete manifest[field];
			});
			commit();
			assertRefused(`package.json has no ${sentence}`);
		});
	}
	await t.test('arguments that do not exist or exclude each other', () => {
		git('checkout', '--quiet', '--force', '-B', 'main', ready);
		assert.equal(
			release(['--pubish']).err,
			'There is no --pubish: give --publish, --dry-run, --no-tests or nothing.\n',
		);
		for (const other of ['--no-tests', '--dry-run']) {
			const { status, err } = release(['--publish', other]);
			assert.equal(err, '--publish stands alone: the tests are always run before it, and it is no dry run.\n');
			assert.equal(status, 1);
		}
	});
	await t.test('a machine that cannot prove where it builds', () => {
		const { status, err } = release(['--publish']);
		assert.equal(
			err,
			'Provenance needs a CI job that may ask for an identity token: publish by .github/workflows/release.yml, not from here.\n',
		);
		assert.equal(status, 1);
	});
	assert.equal(git('tag'), '');
});

test('[15.4] a dry run packs and installs all three, and publishes and tags nothing', () => {
	const { status, out, err } = release(['--no-tests'], npmThatNotes().env);
	assert.equal(err, '');
	assert.equal(status, 0);
	assert.match(
		out,
		/^@pumadb\/client@0\.1\.0: \d+ bytes, sha512-\S+\n@pumadb\/adapters@0\.1\.0: .*\npumadb@0\.1\.0: .*\nDry run: nothing was published\. .*\n$/,
	);
	assert.equal(git('tag'), '');
	assert.equal(git('status', '--porcelain'), '');
});

test('[15.4] a package that would hold something else is not released', () => {
	change('client/package.json', (text) => text.replace('"dist"', '"dist",\n\t\t"src"'));
	commit();
	const { status, err } = release(['--no-tests']);
	assert.match(err, /^The package @pumadb\/client would hold src\/client\.ts, which is not meant\.$/m);
	assert.equal(status, 1);
});

test('[15.4] published after the tests, the client first, publicly, with provenance; then tagged; a release that broke off goes on', () => {
	const npm = npmThatNotes();
	const first = release(['--publish'], { ...npm.env, FAIL_AT: 'pumadb-adapters-0.1.0.tgz' });
	assert.match(first.err, /^Publishing @pumadb\/adapters failed: mend the cause and run this again\.$/m);
	assert.equal(first.status, 1);
	assert.equal(git('tag'), '');
	const second = release(['--publish'], npm.env);
	assert.equal(second.err, '');
	assert.match(second.out, /@pumadb\/client@0\.1\.0 is published already, with these contents\.\n/);
	assert.match(second.out, /The tag v0\.1\.0 is made: push it with "git push origin v0\.1\.0"\.\n$/);
	assert.equal(git('rev-list', '-n', '1', 'v0.1.0'), ready);
	const publish = (file: string): string => `publish ${file} --provenance --access public`;
	assert.deepEqual(npm.noted(), [
		'test',
		publish('pumadb-client-0.1.0.tgz'),
		publish('pumadb-adapters-0.1.0.tgz'),
		'test',
		publish('pumadb-adapters-0.1.0.tgz'),
		publish('pumadb-0.1.0.tgz'),
	]);
});

/** npm itself, but for the tests, which run this one, and for what reaches the registry: these are noted down. */
function npmThatNotes(): { env: NodeJS.ProcessEnv; noted: () => string[] } {
	const directory = temporaryDir();
	const notes = join(directory, 'notes');
	const published = join(directory, 'published');
	mkdirSync(published);
	writeFileSync(notes, '');
	const real = execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
	const program = join(directory, 'npm');
	writeFileSync(
		program,
		`#!/usr/bin/env node
const { appendFileSync, existsSync, readFileSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { createHash } = require('node:crypto');
const args = process.argv.slice(2);
const note = () => appendFileSync(${JSON.stringify(notes)}, args.map((arg) => basename(arg)).join(' ') + '\\n');
if (args[0] === 'test') note();
else if (args[0] === 'view') {
	const [, name, version] = /^(.+)@(.+)$/.exec(args[1]);
	const file = join(${JSON.stringify(published)}, name.replace('@', '').replace('/', '-') + '-' + version + '.tgz');
	if (existsSync(file)) console.log(JSON.stringify(readFileSync(file, 'utf8')));
	else {
		console.log(JSON.stringify({ error: { code: 'E404' } }));
		process.exitCode = 1;
	}
} else if (args[0] === 'publish') {
	note();
	const file = basename(args[1]);
	if (file === process.env.FAIL_AT) process.exitCode = 1;
	else writeFileSync(join(${JSON.stringify(published)}, file), 'sha512-' + createHash('sha512').update(readFileSync(args[1])).digest('base64'));
} else {
	const { status } = require('node:child_process').spawnSync(${JSON.stringify(real)}, args, { stdio: 'inherit' });
	process.exitCode = status;
}
`,
	);
	chmodSync(program, 0o755);
	const env = {
		PATH: `${directory}${delimiter}${process.env.PATH}`,
		ACTIONS_ID_TOKEN_REQUEST_URL: 'http://127.0.0.1:9',
		npm_config_prefer_offline: 'true',
	};
	return { env, noted: () => readFileSync(notes, 'utf8').trim().split('\n') };
}
