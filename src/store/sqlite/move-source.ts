import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
	type Counts,
	type End,
	MoveError,
	type Page,
	type Position,
	type Source,
	STEP_CHARACTERS,
	STEP_RECORDS,
} from '../move/ends.ts';
import { type Fields, KIND_NAMES, type KindName, type Value } from '../move/kinds.ts';
import { type Database, openReader, type SQLInputValue } from './driver.ts';
import { type Lock, lockDataDir } from './lock.ts';
import { currentSchema, requireOurs, schemaOf } from './migrate.ts';
import { countSql, inOrderSql, loaded, pagesQuery, typesOf } from './move-layout.ts';
import { DATABASE_FILE } from './store.ts';

/** How a file is called in sentences and in marks: by its directory, however that was spelled. */
export function nameOf(dataDir: string): string {
	return existsSync(dataDir) ? realpathSync(dataDir) : resolve(dataDir);
}

/** Reads what an open file holds, for both ends. */
export class FileEnd implements End {
	readonly name: string;
	protected db: Database | undefined;

	constructor(name: string, db: Database | undefined) {
		this.name = name;
		this.db = db;
	}

	async counts(): Promise<Counts> {
		const { db } = this;
		const count = (kind: KindName): number => (db === undefined ? 0 : (db.prepare(countSql(kind)).get()!.n as number));
		return Object.fromEntries(KIND_NAMES.map((kind) => [kind, count(kind)])) as Counts;
	}

	async *inOrder(kind: KindName): AsyncGenerator<readonly Fields[]> {
		for await (const { records } of this.read(kind, inOrderSql(kind), [], 0)) yield records;
	}

	async close(): Promise<void> {
		this.db?.close();
	}

	/** The records of a query in steps; each row has the kind's columns, then those of the position. */
	protected async *read(
		kind: KindName,
		sql: string,
		values: readonly SQLInputValue[],
		positions: number,
	): AsyncGenerator<{ records: Fields[]; last: readonly Value[] }> {
		const types = typesOf(kind);
		const statement = this.db!.prepare(sql);
		statement.setReturnArrays(true);
		let records: Fields[] = [];
		let last: readonly Value[] = [];
		let characters = 0;
		for (const row of statement.iterate(...values) as Iterable<unknown>) {
			const all = row as unknown[];
			const record = types.map((type, index) => loaded(all[index], type));
			for (const value of record) if (typeof value === 'string') characters += value.length;
			records.push(record);
			if (positions > 0) last = all.slice(types.length) as Value[];
			if (records.length < STEP_RECORDS && characters < STEP_CHARACTERS) continue;
			yield { records, last };
			records = [];
			characters = 0;
			// SQLite answers at once; signals must have their turn.
			await turn();
		}
		if (records.length > 0) yield { records, last };
	}
}

/** The database of a data directory, held for this process, read as of one moment. */
export class FileSource extends FileEnd implements Source {
	readonly #lock: Lock;

	/** @throws Error with a sentence where there is no database, it is in use, or of another schema. */
	static open(dataDir: string): FileSource {
		const path = join(dataDir, DATABASE_FILE);
		if (!existsSync(path)) throw new MoveError(`There is no database in ${dataDir}. Name the server's data directory.`);
		const lock = lockDataDir(dataDir);
		try {
			requireOurs(path);
			const db = openReader(path);
			db.exec('BEGIN');
			const schema = schemaOf(db);
			if (schema === currentSchema()) return new FileSource(nameOf(dataDir), db, lock);
			db.close();
			throw new MoveError(
				`${path} has schema ${schema}, and this version of pumaDB moves schema ${currentSchema()}. Start a server of this version on it once, and stop it.`,
			);
		} catch (error) {
			lock.release();
			throw error;
		}
	}

	private constructor(name: string, db: Database, lock: Lock) {
		super(name, db);
		this.#lock = lock;
	}

	async *pages(kind: KindName, after: Position | undefined): AsyncGenerator<Page> {
		const { sql, values, types } = pagesQuery(kind, after);
		for await (const { records, last } of this.read(kind, sql, values, types.length)) {
			yield { records, after: last.map((value, index) => loaded(value, types[index]!) as string | number) };
		}
	}

	override async close(): Promise<void> {
		await super.close();
		this.#lock.release();
	}
}
