import { createHash, randomUUID } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
	/** Rows from the beginning that were sent: those beyond `done` may be stored or not. */
	readonly sent: number;
	/** When the last of them were sent, in milliseconds since the epoch. */
	readonly sentAt: number;
	/** The process that runs it, or ran it. */
	readonly pid: number;
}

/** An import that came to its end. */
interface Ended extends JournalEntry {
	readonly endedAt: number;
}

/** The service keeps answers for 24 hours, but where it has no room for others only for one; what is close to that is not relied on. */
const TRUSTED_MS = 55 * 60 * 1000;
/** A process that has not written for so long, and waits at most a minute between two batches, is another with the same number. */
const SILENT_MS = 10 * 60 * 1000;
/** Ends are remembered for processes that run already; none takes so long to begin. */
const ENDED_MS = 60 * 60 * 1000;

const ENDED = '.ended';

/** The journal of one import: of one source into one account. */
export class ImportJournal {
	readonly #path: string;
	readonly #clock: () => number;
	readonly #processStartedAt: number;

	/** @param identity tells imports apart: server, account, source */
	constructor(identity: readonly string[], { env, clock, startedAt }: Surroundings) {
		const name = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 32);
		this.#path = join(xdgDirectory(env, 'XDG_STATE_HOME', '.local/state'), 'imports', `${name}.json`);
		this.#clock = clock;
		this.#processStartedAt = startedAt;
	}

	/** The entry of an import that stopped, or that another process runs. */
	read(): JournalEntry | undefined {
		const entry = this.#stored();
		return entry === undefined ? undefined : this.#orEnded(entry);
	}

	#stored(): JournalEntry | undefined {
		try {
			return JSON.parse(readFileSync(this.#path, 'utf8'));
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
			throw new Error(
				`${this.#path}, which says how far an import came, cannot be read (${(error as Error).message}). To begin anew, delete it.`,
			);
		}
	}

	/**
	 * Can rows that were sent be sent again without being stored twice? Those that were answered are not sent again, unless the source
	 * was changed: which of its rows they are, then only the service knows.
	 */
	isFresh({ digest, done, sent, sentAt, startedAt }: JournalEntry, current: string): boolean {
		if (sent === 0 || (digest === current && sent <= done)) return true;
		return this.#clock() - (digest === current ? sentAt : startedAt) < TRUSTED_MS;
	}

	/**
	 * Begins an import. Of those that begin at the same time one makes the entry and the others get it: with the same run their rows
	 * have the same keys, and are stored once. That is so, too, where one came to its end before another began.
	 */
	begin(digest: string, flags: string): JournalEntry {
		const now = this.#clock();
		const fresh = { run: randomUUID(), startedAt: now, digest, flags, done: 0, sent: 0, sentAt: now, pid: process.pid };
		// Made whole under a name of its own first: nobody can read half of it.
		const own = `${this.#path}.${fresh.run}`;
		writePrivate(own, JSON.stringify(fresh));
		try {
			for (;;) {
				const entry = linked(own, this.#path) ? fresh : this.#stored();
				if (entry !== undefined) return this.#orEnded(entry);
			}
		} finally {
			rmSync(own, { force: true });
		}
	}

	/** An import that came to its end while this process ran already is the same as one that still runs: its rows are not stored again. */
	#orEnded(entry: JournalEntry): JournalEntry {
		const ended = this.#readEnded();
		if (ended === undefined || ended.endedAt < this.#processStartedAt || ended.flags !== entry.flags) return entry;
		const { endedAt: _, ...same } = ended;
		return same;
	}

	/**
	 * Forgets an import that stopped, but none that was begun while this process ran already.
	 * @throws Error where it runs
	 */
	forget(name: string): void {
		const known = this.#stored();
		if (known === undefined || known.startedAt >= this.#processStartedAt) return;
		const writtenAt = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
		if (isRunning(known.pid) && this.#clock() - writtenAt < SILENT_MS) {
			throw new Error(
				`An import of ${name} is running, as process ${known.pid}: wait until it has ended, or stop it, and look at what it stored.`,
			);
		}
		// Another may have put its own in place meanwhile.
		const aside = `${this.#path}.${randomUUID()}`;
		try {
			renameSync(this.#path, aside);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
			throw error;
		}
		if ((JSON.parse(readFileSync(aside, 'utf8')) as JournalEntry).run !== known.run) linked(aside, this.#path);
		rmSync(aside, { force: true });
	}

	/** Of two that write how far one import came the farther counts. */
	write(entry: JournalEntry): void {
		const there = this.#stored();
		const same = there !== undefined && there.run === entry.run && there.digest === entry.digest;
		this.#replace(same ? { ...entry, done: Math.max(there.done, entry.done) } : entry);
	}

	/** The import came to its end. */
	end(entry: JournalEntry): void {
		writePrivate(this.#endedPath, JSON.stringify({ ...entry, endedAt: this.#clock() } satisfies Ended));
		rmSync(this.#path, { force: true });
		this.#sweep();
	}

	#replace(entry: JournalEntry): void {
		writePrivate(this.#path, JSON.stringify({ ...entry, pid: process.pid }));
	}

	#readEnded(): Ended | undefined {
		try {
			return JSON.parse(readFileSync(this.#endedPath, 'utf8'));
		} catch {
			// What cannot be read says nothing of an import that runs.
			return undefined;
		}
	}

	#sweep(): void {
		const directory = dirname(this.#path);
		for (const name of readdirSync(directory)) {
			const path = join(directory, name);
			const old =
				name.endsWith(ENDED) && this.#clock() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > ENDED_MS;
			if (old) rmSync(path, { force: true });
		}
	}

	get #endedPath(): string {
		return `${this.#path}${ENDED}`;
	}
}

function isRunning(pid: number): boolean {
	try {
		return pid !== process.pid && process.kill(pid, 0);
	} catch {
		return false;
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
