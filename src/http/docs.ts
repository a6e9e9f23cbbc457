import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../operations/context.ts';
import { fillPlaces, textsOf } from './agent-texts.ts';
import type { Answers } from './answers.ts';
import { DOC_PAGES, DOCS_DIRECTORY, type DocPage, docPath, linkTwins } from './doc-pages.ts';
import type { Pages } from './pages.ts';
import type { Router } from './router.ts';

/** `/docs` and `/how-to-use` for people, each with a Markdown twin for agents, showing this server's address and limits. */
export function addDocs(router: Router, context: Context, answers: Answers, pages: Pages): void {
	// The address is known only once the server listens. In built pages a place has capitals alone.
	const places = (): Record<string, string> =>
		Object.fromEntries(Object.entries(textsOf(context)).map(([name, text]) => [name.toUpperCase(), text]));
	const twins = new Map<DocPage, string>();
	for (const page of DOC_PAGES) {
		router.add(docPath(page), {
			GET: { handler: (exchange) => pages.sendFilled(exchange, 200, `docs/${page}`, places()), operation: undefined },
		});
		router.add(`${docPath(page)}.md`, {
			GET: {
				handler: (exchange) => {
					let twin = twins.get(page);
					if (twin === undefined) {
						const source = readFileSync(join(DOCS_DIRECTORY, `${page}.md`), 'utf8');
						twin = fillPlaces(linkTwins(source, context.publicUrl), textsOf(context));
						twins.set(page, twin);
					}
					answers.text(exchange, 200, ['Content-Type', 'text/markdown; charset=utf-8'], twin);
				},
				operation: undefined,
			},
		});
	}
}
