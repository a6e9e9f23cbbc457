import { isPumaError, Puma } from '../../client/src/index.ts';
import type { Values } from './command.ts';
import { forgetLogin, loginPath, readLogin } from './login-file.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Revokes the key of the login, and forgets it. */
export async function logout(values: Values, around: Surroundings): Promise<number> {
	const login = readLogin(around.env);
	if (login === undefined) {
		await answer(around, values, { revoked: 0 }, () => 'You are not signed in.');
		return 0;
	}
	const puma = new Puma({ url: login.url, apiKey: login.api_key, signal: around.stopped });
	const revoked = await revokeOwn(puma, login.api_key);
	forgetLogin(around.env);
	await answer(
		around,
		values,
		{ revoked: revoked ? 1 : 0 },
		() => `Signed out of ${login.url}: the key is revoked, and ${loginPath(around.env)} is gone.`,
	);
	return 0;
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
