import type { Authorization, ClientRecord, Grant } from '../accounts/grants.ts';
import type { AccountCommand, AccountDone, Caller, KeyRecord, Session } from '../accounts/rules.ts';
import type { Awaitable } from '../awaitable.ts';
import type { Filter } from '../domain/filter.ts';
import type { Link } from '../domain/link.ts';
import type { RowOperation, RowState } from '../domain/writes.ts';
import type { RefusalData } from '../errors.ts';
import type { Windows } from './windows.ts';

/**
 * The one seam between what pumaDB decides and where it keeps it. An engine loads what a decision needs and applies what was
 * decided, atomically and durably; it decides nothing.
 */
export interface Store {
	readonly read: Reader;
	/**
	 * Runs the operations on one table of one account, all of them or none, each seeing those before it.
	 * The promise resolves once the result is on disk.
	 */
	writeRows(call: RowsCall): Promise<RowsOutcome>;
	/**
	 * Runs one command on accounts, keys or magic links. The promise resolves once its effect is on disk.
	 * @throws Refusal where a rule refuses the command
	 */
	writeAccounts(command: AccountCommand): Promise<AccountDone>;
	/** Notes that a key was used; kept within a minute, and not answered. */
	keyUsed(caller: Caller): void;
	/** Windows of so many milliseconds, in which all nodes on this store count together. */
	windows(milliseconds: number): Windows;
	/** Calls that wait for their commit. */
	readonly waitingWrites: number;
	/**
	 * Resolves once nothing of what was erased is left on disk, in logs either; readers of old content delay it. False where the
	 * engine leaves that to its database, which does not say.
	 */
	scrub(): Promise<boolean>;
	/** Resolves when the store can answer; rejects where it cannot. */
	ping(): Promise<void>;
	/** Finishes what was asked, brings the database up to date and lets go of it. */
	close(): Promise<void>;
}

/** Operations on one table of one account, all of them or none. */
export interface RowsCall {
	readonly accountId: string;
	/**
	 * The key, session or grant that calls. Where other nodes end keys too, the engine refuses the call if this one has ended by the
	 * time it is its turn. None for operators.
	 */
	readonly keyId?: string;
	readonly table: string;
	readonly operations: readonly RowOperation[];
}

export type RowsOutcome =
	| { readonly results: readonly string[]; readonly replayed: boolean }
	/** `index` is the position of the operation that failed; none where the call as a whole is refused. */
	| { readonly refusal: RefusalData; readonly index?: number };

/** A live row. */
export interface LiveRow {
	readonly text: string;
	readonly state: RowState;
}

/** An archived version; `row` is its stored text. */
export interface VersionText {
	readonly version: number;
	readonly archivedAt: string;
	readonly deleted: boolean;
	readonly row: string;
}

/** Reads see every write that was answered before they began. */
export interface Reader {
	/** The caller behind the live key with this hash. */
	caller(accountId: string, secretHash: string): Awaitable<Caller | undefined>;
	/**
	 * The same as it was found last, for calls that end in {@link Store.writeRows}, which judges the key. Not there where looking it
	 * up costs nothing.
	 */
	lastCaller?(accountId: string, secretHash: string): Caller | undefined;
	/** A number that moves on with every end of a key or session, before it is answered. Undefined where the engine cannot know. */
	revocations(): number | undefined;
	/** The live link with this hash. */
	link(accountId: string, tokenHash: string, now: number): Awaitable<Link | undefined>;
	/** The live session with this hash. */
	session(accountId: string, secretHash: string, now: number): Awaitable<Session | undefined>;
	keys(accountId: string): Awaitable<KeyRecord[]>;
	/** What the live access token with this hash opens. */
	accessToken(accountId: string, tokenHash: string, now: number): Awaitable<AccessToken | undefined>;
	/** The account's grants that can still be used, the newest first. */
	grants(accountId: string, now: number): Awaitable<Grant[]>;
	/** A registered OAuth client. */
	client(clientId: string): Awaitable<ClientRecord | undefined>;
	/** The registered public client whose metadata has this hash. */
	clientByFingerprint(fingerprint: string): Awaitable<ClientRecord | undefined>;
	/** The authorization that waits under this hash. @throws Refusal invalid_authorization unless it began in this browser. */
	authorization(requestHash: string, browserHash: string, now: number): Awaitable<Authorization>;
	/** What counts against the account's limits: tables with live rows, and bytes of live rows. */
	usage(accountId: string): Awaitable<Usage | undefined>;
	/** The id of the account with this email address. */
	accountOf(email: string): Awaitable<string | undefined>;
	/** Texts of the rows that match, in order of creation, joined by commas. */
	rows(accountId: string, table: string, filter: Filter, limit: number): Awaitable<string>;
	/** The same, one text a row. */
	rowTexts(accountId: string, table: string, filter: Filter): Awaitable<string[]>;
	/** The live row of this id, with the state it is in. */
	row(accountId: string, table: string, id: string): Awaitable<LiveRow | undefined>;
	count(accountId: string, table: string, filter: Filter): Awaitable<number>;
	/** Newest first, those archived at `since` or later, at most `limit`. */
	versions(accountId: string, table: string, id: string, since: string, limit: number): Awaitable<VersionText[]>;
	/** In order of name: tables with live rows, and tables with deleted rows archived at `since` or later. */
	tables(accountId: string, since: string): Awaitable<{ name: string; rows: number }[]>;
	/**
	 * Every live row of the account from one moment in time, as pieces of bounded size: a table's name, then its row texts.
	 * @throws Refusal overloaded where too many exports are being read, or one of this account is.
	 */
	export(accountId: string): Promise<Pieces<ExportPiece>>;
	/**
	 * A number that changes whenever an answered write changed the table, and is never seen twice for different contents.
	 * Undefined where the engine cannot know.
	 */
	generation(accountId: string, table: string): number | undefined;
}

/** Pieces that are read from something open, once. */
export interface Pieces<T> extends AsyncIterable<T> {
	/** Lets go of it. Needed where the pieces are not read to their end, or not at all; harmless otherwise. */
	close(): void;
}

/** What an access token opens. */
export interface AccessToken {
	readonly caller: Caller;
	/** The one resource that it is for. */
	readonly audience: string;
	/** Milliseconds since the epoch. */
	readonly expiresAt: number;
}

/** What an account holds. */
export interface Usage {
	readonly tables: number;
	readonly bytes: number;
}

export type ExportPiece = { readonly table: string } | { readonly rows: readonly string[] };
