import { createHash } from 'node:crypto';
import { type Limits, type Puma, PumaError } from '../../client/src/index.ts';
import { listOf, textOf, UsageError, type Values } from './command.ts';
import { type Account, accountOf, connect, tellWait } from './connect.ts';
import { Interrupted } from './exit-codes.ts';
import { FORMATS, type Format, type Group, readGroups } from './import-formats.ts';
import { ImportJournal, type JournalEntry } from './import-journal.ts';
import { type Known, keyText, type Plan, type PlannedRow, planImport, requireRoom } from './import-plan.ts';
import { readSource, type Source } from './import-source.ts';
import type { Members } from './members.ts';
import { answer } from './output.ts';
import { Progress } from './progress.ts';
import type { Surroundings } from './surroundings.ts';
import { columnsOf, counted, tableText } from './table-text.ts';
import { visible } from './visible.ts';

/** A rate limit is waited for as often as it takes; nothing else takes so long. */
const MAX_RETRIES = 10;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const SHOWN_ROWS = 5;

/**
 * Reads rows from a file and stores them. Everything is looked at before anything is sent; then it goes in batches, of which each is
 * stored as a whole or not at all. An import that stops is gone on with by the same command.
 */
export async function importRows(values: Values, [file]: readonly string[], around: Surroundings): Promise<number> {
	const options = readOptionsOf(values);
	const rename = renamesOf(values);
	const source = await readSource(file!, around);
	const groups = readGroups(source, options);
	const account = accountOf(around);
	const tell = tellWait(around);
	const progress = { current: undefined as Progress | undefined, done: 0, sent: 0 };
	/** May what was sent last be stored, though that was not answered? */
	let doubt = false;
	const puma = connect(around, {
		maxRetries: MAX_RETRIES,
		fetch: (...call) => {
			doubt = true;
			return fetch(...call);
		},
		onRetry: (notice) => {
			doubt = notice.error.maybeDone;
			if (progress.current === undefined) return tell(notice);
			const why = visible(notice.error.code.replaceAll('_', ' '));
			progress.current.show(progress.done, `waiting ${Math.ceil(notice.waitMs / 1000)} s (${why})`);
		},
	});
	const limits = await puma.limits();
	const most = limits.maxRowsPerTable;
	for (const { table, rows } of groups) {
		if (most === null || rows.length <= most || options.key !== undefined) continue;
		throw new Error(
			`${source.name} has ${counted(rows.length, 'row')} for ${table}, and a table may have ${counted(most, 'row')}. Nothing was sent.`,
		);
	}
	const plan = planImport(groups, limits, rename, await knownRows(puma, groups, limits));
	const journal = new ImportJournal([puma.url, accountIdOf(account), source.identity], around);
	const known = values.new ? undefined : journal.read();
	if (known === undefined) requireRoom(plan, await puma.tables(), limits);
	if (plan.renewed > 0)
		around.complain(`${counted(plan.renewed, 'row')} came with id, created_at and updated_at, which are given anew.`);
	if (plan.superseded > 0) {
		around.complain(
			groups.some(({ merge }) => merge !== undefined)
				? `Told of again by ${counted(plan.superseded, 'line')}: what lines tell of one thing is merged.`
				: `The key of ${counted(plan.superseded, 'row')} comes again later: of each key the last row counts.`,
		);
	}
	if (values['dry-run']) return tellPlan(plan, values, around);
	const entry = openJournal(journal, known, source, values, plan, around);
	const { digest } = source;
	progress.done = entry.digest === digest ? entry.done : 0;
	const state = (sent: number): JournalEntry => ({
		...entry,
		digest,
		done: progress.done,
		sent,
		sentAt: around.clock(),
	});
	progress.current = new Progress(around, plan.rows.length);
	try {
		for (const batch of batchesOf(plan.rows, progress.done, limits.maxBatchOperations ?? 100)) {
			progress.current.show(progress.done);
			progress.sent = progress.done + batch.length;
			journal.write(state(progress.sent));
			await sendBatch(puma, batch, entry);
			progress.done += batch.length;
		}
	} catch (error) {
		progress.current.clear();
		if (error instanceof PumaError) doubt = error.maybeDone;
		if (!doubt) journal.write(state(progress.done));
		throw stopped(error, progress.done, doubt ? progress.sent - progress.done : 0, plan.rows.length, around);
	}
	progress.current.clear();
	journal.end(state(progress.done));
	const perTable = [...Map.groupBy(plan.rows, ({ table }) => table)].map(([table, { length }]) => ({
		table,
		rows: length,
	}));
	await answer(around, values, { imported: perTable }, () =>
		perTable.length === 0
			? 'There were no rows.'
			: perTable.map(({ table, rows }) => `Imported ${counted(rows, 'row')} into ${table}.`).join('\n'),
	);
	return 0;
}

