import { randomUUID } from 'node:crypto';
import {
	type Begun,
	type Counts,
	MoveError,
	markTable,
	notEmpty,
	type Position,
	readMark,
	type Target,
} from '../move/ends.ts';
import { at, columnsOf, type Fields, type KindName } from '../move/kinds.ts';
import type { Ask, Transaction } from './connections.ts';
import { migrate, moveMark, requireKnown } from './migrate.ts';
import { countOnSql, insertSql, layoutOf } from './move-layout.ts';
import { cannotOpen, connectTo, DatabaseEnd, requireUnserved } from './move-source.ts';

/** One move at a time begins in a database. */
const LOCK = 0x70756d616465;

/** The database that a move fills. */
export class DatabaseTarget extends DatabaseEnd implements Target {
	/** Tells this run of the move from an earlier one that may still have something on its way. */
	readonly #run = randomUUID();

	/** @throws Error with a sentence where the database cannot be reached or is served. */
	static async open(url: string): Promise<DatabaseTarget> {
		const connections = connectTo(url);
		try {
			await requireKnown(connections);
			await requireUnserved(connections, connections.ask);
			return new DatabaseTarget(url, connections);
		} catch (error) {
			await connections.close();
			throw cannotOpen(connections, error);
		}
	}

	begun(): Promise<Begun | undefined> {
		return this.#begun(this.connections.ask);
	}

	async #begun(ask: Ask): Promise<Begun | undefined> {
		const mark = await moveMark(ask);
		if (mark !== undefined) return readMark(mark);
		const { rows } = await ask(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'pumadb'
			AND tablename NOT IN ('schema_version', 'call_windows') ORDER BY tablename`);
		for (const { name } of rows) {
			const found = await ask(`SELECT 1 FROM pumadb."${name}" LIMIT 1`);
			if (found.rows.length > 0) throw notEmpty(this.name, name);
		}
		return undefined;
	}

	async begin(source: string, counts: Counts): Promise<Begun> {
		await migrate(this.connections);
		const begun = await this.connections.transaction(async ({ ask }) => {
			await ask('SELECT pg_advisory_xact_lock($1)', [LOCK]);
			if ((await this.#begun(ask)) === undefined) {
				await ask(markTable('pumadb.move'));
				await ask('INSERT INTO pumadb.move (one, run, source, counts) VALUES (1, $1, $2, $3)', [
					this.#run,
					source,
					JSON.stringify(counts),
				]);
			} else await ask('UPDATE pumadb.move SET run = $1', [this.#run]);
			return readMark((await moveMark(ask))!);
		}, 'migration');
		// From here on none starts; one that started before the mark was there is seen now.
		await requireUnserved(this.connections, this.connections.ask);
		return begun;
	}

	async put(kind: KindName, records: readonly Fields[], position: Position): Promise<void> {
		await this.connections.transaction(async (transaction) => {
			const { ask, begun, send } = transaction;
			// The first statement writes.
			await begun;
			send('SET LOCAL statement_timeout = 0');
			const { rowCount } = await ask('UPDATE pumadb.move SET kind = $2, position = $3 WHERE run = $1', [
				this.#run,
				kind,
				JSON.stringify(position),
			]);
			if (rowCount !== 1)
				throw new MoveError(`Another run of the move to ${this.name} has taken over; this one stops.`);
			await this.#insert(transaction, kind, records);
		}, 'migration');
	}

	async #insert({ ask, send }: Transaction, kind: KindName, records: readonly Fields[]): Promise<void> {
		const inserted = ask(
			insertSql(kind),
			columnsOf(kind).map((_, column) => records.map((record) => record[column])),
		);
		if (kind === 'accounts') {
			const [ids, emails] = ['account_id', 'email'].map((column) => records.map((record) => record[at(kind, column)]));
			send('INSERT INTO pumadb.emails (account_id, email) SELECT * FROM unnest($1::text[], $2::text[])', [ids, emails]);
		}
		const { numbered } = layoutOf(kind);
		if (numbered !== undefined) send(countOnSql(numbered.counter), numberedBy(kind, records));
		if ((await inserted).rowCount === records.length) return;
		throw new MoveError(
			`${this.name} did not take every record of ${kind}: one may be of no account. Run "pumadb check" on the source.`,
		);
	}

	async complete(): Promise<void> {}

	async end(): Promise<void> {
		await this.connections.transaction(({ ask }) => ask('DROP TABLE pumadb.move'), 'migration');
	}
}

/** For each account: its id, how many of the records are its, and the latest of their moments, in milliseconds. */
function numberedBy(kind: KindName, records: readonly Fields[]): [string[], number[], number[]] {
	const moment = (record: Fields): number => {
		if (kind === 'versions') return Date.parse(String(record[at(kind, 'archived_at')]));
		return kind === 'kept_answers' ? Number(record[at(kind, 'created_at')]) : 0;
	};
	const accounts = [...Map.groupBy(records, (record) => String(record[at(kind, 'account_id')]))];
	return [
		accounts.map(([id]) => id),
		accounts.map(([, own]) => own.length),
		accounts.map(([, own]) => own.reduce((latest, record) => Math.max(latest, moment(record)), 0)),
	];
}
