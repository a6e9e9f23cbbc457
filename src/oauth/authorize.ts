import { type Authorization, signedInAccount } from '../accounts/grants.ts';
import { destinationOf, policySource } from '../accounts/redirect-uri.ts';
import {
	csrfToken,
	newAccountId,
	newGranted,
	newGrantId,
	newToken,
	sameHash,
	secretHash,
} from '../accounts/secrets.ts';
import { naturalStatus, Refusal } from '../errors.ts';
import { clientOf } from '../http/client-address.ts';
import { type Cookie, cookieOf, setCookie } from '../http/cookies.ts';
import type { Exchange, Handler } from '../http/exchange.ts';
import { requireSameOrigin } from '../http/page-headers.ts';
import type { Router } from '../http/router.ts';
import { AUTHORIZATION_MS, CODE_MS } from '../limits.ts';
import { admitMagicLink, sendMagicLink } from '../operations/send-magic-link.ts';
import { refuseAbove } from '../operations/sign-in-limits.ts';
import { SCOPE } from './audience.ts';
import { answerUri, readAuthorizationRequest } from './authorization-request.ts';
import { isDocumentUrl } from './clients.ts';
import { Parameters, queryOf, readForm } from './form.ts';
import type { OAuthParts } from './parts.ts';

const PATH = '/oauth/authorize';
/** Binds what begins in a browser to it. Lax: the person comes from the app's own pages and from mail. */
const BROWSER: Cookie = { name: 'pumadb_browser', sameSite: 'Lax', seconds: AUTHORIZATION_MS / 1000 };
const SECRET = /^[A-Za-z0-9_-]{43}$/;
/** Documents of apps that one address may have fetched in an hour, for each sign-in that it may ask for. */
const FETCHES_PER_SIGN_IN = 10;
const NO_NAME = 'An app without a name';

/**
 * `/oauth/authorize`, for people and without script. An app sends a person here; the page asks for an address and has a magic
 * link sent; the link leads back, in the same browser; its button signs in; then the person says yes or no, always, and is sent
 * back to the app (RFC 6749 section 4.1). Whatever is wrong before that is said on a page: a redirect would be one to a
 * stranger's choice.
 */
