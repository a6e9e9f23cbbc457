import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answers } from './answers.ts';
import type { DocPage } from './doc-pages.ts';
import type { Exchange } from './exchange.ts';
import { type OpenedByApp, pageHeaders } from './page-headers.ts';
import type { Router } from './router.ts';

const BUILT = join(import.meta.dirname, '../../pages/dist');
/** Stands in built pages where a text goes: `__NONCE__` by pages/vite.config.ts, others by the pages themselves. */
const PLACE = /__([A-Z]+)__/g;
const NONCE_BYTES = 16;
/** Built files are named by a hash of what is in them. */
const FOREVER = 'public, max-age=31536000, immutable';

const TYPES: Readonly<Record<string, string>> = {
	js: 'text/javascript; charset=utf-8',
	css: 'text/css; charset=utf-8',
	svg: 'image/svg+xml',
	png: 'image/png',
	woff2: 'font/woff2',
};

/** The names of the built pages. */
export type PageName =
	| 'index'
	| 'install'
	| `docs/${DocPage}`
	| 'view'
	| 'fault'
	| 'sign-in'
	| 'key'
	| 'console'
	| 'connect'
	| 'connect-sent'
	| 'connect-continue'
	| 'consent';

/** The pages as Vite built them. Files are read when they are first asked for, so that a start costs nothing. */
export class Pages {
	readonly #answers: Answers;
	readonly #files = new Map<string, Buffer>();
	/** What may be asked for under `/assets`: nothing else is ever opened. */
	readonly #assets: ReadonlySet<string>;

	constructor(answers: Answers) {
		this.#answers = answers;
		const directory = join(BUILT, 'assets');
		this.#assets = new Set(existsSync(directory) ? readdirSync(directory) : []);
	}

	addAssets(router: Router): void {
		router.add('/assets/{file}', { GET: { handler: (exchange) => this.#asset(exchange), operation: undefined } });
	}

	/** Sends a built page. @param headers names and values in turn, besides those of every page. */
	send(exchange: Exchange, status: number, name: PageName, headers: readonly string[] = []): void {
		this.sendFilled(exchange, status, name, {}, headers);
	}

	/** Sends a plain page that says in words what is wrong. It works without script. */
	sendFault(exchange: Exchange, status: number, title: string, message: string, headers: readonly string[] = []): void {
		this.sendFilled(exchange, status, 'fault', { TITLE: title, MESSAGE: message }, headers);
	}

	/**
	 * Sends a built page with texts in its places.
	 * @param texts what stands for `__NAME__`, by name; escaped here.
	 * @param openedByApp given where it was an app that opened the page for a person.
	 */
	sendFilled(
		exchange: Exchange,
		status: number,
		name: PageName,
		texts: Readonly<Record<string, string>>,
		headers: readonly string[] = [],
		openedByApp?: OpenedByApp,
	): void {
		// A page in words may stand in place of data, whose policy would not let it have its looks.
		exchange.headers = [];
		const nonce = randomBytes(NONCE_BYTES).toString('base64');
		const places: Readonly<Record<string, string>> = { ...texts, NONCE: nonce };
		// In one pass, so that no text is taken for a place.
		const html = this.#page(name).replaceAll(PLACE, (_place, of: string) => escapeHtml(places[of] ?? ''));
		const all = ['Content-Type', 'text/html; charset=utf-8', ...pageHeaders(nonce, openedByApp), ...headers];
		this.#answers.text(exchange, status, all, html);
	}

	#page(name: PageName): string {
		try {
			return this.#file(`${name}.html`).toString();
		} catch {
			return NOT_BUILT;
		}
	}

	#asset(exchange: Exchange): void {
		const name = exchange.params.file!;
		const type = TYPES[name.slice(name.lastIndexOf('.') + 1)];
		if (!this.#assets.has(name) || type === undefined) {
			this.sendFault(exchange, 404, 'There is nothing here', 'Reload the page you came from.');
			return;
		}
		const accepted = String(exchange.request.headers['accept-encoding'] ?? '');
		const encoding = [['br', 'br'] as const, ['gzip', 'gz'] as const].find(
			([coding, ending]) => new RegExp(`\\b${coding}\\b`).test(accepted) && this.#assets.has(`${name}.${ending}`),
		);
		const bytes = this.#file(join('assets', encoding === undefined ? name : `${name}.${encoding[1]}`));
		const headers = ['Content-Type', type, 'Vary', 'Accept-Encoding'];
		if (encoding !== undefined) headers.push('Content-Encoding', encoding[0]);
		this.#answers.bytes(exchange, 200, headers, bytes, FOREVER);
	}

	#file(path: string): Buffer {
		let bytes = this.#files.get(path);
		if (bytes === undefined) {
			bytes = readFileSync(join(BUILT, path));
			this.#files.set(path, bytes);
		}
		return bytes;
	}
}

const NOT_BUILT = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>pumaDB</title></head>
<body><main><h1>The pages are not built</h1><p>__MESSAGE__</p><p>Run <code>npm run build</code> where pumaDB is installed, then reload.</p></main></body></html>
`;

export function escapeHtml(text: string): string {
	return text
		.replaceAll('&', '&amp;')
		.replaceAll('<', '&lt;')
		.replaceAll('>', '&gt;')
		.replaceAll('"', '&quot;')
		.replaceAll("'", '&#39;');
}
