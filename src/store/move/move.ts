import { type Comparison, compareKind } from './compare.ts';
import { type Counts, MoveError, type Source, type Target } from './ends.ts';
import { KIND_NAMES, type KindName } from './kinds.ts';

export interface MoveOptions {
	readonly source: Source;
	readonly target: Target;
	/** Fires when the move is to stop between two steps. */
	readonly stopped: AbortSignal;
	readonly tell: Teller;
}

/** Is told how a move goes on. */
export interface Teller {
	/** Once, before anything is carried. @param carried records that an earlier run carried */
	begins(counts: Counts, carried: number): void;
	/** @param records of the kind, carried in this step */
	carried(kind: KindName, records: number): void;
	/** @param records of the kind, read at the source in this step */
	compared(kind: KindName, records: number): void;
}

/** What there is to carry, and how far a move is that was begun. */
export interface Plan {
	readonly counts: Counts;
	/** Records that are at the target already; undefined where no move was begun. */
	readonly carried: number | undefined;
}

/** Looks at both ends and changes nothing. @throws MoveError where the target is not empty and not this move's own. */
export async function planMove(source: Source, target: Target): Promise<Plan> {
	const [counts, begun] = [await source.counts(), await target.begun()];
	if (begun === undefined) return { counts, carried: undefined };
	if (begun.source !== source.name) {
		throw new MoveError(
			`${target.name} is the target of a move from ${begun.source} that has not ended, not of one from ${source.name}. Name another target, or empty this one.`,
		);
	}
	const changed = KIND_NAMES.find((kind) => counts[kind] !== begun.counts[kind]);
	if (changed !== undefined) {
		throw new MoveError(
			`${source.name} has changed since the move to ${target.name} began (${changed}: ${begun.counts[changed] ?? 0} then, ${counts[changed]} now). Empty the target and move again.`,
		);
	}
	return { counts, carried: total(await target.counts()) };
}

/**
 * Carries everything from the source to an empty target, or goes on where an earlier run stopped, then compares both ends. The
 * target can be served only once they were the same.
 * @returns a comparison of each kind.
 */
export async function move({ source, target, stopped, tell }: MoveOptions): Promise<readonly Comparison[]> {
	const { counts, carried } = await planMove(source, target);
	stopped.throwIfAborted();
	const { last } = await target.begin(source.name, counts);
	tell.begins(counts, carried ?? 0);
	const first = last === undefined ? 0 : KIND_NAMES.indexOf(last.kind);
	for (const kind of KIND_NAMES.slice(first)) {
		for await (const page of source.pages(kind, kind === last?.kind ? last.position : undefined)) {
			await target.put(kind, page.records, page.after);
			tell.carried(kind, page.records.length);
			stopped.throwIfAborted();
		}
	}
	await target.complete();
	const comparisons: Comparison[] = [];
	for (const kind of KIND_NAMES) {
		comparisons.push(await compareKind(kind, source, target, (records) => tell.compared(kind, records)));
		stopped.throwIfAborted();
	}
	if (comparisons.every(({ same }) => same)) await target.end();
	return comparisons;
}

/** All records together. */
export function total(counts: Counts): number {
	return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
