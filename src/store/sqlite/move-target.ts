import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Begun, type Counts, markTable, notEmpty, type Position, readMark, type Target } from '../move/ends.ts';
import { at, columnsOf, type Fields, KINDS, type KindName } from '../move/kinds.ts';
import { type Database, openReader, openWriter, type SQLInputValue, type Statement } from './driver.ts';
import { type Lock, lockDataDir } from './lock.ts';
import { migrate, moveMark, requireOurs } from './migrate.ts';
import { stored, typesOf } from './move-layout.ts';
import { Places } from './move-places.ts';
import { FileEnd, nameOf } from './move-source.ts';
import { DATABASE_FILE, makeDirectory, requireOwnDirectory, syncDirectory } from './store.ts';

/** Tables whose numbers are remembered. */
const MAX_TABLES = 10_000;

/** The database that a move makes in a data directory. */
export class FileTarget extends FileEnd implements Target {
	readonly #dataDir: string;
	readonly #path: string;
	#lock: Lock | undefined;
	#places!: Places;
	readonly #statements = new Map<string, Statement>();
	readonly #tableNos = new Map<string, number>();

	/** Looks at what is there; nothing is made before the move begins. @throws Error with a sentence where it is in use or not ours. */
	static open(dataDir: string): FileTarget {
		requireOwnDirectory(dataDir, '--to');
		const path = join(dataDir, DATABASE_FILE);
		if (!existsSync(path) || statSync(path).size === 0) return new FileTarget(dataDir, path);
		const lock = lockDataDir(dataDir);
		try {
			requireOurs(path, true);
			return new FileTarget(dataDir, path, lock, openReader(path));
		} catch (error) {
			lock.release();
			throw error;
		}
	}

	private constructor(dataDir: string, path: string, lock?: Lock, db?: Database) {
		super(nameOf(dataDir), db);
		this.#dataDir = dataDir;
		this.#path = path;
		this.#lock = lock;
	}

	async begun(): Promise<Begun | undefined> {
		return this.#begun();
	}

