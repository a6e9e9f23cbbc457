import type { IncomingMessage } from 'node:http';
import { Refusal } from '../errors.ts';

const JSON_TYPE = /^application\/(?:json|[a-z0-9.!#$&^_-]+\+json)\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]*)/i;
/** Bodies up to this size are not counted: 20,000 waiting calls are bounded otherwise. */
const SMALL_BODY_BYTES = 16_384;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;.*)?$/i;

/** Bytes of bodies that the server holds at once, all calls together; further ones are refused until some are answered. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

/** Counts the bytes of bodies from when they arrive until their calls are answered. */
export class BodyBudget {
	#held = 0;

	/** @throws Refusal overloaded where there is no room for so many bytes more. */
	take(bytes: number): void {
		if (this.#held + bytes > MAX_HELD_BYTES) {
			throw new Refusal(
				'overloaded',
				'The server holds as many large bodies as it can. Send the call again in a second.',
			);
		}
		this.#held += bytes;
	}

	give(bytes: number): void {
		this.#held -= bytes;
	}
}

/**
 * The bytes of a body, checked in the order of the rules: size first, then the content type.
 * @param maxBytes the greatest size.
 * @param budget is given back what the body took when the returned `release` is called.
 * @throws Refusal body_too_large as soon as that is known, overloaded, invalid_content_type, or bad_request for a body cut short.
 */
export function readBody(
	request: IncomingMessage,
	maxBytes: number,
	budget: BodyBudget,
	type: 'json' | 'form' = 'json',
): Promise<{ bytes: Buffer; release: () => void }> {
	return new Promise((resolve, reject) => {
		if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
			reject(tooLarge(maxBytes));
			return;
		}
		const chunks: Buffer[] = [];
		let bytes = 0;
		let taken = 0;
		const release = (): void => {
			budget.give(taken);
			taken = 0;
		};
		const refuse = (error: unknown): void => {
			request.off('data', onData);
			release();
			reject(error);
		};
		const onData = (chunk: Buffer): void => {
			bytes += chunk.length;
			chunks.push(chunk);
			if (bytes > maxBytes) refuse(tooLarge(maxBytes));
			else if (bytes > SMALL_BODY_BYTES) {
				try {
					budget.take(bytes - taken);
					taken = bytes;
				} catch (error) {
					refuse(error);
				}
			}
		};
		request.on('data', onData);
		request.once('error', () => refuse(cutShort()));
		request.once('end', () => {
			const given = request.headers['content-type'] ?? '';
			if (!(type === 'form' ? FORM_TYPE.test(given) : isJson(given)))
				refuse(type === 'form' ? notForm(given) : wrongType(given, request.method!));
			else resolve({ bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), release });
		});
	});
}

/** JSON by its media type, whatever its parameters, but in no other charset than UTF-8 (RFC 8259 section 8.1). */
function isJson(type: string): boolean {
	return JSON_TYPE.test(type) && (CHARSET.exec(type)?.[1] ?? 'utf-8').toLowerCase() === 'utf-8';
}

function wrongType(given: string, method: string): Refusal {
	// A slip of those who know APIs that delete by query string.
	const deletes =
		method === 'DELETE' ? ' A delete takes its filter in the body, for example {"filter":{"status":"done"}}.' : '';
	return new Refusal(
		'invalid_content_type',
		`The body must say that it is JSON in UTF-8. Send the header "Content-Type: application/json".${deletes}`,
		{ content_type: given.slice(0, 100) },
	);
}

function notForm(given: string): Refusal {
	return new Refusal(
		'invalid_content_type',
		'The body must be a form. Send the header "Content-Type: application/x-www-form-urlencoded".',
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
