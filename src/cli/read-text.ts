import { isUtf8 } from 'node:buffer';
import { createReadStream, fstatSync, open } from 'node:fs';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { UsageError } from './command.ts';
import type { Surroundings } from './surroundings.ts';

/** What fits into one string; an account is far smaller. */
const MAX_BYTES = 256 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const openFile = promisify(open);

/** All of a file, or of standard input. */
export interface ReadText {
	/** As a person named it. */
	readonly name: string;
	readonly bytes: Buffer;
	readonly text: string;
}

/**
 * Reads a file, a pipe or standard input (`-`), at most 256 MB of it; ends when the process is asked to stop.
 * @throws UsageError; Error for what cannot be read, is too large or is no UTF-8: nothing is put in the place of what is wrong
 */
export async function readText(file: string, around: Surroundings): Promise<ReadText> {
	const name = file === '-' ? 'standard input' : file;
	const stream = file === '-' ? around.stdin : await streamOf(file);
	addAbortSignal(around.stopped, stream);
	const chunks: Buffer[] = [];
	let length = 0;
	// To leave the loop destroys the stream: an endless one is not read on.
	for await (const chunk of stream as AsyncIterable<Buffer>) {
		length += chunk.length;
		if (length > MAX_BYTES) {
			throw new Error(`${name} has more than ${MAX_BYTES / 1024 / 1024} MB. Split it and send its parts.`);
		}
		chunks.push(chunk);
	}
	const bytes = Buffer.concat(chunks, length);
	return { name, bytes, text: decode(bytes, name) };
}

async function streamOf(file: string): Promise<Readable> {
	const fd = await openFile(file, 'r');
	const stat = fstatSync(fd);
	// A read from a pipe that is in a thread cannot be ended before something comes.
	if (stat.isFIFO()) return new Socket({ fd, readable: true, writable: false });
	const stream = createReadStream(file, { fd, highWaterMark: CHUNK_BYTES });
	if (!stat.isDirectory()) return stream;
	stream.destroy();
	throw new UsageError(`${file} is a directory: name a file.`);
}

function decode(bytes: Buffer, name: string): string {
	const first = bytes.subarray(0, 2).toString('hex');
	if (first === 'fffe' || first === 'feff') {
		throw new Error(`${name} is UTF-16. Convert it first: iconv -f UTF-16 -t UTF-8`);
	}
	if (!isUtf8(bytes)) {
		throw new Error(
			`${name} is not UTF-8 (line ${badLine(bytes)}). Convert it first, for example: iconv -f WINDOWS-1252 -t UTF-8`,
		);
	}
	const text = bytes.toString('utf8');
	return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** The first line that is no UTF-8: in UTF-8 a line feed is no part of another character. */
function badLine(bytes: Buffer): number {
	let line = 1;
	for (let start = 0; ; line++) {
		const end = bytes.indexOf(0x0a, start);
		if (!isUtf8(bytes.subarray(start, end === -1 ? bytes.length : end)) || end === -1) return line;
		start = end + 1;
	}
}