export function addAuthorize(router: Router, parts: OAuthParts): void {
	const { gate, answers, pages, budget, trustProxy, clients } = parts;
	const { context } = gate;

	async function show(exchange: Exchange): Promise<void> {
		const query = queryOf(exchange.request);
		const secret = query.one('authorization');
		if (secret === undefined) return ask(exchange, query, 200, '', '');
		const pending = await waiting(exchange, secret);
		if (pending.accountId !== undefined) return askConsent(exchange, secret, pending);
		const token = query.one('token');
		const texts = { CLIENT: pending.request.clientName ?? NO_NAME, EMAIL: pending.email };
		if (token === undefined) pages.sendFilled(exchange, 200, 'connect-sent', texts, [], {});
		else pages.sendFilled(exchange, 200, 'connect-continue', { ...texts, AUTHORIZATION: secret, TOKEN: token }, [], {});
	}

	/** Asks for an address. @param problem what was wrong with the last one. */
	async function ask(
		exchange: Exchange,
		query: Parameters,
		status: number,
		email: string,
		problem: string,
		headers: readonly string[] = [],
	): Promise<void> {
		if (!context.signIn.on) {
			throw new Refusal(
				'sign_in_off',
				'Sign-in by mail is off on this server. Ask its operator for an API key, and give the app that.',
			);
		}
		const request = await read(exchange, query);
		const texts = {
			...{ CLIENT: request.clientName ?? NO_NAME, DESTINATION: destinationOf(request.redirectUri) },
			...{ QUERY: query.toString(), EMAIL: email, PROBLEM: problem },
		};
		const cookie = setCookie(BROWSER, browserOf(exchange) ?? newToken(), context.publicUrl);
		pages.sendFilled(exchange, status, 'connect', texts, [...cookie, ...headers], {});
	}

	async function read(exchange: Exchange, query: Parameters) {
		const { signIn, publicUrl } = context;
		const client = await clients.find(query.required('client_id'), () => {
			const { address } = clientOf(exchange.request, trustProxy);
			return refuseAbove(signIn, `document ${address}`, signIn.perHour * FETCHES_PER_SIGN_IN);
		});
		return readAuthorizationRequest(query, client, publicUrl);
	}

	/** Sends the magic link, and goes to the page that says so: reloading it sends nothing again. */
	async function begin(exchange: Exchange, form: Parameters): Promise<void> {
		const query = new Parameters(new URLSearchParams(form.required('query')));
		const request = await read(exchange, query);
		const browser = requireBrowser(exchange);
		const typed = form.one('email') ?? '';
		const secret = newToken();
		try {
			const client = clientOf(exchange.request, trustProxy);
			await gate.admitClient('requestMagicLink', client);
			const email = await admitMagicLink(context, client, typed);
			const requestHash = secretHash(secret);
			await context.store.writeAccounts({
				command: 'beginAuthorization',
				requestHash,
				browserHash: secretHash(browser),
				email,
				request,
				expiresAt: context.clock() + AUTHORIZATION_MS,
			});
			const path = `${PATH}?authorization=${secret}`;
			const { devLink } = await sendMagicLink(context, email, requestHash, (token) => `${path}&token=${token}`);
			redirect(exchange, devLink ?? context.publicUrl + path);
		} catch (error) {
			if (!(error instanceof Refusal) || error.cause !== undefined) throw error;
			await ask(exchange, query, naturalStatus(error.code), typed, error.message, retryAfter(error));
		}
	}

	/** Uses the magic link up. Opening it does not: mail scanners open links too. */
	async function signIn(exchange: Exchange, form: Parameters): Promise<void> {
		const secret = form.required('authorization');
		await gate.admitClient('verifyMagicLink', clientOf(exchange.request, trustProxy));
		await context.store.writeAccounts({
			command: 'signInForAuthorization',
			requestHash: secretHash(secret),
			browserHash: secretHash(requireBrowser(exchange)),
			tokenHash: secretHash(form.required('token')),
			freshAccountId: newAccountId(),
		});
		redirect(exchange, `${context.publicUrl}${PATH}?authorization=${encodeURIComponent(secret)}`);
	}

	function askConsent(exchange: Exchange, secret: string, { request, email }: Authorization): void {
		const { clientId, clientName, redirectUri } = request;
		const texts = {
			...{ CLIENT: clientName ?? NO_NAME, DESTINATION: destinationOf(redirectUri), EMAIL: email, SCOPE },
			ORIGIN: isDocumentUrl(clientId) ? `It is published at ${new URL(clientId).host}.` : '',
			...{ AUTHORIZATION: secret, CSRF: consentToken(requireBrowser(exchange), secret) },
		};
		pages.sendFilled(exchange, 200, 'consent', texts, [], { formTarget: policySource(redirectUri) });
	}

	async function consent(exchange: Exchange, form: Parameters): Promise<void> {
		const secret = form.required('authorization');
		const browser = requireBrowser(exchange);
		const pending = await waiting(exchange, secret);
		const { request } = pending;
		if (!sameHash(form.one('csrf') ?? '', consentToken(browser, secret))) {
			throw new Refusal(
				'invalid_csrf_token',
				'The answer did not come from the page that asks for it. Reload that page and answer again.',
			);
		}
		const ends = { requestHash: secretHash(secret), browserHash: secretHash(browser) };
		const decision = form.required('decision');
		if (decision === 'deny') {
			await context.store.writeAccounts({ command: 'denyAuthorization', ...ends });
			const answer = { error: 'access_denied', error_description: 'The person said no.' } as const;
			return redirect(exchange, answerUri(request, answer, context.publicUrl));
		}
		if (decision !== 'allow')
			throw new Refusal('invalid_request', 'The decision must be allow or deny.', { field: 'decision' });
		// An authorization keeps its account, so the code is of the one that gets the grant.
		const code = newGranted('code', signedInAccount(pending));
		await context.store.writeAccounts({
			command: 'grantAuthorization',
			...ends,
			grantId: newGrantId(),
			code: { hash: code.hash, expiresAt: context.clock() + CODE_MS },
		});
		redirect(exchange, answerUri(request, { code: code.token }, context.publicUrl));
	}

	const STEPS: Readonly<Record<string, (exchange: Exchange, form: Parameters) => Promise<void>>> = {
		begin,
		'sign-in': signIn,
		consent,
	};

	async function answer(exchange: Exchange): Promise<void> {
		requireSameOrigin(exchange.request);
		const form = await readForm(exchange.request, budget);
		const step = form.required('step');
		if (!Object.hasOwn(STEPS, step)) throw new Refusal('invalid_request', 'There is no such step.', { field: 'step' });
		await STEPS[step]!(exchange, form);
	}

	/** @throws Refusal invalid_authorization */
	async function waiting(exchange: Exchange, secret: string): Promise<Authorization> {
		const browser = browserOf(exchange) ?? '';
		return context.store.read.authorization(secretHash(secret), secretHash(browser), context.clock());
	}

	function browserOf({ request }: Exchange): string | undefined {
		const value = cookieOf(request, BROWSER, context.publicUrl);
		return value !== undefined && SECRET.test(value) ? value : undefined;
	}

	/** @throws Refusal invalid_authorization */
	function requireBrowser(exchange: Exchange): string {
		const browser = browserOf(exchange);
		if (browser !== undefined) return browser;
		throw new Refusal(
			'invalid_authorization',
			'The browser sent no cookie, so it cannot be told to be the one in which this began. Allow cookies for this server, and connect once more.',
			{ reason: 'no_cookie' },
		);
	}

	function redirect(exchange: Exchange, location: string): void {
		answers.text(exchange, 303, ['Location', location, 'Referrer-Policy', 'no-referrer'], '');
	}

	/** Says what is wrong on a page. */
	const inWords =
		(run: (exchange: Exchange) => Promise<void>): Handler =>
		async (exchange) => {
			try {
				await run(exchange);
			} catch (error) {
				if (!(error instanceof Refusal) || error.cause !== undefined) throw error;
				const title = error.code === 'invalid_magic_link' ? 'This link cannot be used' : 'The app cannot be connected';
				pages.sendFault(exchange, statusOf(error), title, wordsOf(error), retryAfter(error));
			}
		};

	router.add(PATH, {
		GET: { handler: inWords(show), operation: undefined },
		POST: { handler: inWords(answer), operation: undefined },
	});
}

/** Only our own page of this request, in this browser, has it. */
function consentToken(browser: string, secret: string): string {
	return csrfToken(`${browser} ${secret}`);
}

/** A page is no challenge to a program: what would be 401 is 400. */
function statusOf({ code }: Refusal): number {
	const status = naturalStatus(code);
	return status === 401 ? 400 : status;
}

function wordsOf({ code, message }: Refusal): string {
	if (code !== 'invalid_magic_link') return message;
	return 'It was used already, has expired, or is not whole. Connect once more, from the app that you want to connect.';
}

function retryAfter({ code, details }: Refusal): string[] {
	const status = naturalStatus(code);
	return status === 429 || status === 503 ? ['Retry-After', String(details?.retry_after ?? 1)] : [];
}
