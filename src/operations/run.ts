import { parseApiKey, parseGranted, parseLinkToken, secretHash } from '../accounts/secrets.ts';
import { type Awaitable, then } from '../awaitable.ts';
import type { Link } from '../domain/link.ts';
import { type ErrorCode, naturalStatus, Refusal } from '../errors.ts';
import { OPERATIONS } from '../generated/operations.ts';
import type { Admission, Windows } from '../store/windows.ts';
import { addRow } from './add-row.ts';
import { batch } from './batch.ts';
import type { Answer, Caller, Client, Context, Input, OperationId, Run } from './context.ts';
import { countRows } from './count-rows.ts';
import { createKey } from './create-key.ts';
import { createQueryLink } from './create-query-link.ts';
import { createRowLink } from './create-row-link.ts';
import { createTextFieldLink } from './create-text-field-link.ts';
import { deleteWhere } from './delete-where.ts';
import { exportTables } from './export-tables.ts';
import {
	downloadLink,
	type LinkInput,
	type LinkRun,
	listLinkVersions,
	restoreLinkVersion,
	saveLink,
	viewLink,
} from './linked.ts';
import { listKeys } from './list-keys.ts';
import { listTables } from './list-tables.ts';
import { listVersions } from './list-versions.ts';
import { queryRows } from './query-rows.ts';
import { requestMagicLink } from './request-magic-link.ts';
import { restoreVersion } from './restore-version.ts';
import { revokeKey } from './revoke-key.ts';
import { refuseAbove } from './sign-in-limits.ts';
import { updateRow } from './update-row.ts';
import { updateWhere } from './update-where.ts';
import { upsertRow } from './upsert-row.ts';
import { verifyMagicLink } from './verify-magic-link.ts';

const RUNS: Readonly<Record<OperationId, Run>> = {
	requestMagicLink,
	verifyMagicLink,
	queryRows,
	addRow,
	deleteWhere,
	upsertRow,
	batch,
	updateRow,
	updateWhere,
	countRows,
	listVersions,
	restoreVersion,
	listTables,
	exportTables,
	createTextFieldLink,
	createRowLink,
	createQueryLink,
	listKeys,
	createKey,
	revokeKey,
};

/** What pages behind links run. */
const LINK_RUNS = { viewLink, downloadLink, saveLink, listLinkVersions, restoreLinkVersion } satisfies Readonly<
	Record<string, LinkRun>
>;

export type LinkOperationId = keyof typeof LINK_RUNS;

/** Operations that are reads for the rate limit: GETs, and the three link calls though they are POSTs. */
const READS: ReadonlySet<OperationId | LinkOperationId> = new Set([
	...Object.values(OPERATIONS)
		.filter(({ method }) => method === 'GET')
		.map(({ id }) => id),
	...(['createTextFieldLink', 'createRowLink', 'createQueryLink'] as const),
	...(['viewLink', 'downloadLink', 'listLinkVersions'] as const),
]);

/** Operations that end in one write of rows, which judges the caller's key where other nodes may end it. */
const JUDGED_BY_WRITE: ReadonlySet<OperationId> = new Set([
	...(['addRow', 'upsertRow', 'updateRow', 'updateWhere', 'deleteWhere', 'batch', 'restoreVersion'] as const),
]);

const MINUTE_MS = 60_000;

/** What the rate limit says of a call; undefined where it is off. */
export interface RateState extends Admission {
	readonly policy: 'reads' | 'writes';
}

/**
 * The one gate in front of every operation, for every face: who calls, may they call now, run, and which status a refusal has.
 * A face calls {@link authenticate} and {@link admit} before it reads a body, then {@link run}.
 */
export class Gate {
	readonly context: Context;
	readonly #windows: Windows;

	constructor(context: Context) {
		this.context = context;
		this.#windows = context.store.windows(MINUTE_MS);
	}

	/**
	 * The caller behind an `Authorization` header (RFC 6750 section 2.1).
	 * @throws Refusal missing_api_key or invalid_api_key
	 */
	authenticate(authorization: string | undefined): Awaitable<Caller> {
		const presented = bearerOf(authorization);
		if (presented === undefined) {
			throw new Refusal(
				'missing_api_key',
				'There is no API key. Send "Authorization: Bearer puma_live_…"; POST /auth/magic-link and POST /auth/verify make one.',
			);
		}
		const parts = parseApiKey(presented);
		if (parts === undefined) {
			if (parseGranted(presented) === undefined) throw invalidKey();
			throw new Refusal(
				'invalid_api_key',
				'This is an OAuth token of an app, which opens /mcp alone. Send an API key here; the console makes one.',
			);
		}
		const { store } = this.context;
		return then(store.read.caller(parts.accountId, secretHash(parts.secret)), (caller) => {
			if (caller === undefined) throw invalidKey();
			this.used(caller);
			return caller;
		});
	}

