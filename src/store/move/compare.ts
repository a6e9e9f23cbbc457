import { createHash, type Hash } from 'node:crypto';
import type { End } from './ends.ts';
import { at, type Fields, isOfAccounts, type KindName, kindOf } from './kinds.ts';

/** What one end holds of a kind. */
export interface Sum {
	readonly records: number;
	/** The beginning of a SHA-256, in hex. */
	readonly checksum: string;
}

export interface Comparison {
	readonly kind: KindName;
	readonly source: Sum;
	readonly target: Sum;
	/** One sentence for each account whose records differ, a few at most. */
	readonly differences: readonly string[];
	readonly same: boolean;
}

/** Differences told of one kind. */
const MAX_TOLD = 5;
const SHOWN = 16;

/** The records of one account, or all of a kind that is of no account. */
interface Group extends Sum {
	readonly account: string;
	readonly atLeast: string | null;
}

/**
 * Reads a kind at both ends and compares what they hold: every column of every record, in the order of the key.
 * @param onRecords told how many more records were read at the source.
 */
export async function compareKind(
	kind: KindName,
	source: End,
	target: End,
	onRecords: (count: number) => void,
): Promise<Comparison> {
	const sums = [new Total(), new Total()] as const;
	const differences: string[] = [];
	let different = 0;
	const differ = (account: string, here: Group | undefined, there: Group | undefined): void => {
		if (++different > MAX_TOLD) return;
		const whose = isOfAccounts(kind) ? `${kind} of account ${account}` : kind;
		differences.push(`${whose}: ${told(here)} at the source, ${told(there)} at the target`);
	};
	const groups = [groupsOf(kind, source, onRecords), groupsOf(kind, target, () => {})] as const;
	try {
		let [here, there] = await Promise.all([next(groups[0], sums[0]), next(groups[1], sums[1])]);
		while (here !== undefined || there !== undefined) {
			const order = orderOf(here, there);
			if (order < 0) differ(here!.account, here, undefined);
			else if (order > 0) differ(there!.account, undefined, there);
			else if (here!.checksum !== there!.checksum || here!.records !== there!.records)
				differ(here!.account, here, there);
			else if ((there!.atLeast ?? '') < (here!.atLeast ?? '')) {
				differences.push(
					`account ${here!.account}: the last id given out is ${here!.atLeast} at the source and ${there!.atLeast} at the target`,
				);
				different++;
			}
			[here, there] = await Promise.all([
				order <= 0 ? next(groups[0], sums[0]) : here,
				order >= 0 ? next(groups[1], sums[1]) : there,
			]);
		}
	} finally {
		for (const group of groups) await group.return(undefined);
	}
	if (different > MAX_TOLD) differences.push(`${kind}: ${different - MAX_TOLD} more differences`);
	const [inSource, inTarget] = [sums[0].sum(), sums[1].sum()];
	return { kind, source: inSource, target: inTarget, differences, same: different === 0 };
}

async function next(groups: AsyncGenerator<Group>, total: Total): Promise<Group | undefined> {
	const { value, done } = await groups.next();
	if (done === true) return undefined;
	total.add(value);
	return value;
}

/** Account ids are ASCII, whose order is the same for everybody. */
function orderOf(here: Group | undefined, there: Group | undefined): number {
	if (here === undefined) return 1;
	if (there === undefined || here.account < there.account) return -1;
	return here.account === there.account ? 0 : 1;
}

function told(group: Group | undefined): string {
	return group === undefined ? 'none' : `${group.records} (checksum ${group.checksum.slice(0, SHOWN)})`;
}

class Total {
	readonly #hash = createHash('sha256');
	#records = 0;

	add({ account, records, checksum }: Group): void {
		this.#records += records;
		this.#hash.update(`${account} ${records} ${checksum}\n`);
	}

	sum(): Sum {
		return { records: this.#records, checksum: this.#hash.digest('hex').slice(0, SHOWN) };
	}
}

async function* groupsOf(kind: KindName, end: End, onRecords: (count: number) => void): AsyncGenerator<Group> {
	const { atLeast } = kindOf(kind);
	const leastAt = atLeast === undefined ? -1 : at(kind, atLeast);
	const whose = isOfAccounts(kind) ? at(kind, 'account_id') : -1;
	let hash: Hash | undefined;
	let account = '';
	let records = 0;
	let least: string | null = null;
	const group = (): Group => ({ account, records, checksum: hash!.digest('hex'), atLeast: least });
	for await (const page of end.inOrder(kind)) {
		for (const record of page) {
			const own = whose === -1 ? '' : String(record[whose]);
			if (hash !== undefined && own !== account) {
				yield group();
				hash = undefined;
			}
			if (hash === undefined) {
				hash = createHash('sha256');
				account = own;
				records = 0;
			}
			records++;
			hash.update(encoded(record, leastAt));
			least = leastAt === -1 ? null : (record[leastAt] as string | null);
		}
		onRecords(page.length);
	}
	if (hash !== undefined) yield group();
}

/**
 * A record as the same text whatever the engine, different for different records: each value with its type, texts with the number
 * of their bytes before them. Exported for its test.
 */
export function encoded(record: Fields, leftOut = -1): string {
	let text = '';
	record.forEach((value, index) => {
		if (index === leftOut) return;
		if (value === null) text += 'n';
		else if (typeof value === 'string') text += `t${Buffer.byteLength(value)}:${value}`;
		else if (typeof value === 'number') text += `i${value};`;
		else text += value ? 'b1' : 'b0';
	});
	return `${text}\n`;
}
