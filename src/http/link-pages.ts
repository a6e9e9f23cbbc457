import { create as contentDisposition } from 'content-disposition';
import { type Awaitable, then } from '../awaitable.ts';
import { JsonDocument } from '../domain/json.ts';
import type { Link } from '../domain/link.ts';
import { naturalStatus, Refusal } from '../errors.ts';
import { maxBodyBytes } from '../limits.ts';
import { type LinkOperationId, rateLimited } from '../operations/run.ts';
import { JSON_TYPE } from './answers.ts';
import { readBody } from './body.ts';
import type { Exchange, Handler } from './exchange.ts';
import type { FaceParts } from './face.ts';
import { inertHeaders, requireSameOrigin } from './page-headers.ts';
import type { Router } from './router.ts';
import { stateOf } from './row-state.ts';

/**
 * The face of links: a page, what the page shows and saves, and a file. The token in the path is all there is to know; it is
 * looked up for each request, so that a link ends the moment it expires or its key is revoked.
 */
export function addLinkPages(router: Router, { gate, answers, pages, budget }: FaceParts): void {
	const maxBytes = maxBodyBytes(gate.context.limits, false);

	function admitted(exchange: Exchange, operation: LinkOperationId, link: Link): Awaitable<Link> {
		const caller = { accountId: link.accountId, keyId: link.keyId };
		exchange.caller = caller;
		return then(gate.admit(operation, caller), (rate) => {
			exchange.rate = rate;
			if (rate !== undefined && !rate.admitted) throw rateLimited(rate, 'The API key that made this link');
			return link;
		});
	}

	async function page(exchange: Exchange): Promise<void> {
		try {
			await gate.link(exchange.params.token!, 'viewer');
			pages.send(exchange, 200, 'view');
		} catch (error) {
			if (!(error instanceof Refusal)) throw error;
			pages.sendFault(exchange, naturalStatus(error.code), 'This link does not work any more', error.message);
		}
	}

	function read(operation: 'viewLink' | 'listLinkVersions'): Handler {
		return (exchange) =>
			then(gate.link(exchange.params.token!, 'viewer'), (found) =>
				then(admitted(exchange, operation, found), (link) =>
					then(gate.runLinked(operation, link, {}), (answer) => answers.answer(exchange, 200, answer)),
				),
			);
	}

	function change(operation: 'saveLink' | 'restoreLinkVersion'): Handler {
		return async (exchange) => {
			const { request, params } = exchange;
			requireSameOrigin(request);
			await admitted(exchange, operation, await gate.link(params.token!, 'viewer'));
			const { bytes, release } = await readBody(request, maxBytes, budget);
			try {
				const document = JsonDocument.fromBytes(bytes);
				const body = { document, value: document.value, path: [] };
				// A body may take its time, and the link may have ended meanwhile.
				const link = await gate.link(params.token!, 'viewer');
				const ifUnchanged = stateOf(request.headers['if-match']);
				answers.answer(exchange, 200, await gate.runLinked(operation, link, { body, ifUnchanged }));
			} finally {
				release();
			}
		};
	}

	const download =
		(kind: 'viewer' | 'download') =>
		async (exchange: Exchange): Promise<void> => {
			try {
				const link = await admitted(exchange, 'downloadLink', await gate.link(exchange.params.token!, kind));
				const { body } = await gate.runLinked('downloadLink', link, {});
				const headers = ['Content-Type', fileType(link.target.mimeType)];
				headers.push('Content-Disposition', contentDisposition(link.target.filename));
				answers.text(exchange, 200, headers, body as string);
			} catch (error) {
				if (!(error instanceof Refusal)) throw error;
				const { code, message, details } = error;
				const wait = details?.retry_after === undefined ? [] : ['Retry-After', String(details.retry_after)];
				pages.sendFault(exchange, naturalStatus(code), 'There is no file here', message, wait);
			}
		};

	const route = (handler: Handler) => ({ handler, operation: undefined, headers: inertHeaders() });
	router.add('/view/{token}', { GET: { handler: page, operation: undefined } });
	router.add('/view/{token}/data', { GET: route(read('viewLink')), PUT: route(change('saveLink')) });
	router.add('/view/{token}/versions', { GET: route(read('listLinkVersions')) });
	router.add('/view/{token}/restore', { POST: route(change('restoreLinkVersion')) });
	router.add('/view/{token}/file', { GET: route(download('viewer')) });
	router.add('/download/{token}', { GET: route(download('download')) });
}

/** The file's media type: what we hold is text in UTF-8, whatever charset the type claims. */
function fileType(mimeType: string): string {
	return mimeType === 'application/json' ? JSON_TYPE : `${mimeType.split(';')[0]!.trim()}; charset=utf-8`;
}
