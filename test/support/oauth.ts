import { hash, randomBytes } from 'node:crypto';
import type { Any } from './client.ts';
import { fetchInTurn } from './nodes.ts';

/** OAuth for tests: an app as its client library would behave, and a person in a browser without script. */

/** What a person's browser got. */
export interface Shown {
	readonly status: number;
	readonly headers: Headers;
	readonly text: string;
	/** Where it was sent on to, where it was. */
	readonly location: string | undefined;
}

/** A browser without script: it keeps cookies, fills forms in and follows nothing by itself. */
export class Visitor {
	readonly #base: string;
	readonly #cookies = new Map<string, string>();

	constructor(base: string) {
		this.#base = base;
	}

	/** @param site where the request comes from, as the browser says. */
	async open(url: string, init: RequestInit = {}, site = 'none'): Promise<Shown> {
		const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
		const response = await fetchInTurn(new URL(url, this.#base), {
			redirect: 'manual',
			...init,
			headers: { ...(cookie === '' ? {} : { cookie }), 'sec-fetch-site': site, ...(init.headers as object) },
		});
		for (const line of response.headers.getSetCookie()) {
			const [name, value] = line.split(';')[0]!.split('=');
			this.#cookies.set(name!, value!);
		}
		const { status, headers } = response;
		return { status, headers, text: await response.text(), location: headers.get('location') ?? undefined };
	}

	/** What the browser keeps under this name. */
	cookie(name: string): string | undefined {
		return this.#cookies.get(name);
	}

	/** Sends the page's form, its hidden fields included. */
	submit(page: Shown, typed: Readonly<Record<string, string>> = {}, site = 'same-origin'): Promise<Shown> {
		return this.post({ ...fieldsOf(page), ...typed }, site);
	}

	post(fields: Readonly<Record<string, string>>, site = 'same-origin'): Promise<Shown> {
		return this.open('/oauth/authorize', { method: 'POST', body: new URLSearchParams(fields) }, site);
	}
}

/** The hidden fields of the page's form. */
export function fieldsOf(page: Shown): Record<string, string> {
	const fields: Record<string, string> = {};
	for (const [, attributes] of page.text.matchAll(/<input([^>]*)>/g)) {
		const attribute = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes!)?.[1] ?? '';
		if (attribute('type') === 'hidden') fields[attribute('name')] = unescapeHtml(attribute('value'));
	}
	return fields;
}

export function unescapeHtml(text: string): string {
	return text
		.replaceAll('&lt;', '<')
		.replaceAll('&gt;', '>')
		.replaceAll('&quot;', '"')
		.replaceAll('&#39;', "'")
		.replaceAll('&amp;', '&');
}

export interface JsonAnswer {
	readonly status: number;
	readonly headers: Headers;
	readonly body: Any;
}

async function asJson(response: Response): Promise<JsonAnswer> {
	const text = await response.text();
	return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

/** Registers a client. `metadata` is sent as it is. */
export async function register(base: string, metadata: unknown): Promise<JsonAnswer> {
	const body = typeof metadata === 'string' ? metadata : JSON.stringify(metadata);
	return asJson(
		await fetchInTurn(`${base}/oauth/register`, {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body,
		}),
	);
}

/** Posts a form to an endpoint of OAuth. */
export async function postForm(
	base: string,
	path: '/oauth/token' | '/oauth/revoke',
	fields: Readonly<Record<string, string>> | URLSearchParams,
	headers: Readonly<Record<string, string>> = {},
): Promise<JsonAnswer> {
	return asJson(await fetchInTurn(base + path, { method: 'POST', body: new URLSearchParams(fields), headers }));
}

/** A verifier and its challenge (RFC 7636). */
export function pkce(): { verifier: string; challenge: string } {
	const verifier = randomBytes(32).toString('base64url');
	return { verifier, challenge: hash('sha256', verifier, 'base64url') };
}

export const REDIRECT = 'http://localhost:33418/callback';

/** An app that is registered. */
export interface App {
	readonly id: string;
	readonly redirect: string;
}

export async function newApp(base: string, redirect: string = REDIRECT, name = 'Test app'): Promise<App> {
	const { status, body } = await register(base, {
		client_name: name,
		redirect_uris: [redirect],
		token_endpoint_auth_method: 'none',
	});
	if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
	return { id: body.client_id, redirect };
}

/** Where an app sends a person. `more` changes or, with an empty value, leaves out parameters. */
export function authorizeUrl(app: App, challenge: string, more: Readonly<Record<string, string>> = {}): string {
	const all: Record<string, string> = {
		response_type: 'code',
		client_id: app.id,
		redirect_uri: app.redirect,
		code_challenge: challenge,
		code_challenge_method: 'S256',
		state: 'a state & more',
		scope: 'pumadb',
		...more,
	};
	const kept = Object.entries(all).filter(([, value]) => value !== '');
	return `/oauth/authorize?${new URLSearchParams(kept)}`;
}

/** Goes as far as the page that asks for consent. */
export async function untilConsent(visitor: Visitor, url: string, email: string): Promise<Shown> {
	const asked = await visitor.open(url, {}, 'cross-site');
	const sent = await visitor.submit(asked, { email });
	// Without mail the link is where the browser is sent.
	const link = await visitor.open(sent.location!);
	const signedIn = await visitor.submit(link);
	return visitor.open(signedIn.location!);
}

/** What a person's answer sends back to the app. */
export async function authorize(
	base: string,
	app: App,
	email: string,
	{ challenge, more = {}, decision = 'allow' }: { challenge: string; more?: Record<string, string>; decision?: string },
): Promise<URL> {
	const visitor = new Visitor(base);
	const page = await untilConsent(visitor, authorizeUrl(app, challenge, more), email);
	const answer = await visitor.submit(page, { decision });
	if (answer.status !== 303) throw new Error(`${answer.status} ${answer.text}`);
	return new URL(answer.location!);
}

export interface Tokens {
	readonly access: string;
	readonly refresh: string;
}

/** Connects an app the way it should go. */
export async function connect(base: string, app: App, email: string): Promise<Tokens> {
	const { verifier, challenge } = pkce();
	const back = await authorize(base, app, email, { challenge });
	const answer = await exchange(base, app, back.searchParams.get('code')!, verifier);
	if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
	return tokensIn(answer);
}

export function exchange(
	base: string,
	app: App,
	code: string,
	verifier: string,
	more: Readonly<Record<string, string>> = {},
): Promise<JsonAnswer> {
	return postForm(base, '/oauth/token', {
		grant_type: 'authorization_code',
		code,
		code_verifier: verifier,
		client_id: app.id,
		redirect_uri: app.redirect,
		...more,
	});
}

export function refresh(
	base: string,
	app: App,
	token: string,
	more: Readonly<Record<string, string>> = {},
): Promise<JsonAnswer> {
	return postForm(base, '/oauth/token', {
		grant_type: 'refresh_token',
		refresh_token: token,
		client_id: app.id,
		...more,
	});
}

export function tokensIn({ body }: JsonAnswer): Tokens {
	return { access: body.access_token, refresh: body.refresh_token };
}
