import { filterId, filterKey } from './filter.ts';
import type { RowOperation } from './writes.ts';

/** Which rows of its table an operation may look at or change, told from the operation alone. */
type Reach =
	/** None that is there already. */
	| { readonly by: 'new' }
	| { readonly by: 'none' }
	/** Any. */
	| { readonly by: 'all' }
	/** Those that have this value of what `by` names: the id, or the members of a natural key. */
	| { readonly by: string; readonly value: string };

interface Reached {
	/** What the rows reached so far were named by; undefined where there were only new ones. */
	by: string | undefined;
	readonly values: Set<string>;
	added: boolean;
}

/**
 * Picks, from the start of a sequence of operations, those that may be loaded before any of them is applied: none of them looks
 * at a row that one before it may make or change.
 */
export class Together {
	readonly #tables = new Map<string, Reached>();

	/** May the next operation go with those taken so far? Once one may not, the sequence ends. */
	takes(table: string, operation: RowOperation): boolean {
		const reach = reachOf(operation);
		if (reach.by === 'none') return true;
		const reached = this.#tables.get(table);
		if (reached === undefined) {
			const values = new Set('value' in reach ? [reach.value] : []);
			this.#tables.set(table, { by: reach.by === 'new' ? undefined : reach.by, values, added: reach.by === 'new' });
			return true;
		}
		if (reach.by === 'new') {
			reached.added = true;
			return true;
		}
		if (!('value' in reach)) return false;
		// A new row may have any natural key, but no id that a caller could have known.
		if (reached.added && reach.by !== 'id') return false;

		// What is reached by its id may have any natural key, and the other way round.
		if (reach.by !== (reached.by ?? reach.by) || reached.values.has(reach.value)) return false;
		reached.by = reach.by;
		reached.values.add(reach.value);
		return true;
	}
}

function reachOf(operation: RowOperation): Reach {
	switch (operation.action) {
		case 'add':
			return { by: 'new' };
		case 'refuse':
			return { by: 'none' };
		case 'update_row':
		case 'replace_row':
		case 'restore':
			return { by: 'id', value: operation.id };
		case 'update_where':
		case 'delete': {
			const id = filterId(operation.filter);
			if (id === undefined) return { by: 'all' };
			return id === null ? { by: 'none' } : { by: 'id', value: id };
		}
		case 'upsert': {
			// The row is put back with the values that it is found by.
			const { match } = operation;
			return { by: JSON.stringify(match.members), value: Buffer.from(filterKey(match)).toString('latin1') };
		}
	}
}
