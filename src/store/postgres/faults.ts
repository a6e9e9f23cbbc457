import { causeOf, Refusal } from '../../errors.ts';

/** What goes wrong between a node and its database, and what callers are told of it. */

/** The connection was lost or refused: what was asked may be asked again, unless it was a commit. */
export class ConnectionLost extends Error {}

/** The database took too long: asking again would take as long. What was asked goes with its connection. */
export class TooSlow extends ConnectionLost {}

/** The connection was lost while a commit was on its way: nobody here knows whether it was kept. */
export class OutcomeUnknown extends Error {}

/** The SQLSTATE of an error that the database itself reported (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
export function sqlState(error: unknown): string | undefined {
	const { code, severity } = error as { code?: unknown; severity?: unknown };
	return severity !== undefined && typeof code === 'string' ? code : undefined;
}

/**
 * A prepared statement is not there (26000) or there already (42P05), as behind a pooler that does not know of them; or the
 * schema has changed under it (0A000). Nothing was run.
 */
export function isOfPreparation(error: unknown): boolean {
	return ['26000', '42P05', '0A000'].includes(sqlState(error) ?? '');
}

/** Deadlock or serialization failure: the database took the transaction back so that another could go on; or a lost connection. */
export function isRetryable(error: unknown): boolean {
	if (error instanceof TooSlow) return false;
	if (error instanceof ConnectionLost || isOfPreparation(error)) return true;
	return ['40001', '40P01'].includes(sqlState(error) ?? '');
}

/** How often work is tried that the database took back for another's sake, or whose connection was gone. */
export const TRIES = 3;

/** Runs a transaction, again where it was taken back and nothing of it is kept. @throws what the last try failed with */
export async function retrying<T>(run: () => Promise<T>): Promise<T> {
	for (let tries = 1; ; tries++) {
		try {
			return await run();
		} catch (error) {
			if (!isRetryable(error) || tries === TRIES) throw error;
		}
	}
}

/**
 * Is the database, rather than a statement of ours, at fault? Classes 08 connection, 53 resources, 57 operator, 58 system;
 * 25006 read-only (a replica), 55P03 lock timeout, 25P03 idle too long, 40 rolled back.
 */
function isUnavailable(error: unknown): boolean {
	const state = sqlState(error);
	if (state === undefined) return error instanceof ConnectionLost;
	return /^(08|53|57|58|40)/.test(state) || ['25006', '25P03', '25P04', '55P03'].includes(state);
}

/** What a caller is told where the database failed a call. */
export function refusalOf(error: unknown, what: 'read' | 'write'): Refusal {
	if (error instanceof Refusal) return error;
	const cause = causeOf(error);
	if (error instanceof OutcomeUnknown) {
		return new Refusal(
			'outcome_unknown',
			'The connection to the database was lost while this call was being saved, so it may or may not have been. Read before sending it again, or send adds with an idempotency key.',
			undefined,
			cause,
		);
	}
	if (isUnavailable(error)) {
		const nothing = what === 'write' ? ' and nothing was changed' : '';
		return new Refusal(
			'storage_unavailable',
			`The database cannot be reached or is too busy${nothing}. Send the call again in a few seconds.`,
			undefined,
			cause,
		);
	}
	const nothing = what === 'write' ? ' and nothing was changed' : '';
	return new Refusal(
		'internal_error',
		`The server failed to run this call${nothing}. Send it again; if it fails again, report the request id.`,
		undefined,
		cause,
	);
}
