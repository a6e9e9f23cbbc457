/** Which member indexes a table has, for both engines: indexes on the sets of members that it is really filtered on. */

/** Tables with fewer rows are read through: that costs less than keeping an index. */
export const INDEX_FROM_ROWS = 50;
/** Members of one index: sets that are filtered on for real have few, and each write pays for all of them. */
export const MAX_INDEX_MEMBERS = 16;
/** Indexes a table may have; one more takes the place of one that is no longer used. */
const MAX_INDEXES_PER_TABLE = 8;
/** An index used within this time keeps its place. */
const IN_USE_MS = 60 * 60 * 1000;
/** How often the use of an index is noted. */
export const USE_NOTED_EVERY_MS = 10 * 60 * 1000;
/** Rows indexed, or entries dropped, in one small transaction. */
export const INDEX_STEP = 500;

/** An index that a table has. */
export interface KnownIndex {
	readonly indexNo: number;
	/** JSON array of the members, in order of name. */
	readonly members: string;
	/** Milliseconds since the epoch. */
	readonly usedAt: number;
}

/** Should an index on these members be made, and which one goes for it? `members` is a JSON array. */
export function newIndex(
	existing: readonly KnownIndex[],
	members: string,
	tableRows: number,
	now: number,
): { readonly make: boolean; readonly giveUp?: number } {
	if ((JSON.parse(members) as string[]).length > MAX_INDEX_MEMBERS) return { make: false };
	if (tableRows < INDEX_FROM_ROWS || existing.some((index) => index.members === members)) return { make: false };
	if (existing.length < MAX_INDEXES_PER_TABLE) return { make: true };
	const oldest = existing.reduce((least, index) => (index.usedAt < least.usedAt ? index : least));
	return oldest.usedAt > now - IN_USE_MS ? { make: false } : { make: true, giveUp: oldest.indexNo };
}
