import type { IncomingMessage } from 'node:http';
import type { Caller, Session } from '../accounts/rules.ts';
import { csrfToken, type SessionSecret } from '../accounts/secrets.ts';
import { type Awaitable, then } from '../awaitable.ts';
import { isObject, JsonDocument, member } from '../domain/json.ts';
import type { Link } from '../domain/link.ts';
import { maxBodyBytes } from '../limits.ts';
import type { OperationId } from '../operations/context.ts';
import { sweepErased } from '../operations/erase-account.ts';
import { listGrants, revokeGrant } from '../operations/grants.ts';
import { checkTableName } from '../operations/input.ts';
import { type LinkOperationId, rateLimited } from '../operations/run.ts';
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
import { stateOf } from './row-state.ts';
import {
	endedCookie,
	presentedSession,
	refuseOtherCsrfToken,
	requireCsrfToken,
	sessionCookie,
} from './session-cookie.ts';

/** Operations that make links: they die with the key that made them, and a session has none. */
const NOT_SERVED: ReadonlySet<string> = new Set(['createTextFieldLink', 'createRowLink', 'createQueryLink']);
const PREFIX = '/console/api';
const BODY_BYTES = 16_384;
/** What to call the caller in a sentence that says that it called too often. */
const CALLER = 'This session';

/**
 * The face of the console: its page, its sessions, the contract's own operations once more, called with a session in place of a
 * key, and what the row's page runs, which is what pages behind links run. Every change must come from a page of ours and carry
 * the session's token.
 * @param onFault told where removing what an erased account held failed; the store tries again by itself.
 */
export function addConsole(router: Router, parts: FaceParts, onFault: (error: unknown) => void): void {
	const { gate, answers, pages, budget, trustProxy } = parts;
	const { context } = gate;
	const maxBytes = maxBodyBytes(context.limits, false);

	/**
	 * Who calls. A read may carry the token as well, and is refused where it is another's: a page must not show what belongs to
	 * somebody who signed in since in another tab.
	 * @throws Refusal cross_origin_request, session_required, invalid_csrf_token
	 */
	function authenticate(request: IncomingMessage): Awaitable<{ session: Session; presented: SessionSecret }> {
		const changes = request.method !== 'GET' && request.method !== 'HEAD';
		if (changes) requireSameOrigin(request);
		const presented = presentedSession(request, context.publicUrl);
		return then(liveSession(context, presented), (session) => {
			if (changes) requireCsrfToken(request, presented!.secret);
			else refuseOtherCsrfToken(request, presented!.secret);
			return { session, presented: presented! };
		});
	}

	function json(exchange: Exchange, body: object, more: readonly string[] = []): void {
		answers.text(exchange, 200, ['Content-Type', JSON_TYPE, ...more], JSON.stringify(body));
	}

	/** The member of the one JSON object that the body is; undefined where it has none. */
	async function memberOf(request: IncomingMessage, name: string): Promise<unknown> {
		const { bytes, release } = await readBody(request, BODY_BYTES, budget);
		try {
			const { value } = JsonDocument.fromBytes(bytes);
			return isObject(value) ? member(value, name) : undefined;
		} finally {
			release();
		}
	}

	/** Counts a call, and says who calls. @throws Refusal as {@link authenticate}, and rate_limited */
	async function admitted(exchange: Exchange, operation: OperationId | LinkOperationId): Promise<Session> {
		const { session } = await authenticate(exchange.request);
		const caller: Caller = callerOfSession(session);
		exchange.caller = caller;
		exchange.rate = await gate.admit(operation, caller);
		if (exchange.rate !== undefined && !exchange.rate.admitted) throw rateLimited(exchange.rate, CALLER);
		return session;
	}

	/** The row as a link that is stored nowhere: it lives as long as the session. @throws Refusal invalid_table_name */
	function rowLink({ params }: Exchange, { accountId, id: keyId, expiresAt }: Session): Link {
		const target = {
			kind: 'row',
			table: checkTableName(params.table!),
			id: params.id!,
			filename: 'row.json',
			mimeType: 'application/json',
		} as const;
		return { accountId, keyId, target, expiresAt };
	}

	function readRow(operation: 'viewLink' | 'listLinkVersions'): Handler {
		return async (exchange) => {
			const link = rowLink(exchange, await admitted(exchange, operation));
			answers.answer(exchange, 200, await gate.runLinked(operation, link, {}));
		};
	}

	function changeRow(operation: 'saveLink' | 'restoreLinkVersion'): Handler {
		return async (exchange) => {
			const { request } = exchange;
			await admitted(exchange, operation);
			const { bytes, release } = await readBody(request, maxBytes, budget);
			try {
				const document = JsonDocument.fromBytes(bytes);
				const body = { document, value: document.value, path: [] };
				// A body may take its time, and the session may have ended meanwhile.
				const link = rowLink(exchange, (await authenticate(request)).session);
				const ifUnchanged = stateOf(request.headers['if-match']);
				answers.answer(exchange, 200, await gate.runLinked(operation, link, { body, ifUnchanged }));
			} finally {
				release();
			}
		};
	}

	async function signIn(exchange: Exchange): Promise<void> {
		const { request } = exchange;
		// Else another page could sign its visitor in to an account of its own.
		requireSameOrigin(request);
		await gate.admitClient('verifyMagicLink', clientOf(request, trustProxy));
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

	/** Apps that have a grant are listed and revoked like keys. */
	async function showGrants(exchange: Exchange): Promise<void> {
		json(exchange, await listGrants(context, (await admitted(exchange, 'listKeys')).accountId));
	}

	async function endGrant(exchange: Exchange): Promise<void> {
		const { accountId } = await admitted(exchange, 'revokeKey');
		json(exchange, await revokeGrant(context, accountId, exchange.params.id!));
	}

	const mount: Mount = {
		prefix: PREFIX,
		has: ({ id, open }) => !open && !NOT_SERVED.has(id),
		authenticate: (request) => then(authenticate(request), ({ session }) => callerOfSession(session)),
		caller: CALLER,
		headers: inertHeaders(),
	};
	addRestRoutes(router, parts, mount);
	const page: Handler = (exchange) => pages.send(exchange, 200, 'console');
	const route = (handler: Handler) => ({ handler, operation: undefined, headers: inertHeaders() });
	router.add('/console', { GET: { handler: page, operation: undefined } });
	router.add(`${PREFIX}/rows/{table}/{id}`, { GET: route(readRow('viewLink')), PUT: route(changeRow('saveLink')) });
	router.add(`${PREFIX}/rows/{table}/{id}/versions`, { GET: route(readRow('listLinkVersions')) });
	router.add(`${PREFIX}/rows/{table}/{id}/restore`, { POST: route(changeRow('restoreLinkVersion')) });
	router.add(`${PREFIX}/grants`, { GET: route(showGrants) });
	router.add(`${PREFIX}/grants/{id}`, { DELETE: route(endGrant) });
	router.add(`${PREFIX}/session`, { GET: route(view) });
	router.add(`${PREFIX}/sign-in`, { POST: route(signIn) });
	router.add(`${PREFIX}/sign-out`, { POST: route(signOut) });
	router.add(`${PREFIX}/erase-account`, { POST: route(erase) });
}
