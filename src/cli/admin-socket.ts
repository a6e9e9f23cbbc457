import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { errorBody, Refusal, type RefusalData } from '../errors.ts';
import type { Store } from '../store/seam.ts';
import { type OperatorCommand, runOperatorCommand } from './operator-commands.ts';

/**
 * Lets the command line reach a running server: HTTP on a Unix socket in the data directory, which only its owner can open. The
 * running server is the one writer, so commands go through it.
 */
export interface AdminSocket {
	close(): Promise<void>;
}

/** Greatest length of a socket's path on common systems (sockaddr_un, unix(7)). */
const MAX_PATH_BYTES = 100;

function socketPath(dataDir: string): string {
	const absolute = resolve(dataDir, 'admin.sock');
	const shorter = [relative(process.cwd(), absolute), absolute].find(
		(path) => Buffer.byteLength(path) <= MAX_PATH_BYTES,
	);
	const name = createHash('sha256').update(absolute).digest('hex').slice(0, 24);
	return shorter ?? join(tmpdir(), `pumadb-${name}.sock`);
}

export async function listenForOperators(dataDir: string, store: Store): Promise<AdminSocket> {
	const path = socketPath(dataDir);
	// The data directory's lock is held, so a socket that is there was left by a process that is gone.
	rmSync(path, { force: true });
	const server = createServer((req, res) => {
		text(req)
			.then((body) => runOperatorCommand(store, JSON.parse(body) as OperatorCommand))
			.then(
				(result) => res.end(JSON.stringify(result)),
				(error: unknown) => {
					res.statusCode = 400;
					const data: RefusalData =
						error instanceof Refusal ? error : { code: 'internal_error', message: String(error) };
					res.end(errorBody(data));
				},
			);
	});
	server.listen(path);
	await once(server, 'listening');
	chmodSync(path, 0o600);
	return {
		async close() {
			server.closeAllConnections();
			server.close();
			await once(server, 'close');
		},
	};
}

/** Sends a command to the server that holds the data directory. @throws Refusal as the server gave it. */
export async function askServer(dataDir: string, command: OperatorCommand): Promise<Record<string, string | number>> {
	const path = socketPath(dataDir);
	if (!existsSync(path))
		throw new Error(`The server that uses ${dataDir} does not take commands yet. Try again in a second.`);
	const asked = request({ socketPath: path, method: 'POST', path: '/' });
	asked.end(JSON.stringify(command));
	const [response] = await once(asked, 'response');
	const answer = JSON.parse(await text(response));
	if (response.statusCode === 200) return answer;
	throw Refusal.from(answer.error);
}