function readOptionsOf(values: Values) {
	const format = textOf(values, 'format');
	if (format !== undefined && !(FORMATS as readonly string[]).includes(format)) {
		throw new UsageError(`--format must be one of ${FORMATS.join(', ')}, not "${format}".`);
	}
	const key = listOf(values, 'key');
	return {
		format: format as Format | undefined,
		table: textOf(values, 'table'),
		key: key.length === 0 ? undefined : key,
		typed: values.typed === true,
		delimiter: delimiterOf(values),
	};
}

/** A character; a tab also as shells and people write it, in two. */
function delimiterOf(values: Values): string | undefined {
	const given = textOf(values, 'delimiter');
	if (given === undefined) return undefined;
	const delimiter = given === '\\t' ? '\t' : given;
	if (/^[^"\r\n]$/u.test(delimiter)) return delimiter;
	throw new UsageError(`--delimiter takes one character, such as ";" or "\\t", not ${JSON.stringify(given)}.`);
}

function renamesOf(values: Values): Map<string, string> {
	const names = new Map<string, string>();
	for (const pair of listOf(values, 'rename')) {
		const [, from, to] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
		if (from === undefined || to === undefined) throw new UsageError(`--rename takes OLD=NEW, not "${pair}".`);
		if (names.has(from)) throw new UsageError(`--rename gives "${from}" two names.`);
		names.set(from, to);
	}
	return names;
}

/** What is there already of the tables whose rows are merged and not replaced. */
async function knownRows(puma: Puma, groups: readonly Group[], limits: Limits): Promise<Known> {
	const known = new Map<string, Map<string, Members>>();
	for (const { table, key, merge } of groups) {
		if (merge === undefined || key === undefined) continue;
		let rows = await puma.table<Members>(table).query();
		// One query may answer fewer than there are.
		if (rows.length === limits.maxQueryLimit) rows = (await puma.export())[table] ?? [];
		const own = rows.map(({ id: _, created_at: __, updated_at: ___, ...members }): Members => members);
		known.set(table, new Map(own.map((members) => [keyText(members, key), members])));
	}
	return known;
}

/** The account's id is in the key: `puma_live_<accountid>_<secret>`. */
function accountIdOf({ apiKey }: Account): string {
	return apiKey.split('_')[2] ?? '';
}

/** SHA-256 of all that says which rows a source has, and where they go. */
function flagsOf({ format, table, key, rename, typed, delimiter }: Values): string {
	return createHash('sha256')
		.update(JSON.stringify([format, table, key, rename, typed, delimiter]))
		.digest('hex');
}

/** The entry of this import: that of the one to go on with, or a new one. @throws UsageError, Error where it cannot be gone on with */
function openJournal(
	journal: ImportJournal,
	known: JournalEntry | undefined,
	source: Source,
	values: Values,
	plan: Plan,
	around: Surroundings,
): JournalEntry {
	if (values.new) journal.forget(source.name);
	const flags = flagsOf(values);
	const entry = known ?? journal.begin(source.digest, flags);
	if (entry.flags !== flags) {
		throw new UsageError(
			`An import of ${source.name} with other flags stopped after ${counted(entry.done, 'row')}, or is running: with these its rows would be stored twice. Use the same flags (--table, --key, --format, --rename, --typed, --delimiter) to go on, or --new to begin anew.`,
		);
	}
	// Upserts say the same however often they are sent, and need nothing that the service may forget.
	if (plan.rows.every(({ key }) => key !== undefined)) return entry;
	if (!journal.isFresh(entry, source.digest)) {
		const [first, last] = [plan.rows[entry.done], plan.rows[entry.sent - 1]];
		const which =
			entry.digest === source.digest && first !== undefined && last !== undefined
				? `of its rows from ${first.place} to ${last.place} it is not known whether they are stored`
				: 'which of its rows they are is not known, for it has changed since';
		throw new Error(
			`An import of ${source.name} stopped after ${counted(entry.done, 'row')}, too long ago to go on without storing rows twice: ${which}. Look at what is there, then begin anew by --new, with the rows that are missing.`,
		);
	}
	if (entry.done === 0) return entry;
	if (entry.digest === source.digest)
		around.complain(`Going on after ${counted(entry.done, 'row')} that are stored already.`);
	else
		around.complain(
			`${source.name} has changed since its import stopped: rows that are stored already and did not change are not stored again.`,
		);
	return entry;
}

function tellPlan(plan: Plan, values: Values, around: Surroundings): Promise<number> {
	const perTable = [...Map.groupBy(plan.rows, ({ table }) => table)];
	const json = {
		dry_run: true,
		would_import: perTable.map(([table, rows]) => ({ table, rows: rows.length, key: rows[0]!.key })),
	};
	const text = (): string =>
		perTable
			.map(([table, rows]) => {
				const how = rows[0]!.key === undefined ? 'Would add' : `Would upsert, by ${rows[0]!.key.join(' and ')},`;
				const first = rows.slice(0, SHOWN_ROWS).map(({ members }) => members);
				const columns = columnsOf(first).slice(1, -1);
				return `${how} ${counted(rows.length, 'row')} into ${table}, beginning with\n${tableText(first, columns, around.stdout.columns)}`;
			})
			.join('\n\n');
	return answer(around, values, json, text).then(() => 0);
}

/** Rows from `start` on, in order, as many as one call may carry, of one table each. */
function* batchesOf(rows: readonly PlannedRow[], start: number, most: number): Generator<readonly PlannedRow[]> {
	let batch: PlannedRow[] = [];
	let bytes = 0;
	for (const row of rows.slice(start)) {
		const full = batch.length === most || bytes + row.bytes > MAX_BATCH_BYTES || batch[0]?.table !== row.table;
		if (batch.length > 0 && full) {
			yield batch;
			batch = [];
			bytes = 0;
		}
		batch.push(row);
		bytes += row.bytes;
	}
	if (batch.length > 0) yield batch;
}

async function sendBatch(puma: Puma, rows: readonly PlannedRow[], entry: JournalEntry): Promise<void> {
	const operations = rows.map(({ key, members, fingerprint }) =>
		key === undefined
			? { action: 'add' as const, row: members, idempotencyKey: `${entry.run}-${fingerprint}` }
			: { action: 'upsert' as const, key, row: members },
	);
	try {
		// Upserts of one file say the same however often they are sent.
		await puma.table(rows[0]!.table).batch(operations, { retry: 'always' });
	} catch (error) {
		if (!(error instanceof PumaError) || typeof error.details.index !== 'number') throw error;
		const { place } = rows[error.details.index]!;
		throw new PumaError(error.code, `${place}: ${error.message}`, error);
	}
}

/** What to say of an import that did not come to its end: how far it came, and how it goes on. */
function stopped(error: unknown, done: number, doubtful: number, total: number, around: Surroundings): unknown {
	const perhaps = doubtful > 0 ? `, and perhaps the next ${doubtful}, which were not answered` : '';
	const state = `${done} of ${counted(total, 'row')} are stored${perhaps}. Run the same command again to go on; nothing is stored twice.`;
	if (around.stopped.aborted) return new Interrupted(`Stopped. ${state}`);
	if (error instanceof PumaError) return new PumaError(error.code, `${error.message} ${state}`, error);
	return error;
}
