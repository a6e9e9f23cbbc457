import type { IncomingMessage } from 'node:http';
import { Refusal } from '../errors.ts';
import { type BodyBudget, readBody } from '../http/body.ts';

const FORM_BYTES = 65_536;

/** Reads the form that a body is. @throws Refusal body_too_large, invalid_content_type, bad_request, overloaded */
export async function readForm(request: IncomingMessage, budget: BodyBudget): Promise<Parameters> {
	const { bytes, release } = await readBody(request, FORM_BYTES, budget, 'form');
	release();
	return new Parameters(new URLSearchParams(String(bytes)));
}

/** The query string of a request. */
export function queryOf(request: IncomingMessage): Parameters {
	const { url = '' } = request;
	const at = url.indexOf('?');
	return new Parameters(new URLSearchParams(at === -1 ? '' : url.slice(at + 1)));
}

/** Parameters of an OAuth request: each at most once, and an empty one is none (RFC 6749 sections 3.1 and 3.2). */
export class Parameters {
	readonly #values: URLSearchParams;

	constructor(values: URLSearchParams) {
		this.#values = values;
	}

	/** @throws Refusal invalid_request where it is there twice. */
	one(name: string): string | undefined {
		const values = this.all(name);
		if (values.length < 2) return values[0];
		throw new Refusal('invalid_request', `The parameter ${name} is there ${values.length} times. Send it once.`, {
			field: name,
		});
	}

	/** @throws Refusal invalid_request where it is missing or there twice. */
	required(name: string): string {
		const value = this.one(name);
		if (value !== undefined) return value;
		throw new Refusal('invalid_request', `The parameter ${name} is missing.`, { field: name });
	}

	/** For `resource`, which may be there several times (RFC 8707 section 2). */
	all(name: string): string[] {
		return this.#values.getAll(name).filter((value) => value !== '');
	}

	toString(): string {
		return this.#values.toString();
	}
}
