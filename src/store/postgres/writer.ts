import { Refusal } from '../../errors.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import type { AccountCalls, TimedCall } from './account-lock.ts';
import { mayShare, NeedsAlone, TakenBack } from './account-run.ts';
import type { Connections } from './connections.ts';
import { isRetryable, OutcomeUnknown, refusalOf, TRIES } from './faults.ts';
import type { KnownAccounts } from './known-accounts.ts';
import type { PlainAdds } from './plain-adds.ts';
import type { RowWrites } from './row-writes.ts';

/** Calls that may wait before further ones are refused. */
const MAX_WAITING = 20_000;
/** What one transaction takes at most: it stays short, and so do the locks that it holds. */
const MAX_CALLS = 64;
const MAX_PLAIN_CALLS = 256;
/**
 * Statements of plain adds on their way at once. A statement costs as much by itself as many adds do, so the second one goes only
 * once as many calls wait as the first took: the database has work without a pause, and the statements stay few.
 */
const PLAIN_AT_ONCE = 2;
const MAX_CHARACTERS = 4_000_000;

interface Job extends TimedCall {
	readonly resolve: (outcome: RowsOutcome) => void;
	readonly reject: (error: unknown) => void;
	/**
	 * How it goes: `plain` with other plain adds, in a statement that loads nothing; `locked` with other calls; `alone` because its
	 * account was locked elsewhere: it waits for the lock, in a transaction without other accounts.
	 */
	way: 'plain' | 'locked' | 'alone';
	/** Answers the call, once that may be done. */
	answer?: (() => void) | undefined;
}

/** Calls that go together, by account: all of them the same way. */
type Group = Map<string, Job[]>;

export interface WriterOptions {
	readonly connections: Connections;
	readonly rows: RowWrites;
	readonly plain: PlainAdds;
	/** Told of accounts as they are left. */
	readonly known: KnownAccounts;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Transactions of rows at once. */
	readonly slots: number;
}

/**
 * Writes of rows on this node. Calls that wait together share a transaction, whatever their accounts; while some transactions are
 * on their way the next calls gather. An account is in one transaction at a time, so that its calls stay in order and wait here
 * and not in the database.
 */
export class Writer {
	readonly #options: WriterOptions;
	/** Transactions that may wait for an account that is locked elsewhere: the others go on meanwhile. */
	readonly #waitingSlots: number;
	/** Calls by account; accounts in the order in which they began to wait. */
	readonly #waiting: Group = new Map();
	readonly #busy = new Set<string>();
	#count = 0;
	#running = 0;
	#runningAlone = 0;
	#runningPlain = 0;
	/** Calls of the statement of plain adds that went last, and those that wait for one. */
	#lastPlain = 0;
	#plainWaiting = 0;
	#scheduled = false;
	#idle: (() => void) | undefined;

	constructor(options: WriterOptions) {
		this.#options = options;
		this.#waitingSlots = Math.max(1, Math.floor(options.slots / 2));
	}

	/** Calls that wait for their commit. */
	get waiting(): number {
		return this.#count;
	}

	write(call: RowsCall): Promise<RowsOutcome> {
		if (this.#count >= MAX_WAITING) {
			const message = `The server has ${MAX_WAITING} writes waiting and changed nothing. Send the call again in a second.`;
			return Promise.reject(new Refusal('overloaded', message));
		}
		return new Promise((resolve, reject) => {
			this.#count++;
			const way = this.#options.plain.takes(call) ? 'plain' : 'locked';
			this.#put({ call, now: this.#options.clock(), resolve, reject, way });
			this.#schedule();
		});
	}

	/** Resolves once everything that was asked is answered. */
	async drained(): Promise<void> {
		while (this.#count > 0) {
			await new Promise<void>((resolve) => {
				this.#idle = resolve;
			});
		}
	}

