import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../src/cli/commands.ts';
import { makeHome } from './support/command-line.ts';
import { temporaryDir } from './support/server.ts';

const home = makeHome();

async function script(shell: string): Promise<string> {
	const { code, out, err } = await home.run(['completions', shell]);
	assert.equal(code, 0, err);
	const path = join(temporaryDir(), `completions.${shell}`);
	writeFileSync(path, out);
	return path;
}

function shellOutput(program: string, args: readonly string[]): string {
	const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
	assert.equal(status, 0, stderr);
	return stdout;
}

const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

/** What is typed, and what must be among the proposals and must not. */
const CASES: readonly (readonly [typed: string, wanted: readonly string[], unwanted: readonly string[]])[] = [
	['pumadb im', ['import'], ['get']],
	['pumadb keys ', ['list', 'create', 'revoke'], ['import']],
	['pumadb keys create --', ['--email', '--json'], ['--table']],
	['pumadb import --', ['--table', '--dry-run', '--key'], ['--yes']],
	['pumadb delete --', ['--yes'], ['--table']],
	['pumadb completions ', ['bash', 'zsh', 'fish'], []],
];

test('[13.11] every command and flag is in each script', async () => {
	for (const shell of ['bash', 'zsh', 'fish']) {
		const { out } = await home.run(['completions', shell]);
		for (const { words, flags } of COMMANDS) {
			for (const word of words.split(' ')) assert.ok(out.includes(word), `${shell}: ${word}`);
			for (const flag of Object.keys(flags))
				assert.ok(out.includes(shell === 'fish' ? `-l ${flag} ` : `--${flag}`), `${shell}: ${flag}`);
		}
	}
	const other = await home.run(['completions', 'tcsh']);
	assert.equal(other.code, 2);
});

test('[13.11] bash completes', async () => {
	const path = await script('bash');
	for (const [typed, wanted, unwanted] of CASES) {
		const words = typed.split(' ');
		const list = words.map((word) => `'${word}'`).join(' ');
		const out = shellOutput('bash', [
			'-c',
			`source '${path}'; COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _pumadb; printf '%s\\n' "\${COMPREPLY[@]}"`,
		]);
		const got = out.split('\n');
		for (const word of wanted) assert.ok(got.includes(word), `${typed}: ${got}`);
		for (const word of unwanted) assert.ok(!got.includes(word), `${typed}: ${got}`);
	}
});

test('[13.11] fish completes', { skip: has('fish') ? false : 'there is no fish on the PATH' }, async () => {
	const path = await script('fish');
	for (const [typed, wanted, unwanted] of CASES) {
		const out = shellOutput('fish', ['--no-config', '-c', `source '${path}'; complete -C '${typed}'`]);
		const got = out.split('\n').map((line) => line.split('\t')[0]);
		for (const word of wanted) assert.ok(got.includes(word), `${typed}: ${got}`);
		for (const word of unwanted) assert.ok(!got.includes(word), `${typed}: ${got}`);
	}
});

test('[13.11] zsh loads its script', { skip: has('zsh') ? false : 'there is no zsh on the PATH' }, async () => {
	const path = await script('zsh');
	const out = shellOutput('zsh', [
		'-f',
		'-c',
		`autoload -U compinit; compinit -D -u; source '${path}'; echo $_comps[pumadb]`,
	]);
	assert.equal(out.trim(), '_pumadb');
});
