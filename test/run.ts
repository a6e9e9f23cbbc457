/**
 * The whole suite: format and lint, types, generated files, tests, the same tests against two nodes on one PostgreSQL, and that
 * every rule, operation and status is tested. `npm test -- rows` runs the test files whose names contain "rows", without the
 * rest; with PUMADB_TEST_ENGINE=postgres, against the two nodes.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPERATIONS } from '../src/generated/operations.ts';
import { startCluster } from './support/postgres.ts';

const ROOT = join(import.meta.dirname, '..');
const TEST_MINUTES = 14;

/** Tests that are not run against PostgreSQL, by what their file names contain, and why. */
const NOT_ON_POSTGRES: Readonly<Record<string, string>> = {
	'domain/': 'no engine is in them',
	postgres: 'they start PostgreSQL and nodes themselves',
	'pages-': 'a browser talks to one node, and the pages know no engine',
	'batch-lookup': 'it is about how the file is looked through',
	commands: 'backup, damage, the lock and what is left on the disk are those of the file',
	crash: 'it kills the owner of a file; postgres-faults does what corresponds',
	'disk-full': 'the disk is the database server’s',
	'index-building': 'it looks into the writer of the file',
	'index-rollback': 'it looks into the writer of the file',
	lifecycle: 'starting, stopping, logs and memory of a process that owns a file',
	'mcp-stdio': 'it is about a data directory',
	'adapters/': 'libraries against one server: they know no engine',
	'cli-': 'programs against one server: they know no engine',
	'/client': 'the client against one server: it knows no engine',
	'mcp-real-clients': 'programs of others against one server',
	'mcp-oauth-clients': 'programs of others against one server',
	'oauth-documents': 'it counts what one process fetches of other sites; each node fetches for itself',
	package: 'it installs the packed program',
	release: 'it releases packages and starts no server',
	upgrade: 'it opens files of earlier versions',
	contract: 'it starts no server',
	demo: 'it runs the program on a file',
	'agent-texts': 'no store is in them',
	'errors-http': 'the HTTP parser knows no store',
	'test/docs': 'what the pages tell is run against one server',
};

function step(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
	console.log(`\n# ${name}`);
	const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env });
	if (status === 0) return;
	console.error(`\n${name} failed.`);
	process.exit(1);
}

const wanted = process.argv.slice(2);
const files = globSync(['test/**/*.test.ts', 'adapters/test/*.test.ts'], { cwd: ROOT }).toSorted();
const chosen = wanted.length === 0 ? files : files.filter((file) => wanted.some((part) => file.includes(part)));

if (chosen.some((file) => /^adapters\/|\/(package|release|docs)\./.test(file))) {
	step('Frameworks of the adapters', process.execPath, ['scripts/install-frameworks.ts']);
}

if (wanted.length === 0) {
	step('Format and lint', 'biome', ['check', '--error-on-warnings', '.']);
	step('Types', 'tsc', ['-p', '.']);
	step('Types of the pages', 'tsc', ['-p', 'pages']);
	step('Types of the client', 'tsc', ['-p', 'client']);
	step('Types of the adapters', 'tsc', ['-p', 'adapters']);
	step('Generated files', process.execPath, ['scripts/generate.ts', '--check']);
}

if (chosen.some((file) => file.includes('pages-'))) {
	step('Chromium', process.execPath, ['test/support/browser.ts']);
}

const directory = mkdtempSync(join(tmpdir(), 'pumadb-seen-'));
const seenFile = join(directory, 'seen');
writeFileSync(seenFile, '');
// One PostgreSQL for all test files, unless one is given.
const databaseUrl = process.env.PUMADB_TEST_DATABASE_URL ?? (await startCluster()).url;
const env = { ...process.env, SEEN_ANSWERS: seenFile, PUMADB_TEST_DATABASE_URL: databaseUrl };
const options = ['--test', '--test-concurrency=2', `--test-timeout=${TEST_MINUTES * 60_000}`];
step('Tests', process.execPath, [...options, ...chosen], env);
if (wanted.length === 0) {
	const reasons = Object.keys(NOT_ON_POSTGRES);
	const onBoth = files.filter((file) => !reasons.some((part) => file.includes(part)));
	for (const [part, reason] of Object.entries(NOT_ON_POSTGRES)) console.log(`not on PostgreSQL: *${part}*: ${reason}`);
	step('Tests on PostgreSQL', process.execPath, [...options, ...onBoth], { ...env, PUMADB_TEST_ENGINE: 'postgres' });
}

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
