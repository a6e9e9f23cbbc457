import { hash } from 'node:crypto';
import { type Admission, admission, type Windows } from '../windows.ts';
import type { Connections } from './connections.ts';
import { refusalOf } from './faults.ts';

/** What sign-in calls are counted under, in place of a name within an account. */
const SIGN_IN = 'sign-in';

interface Counted {
	readonly limit: number;
	readonly resolve: (admission: Admission) => void;
	readonly reject: (error: unknown) => void;
}

interface Counting {
	readonly accountId: string;
	readonly name: string;
	readonly calls: Counted[];
}

/**
 * Windows that all nodes count in together. Calls that wait on this node are counted by one statement, so that counting costs a
 * round trip and not a transaction each; a window known to be full refuses without asking. Clocks of nodes may differ by less
 * than a window; one that ends later than that was begun by a clock that went wrong, and begins anew.
 */
export class SharedWindows implements Windows {
	readonly #connections: Connections;
	readonly #windowMs: number;
	readonly #clock: () => number;
	/** When full windows end, by name. */
	readonly #full = new Map<string, { ends: number; limit: number }>();
	#waiting = new Map<string, Counting>();
	#counting = false;
	#sweepAt = 0;

	constructor(connections: Connections, windowMs: number, clock: () => number) {
		this.#connections = connections;
		this.#windowMs = windowMs;
		this.#clock = clock;
	}

	count(accountId: string | undefined, within: string, limit: number): Admission | Promise<Admission> {
		const [owner, name] = accountId === undefined ? [hash('sha256', within), SIGN_IN] : [accountId, within];
		const key = `${owner} ${name}`;
		const full = this.#full.get(key);
		const now = this.#clock();
		if (full !== undefined && full.limit === limit && full.ends > now && full.ends <= now + 2 * this.#windowMs) {
			return admission(limit + 1, limit, Math.min(full.ends - now, this.#windowMs));
		}
		return new Promise((resolve, reject) => {
			const counting = this.#waiting.get(key);
			const call = { limit, resolve, reject };
			if (counting === undefined) this.#waiting.set(key, { accountId: owner, name, calls: [call] });
			else counting.calls.push(call);
			this.#start();
		});
	}

	#start(): void {
		if (this.#counting) return;
		this.#counting = true;
		setImmediate(async () => {
			while (this.#waiting.size > 0) {
				const waiting = this.#waiting;
				this.#waiting = new Map();
				await this.#countAll([...waiting.values()]);
			}
			this.#counting = false;
		});
	}

	async #countAll(countings: Counting[]): Promise<void> {
		// In one order on every node, so that no two statements wait for each other.
		countings.sort((a, b) => (a.accountId < b.accountId || (a.accountId === b.accountId && a.name < b.name) ? -1 : 1));
		const now = this.#clock();
		if (now >= this.#sweepAt) this.#sweep(now);
		try {
			const { rows } = await this.#connections.askShort(
				`INSERT INTO pumadb.call_windows AS w (account_id, name, count, ends)
					SELECT n.account_id, n.name, n.count, $4::bigint + $5::bigint FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (account_id, name, count)
					ON CONFLICT (account_id, name) DO UPDATE SET
						count = CASE WHEN w.ends <= $4::bigint OR w.ends > $4::bigint + 2 * $5::bigint THEN excluded.count ELSE w.count + excluded.count END,
						ends = CASE WHEN w.ends <= $4::bigint OR w.ends > $4::bigint + 2 * $5::bigint THEN excluded.ends ELSE w.ends END
					RETURNING account_id, name, count, ends`,
				[
					countings.map(({ accountId }) => accountId),
					countings.map(({ name }) => name),
					countings.map(({ calls }) => calls.length),
					now,
					this.#windowMs,
				],
			);
			const windows = new Map(rows.map((row) => [`${row.account_id} ${row.name}`, row]));
			for (const { accountId, name, calls } of countings) {
				const key = `${accountId} ${name}`;
				const { count, ends } = windows.get(key);
				for (const [i, { limit, resolve }] of calls.entries()) {
					const counted = count - calls.length + i + 1;
					if (counted >= limit) this.#full.set(key, { ends, limit });
					resolve(admission(counted, limit, Math.min(ends - now, this.#windowMs)));
				}
			}
		} catch (error) {
			const refusal = refusalOf(error, 'read');
			for (const { calls } of countings) for (const { reject } of calls) reject(refusal);
		}
	}

	#sweep(now: number): void {
		for (const [name, { ends }] of this.#full) if (ends <= now) this.#full.delete(name);
		this.#sweepAt = now + this.#windowMs;
	}
}
