import { createHash, randomUUID } from 'node:crypto';
import { linkSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivate, xdgDirectory } from './login-file.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * What is known of an import that has not ended: then the same command goes on with it. Each row is sent with an idempotency key made
 * of `run` and of the row, so that one whose answer was lost is not stored again.
 */
export interface JournalEntry {
	readonly run: string;
	/** Milliseconds since the epoch. */
	readonly startedAt: number;
	/** SHA-256 of the source. */
	readonly digest: string;
	/** SHA-256 of the flags by which the source becomes rows. With others the rows, and their keys, would be others. */
	readonly flags: string;
	/** Rows from the beginning whose storing was answered. */
	readonly done: number;
}

/** The service keeps answers for 24 hours; what is close to that is not relied on. */
const TRUSTED_MS = 23 * 60 * 60 * 1000;

/** The journal of one import: of one source into one account. */
export class ImportJournal {
	readonly #path: string;
	readonly #clock: () => number;

	/** @param identity tells imports apart: server, account, source */
	constructor(identity: readonly string[], { env, clock }: Surroundings) {
		const name = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 32);
		this.#path = join(xdgDirectory(env, 'XDG_STATE_HOME', '.local/state'), 'imports', `${name}.json`);
		this.#clock = clock;
	}

	/** The entry of an import that stopped. */
	read(): JournalEntry | undefined {
		try {
			return JSON.parse(readFileSync(this.#path, 'utf8'));
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
			throw new Error(
				`${this.#path}, which says how far an import came, cannot be read (${(error as Error).message}). To begin anew, delete it.`,
			);
		}
	}

	/** Are the keys of this entry certainly still known to the service? */
	isFresh({ startedAt }: JournalEntry): boolean {
		return this.#clock() - startedAt < TRUSTED_MS;
	}

	/**
	 * Begins an import. Of two that begin at the same time one makes the entry and the other gets it: with the same run their rows have
	 * the same keys, and are stored once.
	 */
	begin(digest: string, flags: string): JournalEntry {
		const entry = { run: randomUUID(), startedAt: this.#clock(), digest, flags, done: 0 };
		// Made whole under a name of its own first: nobody can read half of it.
		const own = `${this.#path}.${entry.run}`;
		writePrivate(own, JSON.stringify(entry));
		try {
			for (;;) {
				if (linked(own, this.#path)) return entry;
				const other = this.read();
				if (other !== undefined) return other;
			}
		} finally {
			rmSync(own, { force: true });
		}
	}

	write(entry: JournalEntry): void {
		writePrivate(this.#path, JSON.stringify(entry));
	}

	end(): void {
		rmSync(this.#path, { force: true });
	}
}

/** Gives a file a second name. @returns false where there is a file of that name */
function linked(from: string, to: string): boolean {
	try {
		linkSync(from, to);
		return true;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
		throw error;
	}
}
