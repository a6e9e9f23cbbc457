import type { Call } from './client.ts';
import { PumaError } from './errors.ts';
import type { CreateQueryLinkAnswer, CreateRowLinkAnswer, CreateTextFieldLinkAnswer } from './generated.ts';
import { stringifyExact } from './json.ts';
import type { CallOptions } from './transport.ts';
import type { BatchOperation, Filter, Member, Query, ResultOf, Row, Updated, Upserted, Version } from './types.ts';

/** How an add is made. */
export interface AddOptions extends CallOptions {
	/**
	 * 1 to 255 characters, of a batch 1 to 250, for those of its adds are made of it; one is made where none is given. Give your own
	 * to be safe across restarts of your program.
	 */
	readonly idempotencyKey?: string | undefined;
}

/** One table's rows, of type `T` by your word: the service has no schema. */
export class Table<T extends object> {
	readonly name: string;
	readonly #call: Call;
	readonly #newKey: (options: AddOptions) => string | undefined;

	/** Made by `Puma.table`. */
	constructor(name: string, call: Call, newKey: (options: AddOptions) => string | undefined) {
		this.name = name;
		this.#call = call;
		this.#newKey = newKey;
	}

	/** The row with this id; undefined where there is none. */
	async get(id: string, options: CallOptions = {}): Promise<Row<T> | undefined> {
		const rows = await this.query({ filter: { id } as unknown as Filter<T>, limit: 1 }, options);
		return rows[0];
	}

	/** The rows that match. A table that does not exist has none. */
	async query(query: Query<T> = {}, options: CallOptions = {}): Promise<Row<T>[]> {
		const { filter, sort, limit } = query;
		const asked = { filter: filter && encodeFilter(filter), sort, limit };
		const { rows } = await this.#call('queryRows', { table: this.name, query: asked }, options);
		return rows as unknown as Row<T>[];
	}

