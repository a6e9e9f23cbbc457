import { Puma, PumaError, type PumaOptions, type RetryNotice } from '../../client/src/index.ts';
import { loginPath, readLogin } from './login-file.ts';
import type { Surroundings } from './surroundings.ts';
import { visible } from './visible.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8787';
const NOTICED_MS = 1000;

/** Where a person's commands go, and as whom. */
export interface Account {
	readonly url: string;
	readonly apiKey: string;
}

/**
 * PUMADB_URL and PUMADB_API_KEY, else the login. The login's key goes only to the server it is for.
 * @throws PumaError missing_api_key
 */
export function accountOf({ env }: Surroundings): Account {
	const url = env.PUMADB_URL?.trim() || undefined;
	const apiKey = env.PUMADB_API_KEY?.trim() || undefined;
	if (url !== undefined && apiKey !== undefined) return { url, apiKey };
	// The key that is kept is not used then, whoever may read it.
	if (apiKey !== undefined) return { url: readLogin(env, 'for its address')?.url ?? DEFAULT_URL, apiKey };
	const login = readLogin(env);
	if (login === undefined) {
		throw new PumaError(
			'missing_api_key',
			'You are not signed in. Run "pumadb login", or set PUMADB_URL and PUMADB_API_KEY.',
		);
	}
	if (url !== undefined && new Puma({ url }).url !== login.url) {
		throw new PumaError(
			'missing_api_key',
			`PUMADB_URL is ${url}, and the key in ${loginPath(env)} is for ${login.url}. Set PUMADB_API_KEY too, or run "pumadb login --url ${url}".`,
		);
	}
	return { url: login.url, apiKey: login.api_key };
}

/** The client of a person's commands; Ctrl-C ends its calls. */
export function connect(around: Surroundings, options: Partial<PumaOptions> = {}): Puma {
	return new Puma({ ...accountOf(around), signal: around.stopped, onRetry: tellWait(around), ...options });
}

/** Tells a person at a terminal of waits that one would notice. */
export function tellWait(around: Surroundings): (notice: RetryNotice) => void {
	return ({ error, waitMs }) => {
		if (around.stderr.isTTY !== true || waitMs < NOTICED_MS) return;
		const why = error.code === 'rate_limited' ? 'too many calls for now' : error.message;
		around.complain(`Waiting ${Math.ceil(waitMs / 1000)} s, then trying again: ${visible(why)}`);
	};
}
