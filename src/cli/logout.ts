import { isPumaError, Puma, PumaError } from '../../client/src/index.ts';
import type { Values } from './command.ts';
import { tellWait } from './connect.ts';
import { forgetLogin, type Login, loginPath, readLogin } from './login-file.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Revokes the key of the login, and forgets it. */
export async function logout(values: Values, around: Surroundings): Promise<number> {
	const login = readLogin(around.env);
	if (login === undefined) {
		await answer(around, values, { revoked: 0 }, () => 'You are not signed in.');
		return 0;
	}
	const { url, api_key: apiKey } = login;
	const revoked = await revokeOwn(
		new Puma({ url, apiKey, signal: around.stopped, onRetry: tellWait(around) }),
		apiKey,
	).catch((error: unknown) => {
		if (!isPumaError(error)) throw error;
		// Whoever signs out is not to stay signed in because a server is away.
		forgetLogin(around.env);
		throw new PumaError(error.code, `${error.message} ${leftOf(login, around)}`, error);
	});
	forgetLogin(around.env);
	await answer(
		around,
		values,
		{ revoked: revoked ? 1 : 0 },
		() => `Signed out of ${login.url}: the key is revoked, and ${loginPath(around.env)} is gone.`,
	);
	return 0;
}

/** What is left to do where the key could not be revoked. It is named by its beginning, as lists of keys name it. */
function leftOf({ url, api_key: apiKey }: Login, around: Surroundings): string {
	const [start] = /^puma_live_[a-z0-9]+_.{4}/.exec(apiKey) ?? [''];
	return `${loginPath(around.env)} is gone all the same, but the key ${start}… still works: revoke it in ${url}/console once the server is there.`;
}

async function revokeOwn(puma: Puma, apiKey: string): Promise<boolean> {
	try {
		const own = (await puma.keys()).find(({ prefix, revoked_at }) => revoked_at === null && apiKey.startsWith(prefix));
		return own !== undefined && (await puma.revokeKey(own.id));
	} catch (error) {
		// Revoked already: what is left is to forget it.
		if (isPumaError(error, 'invalid_api_key')) return false;
		throw error;
	}
}
