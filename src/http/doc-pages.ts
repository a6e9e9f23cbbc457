import { join } from 'node:path';

/** Where the documentation is kept: one Markdown file for each page, from which both the page and its twin are made. */
export const DOCS_DIRECTORY = join(import.meta.dirname, 'texts/docs');

/** The pages of the documentation, in the order in which they are listed. */
export const DOC_PAGES = [
	'index',
	'how-to-use',
	'quickstart',
	'filters',
	'writes',
	'versions',
	'links',
	'mcp',
	'client',
	'command-line',
	'adapters',
	'errors',
	'limits',
	'self-hosting',
	'security',
	'reference',
] as const;

export type DocPage = (typeof DOC_PAGES)[number];

/** The path of a page; with `.md` behind it, that of its Markdown twin. */
export function docPath(page: DocPage): string {
	if (page === 'index') return '/docs';
	return page === 'how-to-use' ? '/how-to-use' : `/docs/${page}`;
}

/** A link from one Markdown file to another: `](filters.md#equality)`. */
const LINK = /\]\(([a-z-]+)\.md(#[^)]*)?\)/g;

/** Pages link to each other by file name. @returns the text with the paths of twins in place of file names, under `base`. */
export function linkTwins(text: string, base: string): string {
	return text.replaceAll(LINK, (_, page: DocPage, anchor = '') => `](${base}${docPath(page)}.md${anchor})`);
}
