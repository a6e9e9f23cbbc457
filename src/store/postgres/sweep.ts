import type { AccountDone } from '../../accounts/rules.ts';
import { versionsKeptSince } from '../../domain/writes.ts';
import { DAY_MS, KEPT_ANSWER_MS, type WriteLimits } from '../../limits.ts';
import type { Ask, Connections } from './connections.ts';
import { endEpoch } from './epochs.ts';
import { sweepGrants } from './grant-writes.ts';
import { dropSome } from './member-indexes.ts';

/** Things one sweep removes at most of each kind: small enough that writes hardly wait for it. */
const SWEEP = 200;
/** How often a step looks for what is due of accounts that it has not seen yet. */
const LOOKS = 5;
/** One node sweeps at a time; what it holds is let go of with its transaction. */
const LOCK = 0x70756d616463;

/**
 * Removes a bounded number of things that have run out. Accounts' rows are locked before anything of theirs is touched, as writes
 * do, and those that are locked are left for the next time.
 * @param only remove only what erased accounts held.
 */
export async function sweep(
	connections: Connections,
	limits: WriteLimits,
	now: number,
	onlyErased: boolean,
): Promise<AccountDone> {
	// Things run out all the time: only where a step removed all that it may is there more to do now.
	const steps: [atLeast: number, step: (ask: Ask) => Promise<number>][] = onlyErased
		? [[1, sweepErased]]
		: [
				[SWEEP, (ask) => sweepArchive(ask, 'versions', versionsKeptSince(limits, now))],
				[SWEEP, (ask) => sweepArchive(ask, 'kept_answers', now - KEPT_ANSWER_MS + 1)],
				[SWEEP, (ask) => sweepExpired(ask, now)],
				[SWEEP, (ask) => sweepGrants(ask, now, SWEEP)],
				[SWEEP, sweepTables],
				[1, dropSome],
				[1, sweepErased],
			];
	let count = 0;
	let more = false;
	for (const [atLeast, step] of steps) {
		const removed = await connections.transaction(async ({ ask }) => {
			if (onlyErased) return step(ask);
			const { rows } = await ask('SELECT pg_try_advisory_xact_lock($1) AS mine', [LOCK]);
			return rows[0].mine ? step(ask) : 0;
		});
		count += removed;
		more ||= removed >= atLeast;
	}
	return { count, more };
}

const ARCHIVES = {
	versions: { time: 'archived_at', counted: 'version_bytes', key: 'account_id, table_name, id, version' },
	kept_answers: { time: 'created_at', counted: 'kept_bytes', key: 'account_id, table_name, key' },
} as const;

async function sweepArchive(ask: Ask, from: keyof typeof ARCHIVES, since: string | number): Promise<number> {
	const { time, counted, key } = ARCHIVES[from];
	const seen: string[] = [];
	let count = 0;
	// Those whose accounts are busy are not in the way of others, however many are the oldest.
	for (let look = 0; look < LOOKS && count < SWEEP; look++) {
		const due = await ask(
			`SELECT DISTINCT account_id FROM
				(SELECT account_id FROM pumadb.${from} WHERE ${time} < $1 AND account_id <> ALL($3::text[]) ORDER BY ${time} LIMIT $2) d`,
			[since, SWEEP - count, seen],
		);
		if (due.rows.length === 0) break;
		const accounts = due.rows.map((row) => row.account_id as string);
		seen.push(...accounts);
		const locked = await ask(
			`SELECT account_id FROM pumadb.accounts WHERE account_id = ANY($1::text[]) ORDER BY account_id FOR UPDATE SKIP LOCKED`,
			[accounts],
		);
		const gone = await ask(
			`DELETE FROM pumadb.${from} WHERE (${key}) IN
				(SELECT ${key} FROM pumadb.${from} WHERE account_id = ANY($1::text[]) AND ${time} < $2 LIMIT $3) RETURNING account_id, bytes`,
			[locked.rows.map((row) => row.account_id), since, SWEEP - count],
		);
		for (const [accountId, rows] of Map.groupBy(gone.rows, (row) => row.account_id as string)) {
			const bytes = rows.reduce((total, row) => total + row.bytes, 0);
			await ask(`UPDATE pumadb.accounts SET ${counted} = ${counted} - $2 WHERE account_id = $1`, [accountId, bytes]);
		}
		count += gone.rows.length;
	}
	return count;
}

