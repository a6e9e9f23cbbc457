import { hash } from 'node:crypto';

/** Statements that are prepared at most on a connection: those of the store are fewer; filters of many shapes could be more. */
const MAX_NAMED = 200;

/**
 * Names under which statements are prepared, once a connection, so that they need not be parsed and planned each time
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY). A name is made of its statement: behind
 * a pooler that mixes connections up, whoever prepared it, it can stand for no other.
 */
export class StatementNames {
	readonly #names = new Map<string, string>();
	#on = true;

	/** The name of a statement; undefined where it is not to be prepared. */
	of(text: string): string | undefined {
		if (!this.#on) return undefined;
		const name = this.#names.get(text);
		if (name !== undefined || this.#names.size >= MAX_NAMED) return name;
		const fresh = `pumadb_${hash('sha256', text, 'base64url')}`;
		this.#names.set(text, fresh);
		return fresh;
	}

	/** Prepares nothing any more: it was not there when it was needed. */
	giveUp(): void {
		this.#on = false;
	}
}
