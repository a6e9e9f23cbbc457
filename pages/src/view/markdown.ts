import MarkdownIt from 'markdown-it';

/** Markdown to HTML that is safe to show: raw HTML stays text, and links go to the web or to mail, nowhere else. */
const markdown = new MarkdownIt({ html: false, linkify: false, typographer: false, breaks: false });

markdown.validateLink = (url) => /^(https?:|mailto:|#)/i.test(url.trim());

markdown.renderer.rules.link_open = (tokens, at, options, _env, self) => {
	const token = tokens[at]!;
	// What a stored text points to learns nothing of this page.
	token.attrSet('rel', 'noopener noreferrer nofollow');
	token.attrSet('target', '_blank');
	return self.renderToken(tokens, at, options);
};

/** An image of another origin would tell it that, and when, the text was read: its address is shown instead. */
markdown.renderer.rules.image = (tokens, at) => {
	const token = tokens[at]!;
	const { escapeHtml } = markdown.utils;
	const address = String(token.attrGet('src') ?? '');
	const name = token.content === '' ? 'image' : token.content;
	return `<span class="image">${escapeHtml(name)} <code>${escapeHtml(address)}</code></span>`;
};

/** Alignment of table cells comes as inline style, which the content security policy forbids. */
for (const rule of ['th_open', 'td_open']) {
	markdown.renderer.rules[rule] = (tokens, at, options, _env, self) => {
		const token = tokens[at]!;
		const align = /text-align:(\w+)/.exec(String(token.attrGet('style') ?? ''))?.[1];
		token.attrs = (token.attrs ?? []).filter(([name]) => name !== 'style');
		if (align !== undefined) token.attrSet('class', `align-${align}`);
		return self.renderToken(tokens, at, options);
	};
}

export function renderMarkdown(text: string): string {
	return markdown.render(text);
}