	/**
	 * The caller behind a key that was live when it was last looked up, where the operation's write judges the key. Whoever goes by
	 * it asks {@link authenticate} before the call is refused for another reason, and tells {@link used} once it was answered.
	 */
	lastCaller(operation: OperationId, authorization: string | undefined): Caller | undefined {
		const { read } = this.context.store;
		if (read.lastCaller === undefined || !JUDGED_BY_WRITE.has(operation)) return undefined;
		const parts = parseApiKey(bearerOf(authorization) ?? '');
		return parts && read.lastCaller(parts.accountId, secretHash(parts.secret));
	}

	/** Notes that a caller's key was used. */
	used(caller: Caller): void {
		this.context.store.keyUsed(caller);
	}

	/** Counts a call against its key's limit. The state goes into the answer's headers, whether or not the call is admitted. */
	admit(operation: OperationId | LinkOperationId, { accountId, keyId }: Caller): Awaitable<RateState | undefined> {
		const policy = READS.has(operation) ? 'reads' : 'writes';
		const limit = policy === 'reads' ? this.context.limits.readsPerMinute : this.context.limits.writesPerMinute;
		if (limit === Number.POSITIVE_INFINITY) return undefined;
		return then(this.#windows.count(accountId, `${policy} ${keyId}`, limit), (admission) => ({ ...admission, policy }));
	}

	/** Counts a sign-in call against its client's address. @throws Refusal rate_limited */
	admitClient(operation: OperationId, client: Client): Awaitable<void> {
		const { signIn } = this.context;
		return refuseAbove(signIn, `${operation} ${client.address}`, signIn.perHour * 10);
	}

	/**
	 * The live link behind a token that came in a URL. A page that edits presents the viewer's token, never the download's.
	 * @throws Refusal link_not_found
	 */
	link(token: string, kind: 'viewer' | 'download'): Awaitable<Link> {
		const parts = parseLinkToken(token, kind);
		if (parts === undefined) throw linkNotFound();
		const { store, clock } = this.context;
		return then(store.read.link(parts.accountId, parts.hash, clock()), (link) => {
			if (link === undefined) throw linkNotFound();
			return link;
		});
	}

	/** Runs an admitted operation behind a link. @throws Refusal */
	runLinked(operation: LinkOperationId, link: Link, input: LinkInput): Awaitable<Answer> {
		return LINK_RUNS[operation](this.context, link, input);
	}

	/** Runs an admitted operation. @throws Refusal */
	run(operation: OperationId, input: Input): Awaitable<Answer> {
		return RUNS[operation](this.context, input);
	}
}

/** The token of an `Authorization` header (RFC 6750 section 2.1). */
function bearerOf(authorization: string | undefined): string | undefined {
	return authorization === undefined ? undefined : /^bearer +(\S+)$/i.exec(authorization)?.[1];
}

function linkNotFound(): Refusal {
	return new Refusal(
		'link_not_found',
		'This link has expired, was withdrawn, or never was. Links live for a short time: ask for a new one where you got it.',
	);
}

function invalidKey(): Refusal {
	return new Refusal(
		'invalid_api_key',
		'This API key is unknown or revoked. Send a live one; POST /auth/magic-link starts making a new one.',
	);
}

/** The refusal of a call that {@link Gate.admit} did not admit. @param caller begins the sentence that says so. */
export function rateLimited(state: RateState, caller = 'This API key'): Refusal {
	return new Refusal(
		'rate_limited',
		`${caller} made its ${state.limit} ${state.policy} of this minute. Wait ${state.resetSeconds} seconds; put several writes into one batch, which counts once.`,
		{ limit: state.limit, retry_after: state.resetSeconds },
	);
}

/** The status of a refusal: its own where the operation lists it, else 400, or 401 where that is what is listed. */
export function statusOf(operation: OperationId | undefined, code: ErrorCode): number {
	const natural = naturalStatus(code);
	if (operation === undefined || natural >= 500) return natural;
	const statuses: readonly number[] = OPERATIONS[operation].statuses;
	if (statuses.includes(natural)) return natural;
	return statuses.includes(400) ? 400 : 401;
}
