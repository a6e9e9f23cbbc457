import {
	chmodSync,
	closeSync,
	fsyncSync,
	mkdirSync,
	openSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Surroundings } from './surroundings.ts';

/** Where a person is signed in. */
export interface Login {
	readonly url: string;
	readonly api_key: string;
}

type Env = Surroundings['env'];

/** A directory of the XDG Base Directory Specification, 0.8. */
export function xdgDirectory(env: Env, variable: 'XDG_CONFIG_HOME' | 'XDG_STATE_HOME', fallback: string): string {
	const set = env[variable];
	// The specification has relative paths ignored.
	return join(set?.startsWith('/') ? set : join(env.HOME || homedir(), fallback), 'pumadb');
}

export function loginPath(env: Env): string {
	return join(xdgDirectory(env, 'XDG_CONFIG_HOME', '.config'), 'login.json');
}

/**
 * @param use for the address alone it does not matter who may read the key
 * @throws Error where the file is there and is not one that this program wrote and kept private
 */
export function readLogin(env: Env, use: 'for its key' | 'for its address' = 'for its key'): Login | undefined {
	const path = loginPath(env);
	let text: string;
	try {
		if (use === 'for its key' && process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
			throw new Error(`Others may read ${path}, which holds an API key. Run: chmod 600 ${path}`);
		}
		text = readFileSync(path, 'utf8');
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
		throw error;
	}
	try {
		const { url, api_key } = JSON.parse(text);
		if (typeof url === 'string' && typeof api_key === 'string') return { url, api_key };
	} catch {}
	throw new Error(`${path} cannot be read. Run "pumadb login" to write it anew.`);
}

/** Keeps the login where only its owner can read it; there is never half of one. */
export function saveLogin(env: Env, login: Login): void {
	writePrivate(loginPath(env), `${JSON.stringify(login, null, '\t')}\n`);
}

export function forgetLogin(env: Env): void {
	rmSync(loginPath(env), { force: true });
}

/** Puts a file of mode 600 in place as a whole, in a directory that is made with mode 700. */
export function writePrivate(path: string, text: string): void {
	mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
	// The system's errors are told with the file that was meant.
	const partial = `${path}.${process.pid}.partial`;
	try {
		const fd = openSync(partial, 'w', 0o600);
		try {
			chmodSync(partial, 0o600);
			writeSync(fd, text);
			fsyncSync(fd);
		} finally {
			closeSync(fd);
		}
		renameSync(partial, path);
	} catch (error) {
		rmSync(partial, { force: true });
		throw Object.assign(error as Error, { path });
	}
}
