import { Refusal } from '../../errors.ts';
import type { RowsCall, RowsOutcome } from '../seam.ts';
import type { AccountCalls, TimedCall } from './account-lock.ts';
import { mayShare, NeedsAlone, TakenBack } from './account-run.ts';
import type { Connections } from './connections.ts';
import { isRetryable, OutcomeUnknown, refusalOf } from './faults.ts';
import type { RowWrites } from './row-writes.ts';

/** Calls that may wait before further ones are refused. */
const MAX_WAITING = 20_000;
/** What one transaction takes at most: it stays short, and so do the locks that it holds. */
const MAX_CALLS = 64;
const MAX_CHARACTERS = 4_000_000;
/** How often a group is tried that the database took back for another's sake, or whose connection was gone. */
const TRIES = 3;

interface Job extends TimedCall {
	readonly resolve: (outcome: RowsOutcome) => void;
	readonly reject: (error: unknown) => void;
	/** Its account was locked elsewhere: it waits for the lock, in a transaction without other accounts. */
	alone: boolean;
}

type Group = Map<string, Job[]>;

/**
 * Writes of rows on this node. Calls that wait together share a transaction, whatever their accounts; while some transactions are
 * on their way the next calls gather. An account is in one transaction at a time, so that its calls stay in order and wait here
 * and not in the database.
 */
export class Writer {
	readonly #connections: Connections;
	readonly #rows: RowWrites;
	readonly #clock: () => number;
	readonly #slots: number;
	/** Transactions that may wait for an account that is locked elsewhere: the others go on meanwhile. */
	readonly #waitingSlots: number;
	/** Calls by account; accounts in the order in which they began to wait. */
	readonly #waiting: Group = new Map();
	readonly #busy = new Set<string>();
	#count = 0;
	#running = 0;
	#runningAlone = 0;
	#scheduled = false;
	#idle: (() => void) | undefined;

	/** @param slots transactions of rows at once. */
	constructor(connections: Connections, rows: RowWrites, clock: () => number, slots: number) {
		this.#connections = connections;
		this.#rows = rows;
		this.#clock = clock;
		this.#slots = slots;
		this.#waitingSlots = Math.max(1, Math.floor(slots / 2));
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
			this.#put({ call, now: this.#clock(), resolve, reject, alone: false });
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
		while (this.#running < this.#slots) {
			const group = this.#take();
			if (group.size === 0) return;
			const [first] = onlyAccount(group);
			const alone = first.alone ? 1 : 0;
			this.#running++;
			this.#runningAlone += alone;
			for (const accountId of group.keys()) this.#busy.add(accountId);
			this.#run(group)
				.catch((error: unknown) => this.#reject(group, error))
				.finally(() => {
					this.#running--;
					this.#runningAlone -= alone;
					for (const accountId of group.keys()) this.#busy.delete(accountId);
					if (this.#waiting.size > 0) this.#start();
				});
		}
	}

	#take(): Group {
		const group: Group = new Map();
		let calls = 0;
		let characters = 0;
		for (const [accountId, jobs] of this.#waiting) {
			if (calls >= MAX_CALLS || characters >= MAX_CHARACTERS) break;
			if (this.#busy.has(accountId)) continue;
			const [first] = jobs as [Job];
			if (first.alone && this.#runningAlone >= this.#waitingSlots) continue;
			if (first.alone || !mayShare(first.call)) {
				if (group.size > 0) continue;
				// A batch goes by itself; calls whose account was locked go with the others of that account.
				group.set(accountId, this.#takeFrom(accountId, jobs, Math.min(MAX_CALLS, Math.max(1, runOf(jobs)))));
				break;
			}
			const room = Math.min(runOf(jobs), MAX_CALLS - calls);
			const taken = this.#takeFrom(accountId, jobs, room);
			group.set(accountId, taken);
			calls += taken.length;
			for (const { call } of taken) characters += charactersOf(call);
		}
		return group;
	}

	#takeFrom(accountId: string, jobs: Job[], count: number): Job[] {
		const taken = jobs.splice(0, count);
		if (jobs.length === 0) this.#waiting.delete(accountId);
		return taken;
	}

	async #run(group: Group): Promise<void> {
		for (let tries = 1; ; tries++) {
			try {
				return await this.#runOnce(group);
			} catch (error) {
				if (error instanceof TakenBack) return this.#resolve(onlyAccount(group)[0], error.outcome);
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
				}
				return;
			}
		}
	}

	async #runOnce(group: Group): Promise<void> {
		const calls: AccountCalls[] = [...group].map(([accountId, jobs]) => ({ accountId, calls: jobs }));
		// Who finds its account locked goes among those that wait, which are kept from taking every slot.
		const skipLocked = !onlyAccount(group)[0].alone;
		const outcomes = await this.#connections.transaction((transaction) =>
			this.#rows.run(transaction, calls, skipLocked),
		);
		for (const [accountId, jobs] of group) {
			const answered = outcomes.get(accountId);
			if (answered !== undefined) for (const [i, job] of jobs.entries()) this.#resolve(job, answered[i]!);
			else if (skipLocked) this.#again(accountId, jobs);
			else for (const job of jobs) this.#resolve(job, accountGone());
		}
	}

	/** Puts calls back, before those that came after them. */
	#again(accountId: string, jobs: readonly Job[]): void {
		for (const job of jobs) job.alone = true;
		this.#waiting.set(accountId, [...jobs, ...(this.#waiting.get(accountId) ?? [])]);
	}

	#resolve(job: Job, outcome: RowsOutcome): void {
		this.#answered();
		job.resolve(outcome);
	}

	#reject(group: Group, error: unknown): void {
		const refusal = refusalOf(error, 'write');
		for (const job of [...group.values()].flat()) {
			this.#answered();
			job.reject(refusal);
		}
	}

	#answered(): void {
		if (--this.#count === 0) this.#idle?.();
	}
}

/** How many calls from the first on may share a transaction. */
function runOf(jobs: readonly Job[]): number {
	const end = jobs.findIndex(({ call }) => !mayShare(call));
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
