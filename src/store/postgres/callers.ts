import { timingSafeEqual } from 'node:crypto';
import type { Caller } from '../../accounts/rules.ts';
import type { Ask } from './connections.ts';

interface Asked {
	readonly accountId: string;
	readonly secretHash: string;
	readonly resolve: (caller: Caller | undefined) => void;
	readonly reject: (error: unknown) => void;
}

/** Lookups on their way at once. */
const MAX_ON_THE_WAY = 4;

/**
 * Looks keys up, for each call anew. Calls that wait together are asked for by one statement: a key is checked after its call
 * came in, and at the cost of a share of a round trip.
 */
export class Callers {
	readonly #ask: Ask;
	#waiting: Asked[] = [];
	#onTheWay = 0;
	#scheduled = false;

	constructor(ask: Ask) {
		this.#ask = ask;
	}

	find(accountId: string, secretHash: string): Promise<Caller | undefined> {
		return new Promise((resolve, reject) => {
			this.#waiting.push({ accountId, secretHash, resolve, reject });
			if (this.#scheduled || this.#onTheWay >= MAX_ON_THE_WAY) return;
			this.#scheduled = true;
			setImmediate(() => {
				this.#scheduled = false;
				void this.#askAll();
			});
		});
	}

	async #askAll(): Promise<void> {
		const asked = this.#waiting;
		if (asked.length === 0) return;
		this.#waiting = [];
		this.#onTheWay++;
		try {
			const { rows } = await this.#ask(
				`SELECT k.account_id, k.secret_hash, k.key_id FROM unnest($1::text[], $2::text[]) AS w (account_id, secret_hash)
					CROSS JOIN LATERAL (SELECT account_id, secret_hash, key_id FROM pumadb.api_keys
						WHERE account_id = w.account_id AND secret_hash = w.secret_hash AND revoked_at IS NULL OFFSET 0) k`,
				[asked.map(({ accountId }) => accountId), asked.map(({ secretHash }) => secretHash)],
			);
			const found = new Map(rows.map((row) => [`${row.account_id} ${row.secret_hash}`, row]));
			for (const { accountId, secretHash, resolve } of asked) {
				const row = found.get(`${accountId} ${secretHash}`);
				const same = row !== undefined && timingSafeEqual(Buffer.from(row.secret_hash), Buffer.from(secretHash));
				resolve(same ? { accountId, keyId: row.key_id } : undefined);
			}
		} catch (error) {
			for (const { reject } of asked) reject(error);
		} finally {
			this.#onTheWay--;
			void this.#askAll();
		}
	}
}
