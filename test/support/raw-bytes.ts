import { connect } from 'node:net';
import type { Any } from './client.ts';

/** HTTP as bytes on a socket, for what no client sends: malformed requests, bodies that end early or never. */

export interface RawAnswer {
	readonly status: number;
	readonly headers: Headers;
	/** The body as JSON, or as text where it is not. */
	readonly body: Any;
	readonly text: string;
}

export interface RawOptions {
	/** Ends our side once everything is written. */
	readonly end?: boolean;
	/** Reads on until the server closes, in place of stopping at the first whole answer. */
	readonly untilClosed?: boolean;
}

const DEADLINE_MS = 60_000;

/** Writes the pieces in one go, as a client does that reads only when it has sent everything, and resolves with the answers. */
export function sendBytes(
	base: string,
	pieces: readonly (string | Uint8Array)[],
	options: RawOptions = {},
): Promise<RawAnswer[]> {
	const { hostname, port } = new URL(base);
	return new Promise((resolve, reject) => {
		const socket = connect(Number(port), hostname);
		let received = '';
		const finish = (error?: Error): void => {
			clearTimeout(deadline);
			socket.destroy();
			if (error === undefined) resolve(parseAnswers(received));
			else reject(error);
		};
		const deadline = setTimeout(
			() => finish(new Error(`No whole answer came: ${received.slice(0, 500)}`)),
			DEADLINE_MS,
		);
		socket.setEncoding('latin1');
		socket.on('data', (text: string) => {
			received += text;
			if (options.untilClosed !== true && parseAnswers(received).length > 0) finish();
		});
		// A reset after the answer is the server's way to close; one before it shows as no answer.
		socket.on('error', () => finish());
		socket.on('close', () => finish());
		for (const piece of pieces) socket.write(piece);
		if (options.end === true) socket.end();
	});
}

/** The one answer to the pieces. */
export async function sendOne(
	base: string,
	pieces: readonly (string | Uint8Array)[],
	options: RawOptions = {},
): Promise<RawAnswer> {
	const answers = await sendBytes(base, pieces, options);
	if (answers.length === 1) return answers[0]!;
	throw new Error(`${answers.length} answers came in place of one to ${String(pieces[0]).slice(0, 100)}`);
}

/** The whole final answers in what a server sent (RFC 9112 section 6, as far as this server uses it). */
function parseAnswers(received: string): RawAnswer[] {
	const answers: RawAnswer[] = [];
	for (let rest = received; ; ) {
		const end = rest.indexOf('\r\n\r\n');
		if (end === -1) return answers;
		const [line, ...fields] = rest.slice(0, end).split('\r\n');
		const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line!)?.[1]);
		const headers = new Headers(fields.map((field) => field.split(/: ?(.*)/s, 2) as [string, string]));
		const start = end + 4;
		const length = status < 200 || status === 204 ? 0 : Number(headers.get('content-length') ?? rest.length - start);
		if (rest.length < start + length) return answers;
		const text = Buffer.from(rest.slice(start, start + length), 'latin1').toString('utf8');
		if (status >= 200) answers.push({ status, headers, body: parse(text), text });
		rest = rest.slice(start + length);
	}
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}
