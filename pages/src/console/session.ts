import { call, Problem } from '../shared/call.ts';

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

/** Where the export is downloaded from. */
export const EXPORT = `${API}/v1/_export`;

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

/** @throws Problem */
export async function read(path: string): Promise<string> {
	return (await call('GET', API + path)).text;
}

/** @throws Problem */
export async function change(method: string, path: string, body?: string): Promise<string> {
	const send = async (): Promise<string> =>
		(await call(method, API + path, body, { 'x-csrf-token': current?.csrf_token ?? '' })).text;
	try {
		return await send();
	} catch (error) {
		if (!(error instanceof Problem && error.code === 'invalid_csrf_token')) throw error;
		// Somebody signed in anew in another tab, and the session has another token.
		await loadSession();
		return send();
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