	#put(job: Job): void {
		const waiting = this.#waiting.get(job.call.accountId);
		if (job.way === 'plain') this.#plainWaiting++;
		if (waiting === undefined) this.#waiting.set(job.call.accountId, [job]);
		else waiting.push(job);
	}

	/** Calls of one turn of the event loop go together. */
	#schedule(): void {
		if (this.#scheduled) return;
		this.#scheduled = true;
		setImmediate(() => {
			this.#scheduled = false;
			this.#start();
		});
	}

	#start(): void {
		for (;;) {
			const group = this.#take();
			if (group.size === 0) return;
			const { way } = onlyAccount(group)[0];
			this.#note(group, way, 1);
			this.#run(group)
				.catch((error: unknown) => this.#reject(group, error))
				.finally(() => {
					this.#note(group, way, -1);
					if (this.#waiting.size > 0) this.#start();
					// Once the next ones are on their way, so that the database does not wait while these are answered.
					setImmediate(() => this.#answer(group));
				});
		}
	}

	/** Notes that a group begins, or ends. */
	#note(group: Group, way: Job['way'], change: 1 | -1): void {
		if (way === 'plain') this.#runningPlain += change;
		else this.#running += change;
		if (way === 'alone') this.#runningAlone += change;
		for (const accountId of group.keys()) {
			if (change === 1) this.#busy.add(accountId);
			else this.#busy.delete(accountId);
		}
	}

	#take(): Group {
		const group: Group = new Map();
		let way: Job['way'] | undefined;
		let calls = 0;
		let characters = 0;
		const plainMayGo =
			this.#runningPlain === 0 || (this.#runningPlain < PLAIN_AT_ONCE && this.#plainWaiting >= this.#lastPlain);
		for (const [accountId, jobs] of this.#waiting) {
			const most = way === 'plain' ? MAX_PLAIN_CALLS : MAX_CALLS;
			if (calls >= most || characters >= MAX_CHARACTERS) break;
			if (this.#busy.has(accountId)) continue;
			const [first] = jobs as [Job];
			if (way !== undefined && first.way !== way) continue;
			if (first.way === 'alone' && this.#runningAlone >= this.#waitingSlots) continue;
			if (first.way === 'plain' ? !plainMayGo : this.#running >= this.#options.slots) continue;
			if (first.way === 'alone' || !mayShare(first.call)) {
				if (group.size > 0) continue;
				// A batch goes by itself; calls whose account was locked go with the others of that account.
				group.set(accountId, this.#takeFrom(accountId, jobs, Math.min(MAX_CALLS, Math.max(1, runOf(jobs)))));
				break;
			}
			way = first.way;
			const room = Math.min(runOf(jobs), MAX_CALLS, (way === 'plain' ? MAX_PLAIN_CALLS : MAX_CALLS) - calls);
			const taken = this.#takeFrom(accountId, jobs, room);
			group.set(accountId, taken);
			calls += taken.length;
			for (const { call } of taken) characters += charactersOf(call);
		}
		if (way === 'plain') this.#lastPlain = calls;
		return group;
	}

	#takeFrom(accountId: string, jobs: Job[], count: number): Job[] {
		const taken = jobs.splice(0, count);
		for (const { way } of taken) if (way === 'plain') this.#plainWaiting--;
		if (jobs.length === 0) this.#waiting.delete(accountId);
		return taken;
	}

	async #run(group: Group): Promise<void> {
		for (let tries = 1; ; tries++) {
			try {
				return await this.#runOnce(group);
			} catch (error) {
				if (error instanceof TakenBack) return void this.#settle(onlyAccount(group)[0], error.outcome);
				if (error instanceof OutcomeUnknown) throw error;
				if (isRetryable(error) && tries < TRIES) continue;
				if (isRetryable(error)) throw error;
				const jobs = [...group.values()].flat();
				if (jobs.length === 1) throw error;
				if (!(error instanceof NeedsAlone) && refusalOf(error, 'write').code === 'storage_unavailable') throw error;
				// One call's fault must not fail its neighbours: each is tried on its own.
				for (const job of jobs) {
					const alone: Group = new Map([[job.call.accountId, [job]]]);
					await this.#run(alone).catch((failure: unknown) => this.#reject(alone, failure));
					this.#answer(alone);
				}
				return;
			}
		}
	}

	async #runOnce(group: Group): Promise<void> {
		const { connections, rows, known } = this.#options;
		const calls: AccountCalls[] = [...group].map(([accountId, jobs]) => ({ accountId, calls: jobs }));
		const { way } = onlyAccount(group)[0];
		if (way === 'plain') return this.#runPlain(group, calls);
		// Who finds its account locked goes among those that wait, which are kept from taking every slot.
		const skipLocked = way !== 'alone';
		const { outcomes, accounts } = await connections.transaction((transaction) =>
			rows.run(transaction, calls, skipLocked),
		);
		for (const account of accounts) known.learn(account);
		for (const [accountId, jobs] of group) {
			const answered = outcomes.get(accountId);
			if (answered !== undefined) for (const [i, job] of jobs.entries()) this.#settle(job, answered[i]!);
			else if (skipLocked) this.#again(accountId, jobs, 'alone');
			else for (const job of jobs) this.#settle(job, accountGone());
		}
	}

	async #runPlain(group: Group, calls: readonly AccountCalls[]): Promise<void> {
		const { plain, known } = this.#options;
		let outcomes: Awaited<ReturnType<PlainAdds['run']>> | undefined;
		try {
			outcomes = await plain.run(calls);
		} catch (error) {
			if (error instanceof OutcomeUnknown || isRetryable(error)) throw error;
			if (refusalOf(error, 'write').code === 'storage_unavailable') throw error;
			// Such as an answer that another node kept under the same key meanwhile: what is known is not enough.
			for (const { accountId } of calls) known.forget(accountId);
		}
		for (const [i, [accountId, jobs]] of [...group].entries()) {
			const answered = outcomes?.[i];
			const left = jobs.filter((job, j) => !this.#settle(job, answered?.[j]));
			if (left.length > 0) this.#again(accountId, left, 'locked');
		}
	}

	/** Puts calls back, before those that came after them. */
	#again(accountId: string, jobs: readonly Job[], way: Job['way']): void {
		for (const job of jobs) job.way = way;
		this.#waiting.set(accountId, [...jobs, ...(this.#waiting.get(accountId) ?? [])]);
	}

	/** @returns whether there is an outcome. */
	#settle(job: Job, outcome: RowsOutcome | undefined): boolean {
		if (outcome !== undefined) job.answer = () => job.resolve(outcome);
		return outcome !== undefined;
	}

	#reject(group: Group, error: unknown): void {
		const refusal = refusalOf(error, 'write');
		for (const job of [...group.values()].flat()) job.answer ??= () => job.reject(refusal);
	}

	/** Answers what has ended of a group; the others were put back. */
	#answer(group: Group): void {
		for (const jobs of group.values()) {
			for (const job of jobs) {
				if (job.answer === undefined) continue;
				job.answer();
				job.answer = undefined;
				if (--this.#count === 0) this.#idle?.();
			}
		}
	}
}

/** How many calls from the first on may share a transaction, the way of the first: every call may go the way of the locked ones. */
function runOf(jobs: readonly Job[]): number {
	const plain = jobs[0]!.way === 'plain';
	const end = jobs.findIndex(({ call, way }) => !mayShare(call) || (plain && way !== 'plain'));
	return end === -1 ? jobs.length : end;
}

/** The calls of a group's first account, which is the only one where they go alone. */
function onlyAccount(group: Group): [Job, ...Job[]] {
	const [jobs] = group.values();
	return jobs as [Job, ...Job[]];
}

function charactersOf({ operations }: RowsCall): number {
	let characters = 0;
	for (const operation of operations) {
		if ('own' in operation) characters += operation.own.length;
		else if ('patch' in operation) characters += operation.patch.length;
	}
	return characters;
}

function accountGone(): RowsOutcome {
	const message = 'The account of this API key was erased. Sign in again to make a new one.';
	return { refusal: { code: 'invalid_api_key', message }, index: 0 };
}
