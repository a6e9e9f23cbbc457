import type { AccountCommand, AccountOutcome } from '../../accounts/rules.ts';
import { causeOf, type RefusalData } from '../../errors.ts';
import type { WriteLimits } from '../../limits.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import { AccountWrites } from './account-writes.ts';
import { type Database, isDiskError, openWriter } from './driver.ts';
import { MemberIndexes } from './member-indexes.ts';
import { migrate, requireOurs } from './migrate.ts';
import { RowWrites } from './row-writes.ts';

/** What the writer can be asked for; the last two expect no answer. */
export type WriterCall =
	| ({ readonly kind: 'rows' } & RowsCall)
	| { readonly kind: 'account'; readonly command: AccountCommand }
	| { readonly kind: 'wantIndex'; readonly tableNo: number; readonly members: string }
	| { readonly kind: 'indexUsed'; readonly indexNo: number };

/** A call with the moment it is made at, in milliseconds since the epoch. */
export interface Timed {
	readonly call: WriterCall;
	readonly now: number;
}

/** `failure` is the disk's or ours: nothing of the call was kept. */
export type WriterOutcome = RowsOutcome | AccountOutcome | { readonly failure: RefusalData; readonly cause: string };

const NOTHING: AccountOutcome = {};

/**
 * The one writer of a database file. It runs groups of calls, each group in one transaction, and tells their outcomes only once
 * the commit is on disk.
 */
export class Writer {
	readonly #path: string;
	readonly #limits: WriteLimits;
	#db!: Database;
	#rows!: RowWrites;
	#accounts!: AccountWrites;
	#indexes!: MemberIndexes;
	/** What the finder told while calls ran. Acted on after them, outside their savepoints: a refused call takes nothing of it back. */
	#hints: (() => void)[] = [];
	/** The connection's state is not trusted any more. */
	#broken = false;
	#now = 0;

	/** Opens the file, making or migrating it. */
	constructor(path: string, limits: WriteLimits) {
		this.#path = path;
		this.#limits = limits;
		this.#open();
	}

	#open(): void {
		requireOurs(this.#path);
		this.#db = openWriter(this.#path);
		migrate(this.#db);
		this.#indexes = new MemberIndexes(this.#db);
		const hints = {
			wanted: (tableNo: number, members: string) =>
				this.#hints.push(() => this.#indexes.want(tableNo, members, this.#now)),
			used: (indexNo: number) => this.#hints.push(() => this.#indexes.used(indexNo, this.#now)),
		};
		this.#rows = new RowWrites(this.#db, this.#limits, this.#indexes, hints, () => this.#now);
		this.#accounts = new AccountWrites(this.#db, this.#limits, this.#indexes);
	}

	/** Runs the calls in order and commits them together. */
	runGroup(calls: readonly Timed[]): WriterOutcome[] {
		try {
			return this.#transaction(() => calls.map((timed) => this.#run(timed)));
		} catch (error) {
			// One call's fault must not fail its neighbours: each is tried on its own.
			if (calls.length > 1) return calls.flatMap((timed) => this.runGroup([timed]));
			return [failure(error)];
		}
	}

	get hasBackgroundWork(): boolean {
		return this.#indexes.hasWork;
	}

	/** Builds or drops a bounded piece of a member index. @returns false where the disk did not let it. */
	backgroundStep(): boolean {
		try {
			this.#transaction(() => this.#indexes.step());
			return true;
		} catch (error) {
			if (!isDiskError(error) && !(error instanceof ReopenError)) throw error;
			return false;
		}
	}

	/**
	 * Copies the rest of the log into the file and starts the log anew, where no reader needs it. `TRUNCATE` also empties the
	 * log's file, so that nothing erased stays in it.
	 * @returns false where a reader still needs the log.
	 */
	restartLog(mode: 'RESTART' | 'TRUNCATE'): boolean {
		this.#db.exec('PRAGMA busy_timeout = 0');
		try {
			return this.#db.prepare(`PRAGMA wal_checkpoint(${mode})`).get()?.busy === 0;
		} catch (error) {
			// The log is kept; the disk's trouble shows in the next commit.
			if (!isDiskError(error)) throw error;
			return false;
		} finally {
			this.#db.exec('PRAGMA busy_timeout = 5000');
		}
	}

	close(): void {
		if (!this.#db.isOpen) return;
		try {
			// A reader that still needs the log, such as a backup, delays the end only so long.
			this.#db.exec('PRAGMA busy_timeout = 1000');
			this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
		} finally {
			this.#db.close();
		}
	}

	#run({ call, now }: Timed): WriterOutcome {
		// Time never runs backwards within the writer: ids, stamps and expiries would contradict each other.
		this.#now = Math.max(this.#now, now);
		switch (call.kind) {
			case 'rows':
				return this.#rows.run(call, this.#now);
			case 'account':
				return this.#accounts.run(call.command, this.#now);
			case 'wantIndex':
				this.#indexes.want(call.tableNo, call.members, this.#now);
				return NOTHING;
			case 'indexUsed':
				this.#indexes.used(call.indexNo, this.#now);
				return NOTHING;
		}
	}

	#transaction<T>(run: () => T): T {
		if (this.#broken) this.#reopen();
		this.#db.exec('BEGIN IMMEDIATE');
		try {
			this.#hints = [];
			const result = run();
			for (const act of this.#hints) act();
			this.#rows.saveSequence();
			this.#db.exec('COMMIT');
			return result;
		} catch (error) {
			this.#rollBack();
			throw error;
		}
	}

	/** Takes everything back. After a failure of the disk the connection's own state is not trusted: it is opened anew. */
	#rollBack(): void {
		try {
			if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
			this.#rows.rolledBack();
			this.#indexes.forget();
		} catch {
			this.#broken = true;
		}
	}

	/** @throws ReopenError as long as the disk does not let it; the next transaction tries again. */
	#reopen(): void {
		try {
			if (this.#db.isOpen) this.#db.close();
			this.#open();
			this.#broken = false;
		} catch (error) {
			throw new ReopenError(causeOf(error));
		}
	}
}

/** The database could not be opened again after a failure of the disk. */
class ReopenError extends Error {}

function failure(error: unknown): WriterOutcome {
	const cause = causeOf(error);
	if (isDiskError(error) || error instanceof ReopenError) {
		return {
			failure: {
				code: 'storage_unavailable',
				message:
					'The server cannot write to its disk now and nothing was changed. Send the call again in a few seconds.',
			},
			cause,
		};
	}
	return {
		failure: {
			code: 'internal_error',
			message:
				'The server failed to run this call and nothing was changed. Send it again; if it fails again, report the request id.',
		},
		cause,
	};
}
