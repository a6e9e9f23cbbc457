import { globSync } from 'node:fs';
import { compiledPlace, sourceFiles } from './compile.ts';

/** A package that is published, by its directory from the root of the repository. */
export interface Package {
	readonly name: string;
	readonly directory: string;
	/** Every file that its tarball must have. */
	readonly files: (root: string) => readonly string[];
	/** What it may have beyond: files whose names are known only once they are built. */
	readonly others?: RegExp;
}

const modules = (names: string): string[] =>
	names.split(' ').flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);

/** In the order in which they are published: each needs only those before it. */
export const PACKAGES: readonly Package[] = [
	{
		name: '@pumadb/client',
		directory: 'client',
		files: () => [
			...['package.json', 'README.md', 'LICENSE'],
			...modules('client errors generated index json table transport types'),
		],
	},
	{
		name: '@pumadb/adapters',
		directory: 'adapters',
		files: () => [
			...['package.json', 'README.md', 'LICENSE'],
			...modules('ai-sdk anthropic-memory errors langgraph openai-agents tool-input'),
		],
	},
	{
		name: 'pumadb',
		directory: '.',
		files: (root) => [
			...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'],
			...['bin/pumadb.js', 'contract/openapi.json', 'contract/rules.md'],
			...sourceFiles(root).map(compiledPlace),
			// The page for documentation is only what the pages in `docs/` are made from.
			...globSync('pages/*.html', { cwd: root, exclude: ['pages/docs.html'] }).map((page) =>
				page.replace('/', '/dist/'),
			),
		],
		others: /^pages\/dist\/(docs\/[a-z-]+\.html|assets\/[\w-]+\.(js|css|svg)(\.br|\.gz)?)$/,
	},
];

/** What is wrong with a tarball's files, a sentence for each: empty where they are what is meant. @param root where its sources are */
export function wrongContents(one: Package, packed: readonly string[], root: string): string[] {
	const meant = new Set(one.files(root));
	const extra = packed.filter((file) => !meant.has(file) && !one.others?.test(file));
	const missing = [...meant].filter((file) => !packed.includes(file));
	return [
		...extra.map((file) => `The package ${one.name} would hold ${file}, which is not meant.`),
		...missing.map((file) => `The package ${one.name} lacks ${file}.`),
	];
}
