import type { IncomingMessage } from 'node:http';
import { Refusal } from '../errors.ts';

const JSON_TYPE = /^application\/(?:json|[a-z0-9.!#$&^_-]+\+json)\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?;?\s*$/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;.*)?$/i;

/**
 * The bytes of a body, checked in the order of the rules: size first, then the content type.
 * @param maxBytes the greatest size.
 * @throws Refusal body_too_large as soon as that is known, invalid_content_type, or bad_request for a body cut short.
 */
export function readBody(request: IncomingMessage, maxBytes: number, type: 'json' | 'form' = 'json'): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
			reject(tooLarge(maxBytes));
			return;
		}
		const chunks: Buffer[] = [];
		let bytes = 0;
		const onData = (chunk: Buffer): void => {
			bytes += chunk.length;
			chunks.push(chunk);
			if (bytes <= maxBytes) return;
			request.off('data', onData);
			reject(tooLarge(maxBytes));
		};
		request.on('data', onData);
		request.once('error', () => reject(cutShort()));
		request.once('end', () => {
			const given = request.headers['content-type'] ?? '';
			if ((type === 'form' ? FORM_TYPE : JSON_TYPE).test(given)) {
				resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
			} else reject(wrongType(given));
		});
	});
}

function wrongType(given: string): Refusal {
	return new Refusal(
		'invalid_content_type',
		'The body must say that it is JSON in UTF-8. Send the header "Content-Type: application/json".',
		{ content_type: given.slice(0, 100) },
	);
}

function tooLarge(limit: number): Refusal {
	return new Refusal(
		'body_too_large',
		`The body is larger than ${limit} bytes. Send less at once, for example in several batches.`,
		{
			limit,
		},
	);
}

function cutShort(): Refusal {
	return new Refusal('bad_request', 'The connection ended before the whole body had arrived. Send the call again.');
}
