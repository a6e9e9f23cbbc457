import { PumaError } from '../../client/src/index.ts';
import type { Comparison } from '../store/move/compare.ts';
import type { Counts, Source, Target } from '../store/move/ends.ts';
import { KIND_NAMES } from '../store/move/kinds.ts';
import { move, planMove, type Teller, total } from '../store/move/move.ts';
import { nameOf, openSource, openTarget, type Place, placeOf } from '../store/move/open.ts';
import { UsageError } from './command.ts';
import { EXIT, Interrupted } from './exit-codes.ts';
import { print } from './output.ts';
import { Progress } from './progress.ts';
import type { Surroundings } from './surroundings.ts';

/** Carries everything from one database to another, empty one, and compares them. Exit code 1 where they differ. */
export async function runMove(from: string, to: string, dryRun: boolean, around: Surroundings): Promise<number> {
	const [fromPlace, toPlace] = [readPlace(from, '--from'), readPlace(to, '--to')];
	if ((await nameOf(fromPlace)) === (await nameOf(toPlace)))
		throw new UsageError('--from and --to are the same database. Name two.');
	let source: Source | undefined;
	let target: Target | undefined;
	try {
		source = await openSource(fromPlace);
		target = await openTarget(toPlace);
		return await (dryRun ? look(source, target, around) : carry(source, target, around));
	} catch (error) {
		throw await reasonOf(error);
	} finally {
		await target?.close();
		await source?.close();
	}
}

function readPlace(text: string, flag: string): Place {
	const place = placeOf(text);
	if (place !== undefined) return place;
	// The text is not repeated: it may hold a password.
	throw new UsageError(
		`${flag} must be a data directory, or a URL such as postgres://user@host:5432/database, with the password in it or in PGPASSWORD.`,
	);
}

async function look(source: Source, target: Target, around: Surroundings): Promise<number> {
	const { counts, carried } = await planMove(source, target);
	const rows = KIND_NAMES.map((kind) => [kind, String(counts[kind])]);
	await print(around, columns([['what', 'records'], ...rows]));
	const begun = carried === undefined ? '' : ` ${carried} of them are there already: a move goes on.`;
	await print(
		around,
		`${total(counts)} records would be carried from ${source.name} to ${target.name}.${begun} Nothing was changed.`,
	);
	return EXIT.done;
}

async function carry(source: Source, target: Target, around: Surroundings): Promise<number> {
	const tell = new Bars(source, target, around);
	let comparisons: readonly Comparison[];
	try {
		comparisons = await move({ source, target, stopped: around.stopped, tell });
	} catch (error) {
		tell.clear();
		if (!around.stopped.aborted) throw error;
		throw new Interrupted(`Stopped. ${target.name} cannot be served yet; the same command goes on.`);
	}
	tell.clear();
	const rows = comparisons.map(({ kind, source: here, target: there, same }) => [
		kind,
		String(here.records),
		String(there.records),
		here.checksum,
		there.checksum,
		same ? 'same' : 'DIFFERENT',
	]);
	await print(around, columns([['what', 'source', 'target', 'checksum of source', 'checksum of target', ''], ...rows]));
	const differences = comparisons.flatMap((comparison) => comparison.differences);
	for (const difference of differences) around.complain(difference);
	if (comparisons.some(({ same }) => !same)) {
		throw new Error(
			`The ends differ, as told above, so ${target.name} cannot be served. ${source.name} was not changed. Empty the target and move again, with no server on either end.`,
		);
	}
	const records = comparisons.reduce((sum, comparison) => sum + comparison.target.records, 0);
	await print(
		around,
		`${target.name} has all ${records} records of ${source.name}, which was not changed. Serve the target from now on, and never both.`,
	);
	return EXIT.done;
}

/** What is told while it goes on: bars on a terminal, else a line for each part. */
class Bars implements Teller {
	readonly #source: Source;
	readonly #target: Target;
	readonly #around: Surroundings;
	#bar: Progress | undefined;
	#total = 0;
	#done = 0;
	#comparing = false;

	constructor(source: Source, target: Target, around: Surroundings) {
		this.#source = source;
		this.#target = target;
		this.#around = around;
	}

	begins(counts: Counts, carried: number): void {
		this.#total = total(counts);
		this.#begin(
			`${carried === 0 ? 'Carrying' : `Going on after ${carried} of`} ${this.#total} records from ${this.#source.name} to ${this.#target.name}.`,
			carried,
		);
	}

	carried(kind: string, records: number): void {
		this.#done += records;
		this.#bar?.show(this.#done, kind);
	}

	compared(kind: string, records: number): void {
		if (!this.#comparing) {
			this.#comparing = true;
			this.#begin('Comparing both ends.', 0);
		}
		this.#done += records;
		this.#bar?.show(this.#done, `compared, ${kind}`);
	}

	clear(): void {
		this.#bar?.clear();
	}

	#begin(line: string, done: number): void {
		this.clear();
		this.#around.complain(line);
		this.#bar = new Progress(this.#around, this.#total, 'records');
		this.#done = done;
	}
}

/** A lost connection is told as such: trying later helps, and the move goes on. */
async function reasonOf(error: unknown): Promise<unknown> {
	const { ConnectionLost, OutcomeUnknown } = await import('../store/postgres/faults.ts');
	if (!(error instanceof ConnectionLost || error instanceof OutcomeUnknown)) return error;
	return new PumaError(
		'connection_failed',
		`A database cannot be reached (${error.message}): check its address, user and password, and that it runs; then run the same command again.`,
		{ cause: error },
	);
}

/** Texts in columns, the last as it is. */
function columns(rows: readonly (readonly string[])[]): string {
	const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
	return rows
		.map((row) =>
			row
				.map((text, column) => (/^\d+$/.test(text) ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)))
				.join('  ')
				.trimEnd(),
		)
		.join('\n');
}
