import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ErrorCode, errorBody } from '../errors.ts';

/** What `node:http` refuses before there is a request gets the error body too. */

/** How much a refused sender may go on sending, and for how long, so that it gets to read the refusal. */
const LINGER_BYTES = 16 * 1024 * 1024;
const LINGER_MS = 2000;

const refused = new WeakSet<Duplex>();

type Fault = readonly [status: number, code: ErrorCode, message: string];

const FAULTS: Readonly<Record<string, Fault>> = {
	HPE_HEADER_OVERFLOW: [
		431,
		'headers_too_large',
		'The request line and headers are larger than 64 KB. Send a shorter filter.',
	],
	ERR_HTTP_REQUEST_TIMEOUT: [
		408,
		'request_timeout',
		'The request did not arrive in time. Send it again, without pauses.',
	],
};
const MALFORMED: Fault = [400, 'bad_request', 'The HTTP request is malformed. Send it as HTTP/1.1.'];
const TUNNEL: Fault = [
	405,
	'method_not_allowed',
	'This server is no proxy. Send GET, POST, PUT or DELETE to one of its paths.',
];

/** Told of each such answer. */
export type OnRefused = (id: string, status: number) => void;

/** Answers for node:http's events `clientError` and `connect`. */
export class ParserFaults {
	readonly #nextId: () => string;
	readonly #onRefused: OnRefused;

	/** @param nextId makes the request id of an answer. */
	constructor(nextId: () => string, onRefused: OnRefused) {
		this.#nextId = nextId;
		this.#onRefused = onRefused;
	}

	clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
		// The parser goes on complaining of what a refused sender still sends.
		if (refused.has(socket)) return;
		if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
		else this.#refuse(socket, FAULTS[error.code ?? ''] ?? MALFORMED);
	}

	/** There is no proxy here. */
	connect(_request: IncomingMessage, socket: Duplex): void {
		this.#refuse(socket, TUNNEL);
	}

	#refuse(socket: Duplex, fault: Fault): void {
		const id = this.#nextId();
		answerAndClose(socket, fault, id);
		this.#onRefused(id, fault[0]);
	}
}

function answerAndClose(socket: Duplex, [status, code, message]: Fault, id: string): void {
	const body = errorBody({ code, message });
	const head = [
		`HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
		...(status === 405 ? ['Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS'] : []),
		'Connection: close',
		`X-Request-Id: ${id}`,
		'X-Content-Type-Options: nosniff',
		'Cache-Control: no-store',
		'Content-Type: application/json; charset=utf-8',
		`Content-Length: ${Buffer.byteLength(body)}`,
	];
	refused.add(socket);
	let left = LINGER_BYTES;
	const timer = setTimeout(() => socket.destroy(), LINGER_MS);
	socket.on('error', () => socket.destroy());
	socket.on('data', (chunk: Buffer) => {
		left -= chunk.length;
		if (left < 0) socket.destroy();
	});
	socket.once('end', () => socket.destroy());
	socket.once('close', () => clearTimeout(timer));
	socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
	socket.resume();
}
