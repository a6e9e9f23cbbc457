import {
	BaseStore,
	type GetOperation,
	type Item,
	type ListNamespacesOperation,
	type MatchCondition,
	type Operation,
	type OperationResults,
	type PutOperation,
	type SearchItem,
	type SearchOperation,
	validateNamespace,
} from '@langchain/langgraph-checkpoint';
import type { Puma, Row, Table } from '@pumadb/client';
import { BATCH } from './errors.ts';

// biome-ignore lint/suspicious/noExplicitAny: the interface has values of any shape.
type Value = Record<string, any>;

/** An item as a row: its namespace as JSON text, so that a person can read it and equality can find it. */
interface StoredItem {
	namespace: string;
	key: string;
	value: Value;
}

/**
 * LangGraph's long-term memory in one table: a row for each item, found by namespace and key.
 *
 * Searching and listing read the whole table, at most as many rows as a query answers (1,000 by default), for pumaDB filters by equality
 * alone. There is no semantic search: `query` is ignored, as by any store without embeddings. Up to 100 puts of one `batch` are stored
 * all or none.
 */
export class PumaStore extends BaseStore {
	readonly #table: Table<StoredItem>;

	/** @param options `table`: `langgraph_store` unless given */
	constructor(puma: Puma, options: { readonly table?: string } = {}) {
		super();
		this.#table = puma.table<StoredItem>(options.table ?? 'langgraph_store');
	}

	/** Reads see what was stored before; of several puts of one key the last counts. */
	async batch<Op extends Operation[]>(operations: Op): Promise<OperationResults<Op>> {
		for (const operation of operations) {
			if ('namespace' in operation)
				validateNamespace(operation.namespace, { allowEmpty: true, allowReservedRoot: true });
		}
		const readsAll = operations.some((operation) => !('key' in operation));
		const all = readsAll ? await this.#table.query() : undefined;
		const results = await Promise.all(operations.map((operation) => this.#read(operation, all)));
		await this.#put(operations.filter((operation): operation is PutOperation => 'value' in operation));
		return results as OperationResults<Op>;
	}

	async #read(operation: Operation, all: readonly Row<StoredItem>[] | undefined): Promise<unknown> {
		if ('value' in operation) return undefined;
		if ('key' in operation) return this.#get(operation, all);
		if ('namespacePrefix' in operation) return search(operation, all!);
		return listNamespaces(operation, all!);
	}

	async #get({ namespace, key }: GetOperation, all: readonly Row<StoredItem>[] | undefined): Promise<Item | null> {
		const wanted = JSON.stringify(namespace);
		const rows = all ?? (await this.#table.query({ filter: { namespace: wanted, key }, limit: 1 }));
		const row = rows.find((one) => one.namespace === wanted && one.key === key);
		return row === undefined ? null : itemOf(row);
	}

	async #put(puts: readonly PutOperation[]): Promise<void> {
		const last = new Map(puts.map((put) => [JSON.stringify([put.namespace, put.key]), put]));
		const operations = [...last.values()].map(({ namespace, key, value }) => {
			const identity = { namespace: JSON.stringify(namespace), key };
			return value === null
				? ({ action: 'delete', filter: identity } as const)
				: ({ action: 'upsert', key: ['namespace', 'key'], row: { ...identity, value } } as const);
		});
		for (let start = 0; start < operations.length; start += BATCH) {
			await this.#table.batch(operations.slice(start, start + BATCH));
		}
	}
}

function itemOf(row: Row<StoredItem>): Item {
	const { namespace, key, value, created_at, updated_at } = row;
	return {
		namespace: JSON.parse(namespace),
		key,
		value,
		createdAt: new Date(created_at),
		updatedAt: new Date(updated_at),
	};
}

function search(
	{ namespacePrefix, filter, limit = 10, offset = 0 }: SearchOperation,
	all: readonly Row<StoredItem>[],
): SearchItem[] {
	return all
		.map(itemOf)
		.filter(({ namespace }) => namespacePrefix.every((label, index) => namespace[index] === label))
		.filter(({ value }) => Object.entries(filter ?? {}).every(([name, wanted]) => matches(value[name], wanted)))
		.slice(offset, offset + limit);
}

const OPERATORS: Readonly<Record<string, (actual: unknown, wanted: unknown) => boolean>> = {
	$eq: (actual, wanted) => actual === wanted,
	$ne: (actual, wanted) => actual !== wanted,
	$gt: (actual, wanted) => Number(actual) > Number(wanted),
	$gte: (actual, wanted) => Number(actual) >= Number(wanted),
	$lt: (actual, wanted) => Number(actual) < Number(wanted),
	$lte: (actual, wanted) => Number(actual) <= Number(wanted),
	$in: (actual, wanted) => Array.isArray(wanted) && wanted.includes(actual),
	$nin: (actual, wanted) => !Array.isArray(wanted) || !wanted.includes(actual),
};

/** As the package's own store compares: a value, or an object of operators that must all hold. */
function matches(actual: unknown, wanted: unknown): boolean {
	const operators = typeof wanted === 'object' && wanted !== null ? Object.entries(wanted) : undefined;
	if (operators?.every(([name]) => Object.hasOwn(OPERATORS, name))) {
		return operators.every(([name, operand]) => OPERATORS[name]!(actual, operand));
	}
	return actual === wanted;
}

function listNamespaces(operation: ListNamespacesOperation, all: readonly Row<StoredItem>[]): string[][] {
	const { matchConditions = [], maxDepth, limit, offset } = operation;
	const found = new Map<string, string[]>();
	for (const { namespace } of all) {
		const labels = JSON.parse(namespace) as string[];
		if (!matchConditions.every((condition) => fits(condition, labels))) continue;
		const cut = labels.slice(0, maxDepth);
		found.set(JSON.stringify(cut), cut);
	}
	const sorted = [...found.values()].toSorted((a, b) => a.join(':').localeCompare(b.join(':')));
	return sorted.slice(offset, offset + limit);
}

function fits({ matchType, path }: MatchCondition, labels: readonly string[]): boolean {
	const start = matchType === 'prefix' ? 0 : labels.length - path.length;
	return start >= 0 && path.every((label, index) => label === '*' || label === labels[start + index]);
}
