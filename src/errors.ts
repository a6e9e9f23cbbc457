/**
 * Every refusal the service can give, once: its code, its natural status and what it means. `docs/errors.md` is generated from
 * this table. An operation answers only with the statuses its contract entry lists; the faces map the rest (see
 * `operations/run.ts`).
 */
export const ERROR_CATALOGUE = {
	// The request as such.
	invalid_json: [400, 'The body is not valid JSON in UTF-8.'],
	invalid_content_type: [400, 'The body does not say that it is JSON.'],
	invalid_request: [400, "The body does not have the operation's members."],
	invalid_query: [400, 'The query string cannot be read.'],
	unknown_parameter: [400, 'The operation has no such query parameter.'],
	duplicate_parameter: [400, 'A query parameter is given twice.'],
	bad_request: [400, 'The HTTP request is malformed.'],
	body_too_large: [413, 'The body is larger than the operation accepts.'],
	headers_too_large: [431, 'The header section is larger than 64 KB.'],
	request_timeout: [408, 'The request did not arrive in time.'],
	// Who is calling.
	missing_api_key: [401, 'There is no bearer API key.'],
	invalid_api_key: [401, 'The API key is unknown or revoked.'],
	invalid_magic_link: [401, 'The magic-link token is unknown, used or expired.'],
	invalid_email: [400, 'The email address is not one.'],
	email_refused: [400, 'The mail server refuses to deliver to the address.'],
	sign_in_off: [400, 'The operator switched sign-in by magic link off.'],
	dev_link_refused: [400, 'Magic links are shown in the answer only to callers on the same machine.'],
	rate_limited: [429, 'There were too many calls in the window.'],
	// Names and parameters.
	invalid_table_name: [400, 'The table name does not follow the pattern.'],
	invalid_filter: [400, 'The filter is not an object of scalars.'],
	filter_required: [400, 'A filter with at least one member is needed here.'],
	invalid_sort: [400, 'The sort parameter names no member.'],
	invalid_limit: [400, 'The limit is not a whole number in range.'],
	invalid_key: [400, 'The natural key does not name scalar members of the row.'],
	invalid_idempotency_key: [400, 'The idempotency key is not 1 to 255 characters.'],
	invalid_filename: [400, 'The file name is empty, too long or has characters that file names must not have.'],
	invalid_media_type: [400, 'The media type is not one.'],
	not_a_text: [400, 'The member that the link is to show is not there, or is not a string.'],
	// Values that could not be stored unchanged.
	reserved_field: [400, 'The row or patch carries a member that the service owns.'],
	number_not_exact: [400, 'A number would not be stored as it was sent.'],
	invalid_string: [400, 'A string holds U+0000 or half a surrogate pair.'],
	nesting_too_deep: [400, 'The value is nested deeper than 64 levels.'],
	invalid_member_name: [400, 'A member name is empty or longer than 256 bytes.'],
	// What is stored.
	row_not_found: [404, 'No live row matches.'],
	version_not_found: [404, 'The version is not kept.'],
	multiple_matches: [409, 'Several rows match where one may be changed.'],
	key_not_unique: [400, 'Several rows already have the natural key.'],
	row_changed: [412, 'The row was changed since it was read.'],
	idempotency_key_reused: [400, 'The idempotency key was used for other JSON.'],
	// Limits.
	table_limit_reached: [400, 'The account has as many tables as it may.'],
	row_limit_reached: [400, 'The table has as many rows as it may.'],
	row_too_large: [413, 'The row is larger than a row may be.'],
	account_full: [413, 'The account would hold more bytes than it may.'],
	answer_too_large: [413, 'What the write would answer is larger than an answer may be; nothing was changed.'],
	archive_full: [400, 'No room is left to keep the answer of a keyed add.'],
	key_limit_reached: [400, 'The account has as many live API keys as it may.'],
	link_limit_reached: [429, 'The account has as many live links as it may.'],
	// Pages.
	link_not_found: [404, 'The link is unknown, has expired, or the key that made it was revoked.'],
	link_read_only: [403, 'What the link shows cannot be changed through it.'],
	precondition_required: [428, 'The request does not say which state of the row it changes.'],
	cross_origin_request: [403, 'The request comes from a page of another origin.'],
	session_required: [401, 'There is no session, or it has ended.'],
	invalid_csrf_token: [403, 'The request does not carry the token that the session gave to its pages.'],
	// OAuth: the codes that RFC 6749, 7591, 7009 and 8707 name, and one of ours for a token that opens nothing.
	invalid_access_token: [401, 'The access token is unknown, has expired, or its grant was revoked.'],
	invalid_client: [401, 'The OAuth client is unknown, or did not prove who it is.'],
	invalid_grant: [400, 'The code or refresh token is unknown, used, expired, or was given to another client.'],
	invalid_target: [400, 'The resource is not one of this server.'],
	unsupported_grant_type: [400, 'The grant type is neither authorization_code nor refresh_token.'],
	unsupported_response_type: [400, 'The response type is not code.'],
	unauthorized_client: [400, 'The token belongs to another client.'],
	invalid_redirect_uri: [400, 'The redirect URI is not registered, or none that a client may have.'],
	invalid_client_metadata: [400, "The client's metadata cannot be used."],
	invalid_authorization: [400, 'The authorization is unknown, has ended, or began in another browser.'],
	// Outside any operation.
	not_found: [404, 'There is nothing at this path.'],
	method_not_allowed: [405, 'The path does not have this method.'],
	internal_error: [500, 'A fault of ours; nothing was changed by a call that got this answer, unless it says so.'],
	mail_unavailable: [503, 'The mail server cannot be reached.'],
	storage_unavailable: [503, 'The disk is full or failing, or the database cannot be reached; nothing was written.'],
	outcome_unknown: [
		503,
		'The database, or what writes to it, was lost while the call ran: it was done, or it was not.',
	],
	overloaded: [503, 'More calls are waiting than the server accepts.'],
	shutting_down: [503, 'The server is stopping.'],
} as const satisfies Record<string, readonly [status: number, meaning: string]>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** A refusal as data, as it crosses threads and ends in the error body. */
export interface RefusalData {
	readonly code: ErrorCode;
	/** One sentence or two: what was wrong, and what to send instead. */
	readonly message: string;
	/** The field, the index, the limit. */
	readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** What a log may say of an error: never the message of a SyntaxError, which quotes the text that could not be parsed. */
export function causeOf(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	if (!(error instanceof SyntaxError)) return error.stack ?? error.message;
	const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
	return ['SyntaxError', ...frames].join('\n');
}

/** Thrown wherever a rule refuses a call; never a fault of ours. */
export class Refusal extends Error implements RefusalData {
	readonly code: ErrorCode;
	readonly details: Readonly<Record<string, unknown>> | undefined;

	/** @param cause what the log should say of a fault behind the refusal; callers never see it. */
	constructor(code: ErrorCode, message: string, details?: Readonly<Record<string, unknown>>, cause?: string) {
		super(message, cause === undefined ? undefined : { cause });
		this.code = code;
		this.details = details;
	}

	static from(data: RefusalData, cause?: string): Refusal {
		return new Refusal(data.code, data.message, data.details, cause);
	}
}

/** The status a refusal has where its operation lists it. */
export function naturalStatus(code: ErrorCode): number {
	return ERROR_CATALOGUE[code][0];
}

/** The contract's error body. */
export function errorBody(refusal: RefusalData): string {
	const { code, message, details } = refusal;
	return JSON.stringify({ error: details === undefined ? { code, message } : { code, message, details } });
}
