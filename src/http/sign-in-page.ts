import { createHash } from 'node:crypto';
import { JsonDocument } from '../domain/json.ts';
import { naturalStatus, Refusal } from '../errors.ts';
import type { Gate } from '../operations/run.ts';
import type { Answers } from './answers.ts';
import { BodyBudget, readBody } from './body.ts';
import { clientOf } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import type { Router } from './router.ts';

/**
 * The page behind a magic link. Opening it uses nothing up, because mail scanners open links too: only its button verifies.
 */

const STYLE =
	'body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}' +
	'button{font:inherit;padding:.6rem 1.2rem}code{word-break:break-all;user-select:all}';
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
const CSP = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`;
const FORM_BYTES = 16_384;

function escapeHtml(text: string): string {
	return text
		.replaceAll('&', '&amp;')
		.replaceAll('<', '&lt;')
		.replaceAll('>', '&gt;')
		.replaceAll('"', '&quot;')
		.replaceAll("'", '&#39;');
}

function page(title: string, content: string): string {
	return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<title>${title} · pumaDB</title><style>${STYLE}</style></head>
<body><main><h1>${title}</h1>
${content}
</main></body>
</html>
`;
}

const HEADERS = [
	...['Content-Type', 'text/html; charset=utf-8'],
	...['Content-Security-Policy', CSP],
	...['Referrer-Policy', 'no-referrer'],
	...['X-Robots-Tag', 'noindex'],
];

const BUTTON_PAGE = (token: string): string =>
	page(
		'Sign in',
		`<p>Press the button to get an API key. The link works once.</p>
<form method="post" action="/sign-in"><input type="hidden" name="token" value="${escapeHtml(token)}"><button type="submit">Get an API key</button></form>`,
	);

const KEY_PAGE = (key: string): string =>
	page(
		'Your API key',
		`<p>Copy it now: it is not shown again. It opens your whole account, so keep it on servers and out of browsers and repositories.</p>
<p><code>${escapeHtml(key)}</code></p>
<p>Send it as <code>Authorization: Bearer …</code> with every call.</p>`,
	);

const FAULT_PAGE = (message: string): string => page('This link cannot be used', `<p>${escapeHtml(message)}</p>`);

/** `GET /sign-in` shows the button, `POST /sign-in` verifies and shows the key. */
export function addSignInPage(router: Router, gate: Gate, answers: Answers, trustProxy: number): void {
	const send = (exchange: Exchange, status: number, html: string): void =>
		answers.text(exchange, status, [...HEADERS], html);

	// Forms are too small to count.
	const budget = new BodyBudget();

	function show(exchange: Exchange): void {
		const token = new URLSearchParams(exchange.request.url!.split('?')[1] ?? '').get('token') ?? '';
		if (token !== '') send(exchange, 200, BUTTON_PAGE(token));
		else send(exchange, 400, FAULT_PAGE('The address has no token. Open the link exactly as it stands in the mail.'));
	}

	async function verify(exchange: Exchange): Promise<void> {
		const client = clientOf(exchange.request, trustProxy);
		try {
			gate.admitClient('verifyMagicLink', client);
			const form = new URLSearchParams(String((await readBody(exchange.request, FORM_BYTES, budget, 'form')).bytes));
			const document = JsonDocument.fromText(JSON.stringify({ token: form.get('token') ?? '' }), 'form');
			const answer = await gate.run('verifyMagicLink', { client, body: { document, value: document.value, path: [] } });
			send(exchange, 200, KEY_PAGE((JSON.parse(answer.body as string) as { api_key: string }).api_key));
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			const status = naturalStatus(error.code);
			const wait = status === 429 || status === 503 ? ['Retry-After', String(error.details?.retry_after ?? 1)] : [];
			answers.text(exchange, status, [...HEADERS, ...wait], FAULT_PAGE(error.message));
		}
	}

	router.add('/sign-in', {
		GET: { handler: show, operation: undefined },
		POST: { handler: verify, operation: undefined },
	});
}