async function sweepExpired(ask: Ask, now: number): Promise<number> {
	let count = 0;
	for (const [table, key, time, before] of [
		// A used or expired link stays recognisable for a day, so that its page can say what happened.
		['magic_links', 'token_hash', 'expires_at', now - DAY_MS],
		['links', 'account_id, token_hash', 'expires_at', now + 1],
		['sessions', 'account_id, secret_hash', 'expires_at', now + 1],
		['call_windows', 'account_id, name', 'ends', now + 1],
	] as const) {
		const { rowCount } = await ask(
			`DELETE FROM pumadb.${table} WHERE (${key}) IN (SELECT ${key} FROM pumadb.${table} WHERE ${time} < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
			[before, SWEEP],
		);
		count += rowCount ?? 0;
	}
	return count;
}

/** Forgets tables of which nothing is left: no row, nothing to restore, no answer to repeat. */
async function sweepTables(ask: Ask): Promise<number> {
	const nothingLeft = `t.empty AND NOT EXISTS (SELECT 1 FROM pumadb.versions v WHERE v.account_id = t.account_id AND v.table_name = t.name)
		AND NOT EXISTS (SELECT 1 FROM pumadb.kept_answers k WHERE k.account_id = t.account_id AND k.table_name = t.name)`;
	const due = await ask(`SELECT DISTINCT t.account_id FROM pumadb.tables t WHERE ${nothingLeft} LIMIT $1`, [SWEEP]);
	if (due.rows.length === 0) return 0;
	const locked = await ask(
		`SELECT account_id FROM pumadb.accounts WHERE account_id = ANY($1::text[]) ORDER BY account_id FOR UPDATE SKIP LOCKED`,
		[due.rows.map((row) => row.account_id)],
	);
	const gone = await ask(
		`DELETE FROM pumadb.tables t WHERE t.account_id = ANY($1::text[]) AND ${nothingLeft} RETURNING t.account_id, t.name`,
		[locked.rows.map((row) => row.account_id)],
	);
	for (const { account_id: accountId, name } of gone.rows) {
		await endEpoch(ask, accountId);
		await ask(`UPDATE pumadb.member_indexes SET state = 'dropping' WHERE account_id = $1 AND table_name = $2`, [
			accountId,
			name,
		]);
	}
	return gone.rows.length;
}

/** What an account holds, by the key of each. */
const OF_ACCOUNTS = [
	['versions', 'account_id, table_name, id, version'],
	['kept_answers', 'account_id, table_name, key'],
	['index_entries', 'account_id, index_no, key, id'],
	['member_indexes', 'account_id, index_no'],
	['rows', 'account_id, table_name, id'],
	['tables', 'account_id, name'],
	['erasures', 'account_id'],
] as const;

async function sweepErased(ask: Ask): Promise<number> {
	const { rows } = await ask('SELECT account_id FROM pumadb.erasures LIMIT 1 FOR UPDATE SKIP LOCKED');
	if (rows[0] === undefined) return 0;
	for (const [table, key] of OF_ACCOUNTS) {
		const { rowCount } = await ask(
			`DELETE FROM pumadb.${table} WHERE (${key}) IN (SELECT ${key} FROM pumadb.${table} WHERE account_id = $1 LIMIT $2)`,
			[rows[0].account_id, SWEEP],
		);
		if (rowCount) return rowCount;
	}
	return 0;
}
