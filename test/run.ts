/**
 * The whole suite: format and lint, types, generated files, tests, and that every rule, operation and status is tested.
 * `npm test -- rows` runs the test files whose names contain "rows", without the rest.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPERATIONS } from '../src/generated/operations.ts';

const ROOT = join(import.meta.dirname, '..');
const TEST_MINUTES = 14;

function step(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
	console.log(`\n# ${name}`);
	const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env });
	if (status === 0) return;
	console.error(`\n${name} failed.`);
	process.exit(1);
}

const wanted = process.argv.slice(2);
const files = globSync('test/**/*.test.ts', { cwd: ROOT }).toSorted();
const chosen = wanted.length === 0 ? files : files.filter((file) => wanted.some((part) => file.includes(part)));

if (wanted.length === 0) {
	step('Format and lint', 'biome', ['check', '--error-on-warnings', '.']);
	step('Types', 'tsc', ['-p', '.']);
	step('Types of the pages', 'tsc', ['-p', 'pages']);
	step('Types of the client', 'tsc', ['-p', 'client']);
	step('Generated files', process.execPath, ['scripts/generate.ts', '--check']);
}

if (chosen.some((file) => file.includes('pages-'))) {
	step('Chromium', process.execPath, ['test/support/browser.ts']);
}

const directory = mkdtempSync(join(tmpdir(), 'pumadb-seen-'));
const seenFile = join(directory, 'seen');
writeFileSync(seenFile, '');
const options = ['--test', '--test-concurrency=2', `--test-timeout=${TEST_MINUTES * 60_000}`];
step('Tests', process.execPath, [...options, ...chosen], { ...process.env, SEEN_ANSWERS: seenFile });

if (wanted.length === 0) {
	const missing = [...untestedRules(), ...unseenAnswers()];
	for (const line of missing) console.error(line);
	if (missing.length > 0) process.exitCode = 1;
	else console.log('\nEvery rule is cited by a test, and every operation was seen to answer every status it lists.');
}
rmSync(directory, { recursive: true });

/** Rules of contract/rules.md that no test cites. */
function untestedRules(): string[] {
	const rules = readFileSync(join(ROOT, 'contract/rules.md'), 'utf8').matchAll(/^- \*\*(\d+\.\d+)\*\*/gm);
	const tests = files.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
	return [...rules]
		.map((match) => match[1]!)
		.filter((rule) => !tests.includes(`[${rule}]`))
		.map((rule) => `No test cites rule ${rule}.`);
}

/** Operations and statuses of the contract that no test ever got. */
function unseenAnswers(): string[] {
	const seen = new Set(readFileSync(seenFile, 'utf8').split('\n'));
	return Object.values(OPERATIONS).flatMap(({ id, statuses }) =>
		statuses.filter((status) => !seen.has(`${id} ${status}`)).map((status) => `No test saw ${id} answer ${status}.`),
	);
}
