import assert from 'node:assert/strict';
import { type Any, type Client, clientWith, signIn } from './client.ts';
import { LoadClient } from './load-client.ts';
import type { Found } from './load-model.ts';
import { randomFrom } from './random.ts';
import type { Env } from './server.ts';

/** Many clients at once, in several accounts and tables, whose every answer is remembered and can be held against the database. */

/** What a load needs of its server: no limit in its way, and nothing in the log but faults. */
export const UNLIMITED: Env = {
	PUMADB_READS_PER_MINUTE: '0',
	PUMADB_WRITES_PER_MINUTE: '0',
	PUMADB_SIGN_INS_PER_HOUR: '0',
	PUMADB_MAX_ROWS_PER_TABLE: '0',
	PUMADB_MAX_ACCOUNT_BYTES: '0',
	PUMADB_LOG_LEVEL: 'error',
};

const ACCOUNTS = 3;
const TABLES = ['first', 'second'];

type Address = { readonly url: string };

export class Load {
	readonly clients: readonly LoadClient[];
	#accounts: readonly Client[];

	private constructor(accounts: readonly Client[], clients: readonly LoadClient[]) {
		this.#accounts = accounts;
		this.clients = clients;
	}

	/** @param size clients, each with a connection of its own. */
	static async on(server: Address, size: number, seed: number): Promise<Load> {
		const accounts: Client[] = [];
		for (let i = 0; i < ACCOUNTS; i++) accounts.push(await signIn(server, `load-${seed}-${i}@example.com`));
		const clients = Array.from(
			{ length: size },
			(_, i) =>
				new LoadClient(accounts[i % ACCOUNTS]!, i, TABLES[i % TABLES.length]!, randomFrom(Math.imul(seed, 1009) + i)),
		);
		return new Load(accounts, clients);
	}

	/** Goes on against the same accounts on another address. */
	moveTo(server: Address): void {
		this.#accounts = this.#accounts.map(({ key, accountId, email }) => clientWith(server, key, accountId, email));
		for (const [i, client] of this.clients.entries()) client.moveTo(this.#accounts[i % ACCOUNTS]!);
	}

	/** Runs every client until its connection breaks, or `enough` says so after a write. */
	async run(enough: (outcome: 'answered' | 'refused') => boolean): Promise<void> {
		let stop = false;
		const runs = this.clients.map(async (client) => {
			for (let writes = 1; !stop; writes++) {
				const outcome = await client.write();
				if (outcome === 'unanswered') return;
				if (enough(outcome)) stop = true;
				if (writes % 8 === 0) await client.look();
			}
		});
		try {
			await Promise.all(runs);
		} finally {
			stop = true;
			await Promise.allSettled(runs);
		}
	}

	/** Holds everything stored against everything answered, and repeats what got no answer. */
	async verify(): Promise<void> {
		for (const [i, account] of this.#accounts.entries()) {
			const before = await this.#exported(account);
			const own = this.clients.filter(({ number }) => number % ACCOUNTS === i);
			for (const client of own) await client.settle(rowsOf(before, client));
			const settled = await this.#exported(account);
			for (const client of own) await client.settle(rowsOf(settled, client));
			for (const client of own) await client.checkVersions();
			const listed = (await account.get('/v1/_tables')).body.tables;
			for (const { name, rows } of listed) assert.equal(rows, settled[name]?.length ?? 0, `rows of ${name}`);
		}
	}

	async #exported(account: Client): Promise<Record<string, Found[]>> {
		const answer = await account.get('/v1/_export');
		assert.equal(answer.status, 200, answer.text);
		return (answer.body as Any).tables;
	}

	/** Sums for a line of output. */
	figures(): { answered: number; refused: number; replayed: number } {
		const sum = (of: (client: LoadClient) => number): number =>
			this.clients.reduce((total, client) => total + of(client), 0);
		return {
			answered: sum(({ answered }) => answered),
			refused: sum(({ refused }) => refused),
			replayed: sum(({ replayed }) => replayed),
		};
	}
}

function rowsOf(tables: Record<string, Found[]>, client: LoadClient): Found[] {
	return (tables[client.table] ?? []).filter(({ w }) => w === client.number);
}
