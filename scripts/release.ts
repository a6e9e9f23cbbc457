/**
 * Releases the three packages: `npm run release` checks everything and says what it would publish; `npm run release -- --publish` publishes it.
 * CONTRIBUTING.md tells what must be prepared. Nothing is published, and no tag made, before every check has passed. A release that broke off
 * may be run again: what is published with the same contents is passed over.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGES, wrongContents } from './package-contents.ts';
import { refusals, releaseVersion } from './release-checks.ts';

interface Packed {
	readonly name: string;
	readonly file: string;
	readonly bytes: number;
	/** As the registry gives it: `sha512-…`. */
	readonly integrity: string;
}

/** A reason for not releasing: a sentence for each line. */
class Refusal extends Error {}

const ROOT = join(import.meta.dirname, '..');
const FLAGS = ['--publish', '--dry-run', '--no-tests'];

function main(args: readonly string[]): void {
	const publish = args.includes('--publish');
	refuse(
		args.filter((arg) => !FLAGS.includes(arg)).map((arg) => `There is no ${arg}: give ${FLAGS.join(', ')} or nothing.`),
	);
	if (publish && args.length > 1)
		throw new Refusal('--publish stands alone: the tests are always run before it, and it is no dry run.');
	refuse(refusals(ROOT));
	if (publish) refuseWithoutIdentity();
	if (!args.includes('--no-tests')) run('npm', ['test'], 'The tests failed: nothing was published.');
	run(process.execPath, ['scripts/install-frameworks.ts'], 'What the adapters are compiled with cannot be installed.');
	const directory = mkdtempSync(join(tmpdir(), 'pumadb-release-'));
	try {
		const packed = PACKAGES.map((one) => pack(one, directory));
		checkInstalled(packed, directory);
		// The tests and the builds may have changed what is committed.
		refuse(refusals(ROOT));
		const version = releaseVersion(ROOT);
		for (const { name, bytes, integrity } of packed) console.log(`${name}@${version}: ${bytes} bytes, ${integrity}`);
		if (publish) publishAll(packed, version);
		else
			console.log(
				`Dry run: nothing was published. "npm run release -- --publish" publishes these three and makes the tag v${version}.`,
			);
	} finally {
		rmSync(directory, { recursive: true });
	}
}

function refuse(reasons: readonly string[]): void {
	if (reasons.length > 0) throw new Refusal(reasons.join('\n'));
}

/** npm states where a package was built by a token that only some CI services give a job (npm-publish(1), `provenance`). */
function refuseWithoutIdentity(): void {
	const { ACTIONS_ID_TOKEN_REQUEST_URL: github, SIGSTORE_ID_TOKEN: gitlab } = process.env;
	if (github !== undefined || gitlab !== undefined) return;
	throw new Refusal(
		'Provenance needs a CI job that may ask for an identity token: publish by .github/workflows/release.yml, not from here.',
	);
}

function pack(one: (typeof PACKAGES)[number], directory: string): Packed {
	const options = ['pack', '--json', '--silent', '--pack-destination', directory];
	const answer = JSON.parse(run('npm', options, `Packing ${one.name} failed.`, join(ROOT, one.directory)));
	// npm 11 answers a list, npm 12 an object by name.
	const { filename, size, integrity, files } = Object.values<{
		filename: string;
		size: number;
		integrity: string;
		files: { path: string }[];
	}>(answer)[0]!;
	refuse(
		wrongContents(
			one,
			files.map(({ path }) => path),
			ROOT,
		),
	);
	return { name: one.name, file: join(directory, filename), bytes: size, integrity };
}

/** Installs what was packed in an empty directory, without development dependencies, and starts it. */
function checkInstalled(packed: readonly Packed[], directory: string): void {
	const place = join(directory, 'installed');
	const files = packed.map(({ file }) => file);
	run(
		'npm',
		['install', '--prefix', place, '--no-audit', '--no-fund', ...files],
		'What was packed cannot be installed.',
		directory,
	);
	const program = join(place, 'node_modules/.bin/pumadb');
	const help = run(program, ['--help'], 'The installed program does not start.', place);
	if (!help.includes('Usage: pumadb')) throw new Refusal('The installed program has no help.');
	const imports = "import '@pumadb/client'; import '@pumadb/adapters/anthropic-memory';";
	writeFileSync(join(place, 'imports.mjs'), imports);
	run(process.execPath, ['imports.mjs'], 'The installed client and adapters cannot be imported.', place);
}

function publishAll(packed: readonly Packed[], version: string): void {
	for (const { name, file, integrity } of packed) {
		const published = publishedIntegrity(name, version);
		if (published === integrity) {
			console.log(`${name}@${version} is published already, with these contents.`);
			continue;
		}
		if (published !== undefined) {
			throw new Refusal(`${name}@${version} is published already, with other contents: raise the version.`);
		}
		run(
			'npm',
			['publish', file, '--provenance', '--access', 'public'],
			`Publishing ${name} failed: mend the cause and run this again.`,
		);
		console.log(`${name}@${version} is published.`);
	}
	run(
		'git',
		['tag', '--annotate', `v${version}`, '--message', `pumaDB ${version}`],
		'The packages are published, but the tag could not be made.',
	);
	console.log(`The tag v${version} is made: push it with "git push origin v${version}".`);
}

/** @returns undefined for what is not published */
function publishedIntegrity(name: string, version: string): string | undefined {
	const { status, stdout } = spawnSync('npm', ['view', `${name}@${version}`, 'dist.integrity', '--json'], {
		cwd: ROOT,
		encoding: 'utf8',
	});
	if (status === 0) return stdout.trim() === '' ? undefined : JSON.parse(stdout);
	if (JSON.parse(stdout || '{}').error?.code === 'E404') return undefined;
	throw new Refusal(`The registry does not say whether ${name}@${version} is published: try again later.`);
}

/** @returns what it printed @throws Refusal with the message where it fails; what it said is shown before */
function run(command: string, args: readonly string[], message: string, cwd = ROOT): string {
	const shown = command === 'npm' && ['test', 'publish'].includes(args[0]!);
	const { status, stdout, stderr } = spawnSync(command, args, {
		cwd,
		encoding: 'utf8',
		stdio: shown ? 'inherit' : 'pipe',
	});
	if (status === 0) return stdout ?? '';
	if (!shown) console.error(`${stdout ?? ''}${stderr ?? ''}`.trim());
	throw new Refusal(message);
}

try {
	main(process.argv.slice(2));
} catch (error) {
	if (!(error instanceof Refusal)) throw error;
	console.error(error.message);
	process.exitCode = 1;
}
