import assert from 'node:assert/strict';
import { type Answer, type Any, type Client, codeOf } from './client.ts';
import { after, contentOf, difference, type Found, NOTHING, type State, type Step, withIds } from './load-model.ts';
import type { Random } from './random.ts';

/**
 * One client of a load. It sends one write at a time to rows of its own in a table that it shares, so that what must be stored
 * is known, but for a last write that got no answer.
 */

/** Refusals that say that nothing was changed, and may come while a server stops or its disk is full. */
const HARMLESS = ['shutting_down', 'storage_unavailable'];
const ROWS_KEPT = 40;
const SLOTS = 6;
const REPLAYS_REMEMBERED = 20;
/** The contract's limit, which the servers under load keep. */
const MAX_VERSIONS = 10;

interface Attempt {
	readonly steps: readonly Step[];
	readonly batch: boolean;
}

/** How a client's last write went. `unanswered` means that nobody knows whether it was kept: mostly, the connection broke. */
export type Outcome = 'answered' | 'refused' | 'unanswered';

export class LoadClient {
	readonly number: number;
	readonly table: string;
	answered = 0;
	refused = 0;
	replayed = 0;
	#client: Client;
	#state: State = NOTHING;
	#pending: Attempt | undefined;
	#n = 0;
	readonly #random: Random;
	readonly #adds: { key: string; step: Step; id: string }[] = [];

	constructor(client: Client, number: number, table: string, random: Random) {
		this.#client = client;
		this.number = number;
		this.table = table;
		this.#random = random;
	}

	/** Goes on against the same account on another address. */
	moveTo(client: Client): void {
		this.#client = client;
	}

	/** Sends one random write. */
	async write(): Promise<Outcome> {
		const attempt = this.#next();
		this.#pending = attempt;
		const answer = await this.#send(attempt);
		if (answer === undefined) return 'unanswered';
		// Said of a database that was lost in the middle of a commit: what was sent is known as little as where nothing was said.
		if (codeOf(answer) === 'outcome_unknown') return 'unanswered';
		if (HARMLESS.includes(codeOf(answer) ?? '')) {
			assert.equal(answer.status, 503, answer.text);
			assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
			this.#pending = undefined;
			this.refused++;
			return 'refused';
		}
		this.#take(attempt, answer);
		this.#pending = undefined;
		this.answered++;
		return 'answered';
	}

