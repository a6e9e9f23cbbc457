import { Puma, PumaError } from '../../client/src/index.ts';
import { isLoopback } from '../config.ts';
import { textOf, UsageError, type Values } from './command.ts';
import { DEFAULT_URL, tellWait } from './connect.ts';
import { loginPath, readLogin, saveLogin } from './login-file.ts';
import { answer } from './output.ts';
import { type Prompt, withPrompt } from './prompt.ts';
import type { Surroundings } from './surroundings.ts';

/** Signs a person in, by magic link or with a key they have, and keeps the key. */
export async function login(values: Values, around: Surroundings): Promise<number> {
	const url = textOf(values, 'url') ?? (around.env.PUMADB_URL?.trim() || (earlierUrl(around) ?? DEFAULT_URL));
	const options = { signal: around.stopped, onRetry: tellWait(around) };
	const puma = new Puma({ url, ...options });
	const { protocol, hostname } = new URL(puma.url);
	if (protocol === 'http:' && !isLoopback(hostname)) {
		around.complain(`Note: ${puma.url} is not encrypted; who is on the way reads the key. Use https where you can.`);
	}
	const apiKey = await withPrompt(around, (prompt) =>
		values['with-key'] ? askForKey(puma, prompt) : signIn(puma, textOf(values, 'email'), prompt, around),
	);
	// Seen to work before it takes the place of another.
	await new Puma({ url: puma.url, apiKey, ...options }).tables();
	saveLogin(around.env, { url: puma.url, api_key: apiKey });
	const path = loginPath(around.env);
	await answer(
		around,
		values,
		{ url: puma.url, login_file: path },
		() => `Signed in to ${puma.url}. The API key is kept in ${path}.`,
	);
	const overruled = ['PUMADB_URL', 'PUMADB_API_KEY'].filter((name) => around.env[name]?.trim());
	if (overruled.length > 0) around.complain(`Note: ${overruled.join(' and ')} is set, and wins over this login.`);
	return 0;
}

function earlierUrl({ env }: Surroundings): string | undefined {
	try {
		return readLogin(env)?.url;
	} catch {
		// What cannot be read is about to be written anew.
		return undefined;
	}
}

async function askForKey(puma: Puma, prompt: Prompt): Promise<string> {
	const key = (await prompt.ask(`API key for ${puma.url}: `, true)).trim();
	if (key === '') throw new UsageError('No API key was given.');
	return key;
}

async function signIn(puma: Puma, given: string | undefined, prompt: Prompt, around: Surroundings): Promise<string> {
	const email = (given ?? (await prompt.ask('Email address: '))).trim();
	if (email === '') throw new UsageError('No email address was given.');
	const sent = await puma.requestMagicLink(email);
	if (sent.dev_magic_link !== undefined) {
		around.complain('This server sends no mail; its answer carries the sign-in link.');
		return exchange(puma, sent.dev_magic_link);
	}
	around.complain(`A sign-in link is on its way to ${email}. Do not open it: paste it here.`);
	return exchange(puma, (await prompt.ask('Link: ', true)).trim());
}

/** @param link the magic link, or its token alone */
async function exchange(puma: Puma, link: string): Promise<string> {
	const token = URL.canParse(link) ? new URL(link).searchParams.get('token') : link;
	if (token === null || token === '' || /\s/.test(token)) {
		throw new PumaError('invalid_magic_link', 'That is not a sign-in link: paste the whole address from the mail.', {
			status: 401,
		});
	}
	return (await puma.verifyMagicLink(token)).api_key;
}
