import { Puma, PumaError, type PumaOptions } from '../../client/src/index.ts';
import { loginPath, readLogin } from './login-file.ts';
import type { Surroundings } from './surroundings.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8787';

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
	const login = readLogin(env);
	if (apiKey !== undefined) return { url: login?.url ?? DEFAULT_URL, apiKey };
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
	return new Puma({ ...accountOf(around), signal: around.stopped, ...options });
}
