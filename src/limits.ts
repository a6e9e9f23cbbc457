/**
 * Every limit of the service, in one place. Names are those of `x-pumadb-limits` in the contract, whose values are the
 * defaults; units are in the names. `Infinity` means that the operator switched a limit off (setting 0); JSON shows it as
 * `null`.
 */
export interface Limits {
	/** Tables with live rows an account may have. */
	readonly maxTables: number;
	/** Live rows a table may have. */
	readonly maxRowsPerTable: number;
	/** UTF-8 bytes of an account's live rows, each measured as compact JSON of its own members. */
	readonly maxAccountBytes: number;
	/** UTF-8 bytes of one row, measured the same way. */
	readonly maxRowBytes: number;
	/** Operations in one batch. */
	readonly maxBatchOperations: number;
	/** Reads per API key and minute. */
	readonly readsPerMinute: number;
	/** Writes per API key and minute; a batch is one. */
	readonly writesPerMinute: number;
	/** Rows one query may answer. */
	readonly maxQueryLimit: number;
	/** Archived versions kept of each row. */
	readonly maxVersionsPerRow: number;
	/** Days an archived version is kept. */
	readonly versionRetentionDays: number;
}

export const DEFAULT_LIMITS: Limits = {
	maxTables: 20,
	maxRowsPerTable: 1000,
	maxAccountBytes: 26_214_400,
	maxRowBytes: 65_536,
	maxBatchOperations: 100,
	readsPerMinute: 60,
	writesPerMinute: 30,
	maxQueryLimit: 1000,
	maxVersionsPerRow: 10,
	versionRetentionDays: 30,
};

/** The limits that rule one write: the contract's, and the bound on what an account's undo and kept answers may hold. */
export interface WriteLimits extends Limits {
	/** UTF-8 bytes of an account's archived versions and kept answers together. */
	readonly maxArchiveBytes: number;
}

/** Nesting levels a stored value may have; the row itself is level 1. */
export const MAX_NESTING = 64;
/** UTF-8 bytes of a member name, at any level of a row. */
export const MAX_MEMBER_NAME_BYTES = 256;
/** Characters of an idempotency key. */
export const MAX_IDEMPOTENCY_KEY_CHARACTERS = 255;
/** Characters that the results of one write may have together: an answer is one string, held in memory. */
export const MAX_RESULT_CHARACTERS = 64 * 1024 * 1024;
/** How long the answer of a keyed add is kept. */
export const KEPT_ANSWER_MS = 24 * 60 * 60 * 1000;
/** A kept answer younger than this is never given up to make room. */
export const KEPT_ANSWER_PROTECTED_MS = 60 * 60 * 1000;
/** API keys an account may have that are not revoked. */
export const MAX_LIVE_KEYS = 100;
/** Links an account may have that are alive. */
export const MAX_LIVE_LINKS = 1000;
/** UTF-8 bytes of what a link shows: names, filter, sort. */
export const MAX_LINK_BYTES = 16_384;
/** UTF-8 bytes of a link's file name: what file systems take. */
export const MAX_FILE_NAME_BYTES = 255;
/** How long a magic link lives. */
export const MAGIC_LINK_MS = 15 * 60 * 1000;
/** How long a session of the console lives. */
export const SESSION_MS = 12 * 60 * 60 * 1000;
/** Sessions an account may have; the oldest gives way to a further one. */
export const MAX_LIVE_SESSIONS = 20;
/** Apps an account may have connected; the one that was used longest ago gives way to a further one. */
export const MAX_LIVE_GRANTS = 100;
/** How long a person may take from an app's request to the answer to it. */
export const AUTHORIZATION_MS = 60 * 60 * 1000;
/** How long an authorization code lives (RFC 6749 section 4.1.2 recommends 10 minutes at most). */
export const CODE_MS = 5 * 60 * 1000;
/** How long a refresh token lives: each refresh gives a new one. */
export const REFRESH_TOKEN_MS = 90 * 24 * 60 * 60 * 1000;
/** How long a refresh token that was used gives out further pairs: clients refresh twice at once, and lose answers. */
export const REFRESH_GRACE_MS = 120 * 1000;
/** How long a refresh token that was used is known for one, so that a thief's use of it ends the grant. */
export const USED_REFRESH_TOKEN_MS = 30 * 24 * 60 * 60 * 1000;
/** Tokens of a grant, of either kind, that can be used at once; the oldest gives way. */
export const MAX_LIVE_TOKENS = 100;
/** Used refresh tokens of a grant that are known for such. */
export const MAX_USED_TOKENS = 2000;
/** Registered clients that were never used: how many there may be, how long they stay, and how long they cannot be crowded out. */
export const MAX_UNUSED_CLIENTS = 10_000;
export const UNUSED_CLIENT_MS = 30 * 24 * 60 * 60 * 1000;
export const UNUSED_CLIENT_PROTECTED_MS = 15 * 60 * 1000;
/** A client stays for so long after it last got a token, which is longer than any token lives. */
export const USED_CLIENT_MS = 500 * 24 * 60 * 60 * 1000;
export const DAY_MS = 24 * 60 * 60 * 1000;

/** What a body may have when no limit says more: 1 MiB, and 16 MiB for a batch. */
const BODY_BYTES = 1024 * 1024;
const BATCH_BODY_BYTES = 16 * 1024 * 1024;
/** Room for the envelope around a row of the greatest size. */
const ENVELOPE_BYTES = 64 * 1024;

/**
 * The greatest request body in bytes. It grows where the operator raised `maxRowBytes`, and stays bounded where that limit is
 * switched off. JSON may spell a stored byte with up to six (`\u0041`), which is why a raised row limit is multiplied.
 */
export function maxBodyBytes(limits: Limits, batch: boolean): number {
	const base = batch ? BATCH_BODY_BYTES : BODY_BYTES;
	if (limits.maxRowBytes === Number.POSITIVE_INFINITY) return base;
	return Math.max(base, limits.maxRowBytes * 6 + ENVELOPE_BYTES);
}
