/** What one client of a load has stored, as far as the answers it got tell: the model that the database is held against. */

export type Action = 'add' | 'upsert' | 'update_row' | 'update_where' | 'delete';

/** One operation on the row that the client calls `tag`. `n` is new with every operation, so a row tells who wrote it last. */
export interface Step {
	readonly action: Action;
	readonly tag: string;
	readonly n: number;
	/** For `update_row`. */
	readonly id?: string | undefined;
	/** Idempotency key of an `add`. */
	readonly key?: string | undefined;
}

export interface Kept {
	readonly n: number;
	/** Undefined until an answer or the database told it. */
	readonly id: string | undefined;
	/** The `n` of each archived version, oldest first. */
	readonly archived: readonly number[];
}

/** A row that was deleted, with all its versions. */
export interface Buried {
	readonly id: string | undefined;
	readonly archived: readonly number[];
}

export interface State {
	readonly live: ReadonlyMap<string, Kept>;
	readonly buried: readonly Buried[];
}

export const NOTHING: State = { live: new Map(), buried: [] };
const BURIED_REMEMBERED = 10;
const LARGE_PAD = 30_000;

/** The members that a write sets, besides the client's name and the row's: a large one now and then makes the log grow. */
export function contentOf(n: number): { n: number; pad: string } {
	return { n, pad: String(n % 10).repeat(n % 41 === 0 ? LARGE_PAD : n % 150) };
}

/** The state after the steps. @param ids the id that each step's answer named. */
export function after(state: State, steps: readonly Step[], ids: readonly (string | undefined)[] = []): State {
	const live = new Map(state.live);
	const buried = [...state.buried];
	for (const [i, { action, tag, n }] of steps.entries()) {
		const old = live.get(tag);
		if (action === 'delete') {
			live.delete(tag);
			if (old !== undefined) buried.push({ id: old.id, archived: [...old.archived, old.n] });
		} else if (old === undefined) {
			live.set(tag, { n, id: ids[i], archived: [] });
		} else {
			live.set(tag, { n, id: old.id ?? ids[i], archived: [...old.archived, old.n] });
		}
	}
	return { live, buried: buried.slice(-BURIED_REMEMBERED) };
}

/** A row as the service answers it. */
export interface Found {
	readonly id: string;
	readonly w: number;
	readonly tag: string;
	readonly n: number;
	readonly pad: string;
}

/** How the rows differ from the state; undefined where they are what it says. */
export function difference(state: State, rows: readonly Found[]): string | undefined {
	const seen = new Set<string>();
	for (const row of rows) {
		if (seen.has(row.tag)) return `${row.tag} is there twice`;
		seen.add(row.tag);
		const kept = state.live.get(row.tag);
		if (kept === undefined) return `${row.tag} is there, written by ${row.n}`;
		if (kept.n !== row.n) return `${row.tag} was written by ${row.n}, not by ${kept.n}`;
		if (kept.id !== undefined && kept.id !== row.id) return `${row.tag} has the id ${row.id}, not ${kept.id}`;
		if (row.pad !== contentOf(row.n).pad) return `${row.tag} has members of another write`;
	}
	const missing = [...state.live.keys()].find((tag) => !seen.has(tag));
	return missing === undefined ? undefined : `${missing} is missing`;
}

/** The state with the ids that the rows tell. */
export function withIds(state: State, rows: readonly Found[]): State {
	const ids = new Map(rows.map(({ tag, id }) => [tag, id]));
	const live = new Map([...state.live].map(([tag, kept]) => [tag, { ...kept, id: kept.id ?? ids.get(tag) }]));
	return { live, buried: state.buried };
}