	async count(filter?: Filter<T>, options: CallOptions = {}): Promise<number> {
		const query = { filter: filter && encodeFilter(filter) };
		return (await this.#call('countRows', { table: this.name, query }, options)).count;
	}

	/** Stores a row. However often it is sent, it is stored once. */
	async add(row: T, options: AddOptions = {}): Promise<Row<T>> {
		const idempotencyKey = this.#newKey(options);
		const body = stringifyExact(row);
		return (await this.#call('addRow', { table: this.name, body, idempotencyKey }, options)) as unknown as Row<T>;
	}

	/** Inserts the row, or replaces the own members of the one row that has the same natural key. */
	async upsert(key: Member<T> | readonly Member<T>[], row: T, options: CallOptions = {}): Promise<Upserted<T>> {
		const body = stringifyExact({ key, row });
		return (await this.#call('upsertRow', { table: this.name, body }, options)) as unknown as Upserted<T>;
	}

	/** Merges the patch into one row: its members replace the row's. @throws PumaError row_not_found */
	async updateRow(id: string, patch: Partial<T>, options: CallOptions = {}): Promise<Row<T>> {
		const body = stringifyExact({ id, patch });
		const { row } = await this.#call('updateRow', { table: this.name, body }, options);
		return row as unknown as Row<T>;
	}

	/** Merges the patch into the match. @throws PumaError row_not_found; multiple_matches unless `allowMultiple` */
	async updateWhere(
		filter: Filter<T>,
		patch: Partial<T>,
		options: CallOptions & { readonly allowMultiple?: boolean } = {},
	): Promise<Updated<T>> {
		const body = stringifyExact({ filter: definite(filter), patch, allowMultiple: options.allowMultiple });
		return (await this.#call('updateWhere', { table: this.name, body }, options)) as unknown as Updated<T>;
	}

	/** Deletes every match in one transaction, and answers how many. Deleted rows can be restored. */
	async deleteWhere(filter: Filter<T>, options: CallOptions = {}): Promise<number> {
		const body = stringifyExact({ filter: definite(filter) });
		return (await this.#call('deleteWhere', { table: this.name, body }, options)).deleted;
	}

	/**
	 * Runs up to 100 writes in order, each seeing those before it: all of them happen or none.
	 *
	 * Where all are adds, each gets an idempotency key that has none (made of `options.idempotencyKey` and its index), so that a batch
	 * that is sent again stores nothing twice. A batch with other writes is not sent again where it may have been done.
	 * @throws PumaError with `details.index` and `details.action` of the first write that failed
	 */
	async batch<const O extends readonly BatchOperation<T>[]>(
		operations: O,
		options: AddOptions = {},
	): Promise<{ -readonly [I in keyof O]: ResultOf<T, O[I]> }> {
		const onlyAdds = operations.every(({ action }) => action === 'add');
		const idempotencyKey = onlyAdds ? this.#newKey(options) : options.idempotencyKey;
		const keyed = operations.map((operation, index) => {
			if ('filter' in operation) definite(operation.filter);
			// A line feed: no header carries one, so that no key of a single add is the same.
			if (operation.action !== 'add' || operation.idempotencyKey !== undefined) return operation;
			return { ...operation, idempotencyKey: idempotencyKey === undefined ? undefined : `${idempotencyKey}\n${index}` };
		});
		const repeatable = keyed.every((operation) => operation.action === 'add' && operation.idempotencyKey !== undefined);
		const body = stringifyExact({ operations: keyed });
		const request = { table: this.name, body, idempotencyKey: repeatable ? idempotencyKey : undefined, repeatable };
		const { results } = await this.#call('batch', request, options);
		return results.map(({ result }) => result) as { -readonly [I in keyof O]: ResultOf<T, O[I]> };
	}

	/** What was archived of a row, newest first. */
	async versions(id: string, options: CallOptions = {}): Promise<Version<T>[]> {
		const { versions } = await this.#call('listVersions', { table: this.name, query: { id } }, options);
		return versions as unknown as Version<T>[];
	}

	/** Puts an archived version back, of a deleted row too. @throws PumaError version_not_found */
	async restore(id: string, version: number, options: CallOptions = {}): Promise<Row<T>> {
		const body = stringifyExact({ id, version });
		const { row } = await this.#call('restoreVersion', { table: this.name, body }, options);
		return row as unknown as Row<T>;
	}

	/** A short-lived page that shows one row to a person, who may change it there. */
	rowLink(id: string, options: CallOptions & { readonly filename?: string } = {}): Promise<CreateRowLinkAnswer> {
		const body = stringifyExact({ table: this.name, id, filename: options.filename });
		return this.#call('createRowLink', { body }, options);
	}

	/** A short-lived page with one text of one row, which may be changed there. */
	textFieldLink(
		id: string,
		field: Member<T>,
		options: CallOptions & { readonly filename?: string; readonly mimeType?: string } = {},
	): Promise<CreateTextFieldLinkAnswer> {
		const { filename, mimeType } = options;
		const body = stringifyExact({ table: this.name, id, field, filename, mimeType });
		return this.#call('createTextFieldLink', { body }, options);
	}

	/** A short-lived page that shows what a query finds when the page is opened. */
	queryLink(
		query: Query<T> = {},
		options: CallOptions & { readonly filename?: string } = {},
	): Promise<CreateQueryLinkAnswer> {
		const { filter, sort, limit } = query;
		if (filter !== undefined) definite(filter);
		const body = stringifyExact({ table: this.name, filter, sort, limit, filename: options.filename });
		return this.#call('createQueryLink', { body }, options);
	}
}

function encodeFilter(filter: object): string {
	return stringifyExact(definite(filter));
}

/** JSON leaves members out that are undefined, and a filter with fewer members matches more rows. */
function definite<F extends object>(filter: F): F {
	const unset = Object.entries(filter).find(([, value]) => value === undefined);
	if (unset === undefined) return filter;
	throw new PumaError(
		'invalid_filter',
		`The filter's member "${unset[0]}" is undefined. Leave it out to match more rows, or give its value.`,
		{ details: { field: unset[0] } },
	);
}
