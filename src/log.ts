import pino, { type DestinationStream, type Logger } from 'pino';

/** Standard output carries the one line that says where the server is; logs go to standard error, in JSON lines. */

const STDERR = 2;
const FLUSH_EVERY_MS = 250;
/** Each flush wakes a thread of the pool: under load that cost more than making the lines. */
const FLUSH_CHARACTERS = 65_536;
const INFO = 30;

export interface Log extends Pick<Logger, 'info' | 'warn' | 'error'> {
	/** One line for one answer. */
	access(entry: AccessEntry): void;
	/** Writes out what is buffered and stops. */
	close(): Promise<void>;
}

/** What is logged of an answer: the route's pattern, never its path. Every text is plain ASCII of our own making. */
export interface AccessEntry {
	readonly requestId: string;
	readonly method: string;
	readonly route: string;
	readonly status: number;
	/** From the head of the request to the answer being given to the socket. */
	readonly milliseconds: number;
	readonly account: string | undefined;
	readonly key: string | undefined;
}

/** @param level what is left out below: debug, info, warn, error, silent. */
export function makeLog(level: string): Log {
	const destination = pino.destination({ fd: STDERR, sync: false });
	const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
	const lines = new Lines(destination);
	const accessOn = log.isLevelEnabled('info');
	const timer = setInterval(() => lines.flush(), FLUSH_EVERY_MS);
	timer.unref();
	return {
		info: log.info.bind(log),
		warn: log.warn.bind(log),
		error: log.error.bind(log),
		access: accessOn ? (entry) => lines.add(accessLine(entry)) : () => {},
		async close() {
			clearInterval(timer);
			lines.flush();
			await new Promise<void>((resolve) => log.flush(() => resolve()));
		},
	};
}

/** Made by template: a general serializer costs as much as all other work on a cached read. */
function accessLine({ requestId, method, route, status, milliseconds, account, key }: AccessEntry): string {
	const who = account === undefined ? '' : `,"account":"${account}","key":"${key}"`;
	const ms = Math.round(milliseconds * 100) / 100;
	return `{"level":${INFO},"time":"${isoNow()}","requestId":"${requestId}","method":"${method}","route":"${route}","status":${status},"ms":${ms}${who}}\n`;
}

let stampedAt = 0;
let stamp = '';

/** The time of day, written once a millisecond. */
function isoNow(): string {
	const now = Date.now();
	if (now !== stampedAt) {
		stampedAt = now;
		stamp = new Date(now).toISOString();
	}
	return stamp;
}

/** Gathers lines, because each write to a stream has its price. */
class Lines {
	readonly #destination: DestinationStream;
	#text = '';

	constructor(destination: DestinationStream) {
		this.#destination = destination;
	}

	add(line: string): void {
		this.#text += line;
		if (this.#text.length >= FLUSH_CHARACTERS) this.flush();
	}

	flush(): void {
		if (this.#text === '') return;
		this.#destination.write(this.#text);
		this.#text = '';
	}
}
