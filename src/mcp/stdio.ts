import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { CODES, errorMessage, ProtocolError } from './message.ts';

/** MCP over standard input and output: one message a line, in UTF-8, and nothing else (MCP 2025-11-25, transports, stdio). */

/** Messages that are answered at once; further ones wait to be read. */
const MAX_IN_FLIGHT = 32;
const NEWLINE = 0x0a;

export interface StdioOptions {
	readonly input: Readable;
	readonly output: Writable;
	/** Greatest length of a message. */
	readonly maxBytes: number;
	/** Ends the conversation. */
	readonly stopped: AbortSignal;
	/** The answer to a message, on one line; undefined where there is none. Must not reject. */
	readonly answer: (message: string) => Promise<string | undefined>;
}

/** Answers messages until the input ends or `stopped` fires; resolves once all that came is answered. */
export async function serveStdio({ input, output, maxBytes, stopped, answer }: StdioOptions): Promise<void> {
	const inFlight = new Set<Promise<void>>();
	// A client that is gone reads nothing any more: there is nobody to tell.
	output.on('error', () => input.destroy());
	const send = async (line: string | undefined): Promise<void> => {
		if (line === undefined || !output.writable || output.write(`${line}\n`)) return;
		await Promise.race([once(output, 'drain'), once(output, 'close')]).catch(() => {});
	};
	const stop = (): void => void input.destroy();
	stopped.addEventListener('abort', stop);
	try {
		for await (const line of linesOf(input, maxBytes)) {
			const text = line === undefined || !isUtf8(line) ? undefined : line.toString('utf8').trim();
			if (text === '') continue;
			const done = (text === undefined ? Promise.resolve(unreadable(line, maxBytes)) : answer(text)).then(send);
			inFlight.add(done);
			done.finally(() => inFlight.delete(done));
			if (inFlight.size >= MAX_IN_FLIGHT) await Promise.race(inFlight);
		}
	} catch (error) {
		// Destroyed by us, or cut off by the other side: either way the conversation has ended.
		if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE' && !input.destroyed) throw error;
	} finally {
		stopped.removeEventListener('abort', stop);
		await Promise.all(inFlight);
	}
}

function unreadable(line: Buffer | undefined, maxBytes: number): string {
	const message =
		line === undefined
			? `The message is longer than ${maxBytes} bytes. Send less at once.`
			: 'The message is not UTF-8. Send JSON in UTF-8, one message a line.';
	return errorMessage(
		'null',
		new ProtocolError(line === undefined ? CODES.invalidRequest : CODES.parseError, message, 400),
	);
}

/** The lines of a stream; undefined for each that is too long, of which nothing is kept. */
async function* linesOf(input: Readable, maxBytes: number): AsyncGenerator<Buffer | undefined> {
	let parts: Buffer[] = [];
	let bytes = 0;
	const take = (): Buffer | undefined => {
		const line = bytes > maxBytes ? undefined : Buffer.concat(parts);
		parts = [];
		bytes = 0;
		return line;
	};
	for await (const chunk of input as AsyncIterable<Buffer>) {
		let start = 0;
		for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
			parts.push(chunk.subarray(start, end));
			bytes += end - start;
			yield take();
			start = end + 1;
		}
		bytes += chunk.length - start;
		if (bytes > maxBytes) parts = [];
		else parts.push(chunk.subarray(start));
	}
	if (bytes > 0) yield take();
}
