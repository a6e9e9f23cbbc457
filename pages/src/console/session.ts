import { call, download, Problem, type Reply } from '../shared/call.ts';

/** The session, and calls that are made with it. */

const API = '/console/api';

/** What `GET /console/api/session` answers. */
export interface Session {
	readonly account_id: string;
	readonly email: string;
	readonly expires_at: string;
	readonly csrf_token: string;
	readonly usage: { readonly tables: number; readonly bytes: number };
	/** By the names of the contract's `x-pumadb-limits`; null: unlimited. */
	readonly limits: Readonly<Record<string, number | null>>;
}

/** The account and token that this page works with. */
let current: Session | undefined;

/** @throws Problem, `session_required` where nobody is signed in */
export async function loadSession(): Promise<Session> {
	const session = JSON.parse((await call('GET', `${API}/session`)).text) as Session;
	if (current !== undefined && current.account_id !== session.account_id) {
		throw new Problem(
			0,
			'other_account',
			`Another tab has signed in as ${session.email}. Reload this page to go on with that account.`,
		);
	}
	current = session;
	return session;
}

/** @throws Problem, `other_account` where another tab has signed in as somebody else */
export function read(path: string): Promise<Reply> {
	return withToken((token) => call('GET', API + path, undefined, token));
}

/** @throws Problem as {@link read} */
export function change(method: string, path: string, body?: string, headers: HeadersInit = {}): Promise<Reply> {
	return withToken((token) => call(method, API + path, body, { ...headers, ...token }));
}

/** All of the account, as a file. @throws Problem as {@link read} */
export function loadExport(): Promise<Blob> {
	return withToken((token) => download(`${API}/v1/_export`, token));
}

/**
 * Sends something with the token of this page's session, reads too: the browser has one cookie for all tabs, and the server
 * refuses what comes from the page of another session than the cookie's.
 */
async function withToken<T>(send: (token: Record<string, string>) => Promise<T>): Promise<T> {
	const attempt = (): Promise<T> => send({ 'x-csrf-token': current?.csrf_token ?? '' });
	try {
		return await attempt();
	} catch (error) {
		if (!(error instanceof Problem && error.code === 'invalid_csrf_token')) throw error;
		// Somebody signed in anew in another tab, and the session has another token.
		await loadSession();
		return attempt();
	}
}

/** Goes to the page that signs in, which says why. */
export function leave(why: 'signed-out' | 'console' | 'erased'): void {
	location.replace(`/sign-in#${why}`);
}

export async function signOut(): Promise<void> {
	try {
		await change('POST', '/sign-out');
	} catch (error) {
		if (!(error instanceof Problem && error.code === 'session_required')) throw error;
	}
	leave('signed-out');
}

/** @param email the account's address, as it was typed. @throws Problem */
export async function eraseAccount(email: string): Promise<void> {
	await change('POST', '/erase-account', JSON.stringify({ email }));
	leave('erased');
}
