/** Calls to our own server, and what it answers when it refuses. */

/** A refusal in the server's own words, or a failure to reach it. */
export class Problem extends Error {
	/** HTTP status; 0 where no answer came. */
	readonly status: number;
	/** A code of docs/errors.md; `unreachable` where no answer came. */
	readonly code: string;
	readonly details: Readonly<Record<string, unknown>>;

	constructor(status: number, code: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
		super(message);
		this.status = status;
		this.code = code;
		this.details = details;
	}
}

export interface Reply {
	readonly text: string;
	/** The entity tag of what was answered, if it has one. */
	readonly tag: string | null;
}

/** @throws Problem for every answer that is no success, and where no answer comes. */
export async function call(method: string, path: string, body?: string, headers: HeadersInit = {}): Promise<Reply> {
	const response = await answered(method, path, body, headers);
	return { text: await received(response.text()), tag: response.headers.get('etag') };
}

/** What is at a path, as a file of any size. @throws Problem as {@link call}, and for an answer that was cut off. */
export async function download(path: string, headers: HeadersInit): Promise<Blob> {
	const response = await answered('GET', path, undefined, headers);
	return received(response.blob());
}

async function answered(
	method: string,
	path: string,
	body: string | undefined,
	headers: HeadersInit,
): Promise<Response> {
	const response = await received(
		fetch(path, {
			method,
			headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
			credentials: 'same-origin',
			cache: 'no-store',
			...(body === undefined ? {} : { body }),
		}),
	);
	if (response.ok) return response;
	throw problemOf(response.status, await received(response.text()));
}

function received<T>(arriving: Promise<T>): Promise<T> {
	return arriving.catch(() => {
		throw new Problem(0, 'unreachable', 'The server cannot be reached. Check the connection and try again.');
	});
}

function problemOf(status: number, text: string): Problem {
	try {
		const { code, message, details } = JSON.parse(text).error;
		return new Problem(status, code, message, details);
	} catch {
		return new Problem(status, 'unknown', `The server answered ${status}. Try again in a moment.`);
	}
}

/** What to tell a person of anything that was thrown. */
export function wordsOf(error: unknown): string {
	if (error instanceof Problem) return error.message;
	return 'Something went wrong in this page. Reload it; what was saved is safe.';
}
