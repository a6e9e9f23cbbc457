import type { RowVersion as AnyVersion } from './generated.ts';

/** What the service adds to every row. */
export interface SystemMembers {
	/** UUIDv7, lower case. */
	readonly id: string;
	/** RFC 3339, UTC, milliseconds. */
	readonly created_at: string;
	readonly updated_at: string;
}

/** A stored row: its own members and the service's. */
export type Row<T extends object> = T & SystemMembers;

export type Scalar = string | number | boolean | null;

/** Members without a known type can be filtered by any scalar. */
type Filterable<V> = unknown extends V ? Scalar : Extract<V, Scalar>;

/** All of it must be equal; `null` matches an explicit null only. */
export type Filter<T extends object> = { readonly [K in keyof Row<T>]?: Filterable<Row<T>[K]> };

/** The name of a member; of a row of any shape, any name. */
export type Member<T extends object> = keyof T & string;

export interface Query<T extends object> {
	readonly filter?: Filter<T> | undefined;
	/** The member to sort by; a leading `-` reverses the values. Without it, rows come in order of creation. */
	readonly sort?: `${'' | '-'}${Member<Row<T>>}` | undefined;
	/** The greatest number of rows; the server's own limit unless given. */
	readonly limit?: number | undefined;
}

export interface Add<T extends object> {
	readonly action: 'add';
	readonly row: T;
	readonly idempotencyKey?: string;
}
export interface Upsert<T extends object> {
	readonly action: 'upsert';
	readonly key: Member<T> | readonly Member<T>[];
	readonly row: T;
}
export interface UpdateRow<T extends object> {
	readonly action: 'update_row';
	readonly id: string;
	readonly patch: Partial<T>;
}
export interface UpdateWhere<T extends object> {
	readonly action: 'update_where';
	readonly filter: Filter<T>;
	readonly patch: Partial<T>;
	readonly allowMultiple?: boolean;
}
export interface Delete<T extends object> {
	readonly action: 'delete';
	readonly filter: Filter<T>;
}

/** One write of a batch. */
export type BatchOperation<T extends object> = Add<T> | Upsert<T> | UpdateRow<T> | UpdateWhere<T> | Delete<T>;

export interface Upserted<T extends object> {
	readonly created: boolean;
	readonly row: Row<T>;
}
export interface Updated<T extends object> {
	readonly updated: number;
	readonly rows: readonly Row<T>[];
}

/** What one operation of a batch answers: what the single call would. */
export type ResultOf<T extends object, O> = O extends { action: 'add' }
	? Row<T>
	: O extends { action: 'upsert' }
		? Upserted<T>
		: O extends { action: 'update_row' }
			? { readonly row: Row<T> }
			: O extends { action: 'update_where' }
				? Updated<T>
				: { readonly deleted: number };

/** What was archived of a row. */
export interface Version<T extends object> extends Omit<AnyVersion, 'row'> {
	readonly row: Row<T>;
}
