import { type Members, print } from '../shared/json.ts';
import { ownOf } from './own.ts';

/** What changed between two states of a row: member by member, and line by line within a member. */

export interface MemberChange {
	readonly name: string;
	readonly kind: 'added' | 'removed' | 'changed';
	readonly lines: readonly Line[];
}

export interface Line {
	readonly kind: 'same' | 'added' | 'removed';
	readonly text: string;
}

/** Same lines shown around each change. */
const CONTEXT = 2;
/** Beyond this many comparisons, what differs is shown as a whole: finding the least difference would make a person wait. */
const MAX_CELLS = 4_000_000;

export function diffRows(before: Members, after: Members): readonly MemberChange[] {
	const [old, now] = [ownOf(before), ownOf(after)];
	const names = [...new Set([...Object.keys(now), ...Object.keys(old)])];
	return names.flatMap((name): MemberChange[] => {
		const [was, is] = [Object.hasOwn(old, name), Object.hasOwn(now, name)];
		const [from, to] = [was ? linesOf(old[name]) : [], is ? linesOf(now[name]) : []];
		if (was && is && print(old[name], 0) === print(now[name], 0)) return [];
		return [{ name, kind: !was ? 'added' : is ? 'changed' : 'removed', lines: folded(diffLines(from, to)) }];
	});
}

/** A text line by line as a person reads it, everything else as indented JSON. A text that looks like other JSON keeps its quotes. */
function linesOf(value: unknown): readonly string[] {
	if (typeof value === 'string' && value.includes('\n')) return value.split('\n');
	return print(value).split('\n');
}

/** The least lines to take out and put in: a longest common subsequence, by its table. */
export function diffLines(before: readonly string[], after: readonly string[]): readonly Line[] {
	let start = 0;
	while (start < before.length && start < after.length && before[start] === after[start]) start++;
	let end = 0;
	while (
		end < before.length - start &&
		end < after.length - start &&
		before[before.length - 1 - end] === after[after.length - 1 - end]
	) {
		end++;
	}
	const same = (lines: readonly string[]): Line[] => lines.map((text) => ({ kind: 'same', text }));
	return [
		...same(before.slice(0, start)),
		...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
		...same(before.slice(before.length - end)),
	];
}

function middle(before: readonly string[], after: readonly string[]): Line[] {
	const removed = (text: string): Line => ({ kind: 'removed', text });
	const added = (text: string): Line => ({ kind: 'added', text });
	const width = after.length + 1;
	if ((before.length + 1) * width > MAX_CELLS) return [...before.map(removed), ...after.map(added)];
	// lengths[i * width + j] is how much before[i…] and after[j…] have in common.
	const lengths = new Uint32Array((before.length + 1) * width);
	for (let i = before.length - 1; i >= 0; i--) {
		for (let j = after.length - 1; j >= 0; j--) {
			const at = i * width + j;
			lengths[at] =
				before[i] === after[j] ? lengths[at + width + 1]! + 1 : Math.max(lengths[at + width]!, lengths[at + 1]!);
		}
	}
	const lines: Line[] = [];
	let i = 0;
	let j = 0;
	while (i < before.length && j < after.length) {
		if (before[i] === after[j]) {
			lines.push({ kind: 'same', text: before[i]! });
			i++;
			j++;
		} else if (lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!) lines.push(removed(before[i++]!));
		else lines.push(added(after[j++]!));
	}
	return [...lines, ...before.slice(i).map(removed), ...after.slice(j).map(added)];
}

/** Leaves out same lines that are far from any change. */
function folded(lines: readonly Line[]): readonly Line[] {
	const near = lines.map((_, at) =>
		lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ kind }) => kind !== 'same'),
	);
	const kept: Line[] = [];
	for (const [at, line] of lines.entries()) {
		if (near[at]) kept.push(line);
		else if (at === 0 || near[at - 1]) kept.push({ kind: 'same', text: '…' });
	}
	return kept;
}
