import type { WriteLimits } from '../limits.ts';
import { decide, type Insert, type Moment, type RowOperation, type Usage } from './writes.ts';

/**
 * Plain adds: adds without an idempotency key, to a table that has rows. They are decided the same whatever else the account holds,
 * as long as there is room for them. So an engine need not load what it holds: it is enough that it checks, when it applies them,
 * that the table has a row, at most {@link mostRowsBefore} and the account at most {@link mostBytesBefore}.
 */

const ROOMY: Usage = { tables: 1, tableRows: 1, bytes: 0, versionBytes: 0, keptBytes: 0 };

/** Is it an add without an idempotency key? */
export function isPlainAdd(operation: RowOperation): boolean {
	return operation.action === 'add' && operation.idempotency === undefined;
}

/** What is decided where there is room; the text of the row is the result. @throws Refusal where there may not be, or never is */
export function decidePlainAdd(operation: RowOperation, limits: WriteLimits, moment: Moment): Insert {
	const { changes } = decide(operation, { usage: ROOMY, rows: [], matched: 0 }, limits, moment);
	const [insert] = changes;
	if (insert?.kind !== 'insert' || changes.length > 1) throw new Error('Not a plain add.');
	return insert;
}

/** Live rows that a table may have before so many are added. */
export function mostRowsBefore(rows: number, limits: WriteLimits): number {
	return limits.maxRowsPerTable - rows;
}

/** Bytes of live rows that an account may have before rows of so many bytes are added. */
export function mostBytesBefore(bytes: number, limits: WriteLimits): number {
	return limits.maxAccountBytes - bytes;
}
