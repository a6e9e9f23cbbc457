import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { notEnded } from '../move/ends.ts';
import type { Ask, Connections, Row, Transaction } from './connections.ts';
import { sqlState } from './faults.ts';

const DIRECTORY = join(import.meta.dirname, 'migrations');
/** "pumadb", as the number of the lock that migrations hold. */
const LOCK = 0x70756d616462;
/** A step that cannot have its locks in this time gives way to the calls that hold them, and fails. */
const LOCK_TIMEOUT_MS = 10_000;

function migrations(): string[] {
	return readdirSync(DIRECTORY)
		.filter((name) => /^\d{4}\.sql$/.test(name))
		.sort();
}

/** The schema number that this version of pumaDB writes. */
export function currentSchema(): number {
	return Number(migrations().at(-1)!.slice(0, 4));
}

/**
 * Brings the database's schema up to date, a step a transaction. Nodes that start together take turns: each step holds an
 * advisory lock of its transaction and looks again at what is left to do.
 * @throws Error with a sentence for the operator where the schema is newer than this version, or may not be made.
 */
export async function migrate(connections: Connections): Promise<void> {
	for (const name of migrations()) {
		const number = Number(name.slice(0, 4));
		if ((await schemaOf(connections)) >= number) continue;
		await connections.transaction((transaction) => step(transaction, number, name, connections.called), 'migration');
	}
	await requireKnown(connections);
}

/** @throws Error with a sentence for the operator where the schema is newer than this version, or the encoding another. */
export async function requireKnown(connections: Connections): Promise<void> {
	const schema = await schemaOf(connections);
	if (schema > currentSchema()) {
		throw new Error(
			`${sentence(connections)} has schema ${schema}, and this version of pumaDB knows schemas up to ${currentSchema()}. Start the newer version that wrote it.`,
		);
	}
	const [{ encoding }] = (await connections.ask(`SELECT current_setting('server_encoding') AS encoding`)).rows;
	if (encoding === 'UTF8') return;
	throw new Error(`${sentence(connections)} is encoded in ${encoding}. Make one with ENCODING 'UTF8' and name that.`);
}

async function step({ ask, send }: Transaction, number: number, name: string, called: string): Promise<void> {
	// Statements without parameters are not prepared: a step is not tried again where a pooler does not know of one.
	send(`SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS * 6}`);
	await ask(`SELECT pg_advisory_xact_lock(${LOCK})`);
	send(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
	try {
		await ask('CREATE SCHEMA IF NOT EXISTS pumadb');
		await ask('CREATE TABLE IF NOT EXISTS pumadb.schema_version (one integer PRIMARY KEY, version integer NOT NULL)');
		const { rows } = await ask('SELECT version FROM pumadb.schema_version');
		if ((rows[0]?.version ?? 0) >= number) return;
		await ask(readFileSync(join(DIRECTORY, name), 'utf8'));
		await ask(
			`INSERT INTO pumadb.schema_version (one, version) VALUES (1, ${number})
				ON CONFLICT (one) DO UPDATE SET version = excluded.version`,
		);
	} catch (error) {
		if (sqlState(error) !== '42501') throw error;
		throw new Error(
			`The user of ${called} may not make the schema "pumadb". Let it own the database, or grant it CREATE on it.`,
		);
	}
}

/** What the database is called, at the beginning of a sentence. */
export function sentence({ called }: Connections): string {
	return called.charAt(0).toUpperCase() + called.slice(1);
}

/** @throws Error with a sentence for the operator where no server has brought the schema to this version's number. */
export async function requireCurrent(connections: Connections): Promise<void> {
	await requireMoved(connections);
	const schema = await schemaOf(connections);
	if (schema === currentSchema()) return;
	throw new Error(
		`${sentence(connections)} has schema ${schema}, and this version of pumaDB reads schema ${currentSchema()}. Start a server of this version on it first.`,
	);
}

/** @throws Error with a sentence for the operator where a move into the database has not ended. */
export async function requireMoved(connections: Connections): Promise<void> {
	const mark = await moveMark(connections.ask);
	if (mark !== undefined) throw notEnded(sentence(connections), mark.source);
}

/** The mark of a move into the database that has not ended. */
export async function moveMark(ask: Ask): Promise<Row | undefined> {
	const { rows } = await ask(`SELECT to_regclass('pumadb.move') IS NOT NULL AS there`);
	if (!rows[0].there) return undefined;
	return (await ask('SELECT run, source, counts, kind, position FROM pumadb.move')).rows[0];
}

/** The schema's number; 0 where there is none. */
async function schemaOf({ ask }: Connections): Promise<number> {
	const { rows } = await ask(`SELECT to_regclass('pumadb.schema_version') IS NOT NULL AS there`);
	if (!rows[0].there) return 0;
	return (await ask('SELECT version FROM pumadb.schema_version')).rows[0]?.version ?? 0;
}
