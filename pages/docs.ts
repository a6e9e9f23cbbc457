import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import MarkdownIt from 'markdown-it';
import { DOC_PAGES, DOCS_DIRECTORY, type DocPage, docPath } from '../src/http/doc-pages.ts';

interface Rendered {
	readonly page: DocPage;
	readonly title: string;
	readonly sections: readonly { readonly id: string; readonly title: string }[];
	readonly html: string;
}

/** Fills the built `docs.html` once for each Markdown file. The texts are ours: they come from this repository alone. */
export function buildDocs(dist: string): void {
	const template = readFileSync(join(dist, 'docs.html'), 'utf8');
	const all = DOC_PAGES.map(render);
	mkdirSync(join(dist, 'docs'), { recursive: true });
	for (const [at, rendered] of all.entries()) {
		const texts: Readonly<Record<string, string>> = {
			TITLE: rendered.title,
			PAGES: listOf(all, rendered),
			CONTENT: `${rendered.html}${ways(rendered, all[at - 1], all[at + 1])}`,
		};
		const html = template.replaceAll(/%([A-Z]+)%/g, (_, name: string) => texts[name]!);
		// The server fills these places (src/http/docs.ts). In an address they come out encoded.
		const places = html.replaceAll(
			/(?:\{\{|%7B%7B)(\w+?)(?:\}\}|%7D%7D)/g,
			(_, name: string) => `__${name.toUpperCase()}__`,
		);
		writeFileSync(join(dist, 'docs', `${rendered.page}.html`), places);
	}
	rmSync(join(dist, 'docs.html'));
}

function render(page: DocPage): Rendered {
	const markdown = new MarkdownIt({ html: false });
	const { escapeHtml } = markdown.utils;
	const tokens = markdown.parse(readFileSync(join(DOCS_DIRECTORY, `${page}.md`), 'utf8'), {});
	const sections: { id: string; title: string }[] = [];
	let title = '';
	for (const [at, token] of tokens.entries()) {
		if (token.type !== 'heading_open') continue;
		const text = tokens[at + 1]!.content.replaceAll('`', '');
		const id = text
			.toLowerCase()
			.replaceAll(/[^a-z0-9]+/g, '-')
			.replaceAll(/^-|-$/g, '');
		token.attrSet('id', id);
		if (token.tag === 'h1') title = text;
		if (token.tag === 'h2') sections.push({ id, title: escapeHtml(text) });
	}
	const { rules } = markdown.renderer;
	rules.heading_open = (all, at) => {
		const token = all[at]!;
		const id = String(token.attrGet('id'));
		return token.tag === 'h1' ? '<h1>' : `<${token.tag} id="${id}"><a class="anchor" href="#${id}">`;
	};
	rules.heading_close = (all, at) => (all[at]!.tag === 'h1' ? '</h1>\n' : `</a></${all[at]!.tag}>\n`);
	// Wide tables and long lines move by themselves, also by keyboard.
	rules.table_open = () => '<div class="wide" tabindex="0"><table>\n';
	rules.table_close = () => '</table></div>\n';
	rules.fence = (all, at) => {
		const { info, content } = all[at]!;
		const note = info.includes('not-run') ? '<p class="small muted">Not run by the tests.</p>\n' : '';
		return `<pre tabindex="0"><code>${escapeHtml(content.trimEnd())}</code></pre>\n${note}`;
	};
	rules.link_open = (all, at, options, _env, self) => {
		const token = all[at]!;
		const found = /^([a-z-]+)\.md(#.*)?$/.exec(String(token.attrGet('href')));
		if (found !== null) token.attrSet('href', `${docPath(found[1] as DocPage)}${found[2] ?? ''}`);
		return self.renderToken(all, at, options);
	};
	return { page, title: escapeHtml(title), sections, html: markdown.renderer.render(tokens, markdown.options, {}) };
}

/** The list of pages, with the sections of the one that is shown. */
function listOf(all: readonly Rendered[], shown: Rendered): string {
	const sections = shown.sections.map(({ id, title }) => `<li><a href="#${id}">${title}</a></li>`).join('');
	const items = all.map(({ page, title }) => {
		if (page !== shown.page) return `<li><a href="${docPath(page)}">${title}</a></li>`;
		const list = sections === '' ? '' : `<ul>${sections}</ul>`;
		return `<li><a href="${docPath(page)}" aria-current="page">${title}</a>${list}</li>`;
	});
	return `<ul>${items.join('')}</ul>`;
}

function ways(shown: Rendered, before: Rendered | undefined, next: Rendered | undefined): string {
	const links = [
		before && `<a rel="prev" href="${docPath(before.page)}">← ${before.title}</a>`,
		`<a rel="alternate" type="text/markdown" href="${docPath(shown.page)}.md">As Markdown</a>`,
		next && `<a rel="next" href="${docPath(next.page)}">${next.title} →</a>`,
	];
	return `<p class="ways small">${links.filter(Boolean).join(' ')}</p>`;
}
