import type { WriteLimits } from '../limits.ts';
import { decide, type Insert, type Keep, type Moment, type RowOperation, type Usage } from './writes.ts';

/**
 * Plain adds: adds to a table that has rows, under an idempotency key or none. They are decided the same whatever else the account
 * holds, as long as no answer is kept under the key and there is room for them. So an engine need not load what it holds: it is
 * enough that it checks, when it applies them, that no answer is kept, that the table has a row and at most {@link mostRowsBefore},
 * and the account at most {@link mostBytesBefore} and {@link mostArchivedBefore}.
 */

const ROOMY: Usage = { tables: 1, tableRows: 1, bytes: 0, versionBytes: 0, keptBytes: 0 };

/** What a plain add comes to; the text of the row is the result. */
export interface PlainAdd {
	readonly insert: Insert;
	/** The answer to keep under the idempotency key. */
	readonly keep: Keep | undefined;
}

/** What is decided where there is room. @throws Refusal where there may not be, or never is */
export function decidePlainAdd(operation: RowOperation, limits: WriteLimits, moment: Moment): PlainAdd {
	const { changes } = decide(operation, { usage: ROOMY, rows: [], matched: 0 }, limits, moment);
	const [insert, keep] = changes;
	if (insert?.kind !== 'insert' || (keep !== undefined && keep.kind !== 'keep')) throw new Error('Not a plain add.');
	return { insert, keep };
}

/** Live rows that a table may have before so many are added. */
export function mostRowsBefore(rows: number, limits: WriteLimits): number {
	return limits.maxRowsPerTable - rows;
}

/** Bytes of live rows that an account may have before rows of so many bytes are added. */
export function mostBytesBefore(bytes: number, limits: WriteLimits): number {
	return limits.maxAccountBytes - bytes;
}

/** Bytes of archived versions and kept answers that an account may have before answers of so many bytes are kept. */
export function mostArchivedBefore(bytes: number, limits: WriteLimits): number {
	return limits.maxArchiveBytes - bytes;
}
