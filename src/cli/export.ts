import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PumaError } from '../../client/src/index.ts';
import { UsageError, type Values } from './command.ts';
import { connect } from './connect.ts';
import { write } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { visibleJson } from './visible.ts';

/** Writes every row of every table as JSON, to standard output or into a file that is there only once it is whole. */
export async function exportTables(values: Values, [file]: readonly string[], around: Surroundings): Promise<number> {
	if (file === undefined || file === '-') {
		const decoder = new TextDecoder();
		// JSON means the same, and rows cannot steer the terminal.
		const shown = (chunk: Uint8Array): Uint8Array | string =>
			around.stdout.isTTY === true ? visibleJson(decoder.decode(chunk, { stream: true })) : chunk;
		for await (const chunk of exported(around)) await write(around, shown(chunk));
		await write(around, '\n');
		return 0;
	}
	const there = lstatSync(file, { throwIfNoEntry: false });
	// A device, a pipe or a link would be gone, with a file in its place.
	if (there?.isFile() === false)
		throw new UsageError(`${file} is not a regular file, so it is not replaced. Name another, or use standard output.`);
	if (there !== undefined && !values.force)
		throw new UsageError(`${file} exists already. Name another file, or say --force.`);
	const partial = join(dirname(file), `.pumadb-export-${randomUUID()}`);
	let bytes = 0;
	try {
		// Memories are private unless somebody says otherwise.
		const fd = openSync(partial, 'wx', 0o600);
		try {
			for await (const chunk of exported(around)) {
				for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
				bytes += chunk.length;
			}
			fsyncSync(fd);
		} finally {
			closeSync(fd);
		}
		renameSync(partial, file);
	} catch (error) {
		rmSync(partial, { force: true });
		throw named(error, partial, file);
	}
	await write(around, values.json ? `${JSON.stringify({ file, bytes })}\n` : `Wrote ${file} (${bytes} bytes).\n`);
	return 0;
}

/** The system's error, with the file that was asked for in place of the one that stands for it. */
function named(error: unknown, partial: string, file: string): unknown {
	const { code, syscall, message } = error as NodeJS.ErrnoException;
	if (syscall === undefined) return error;
	// A file that is made need not be there, but its directory.
	const path = code === 'ENOENT' ? dirname(file) : file;
	return Object.assign(error as Error, { path, message: message.replaceAll(partial, file) });
}

/** The export's bytes. @throws PumaError connection_failed where they end too early */
async function* exported(around: Surroundings): AsyncGenerator<Uint8Array> {
	const stream = await connect(around).exportStream();
	try {
		yield* stream;
	} catch (cause) {
		throw new PumaError('connection_failed', 'The connection broke before the export was whole. Try again.', { cause });
	}
}