	#begun(): Begun | undefined {
		const db = this.db;
		if (db === undefined) return undefined;
		const mark = moveMark(db);
		if (mark !== undefined) return readMark(mark);
		const tables = db
			.prepare(
				"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'sequence'",
			)
			.all();
		const full = tables.find(({ name }) => db.prepare(`SELECT 1 FROM "${name}" LIMIT 1`).get() !== undefined);
		if (full !== undefined) throw notEmpty(this.name, String(full.name));
		return undefined;
	}

	async begin(source: string, counts: Counts): Promise<Begun> {
		this.db?.close();
		this.db = undefined;
		makeDirectory(this.#dataDir, '--to');
		this.#lock ??= lockDataDir(this.#dataDir);
		requireOurs(this.#path, true);
		const db = openWriter(this.#path);
		this.db = db;
		db.exec('PRAGMA wal_autocheckpoint = 1000');
		migrate(db);
		if (this.#begun() === undefined) {
			this.#transaction(() => {
				db.exec(markTable('move'));
				db.prepare('INSERT INTO move (one, run, source, counts) VALUES (1, ?, ?, ?)').run(
					String(process.pid),
					source,
					JSON.stringify(counts),
				);
			});
			syncDirectory(this.#dataDir);
		}
		this.#places = new Places(db);
		return readMark(moveMark(db)!);
	}

	async put(kind: KindName, records: readonly Fields[], position: Position): Promise<void> {
		this.#transaction(() => {
			for (const record of records) this.#insert(kind, record);
			this.#places.save();
			this.#run('UPDATE move SET kind = ?, position = ?', kind, JSON.stringify(position));
		});
	}

	async complete(): Promise<void> {
		for (let more = true; more; ) {
			this.#transaction(() => {
				more = this.#places.placeSome();
				this.#places.save();
			});
		}
	}

	async end(): Promise<void> {
		this.#transaction(() => this.db!.exec('DROP TABLE move'));
		this.#statements.clear();
		this.db!.exec('PRAGMA wal_checkpoint(TRUNCATE)');
	}

	override async close(): Promise<void> {
		await super.close();
		this.#lock?.release();
	}

	#insert(kind: KindName, record: Fields): void {
		switch (kind) {
			case 'accounts':
				this.#put(kind, record, 'accounts', ['account_id', 'email', 'created_at']);
				this.#put(kind, record, 'usage', ['tables', 'bytes', 'version_bytes', 'kept_bytes'], {
					account_no: this.#no('SELECT last_insert_rowid() AS no'),
				});
				this.#places.lastId(record[at(kind, 'last_id')] as string | null);
				return;
			case 'tables':
				this.#put(kind, record, 'tables', ['account_id', 'name']);
				this.#put(kind, record, 'row_counts', ['rows'], { table_no: this.#no('SELECT last_insert_rowid() AS no') });
				return;
			case 'versions':
				// Its place is known once its row, or the next, has one.
				this.#put(kind, record, kind, without(kind, 'table_name'), { table_no: this.#tableNo(kind, record), place: 0 });
				return;
			case 'kept_answers':
				this.#put(kind, record, kind, without(kind, 'table_name'), { table_no: this.#tableNo(kind, record) });
				return;
			case 'rows': {
				const tableNo = this.#tableNo(kind, record);
				const place = this.#places.of(tableNo, record[at(kind, 'id')] as string);
				this.#put(kind, record, kind, without(kind, 'table_name', 'account_id'), { table_no: tableNo, place });
				return;
			}
			case 'member_indexes':
				this.#put(kind, record, kind, without(kind, 'table_name', 'account_id'), {
					table_no: this.#tableNo(kind, record),
					state: 'building',
					built_through: new Uint8Array(0),
				});
				return;
			default:
				this.#put(kind, record, kind, columnsOf(kind));
		}
	}

	/** Inserts some columns of a record into a table, with more that the record does not have. */
	#put(
		kind: KindName,
		record: Fields,
		table: string,
		columns: readonly string[],
		more: Readonly<Record<string, SQLInputValue>> = {},
	): void {
		const types = typesOf(kind);
		const names = [...columns, ...Object.keys(more)];
		const own = columns.map((column) => stored(record[at(kind, column)]!, types[at(kind, column)]!));
		const sql = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
		this.#run(sql, ...own, ...Object.values(more));
	}

	#tableNo(kind: KindName, record: Fields): number {
		const account = record[at(kind, 'account_id')] as string;
		const name = record[at(kind, 'table_name')] as string;
		const known = this.#tableNos.get(`${account}/${name}`);
		if (known !== undefined) return known;
		const no = this.#no('SELECT table_no AS no FROM tables WHERE account_id = ? AND name = ?', account, name);
		if (this.#tableNos.size >= MAX_TABLES) this.#tableNos.clear();
		this.#tableNos.set(`${account}/${name}`, no);
		return no;
	}

	#no(sql: string, ...values: SQLInputValue[]): number {
		const row = this.#prepared(sql).get(...values);
		if (row === undefined)
			throw new Error(`The source is not sound: a record is in no table. Run "pumadb check" on it.`);
		return row.no as number;
	}

	#run(sql: string, ...values: SQLInputValue[]): void {
		this.#prepared(sql).run(...values);
	}

	#prepared(sql: string): Statement {
		const known = this.#statements.get(sql);
		if (known !== undefined) return known;
		const statement = this.db!.prepare(sql);
		this.#statements.set(sql, statement);
		return statement;
	}

	#transaction(run: () => void): void {
		this.db!.exec('BEGIN IMMEDIATE');
		try {
			run();
			this.db!.exec('COMMIT');
		} catch (error) {
			if (this.db!.isTransaction) this.db!.exec('ROLLBACK');
			throw error;
		}
	}
}

function without(kind: KindName, ...names: readonly string[]): readonly string[] {
	return Object.keys(KINDS[kind].columns).filter((column) => !names.includes(column));
}
