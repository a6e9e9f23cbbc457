import type { Database, Statement } from './driver.ts';
import { idBytes } from './ids.ts';

/** Versions that one step of {@link Places.placeSome} looks at. */
const STEP = 1000;

/**
 * Gives rows their places while a move brings them in, table by table in order of id, so that order of place is order of id. A
 * deleted row that can be restored has its place among them, which its versions carry: they are there before the rows.
 */
export class Places {
	readonly #sql: Readonly<Record<keyof typeof SQL, Statement>>;
	#place: number;
	#lastId: string | null;
	/** The table whose rows are coming in, and the id up to which its versions have places. */
	#tableNo = 0;
	#through: Uint8Array = new Uint8Array(0);
	/** How far {@link placeSome} has looked. */
	#looked: { readonly tableNo: number; readonly id: Uint8Array } = { tableNo: 0, id: new Uint8Array(0) };

	constructor(db: Database) {
		this.#sql = Object.fromEntries(Object.entries(SQL).map(([name, sql]) => [name, db.prepare(sql)])) as Record<
			keyof typeof SQL,
			Statement
		>;
		const { place, row_id: lastId } = this.#sql.load.get()!;
		this.#place = place as number;
		this.#lastId = lastId as string | null;
	}

	/** An id that was given out: the next are greater. */
	lastId(id: string | null): void {
		if (id !== null && (this.#lastId === null || id > this.#lastId)) this.#lastId = id;
	}

	/** The place of the next row of a table. Deleted rows before it get theirs. */
	of(tableNo: number, id: string): number {
		const bytes = idBytes(id);
		if (tableNo !== this.#tableNo) {
			this.#tableNo = tableNo;
			this.#through = (this.#sql.lastRow.get(tableNo)?.id as Uint8Array | undefined) ?? new Uint8Array(0);
		}
		for (;;) {
			const deleted = this.#sql.nextDeleted.get(tableNo, this.#through, bytes)?.id as Uint8Array | undefined;
			if (deleted === undefined) break;
			this.#give(tableNo, deleted);
		}
		return this.#give(tableNo, bytes);
	}

	/** Gives places to deleted rows that no live row of their table follows. @returns whether there may be more. */
	placeSome(): boolean {
		for (let count = 0; count < STEP; count++) {
			const next = this.#sql.unplaced.get(this.#looked.tableNo, this.#looked.id);
			if (next === undefined) return false;
			this.#looked = { tableNo: next.table_no as number, id: next.id as Uint8Array };
			this.#give(this.#looked.tableNo, this.#looked.id);
		}
		return true;
	}

	/** Writes down what was given out. */
	save(): void {
		this.#sql.save.run(this.#place, this.#lastId);
	}

	#give(tableNo: number, id: Uint8Array): number {
		this.#through = id;
		this.#sql.placeVersions.run(++this.#place, tableNo, id);
		return this.#place;
	}
}

const SQL = {
	load: 'SELECT place, row_id FROM sequence',
	save: 'UPDATE sequence SET place = ?, row_id = ?',
	lastRow: 'SELECT id FROM rows WHERE table_no = ? ORDER BY id DESC LIMIT 1',
	nextDeleted: 'SELECT id FROM versions WHERE table_no = ? AND id > ? AND id < ? ORDER BY id LIMIT 1',
	placeVersions: 'UPDATE versions SET place = ? WHERE table_no = ? AND id = ?',
	unplaced:
		'SELECT table_no, id FROM versions WHERE (table_no, id) > (?, ?) AND place = 0 ORDER BY table_no, id LIMIT 1',
} as const;
