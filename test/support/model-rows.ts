import type { Any } from './client.ts';

/** Rows as the model keeps them, and what the rules say of values: equality, order, sizes. */

/** An id or a moment that the server is the first to say; from then on it is exactly this. */
export class Later {
	readonly kind: 'id' | 'changed' | 'archived';
	value: string | undefined;

	constructor(kind: 'id' | 'changed' | 'archived') {
		this.kind = kind;
	}

	toJSON(): string | undefined {
		return this.value;
	}
}

export interface Version {
	readonly no: number;
	readonly version: number;
	readonly archivedAt: Later;
	readonly deleted: boolean;
	readonly row: Any;
	readonly bytes: number;
	readonly hour: number;
}

/** A row over its whole life: it may be live, deleted, and live again. */
export interface Entity {
	readonly id: Later;
	readonly createdAt: Later;
	readonly own: Any;
	readonly updatedAt: Later;
	readonly live: boolean;
	readonly newest: number;
	readonly versions: readonly Version[];
}

export const SYSTEM = ['id', 'created_at', 'updated_at'];

export const bytesOf = (own: Any): number => Buffer.byteLength(JSON.stringify(own));
/** Bytes of the answered row: own members, an id of 36 characters and two stamps of 24. */
export const answerBytes = (own: Any): number => {
	const around = JSON.stringify({ id: '-'.repeat(36), created_at: '-'.repeat(24), updated_at: '-'.repeat(24) }).length;
	return around + bytesOf(own) - (Object.keys(own).length === 0 ? 2 : 1);
};

export function rowOf({ id, own, createdAt, updatedAt }: Pick<Entity, 'id' | 'own' | 'createdAt' | 'updatedAt'>): Any {
	return merged({ id }, own, { created_at: createdAt, updated_at: updatedAt });
}

/** Members in their places, later objects winning; every name is an ordinary one. */
export function merged(...objects: Any[]): Any {
	const all = Object.create(null);
	for (const object of objects) for (const name of Object.keys(object)) all[name] = object[name];
	return all;
}

export function canonical(value: Any): string {
	if (value === null || typeof value !== 'object') return JSON.stringify(value);
	if (Array.isArray(value)) return `[${value.map(canonical)}]`;
	const names = Object.keys(value).toSorted();
	return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)}}`;
}

export function memberOf(entity: Entity, name: string): Any {
	if (name === 'id') return entity.id.value;
	if (name === 'created_at') return entity.createdAt.value;
	if (name === 'updated_at') return entity.updatedAt.value;
	return Object.hasOwn(entity.own, name) ? entity.own[name] : undefined;
}

export function matches(entity: Entity, filter: Any): boolean {
	return Object.keys(filter).every((name) => memberOf(entity, name) === filter[name]);
}

function rank(value: Any): number {
	const order = [null, false, true];
	if (order.includes(value)) return order.indexOf(value);
	return ['number', 'string', 'object'].indexOf(typeof value) + order.length;
}

function compare(a: Any, b: Any): number {
	if (rank(a) !== rank(b)) return rank(a) - rank(b);
	if (typeof a === 'number') return a - b;
	// The order of UTF-8 bytes is that of code points.
	return typeof a === 'string' ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : 0;
}

export function sorted(entities: readonly Entity[], sort: string): Entity[] {
	const [name, sign] = sort.startsWith('-') ? [sort.slice(1), -1] : [sort, 1];
	const has = entities.filter((entity) => memberOf(entity, name) !== undefined);
	const rest = entities.filter((entity) => memberOf(entity, name) === undefined);
	return [...has.toSorted((a, b) => sign * compare(memberOf(a, name), memberOf(b, name))), ...rest];
}
