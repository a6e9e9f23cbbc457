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
import { columnsOf, type Fields, KIND_NAMES, type KindName, kindOf, type Value } from '../move/kinds.ts';
import { APPLICATION_NAME, type Ask, Connections, type Row } from './connections.ts';
import { ConnectionLost, sqlState } from './faults.ts';
import { requireCurrent, sentence } from './migrate.ts';
import { countSql, orderOf, pageSql } from './move-layout.ts';

/** Records of the first step of a kind, whose size nobody knows yet. */
const FIRST_STEP = 50;
const LOCK_WAIT_MS = 5000;

/** How a database is called in sentences and in marks: by its address, without user and password. */
export function nameOf(url: string): string {
	const { hostname, port, pathname, username, searchParams } = new URL(url);
	const host = searchParams.get('host') ?? hostname;
	const database = pathname.length > 1 ? pathname : `/${username}`;
	return `postgres://${host}${port === '' || port === '5432' ? '' : `:${port}`}${database}`;
}

/** Opens connections of a move. What fails is told without user and password. */
export function connectTo(url: string): Connections {
	return new Connections({
		url,
		// One reads or writes, one is there for single statements.
		max: 3,
		called: `the database ${nameOf(url)}`,
		applicationName: `${APPLICATION_NAME} move`,
		// A plan for any values would not know how few records a step takes.
		unprepared: true,
		onFault: () => {},
	});
}

/** A refusal of the database itself, told with its name: a wrong password, or no such database. */
export function cannotOpen(connections: Connections, error: unknown): unknown {
	const state = sqlState(error);
	if (state === undefined || !/^(28|3D)/.test(state)) return error;
	return new MoveError(
		`${sentence(connections)} cannot be opened (${(error as Error).message}): check its user and password, and that it is there.`,
	);
}

/** @throws MoveError where a server, or another command, has connections to the database. */
export async function requireUnserved({ called }: Connections, ask: Ask): Promise<void> {
	const { rows } = await ask(
		`SELECT count(*) AS n, string_agg(DISTINCT coalesce(host(client_addr), 'an address that is not shown'), ', ') AS addresses
			FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`,
		[APPLICATION_NAME],
	);
	if (rows[0].n === 0) return;
	throw new MoveError(
		`A pumaDB server or command uses ${called} (connections: ${rows[0].n}, from ${rows[0].addresses}). Stop every server on it first, then run this command again.`,
	);
}

/** A transaction that is open until it is let go of: all it reads is of one moment. */
interface Snapshot {
	readonly ask: Ask;
	close(): Promise<void>;
}

/** @param prepare runs before the moment is chosen, which is with the first query. */
export async function openSnapshot(connections: Connections, prepare?: (ask: Ask) => Promise<void>): Promise<Snapshot> {
	const opened = Promise.withResolvers<Ask>();
	const closed = Promise.withResolvers<void>();
	const ended = connections
		.transaction(async ({ ask }) => {
			await prepare?.(ask);
			opened.resolve(ask);
			await closed.promise;
		}, 'whole')
		.catch(opened.reject);
	const ask = await opened.promise;
	return {
		ask,
		async close() {
			closed.resolve();
			await ended;
		},
	};
}

/** Reads what a database holds, for both ends. */
export class DatabaseEnd implements End {
	readonly name: string;
	protected readonly connections: Connections;

	constructor(url: string, connections: Connections) {
		this.name = nameOf(url);
		this.connections = connections;
	}

	/** Runs what reads, as of one moment. */
	protected async *reading<T>(read: (ask: Ask) => AsyncGenerator<T>): AsyncGenerator<T> {
		const snapshot = await openSnapshot(this.connections);
		try {
			yield* read(snapshot.ask);
		} finally {
			await snapshot.close();
		}
	}

	async counts(): Promise<Counts> {
		const counts: [KindName, number][] = [];
		const count = async function* (ask: Ask): AsyncGenerator<[KindName, number]> {
			for (const kind of KIND_NAMES) yield [kind, (await ask(countSql(kind))).rows[0].n];
		};
		for await (const counted of this.reading(count)) counts.push(counted);
		return Object.fromEntries(counts) as Counts;
	}

	async *inOrder(kind: KindName): AsyncGenerator<readonly Fields[]> {
		const { key } = kindOf(kind);
		for await (const { records } of this.reading((ask) => pagesOf(ask, kind, key, undefined))) yield records;
	}

	async close(): Promise<void> {
		await this.connections.close();
	}
}

async function* pagesOf(
	ask: Ask,
	kind: KindName,
	order: readonly string[],
	after: Position | undefined,
): AsyncGenerator<Page> {
	const columns = columnsOf(kind);
	let position = after;
	for (let limit = FIRST_STEP; ; ) {
		const sql = pageSql(kind, order, position !== undefined);
		const { rows } = await ask(sql, [limit, ...(position ?? [])]);
		if (rows.length === 0) return;
		position = order.map((column) => rows.at(-1)[column] as string | number);
		const records = rows.map((row: Row) => columns.map((column) => row[column] as Value));
		yield { records, after: position };
		if (rows.length < limit) return;
		limit = nextLimit(limit, records);
	}
}

/** As many as are likely to have the characters of a step, at most twice as many as before. */
function nextLimit(limit: number, records: readonly Fields[]): number {
	let characters = 0;
	for (const record of records) for (const value of record) if (typeof value === 'string') characters += value.length;
	const fitting = Math.floor((STEP_CHARACTERS * records.length) / Math.max(1, characters));
	return Math.max(1, Math.min(STEP_RECORDS, limit * 2, fitting));
}

/** A database whose tables nobody can write to meanwhile, read as of one moment. */
export class DatabaseSource extends DatabaseEnd implements Source {
	#snapshot: Snapshot;

	/** @throws Error with a sentence where the database cannot be reached, is served, or has another schema. */
	static async open(url: string): Promise<DatabaseSource> {
		const connections = connectTo(url);
		try {
			await requireCurrent(connections);
			const snapshot = await openSnapshot(connections, (ask) => lockTables(connections, ask));
			return new DatabaseSource(url, connections, snapshot);
		} catch (error) {
			await connections.close();
			throw cannotOpen(connections, error);
		}
	}

	private constructor(url: string, connections: Connections, snapshot: Snapshot) {
		super(url, connections);
		this.#snapshot = snapshot;
	}

	pages(kind: KindName, after: Position | undefined): AsyncGenerator<Page> {
		return pagesOf(this.#snapshot.ask, kind, orderOf(kind), after);
	}

	protected override reading<T>(read: (ask: Ask) => AsyncGenerator<T>): AsyncGenerator<T> {
		return read(this.#snapshot.ask);
	}

	override async close(): Promise<void> {
		await this.#snapshot.close();
		await super.close();
	}
}

/** Keeps writers out, of servers that start meanwhile too; readers are not kept. Waits for no server: one that runs is refused. */
async function lockTables(connections: Connections, ask: Ask): Promise<void> {
	await requireUnserved(connections, connections.ask);
	const tables = KIND_NAMES.map((kind) => `pumadb.${kind}`).join(', ');
	try {
		await ask(`SET LOCAL lock_timeout = ${LOCK_WAIT_MS}`);
		// Before the transaction's first query, so that what it sees is what the locks keep.
		await ask(`LOCK TABLE ${tables} IN EXCLUSIVE MODE`);
	} catch (error) {
		if (error instanceof ConnectionLost || sqlState(error) !== '55P03') throw error;
		throw new MoveError(
			`Something writes to ${connections.called}, or another move reads it. Stop that first, then run the command again.`,
		);
	}
	await requireUnserved(connections, connections.ask);
}
