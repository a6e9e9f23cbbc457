import { timingSafeEqual } from 'node:crypto';
import type { Caller } from '../../accounts/rules.ts';
import type { Ask } from './connections.ts';
import { Gathered } from './gathered.ts';

/** A key that was presented. */
interface Presented {
	readonly accountId: string;
	readonly secretHash: string;
}

const TOGETHER = 64;
const ON_THE_WAY = 4;

/** Keys remembered at most. */
const MAX_REMEMBERED = 10_000;

/** Looks keys up, for each call anew. */
export class Callers {
	readonly #ask: Ask;
	/** Callers as they were found last, by hash. */
	readonly #last = new Map<string, Caller>();
	readonly #gathered = new Gathered<Presented, Caller | undefined>({
		askAll: (presented) => this.#find(presented),
		together: TOGETHER,
		onTheWay: ON_THE_WAY,
	});

	constructor(ask: Ask) {
		this.#ask = ask;
	}

	find(accountId: string, secretHash: string): Promise<Caller | undefined> {
		return this.#gathered.ask({ accountId, secretHash });
	}

	/** What was found last, for a call whose key is judged later. */
	last(accountId: string, secretHash: string): Caller | undefined {
		const caller = this.#last.get(secretHash);
		return caller?.accountId === accountId ? caller : undefined;
	}

	#remember(secretHash: string, caller: Caller | undefined): Caller | undefined {
		if (caller === undefined) this.#last.delete(secretHash);
		else {
			if (this.#last.size >= MAX_REMEMBERED) this.#last.clear();
			this.#last.set(secretHash, caller);
		}
		return caller;
	}

	async #find(presented: readonly Presented[]): Promise<(Caller | undefined)[]> {
		const { rows } = await this.#ask(
			`SELECT k.account_id, k.secret_hash, k.key_id FROM unnest($1::text[], $2::text[]) AS w (account_id, secret_hash)
				CROSS JOIN LATERAL (SELECT account_id, secret_hash, key_id FROM pumadb.api_keys
					WHERE account_id = w.account_id AND secret_hash = w.secret_hash AND revoked_at IS NULL OFFSET 0) k`,
			[presented.map(({ accountId }) => accountId), presented.map(({ secretHash }) => secretHash)],
		);
		const found = new Map(rows.map((row) => [`${row.account_id} ${row.secret_hash}`, row]));
		return presented.map(({ accountId, secretHash }) => {
			const row = found.get(`${accountId} ${secretHash}`);
			const same = row !== undefined && timingSafeEqual(Buffer.from(row.secret_hash), Buffer.from(secretHash));
			return this.#remember(secretHash, same ? { accountId, keyId: row.key_id } : undefined);
		});
	}
}
