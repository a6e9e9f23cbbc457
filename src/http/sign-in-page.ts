import { JsonDocument } from '../domain/json.ts';
import { naturalStatus, Refusal } from '../errors.ts';
import { readBody } from './body.ts';
import { clientOf } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import type { FaceParts } from './face.ts';
import { requireSameOrigin } from './page-headers.ts';
import type { Router } from './router.ts';

const FORM_BYTES = 16_384;

/**
 * The page that asks for an address, and that a magic link leads to. Opening the link uses nothing up, because mail scanners
 * open links too: only its buttons do. `POST /sign-in` is the button of browsers without script.
 */
export function addSignInPage(router: Router, { gate, pages, budget, trustProxy }: FaceParts): void {
	function show(exchange: Exchange): void {
		const token = new URLSearchParams(exchange.request.url!.split('?')[1] ?? '').get('token') ?? '';
		pages.sendFilled(exchange, 200, 'sign-in', { TOKEN: token });
	}

	async function verify(exchange: Exchange): Promise<void> {
		const client = clientOf(exchange.request, trustProxy);
		try {
			// Else another page could put the key of an account of its own before a person.
			requireSameOrigin(exchange.request);
			await gate.admitClient('verifyMagicLink', client);
			const form = new URLSearchParams(String((await readBody(exchange.request, FORM_BYTES, budget, 'form')).bytes));
			const document = JsonDocument.fromText(JSON.stringify({ token: form.get('token') ?? '' }), 'form');
			const answer = await gate.run('verifyMagicLink', { client, body: { document, value: document.value, path: [] } });
			const { api_key: key } = JSON.parse(answer.body as string) as { api_key: string };
			pages.sendFilled(exchange, 200, 'key', { KEY: key });
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			const status = naturalStatus(error.code);
			const wait = status === 429 || status === 503 ? ['Retry-After', String(error.details?.retry_after ?? 1)] : [];
			const message =
				error.code === 'invalid_magic_link'
					? 'It was used already, has expired, or is not whole. Ask for a new one.'
					: error.message;
			pages.sendFault(exchange, status, 'This link cannot be used', message, wait);
		}
	}

	router.add('/sign-in', {
		GET: { handler: show, operation: undefined },
		POST: { handler: verify, operation: undefined },
	});
}
