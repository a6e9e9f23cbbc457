import type { JsonObject } from '../../domain/json.ts';
import { parseJson } from '../../domain/json-text.ts';
import { rowKey } from '../../domain/value.ts';
import { INDEX_STEP, newIndex } from '../index-policy.ts';
import type { Database, Statement } from './driver.ts';

const MAX_CACHED_TABLES = 20_000;

interface Definition {
	readonly indexNo: number;
	readonly members: readonly string[];
	/** Entries exist for rows up to this id (hex); undefined once all have them. */
	readonly builtThrough: string | undefined;
}

/**
 * The writer's side of member indexes: made when a filter first wants one, built a step at a time between groups of writes,
 * kept true by every write in its own transaction, given up when others are wanted more.
 */
export class MemberIndexes {
	readonly #db: Database;
	readonly #of: Statement;
	readonly #insert: Statement;
	readonly #remove: Statement;
	readonly #unfinished: Statement;
	/** Definitions by table. They change only in {@link want} and {@link step}, which clear what they change. */
	readonly #cache = new Map<number, readonly Definition[]>();
	#work: boolean;

	constructor(db: Database) {
		this.#db = db;
		this.#of = db.prepare(
			"SELECT index_no, members, built_through FROM member_indexes WHERE table_no = ? AND state <> 'dropping'",
		);
		this.#insert = db.prepare('INSERT INTO index_entries (index_no, key, place) VALUES (?, ?, ?)');
		this.#remove = db.prepare('DELETE FROM index_entries WHERE index_no = ? AND key = ? AND place = ?');
		this.#unfinished = db.prepare(
			"SELECT index_no, table_no, members, state, built_through FROM member_indexes WHERE state <> 'ready' LIMIT 1",
		);
		this.#work = this.#unfinished.get() !== undefined;
	}

	/** Is there something to build or drop? */
	get hasWork(): boolean {
		return this.#work;
	}

	/** Forgets what was read of definitions, after a transaction was rolled back. */
	forget(): void {
		this.#cache.clear();
		this.#work = true;
	}

	/** Entries of a row that came, changed or went: `before` and `after` are its texts. */
	rowChanged(tableNo: number, place: number, id: string, before: string | undefined, after: string | undefined): void {
		const definitions = this.#definitions(tableNo);
		if (definitions.length === 0) return;
		const old = before === undefined ? undefined : (parseJson(before) as JsonObject);
		const fresh = after === undefined ? undefined : (parseJson(after) as JsonObject);
		for (const { indexNo, members, builtThrough } of definitions) {
			if (builtThrough !== undefined && id.replaceAll('-', '') > builtThrough) continue;
			const oldKey = old === undefined ? undefined : rowKey(old, members);
			const freshKey = fresh === undefined ? undefined : rowKey(fresh, members);
			if (oldKey !== undefined && freshKey !== undefined && Buffer.compare(oldKey, freshKey) === 0) continue;
			if (oldKey !== undefined) this.#remove.run(indexNo, oldKey, place);
			if (freshKey !== undefined) this.#insert.run(indexNo, freshKey, place);
		}
	}

	/** A filter on these members found no index. Runs in a transaction. */
	want(tableNo: number, members: string, now: number): void {
		const db = this.#db;
		const table = db.prepare('SELECT rows FROM row_counts WHERE table_no = ?').get(tableNo);
		if (table === undefined) return;
		const existing = db
			.prepare("SELECT index_no, members, used_at FROM member_indexes WHERE table_no = ? AND state <> 'dropping'")
			.all(tableNo)
			.map((row) => ({
				indexNo: row.index_no as number,
				members: row.members as string,
				usedAt: row.used_at as number,
			}));
		const { make, giveUp } = newIndex(existing, members, table.rows as number, now);
		if (!make) return;
		if (giveUp !== undefined) db.prepare("UPDATE member_indexes SET state = 'dropping' WHERE index_no = ?").run(giveUp);
		db.prepare(
			"INSERT INTO member_indexes (table_no, members, state, built_through, used_at) VALUES (?, ?, 'building', x'', ?)",
		).run(tableNo, members, now);
		this.#cache.delete(tableNo);
		this.#work = true;
	}

	used(indexNo: number, now: number): void {
		this.#db.prepare('UPDATE member_indexes SET used_at = ? WHERE index_no = ?').run(now, indexNo);
	}

	/** Drops every index of a table that is going away. Runs in a transaction. */
	dropAll(tableNo: number): void {
		this.#db.prepare("UPDATE member_indexes SET state = 'dropping' WHERE table_no = ?").run(tableNo);
		this.#cache.delete(tableNo);
		this.#work = true;
	}

	/** Builds or drops a bounded piece of one index. Runs in a transaction. */
	step(): void {
		const unfinished = this.#unfinished.get();
		if (unfinished === undefined) {
			this.#work = false;
			return;
		}
		const indexNo = unfinished.index_no as number;
		if (unfinished.state === 'dropping') {
			this.#dropSome(indexNo);
			return;
		}
		const tableNo = unfinished.table_no as number;
		const members = JSON.parse(unfinished.members as string) as string[];
		const rows = this.#db
			.prepare('SELECT place, id, text FROM rows WHERE table_no = ? AND id > ? ORDER BY id LIMIT ?')
			.all(tableNo, unfinished.built_through!, INDEX_STEP);
		for (const row of rows) {
			const key = rowKey(parseJson(row.text as string) as JsonObject, members);
			if (key !== undefined) this.#insert.run(indexNo, key, row.place!);
		}
		if (rows.length === INDEX_STEP) {
			this.#db.prepare('UPDATE member_indexes SET built_through = ? WHERE index_no = ?').run(rows.at(-1)!.id!, indexNo);
		} else {
			this.#db
				.prepare("UPDATE member_indexes SET built_through = NULL, state = 'ready' WHERE index_no = ?")
				.run(indexNo);
		}
		this.#cache.delete(tableNo);
	}

	#dropSome(indexNo: number): void {
		const { changes } = this.#db
			.prepare(
				'DELETE FROM index_entries WHERE (index_no, key, place) IN (SELECT index_no, key, place FROM index_entries WHERE index_no = ? LIMIT ?)',
			)
			.run(indexNo, INDEX_STEP);
		if (changes === 0) this.#db.prepare('DELETE FROM member_indexes WHERE index_no = ?').run(indexNo);
	}

	#definitions(tableNo: number): readonly Definition[] {
		const cached = this.#cache.get(tableNo);
		if (cached !== undefined) return cached;
		const definitions = this.#of.all(tableNo).map((row) => ({
			indexNo: row.index_no as number,
			members: JSON.parse(row.members as string) as string[],
			builtThrough:
				row.built_through === null ? undefined : Buffer.from(row.built_through as Uint8Array).toString('hex'),
		}));
		if (this.#cache.size >= MAX_CACHED_TABLES) this.#cache.clear();
		this.#cache.set(tableNo, definitions);
		return definitions;
	}
}
