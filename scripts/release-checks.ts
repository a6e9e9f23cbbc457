import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGES } from './package-contents.ts';

interface Manifest {
	readonly name: string;
	readonly version: string;
	readonly private?: boolean;
	readonly repository?: { readonly url?: string; readonly directory?: string };
	readonly bugs?: { readonly url?: string };
	readonly homepage?: string;
	readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** The version that is about to be released: the server's. @param root the repository */
export function releaseVersion(root: string): string {
	return manifest(root, '.').version;
}

/**
 * Why the repository cannot be released as it is, a sentence for each reason; empty where it can. Reads and changes nothing.
 * @param root the repository
 */
export function refusals(root: string): string[] {
	const version = releaseVersion(root);
	return [
		...ofGit(root, version),
		...ofChangelog(root, version),
		...PACKAGES.flatMap((one) => ofManifest(root, one.directory, version)),
	];
}

function ofGit(root: string, version: string): string[] {
	const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
	const reasons: string[] = [];
	const changed = git('status', '--porcelain');
	if (changed !== '') {
		const files = changed.split('\n').map((line) => line.trim().replace(/^\S+ /, ''));
		reasons.push(
			`The tree has changes that are not committed (${files.slice(0, 3).join(', ')}): commit or remove them.`,
		);
	}
	const branch = git('branch', '--show-current');
	if (branch !== 'main') reasons.push(`The branch is ${branch || 'none'}: releases are made from main.`);
	if (git('tag', '--list', `v${version}`) !== '') {
		reasons.push(`The tag v${version} is there already: raise the version in the three package.json files.`);
	}
	return reasons;
}

function ofChangelog(root: string, version: string): string[] {
	const text = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
	const section = text.split(/^## /m).find((part) => part.startsWith(`[${version}] - `));
	const [title = '', ...lines] = section?.split('\n') ?? [];
	if (/ - \d{4}-\d\d-\d\d$/.test(title) && lines.some((line) => line.trim() !== '')) return [];
	return [`CHANGELOG.md has no section "## [${version}] - YYYY-MM-DD" with text: write what users get.`];
}

function ofManifest(root: string, directory: string, version: string): string[] {
	const file = join(directory, 'package.json');
	const own = manifest(root, directory);
	const reasons: string[] = [];
	if (own.private === true) reasons.push(`${file} has "private": true: remove it once the package may be published.`);
	if (own.version !== version)
		reasons.push(`${file} has version ${own.version} and package.json ${version}: make them the same.`);
	const wanted = own.peerDependencies?.['@pumadb/client'] ?? version;
	if (wanted !== version)
		reasons.push(`${file} asks for @pumadb/client ${wanted}: ask for ${version}, the client of the same release.`);
	const lock = directory === 'client' ? undefined : manifest(root, directory, 'package-lock.json').version;
	if (lock !== undefined && lock !== version) {
		reasons.push(
			`${join(directory, 'package-lock.json')} is of version ${lock}: run npm install in ${directory} and commit it.`,
		);
	}
	// npm refuses a provenance statement whose repository is another than the package's.
	if (!/^git\+https:\/\/\S+\.git$/.test(own.repository?.url ?? '')) {
		reasons.push(
			`${file} has no repository.url such as git+https://github.com/OWNER/NAME.git: fill in the public repository, which provenance names.`,
		);
	}
	if (directory !== '.' && own.repository?.directory !== directory) {
		reasons.push(`${file} has no repository.directory: set it to "${directory}".`);
	}
	for (const [field, value] of [
		['bugs.url', own.bugs?.url],
		['homepage', own.homepage],
	]) {
		if (!value?.startsWith('https://'))
			reasons.push(`${file} has no ${field}: fill in an address that begins with https://.`);
	}
	return reasons;
}

function manifest(root: string, directory: string, file = 'package.json'): Manifest {
	return JSON.parse(readFileSync(join(root, directory, file), 'utf8'));
}