	/** Reads one row back, or repeats a keyed add whose answer came before. A broken connection is not its business. */
	async look(): Promise<void> {
		try {
			if (this.#adds.length > 0 && this.#random.chance(0.5)) await this.#repeat(this.#random.pick(this.#adds));
			else await this.#readBack();
		} catch (error) {
			if (!(error instanceof TypeError)) throw error;
		}
	}

	/** Holds the client's rows against what was answered, and repeats what was not. */
	async settle(rows: readonly Found[]): Promise<void> {
		const pending = this.#pending;
		this.#pending = undefined;
		const without = difference(this.#state, rows);
		if (pending === undefined) {
			assert.equal(without, undefined, `client ${this.number}`);
			return;
		}
		const done = after(this.#state, pending.steps);
		const withIt = difference(done, rows);
		assert.ok(
			without === undefined || withIt === undefined,
			`client ${this.number}: without its last write ${without}; with it ${withIt}: ${JSON.stringify(pending)}`,
		);
		const applied = withIt === undefined;
		this.#state = withIds(applied ? done : this.#state, rows);
		for (const step of pending.steps) if (step.key !== undefined) await this.#retry(step, applied, rows);
	}

	/** Holds the versions of some rows against the model. */
	async checkVersions(): Promise<void> {
		const rows = [...this.#state.live.values()];
		if (rows.length > 0) {
			const { id, archived } = this.#random.pick(rows);
			await this.#checkVersionsOf(id, archived, false);
		}
		const buried = this.#state.buried.at(-1);
		if (buried !== undefined) await this.#checkVersionsOf(buried.id, buried.archived, true);
	}

	async #checkVersionsOf(id: string | undefined, archived: readonly number[], deleted: boolean): Promise<void> {
		if (id === undefined) return;
		const answer = await this.#client.get(`/v1/${this.table}/versions`, { id });
		const listed = answer.body.versions.map((one: Any) => [one.version, one.row.n, one.deleted]);
		const expected = archived.map((n, i) => [i + 1, n, deleted && i === archived.length - 1]).toReversed();
		assert.deepEqual(listed, expected.slice(0, MAX_VERSIONS), `versions of ${id}`);
	}

	#next(): Attempt {
		const batch = this.#random.chance(0.25);
		const steps: Step[] = [];
		const used = new Set<string>();
		for (let left = batch ? 2 + this.#random.below(6) : 1; left > 0; left--) {
			const step = this.#nextStep(used);
			used.add(step.tag);
			steps.push(step);
		}
		// A row that a batch added is changed by the same batch.
		const added = steps.find(({ action }) => action === 'add');
		if (batch && added !== undefined) steps.push({ action: 'update_where', tag: added.tag, n: ++this.#n });
		return { steps, batch };
	}

	#nextStep(used: ReadonlySet<string>): Step {
		const n = ++this.#n;
		const live = [...this.#state.live].filter(([tag]) => !used.has(tag));
		const shrink = live.length > ROWS_KEPT;
		const kind = this.#random.below(10);
		const slot = `slot-${this.#random.below(SLOTS)}`;
		if (kind < 2 && !used.has(slot)) return { action: 'upsert', tag: slot, n };
		if (live.length > 0 && (kind < 4 || shrink)) {
			const [tag, { id }] = this.#random.pick(live);
			if (shrink || kind < 3) return { action: 'delete', tag, n };
			if (id !== undefined && this.#random.chance(0.7)) return { action: 'update_row', tag, n, id };
			return { action: 'update_where', tag, n };
		}
		const key = this.#random.chance(0.5) ? `key-${this.number}-${n}` : undefined;
		return { action: 'add', tag: `row-${n}`, n, key };
	}

	#rowOf({ tag, n }: Step): object {
		return { w: this.number, tag, ...contentOf(n) };
	}

	/** A step as an operation of a batch. */
	#operation(step: Step): Any {
		const { action, tag, n, id, key } = step;
		const filter = { w: this.number, tag };
		switch (action) {
			case 'add':
				return { action, row: this.#rowOf(step), ...(key === undefined ? {} : { idempotencyKey: key }) };
			case 'upsert':
				return { action, key: ['w', 'tag'], row: this.#rowOf(step) };
			case 'update_row':
				return { action, id, patch: contentOf(n) };
			case 'update_where':
				return { action, filter, patch: contentOf(n) };
			case 'delete':
				return { action, filter };
		}
	}

	/** @returns undefined where the connection broke. */
	async #send({ steps, batch }: Attempt): Promise<Answer | undefined> {
		try {
			if (batch) {
				return await this.#client.post(`/v1/${this.table}/batch`, {
					operations: steps.map((step) => this.#operation(step)),
				});
			}
			return await this.#sendOne(steps[0]!);
		} catch (error) {
			// What fetch throws for a connection that fails; anything else is a wrong answer.
			if (error instanceof TypeError) return undefined;
			throw error;
		}
	}

	#sendOne(step: Step): Promise<Answer> {
		const { action, ...body } = this.#operation(step);
		if (action === 'delete') return this.#client.del(`/v1/${this.table}`, body);
		if (action !== 'add') return this.#client.post(`/v1/${this.table}/${action}`, body);
		return this.#client.post(`/v1/${this.table}`, body.row, keyHeader(step.key));
	}

	#take({ steps, batch }: Attempt, answer: Answer): void {
		const success = !batch && steps[0]!.action === 'add' ? 201 : 200;
		assert.equal(answer.status, success, `${JSON.stringify(steps)}: ${answer.text}`);
		const results: Any[] = batch ? answer.body.results.map((one: Any) => one.result) : [answer.body];
		assert.equal(results.length, steps.length);
		const ids = results.map((result) => result.id ?? result.row?.id ?? result.rows?.[0]?.id);
		this.#state = after(this.#state, steps, ids);
		for (const [i, step] of steps.entries()) {
			if (step.key === undefined) continue;
			this.#adds.push({ key: step.key, step, id: ids[i] });
			if (this.#adds.length > REPLAYS_REMEMBERED) this.#adds.shift();
		}
	}

	async #repeat({ key, step, id }: { key: string; step: Step; id: string }): Promise<void> {
		const answer = await this.#client.post(`/v1/${this.table}`, this.#rowOf(step), keyHeader(key));
		// A full disk or a stopping server may refuse it; it must never be run again.
		if (answer.status === 503) return;
		assert.equal(answer.status, 201, answer.text);
		assert.equal(answer.headers.get('idempotency-replayed'), 'true', `${key} ran again`);
		assert.equal(answer.body.id, id);
		this.replayed++;
	}

	/** Repeats a keyed add that got no answer: it must end up there once, whether or not the first try was kept. */
	async #retry(step: Step, applied: boolean, rows: readonly Found[]): Promise<void> {
		const answer = await this.#client.post(`/v1/${this.table}`, this.#rowOf(step), keyHeader(step.key));
		assert.equal(answer.status, 201, answer.text);
		assert.equal(answer.headers.get('idempotency-replayed'), applied ? 'true' : null, `retry of ${step.key}`);
		const there = rows.find(({ tag }) => tag === step.tag);
		if (applied) assert.equal(answer.body.id, there?.id);
		else this.#state = after(this.#state, [step], [answer.body.id]);
		this.replayed++;
	}

	async #readBack(): Promise<void> {
		const live = [...this.#state.live];
		if (live.length === 0) return;
		const [tag, kept] = this.#random.pick(live);
		const answer = await this.#client.get(`/v1/${this.table}`, { filter: { w: this.number, tag } });
		if (answer.status === 503) return;
		assert.deepEqual(
			answer.body.rows.map((row: Found) => row.n),
			[kept.n],
			`${tag} of client ${this.number}`,
		);
	}
}

function keyHeader(key: string | undefined): Record<string, string> {
	return key === undefined ? {} : { 'idempotency-key': key };
}
