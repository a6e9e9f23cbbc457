import type { IncomingMessage } from 'node:http';
import type { Session } from '../accounts/rules.ts';
import { csrfToken, type SessionSecret } from '../accounts/secrets.ts';
import { type Awaitable, then } from '../awaitable.ts';
import { isObject, JsonDocument, member } from '../domain/json.ts';
import { sweepErased } from '../operations/erase-account.ts';
import {
	beginSession,
	callerOfSession,
	endSession,
	eraseOwnAccount,
	liveSession,
	viewSession,
} from '../operations/sessions.ts';
import { JSON_TYPE } from './answers.ts';
import { readBody } from './body.ts';
import { clientOf } from './client-address.ts';
import type { Exchange, Handler } from './exchange.ts';
import type { FaceParts } from './face.ts';
import { inertHeaders, requireSameOrigin } from './page-headers.ts';
import { addRestRoutes, type Mount } from './rest.ts';
import type { Router } from './router.ts';
import { endedCookie, presentedSession, requireCsrfToken, sessionCookie } from './session-cookie.ts';

/** Operations that make links: they die with the key that made them, and a session has none. */
const NOT_SERVED: ReadonlySet<string> = new Set(['createTextFieldLink', 'createRowLink', 'createQueryLink']);
const PREFIX = '/console/api';
const BODY_BYTES = 16_384;

/**
 * The face of the console: its page, its sessions, and the contract's own operations once more, called with a session in place
 * of a key. Every change must come from a page of ours and carry the session's token.
 * @param onFault told where removing what an erased account held failed; the store tries again by itself.
 */
export function addConsole(router: Router, parts: FaceParts, onFault: (error: unknown) => void): void {
	const { gate, answers, pages, budget, trustProxy } = parts;
	const { context } = gate;

	/** @throws Refusal cross_origin_request, session_required, invalid_csrf_token */
	function authenticate(request: IncomingMessage): Awaitable<{ session: Session; presented: SessionSecret }> {
		const changes = request.method !== 'GET' && request.method !== 'HEAD';
		if (changes) requireSameOrigin(request);
		const presented = presentedSession(request, context.publicUrl);
		return then(liveSession(context, presented), (session) => {
			if (changes) requireCsrfToken(request, presented!.secret);
			return { session, presented: presented! };
		});
	}

	function json(exchange: Exchange, body: object, more: readonly string[] = []): void {
		answers.text(exchange, 200, ['Content-Type', JSON_TYPE, ...more], JSON.stringify(body));
	}

	/** The member of the one JSON object that the body is; undefined where it has none. */
	async function memberOf(request: IncomingMessage, name: string): Promise<unknown> {
		const { bytes } = await readBody(request, BODY_BYTES, budget);
		const { value } = JsonDocument.fromBytes(bytes);
		return isObject(value) ? member(value, name) : undefined;
	}

	async function signIn(exchange: Exchange): Promise<void> {
		const { request } = exchange;
		// Else another page could sign its visitor in to an account of its own.
		requireSameOrigin(request);
		gate.admitClient('verifyMagicLink', clientOf(request, trustProxy));
		const token = await memberOf(request, 'token');
		const begun = await beginSession(context, typeof token === 'string' ? token : '');
		json(exchange, { account_id: begun.accountId }, sessionCookie(begun, context.publicUrl));
	}

	async function view(exchange: Exchange): Promise<void> {
		const { session, presented } = await authenticate(exchange.request);
		exchange.caller = callerOfSession(session);
		json(exchange, { ...(await viewSession(context, session)), csrf_token: csrfToken(presented.secret) });
	}

	async function signOut(exchange: Exchange): Promise<void> {
		const { session, presented } = await authenticate(exchange.request);
		exchange.caller = callerOfSession(session);
		await endSession(context, presented);
		json(exchange, { signed_out: true }, endedCookie(context.publicUrl));
	}

	async function erase(exchange: Exchange): Promise<void> {
		const { request } = exchange;
		exchange.caller = callerOfSession((await authenticate(request)).session);
		const email = await memberOf(request, 'email');
		// A body may take its time, and the session may have ended meanwhile.
		const { session } = await authenticate(request);
		await eraseOwnAccount(context, session, email);
		json(exchange, { erased: true }, endedCookie(context.publicUrl));
		sweepErased(context.store)
			.then(() => context.store.scrub())
			.catch(onFault);
	}

	const mount: Mount = {
		prefix: PREFIX,
		has: ({ id, open }) => !open && !NOT_SERVED.has(id),
		authenticate: (request) => then(authenticate(request), ({ session }) => callerOfSession(session)),
		caller: 'This session',
		headers: inertHeaders(),
	};
	addRestRoutes(router, parts, mount);
	const page: Handler = (exchange) => pages.send(exchange, 200, 'console');
	const route = (handler: Handler) => ({ handler, operation: undefined, headers: inertHeaders() });
	router.add('/console', { GET: { handler: page, operation: undefined } });
	router.add(`${PREFIX}/session`, { GET: route(view) });
	router.add(`${PREFIX}/sign-in`, { POST: route(signIn) });
	router.add(`${PREFIX}/sign-out`, { POST: route(signOut) });
	router.add(`${PREFIX}/erase-account`, { POST: route(erase) });
}
