import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refusal } from '../errors.ts';

/** What a route says about its body, in Fastify's route config. */
export interface BodyRule {
	/** Greatest body in bytes; undefined where the operation has none and one that is sent is ignored. */
	readonly maxBodyBytes?: number;
	/** A form is expected in place of JSON. */
	readonly form?: boolean;
}

const JSON_TYPE = /^application\/(?:json|[a-z0-9.!#$&^_-]+\+json)(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*;?\s*$/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;.*)?$/i;

/**
 * Hands bodies on as bytes, in place of Fastify's parsers, which would coerce and answer in their own words. Checks in the
 * order of the rules: size first, then the content type.
 */
export function acceptBodies(app: FastifyInstance): void {
	app.removeAllContentTypeParsers();
	app.addContentTypeParser('*', (request, payload, done) => {
		const { maxBodyBytes, form } = request.routeOptions.config as BodyRule;
		// An unread body is dropped by node:http once the answer is sent.
		if (maxBodyBytes === undefined) return done(null, undefined);
		if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return done(tooLarge(maxBodyBytes));
		const chunks: Buffer[] = [];
		let bytes = 0;
		let finished = false;
		const finish = (error: Error | null, body?: Buffer): void => {
			if (finished) return;
			finished = true;
			payload.removeAllListeners('data');
			done(error, body);
		};
		payload.on('data', (chunk: Buffer) => {
			bytes += chunk.length;
			if (bytes > maxBodyBytes) return finish(tooLarge(maxBodyBytes));
			chunks.push(chunk);
		});
		payload.on('error', () => finish(cutShort()));
		payload.on('end', () => {
			const fault = checkContentType(request, form === true);
			if (fault !== undefined) finish(fault);
			else finish(null, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
		});
	});
}

/** The refusal of a body that is not what the route takes, or undefined. */
export function checkContentType(request: FastifyRequest, form: boolean): Refusal | undefined {
	const type = request.headers['content-type'] ?? '';
	if ((form ? FORM_TYPE : JSON_TYPE).test(type)) return undefined;
	return new Refusal(
		'invalid_content_type',
		'The body must say that it is JSON in UTF-8. Send the header "Content-Type: application/json".',
		{
			content_type: type.slice(0, 100),
		},
	);
}

function tooLarge(limit: number): Refusal {
	return new Refusal(
		'body_too_large',
		`The body is larger than ${limit} bytes. Send less at once, for example in several batches.`,
		{ limit },
	);
}

function cutShort(): Refusal {
	return new Refusal('bad_request', 'The connection ended before the whole body had arrived. Send the call again.');
}
