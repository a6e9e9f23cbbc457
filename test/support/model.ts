import type { Any } from './client.ts';
import {
	answerBytes,
	bytesOf,
	canonical,
	type Entity,
	Later,
	matches,
	merged,
	rowOf,
	SYSTEM,
	sorted,
	type Version,
} from './model-rows.ts';

/**
 * One account as the rules describe it, in plain memory: no indexes, no running totals, nothing shared with the server's code.
 * Every operation answers what the server must answer. Ids and moments, which only the server knows, are {@link Later}.
 */

export interface ModelLimits {
	readonly maxTables: number;
	readonly maxRowsPerTable: number;
	readonly maxRowBytes: number;
	readonly maxAccountBytes: number;
	readonly maxBatchOperations: number;
	readonly maxQueryLimit: number;
	readonly maxVersionsPerRow: number;
	readonly versionRetentionDays: number;
	readonly maxArchiveBytes: number;
}

export class ModelRefusal extends Error {
	readonly code: string;
	readonly status: number;
	/** The members of `details` that the rules name. */
	readonly details: Any;

	constructor(code: string, status = 400, details: Any = {}) {
		super(code);
		this.code = code;
		this.status = status;
		this.details = details;
	}
}

interface Kept {
	readonly no: number;
	readonly json: string;
	readonly row: Any;
	readonly bytes: number;
	readonly hour: number;
}

interface Table {
	/** In order of creation. */
	readonly entities: readonly Entity[];
	readonly kept: ReadonlyMap<string, Kept>;
}

const EMPTY: Table = { entities: [], kept: new Map() };
const HOURS_KEPT = 24;

export class Model {
	readonly limits: ModelLimits;
	/** Hours that the server's clock was moved on. */
	hour = 0;
	/** Ids of every row that there ever was. */
	readonly ids: Later[] = [];
	#tables = new Map<string, Table>();
	#no = 0;
	/** The moment of the call that is run: its changes, and what it archives. */
	#changed = new Later('changed');
	#archived = new Later('archived');

	constructor(limits: ModelLimits) {
		this.limits = limits;
	}

	/** Ids of every row that the table ever had. */
	idsOf(table: string): string[] {
		return this.#table(table).entities.map((entity) => entity.id.value!);
	}

	/** Runs one write. @throws ModelRefusal that leaves nothing behind. */
	write(table: string, operation: Any): Any {
		return this.#atomically(() => this.#run(table, operation));
	}

	batch(table: string, operations: readonly Any[]): Any {
		if (operations.length > this.limits.maxBatchOperations) throw new ModelRefusal('invalid_request');
		return this.#atomically(() => {
			const results = operations.map((operation, index) => {
				try {
					const { action } = operation;
					return { index, action, result: this.#run(table, operation) };
				} catch (error) {
					if (!(error instanceof ModelRefusal)) throw error;
					const details = { ...error.details, index, action: operation.action };
					throw new ModelRefusal(error.code, error.status, details);
				}
			});
			return { results };
		});
	}

	query(table: string, filter: Any = {}, sort?: string, limit = this.limits.maxQueryLimit): Any {
		if (limit > this.limits.maxQueryLimit || limit < 1) throw new ModelRefusal('invalid_limit');
		const found = this.#live(table).filter((entity) => matches(entity, filter));
		const ordered = sort === undefined ? found : sorted(found, sort);
		return { rows: ordered.slice(0, limit).map(rowOf) };
	}

	count(table: string, filter: Any = {}): Any {
		return { count: this.#live(table).filter((entity) => matches(entity, filter)).length };
	}

	versions(table: string, id: string): Any {
		const entity = this.#table(table).entities.find((one) => one.id.value === id);
		const versions = (entity?.versions ?? []).filter((version) => this.#isKept(version)).toReversed();
		return {
			versions: versions.map(({ version, archivedAt, deleted, row }) => ({
				version,
				archived_at: archivedAt,
				deleted,
				row,
			})),
		};
	}

	tables(): Any {
		const listed = this.#names()
			.map((name) => ({ name, rows: this.#live(name).length }))
			.filter(({ name, rows }) => rows > 0 || this.#versionsIn(name).some((version) => this.#isKept(version)));
		return { tables: listed };
	}

	export(): Any {
		const names = this.#names().filter((name) => this.#live(name).length > 0);
		return { tables: Object.fromEntries(names.map((name) => [name, this.#live(name).map(rowOf)])) };
	}

	#atomically<T>(run: () => T): T {
		const [before, ids] = [new Map(this.#tables), this.ids.length];
		this.#changed = new Later('changed');
		this.#archived = new Later('archived');
		try {
			return run();
		} catch (error) {
			this.#tables = before;
			this.ids.length = ids;
			throw error;
		}
	}

	#run(table: string, operation: Any): Any {
		const result = this.#decide(table, operation);
		this.#shrinkArchive();
		return result;
	}

	#decide(table: string, operation: Any): Any {
		switch (operation.action) {
			case 'add':
				return this.#add(table, operation.row, operation.idempotencyKey);
			case 'upsert':
				return this.#upsert(table, operation.key, operation.row);
			case 'update_row': {
				this.#requireOwn(operation.patch);
				const row = this.#live(table).find((entity) => entity.id.value === operation.id);
				if (row === undefined) throw new ModelRefusal('row_not_found', 404);
				return { row: this.#update(table, [row], (own) => merged(own, operation.patch))[0] };
			}
			case 'update_where':
				return this.#updateWhere(table, operation);
			case 'delete': {
				const rows = this.#matching(table, operation.filter);
				for (const entity of rows) this.#replace(table, entity, { ...this.#archive(entity, true), live: false });
				return { deleted: rows.length };
			}
			case 'restore':
				return this.#restore(table, operation.id, operation.version);
			default:
				throw new ModelRefusal('invalid_request');
		}
	}

	#add(table: string, row: Any, key: string | undefined): Any {
		this.#requireOwn(row);
		if (key === '') throw new ModelRefusal('invalid_idempotency_key');
		const kept = key === undefined ? undefined : this.#table(table).kept.get(key);
		if (kept !== undefined && this.hour - kept.hour < HOURS_KEPT) {
			if (kept.json !== canonical(row)) throw new ModelRefusal('idempotency_key_reused');
			return kept.row;
		}
		const added = this.#insert(table, row);
		if (key !== undefined) {
			const bytes = answerBytes(row);
			const young = this.#allKept().filter(([, , one]) => one.hour === this.hour);
			if (sum(young.map(([, , one]) => one.bytes)) + bytes > this.limits.maxArchiveBytes)
				throw new ModelRefusal('archive_full');
			this.#keep(table, key, { no: ++this.#no, json: canonical(row), row: added, bytes, hour: this.hour });
		}
		return added;
	}

	#upsert(table: string, key: string | string[], row: Any): Any {
		this.#requireOwn(row);
		const names = [key].flat();
		const fits = (value: Any) => ['string', 'number', 'boolean'].includes(typeof value);
		if (!names.every((name) => Object.hasOwn(row, name) && fits(row[name]))) throw new ModelRefusal('invalid_key');
		const filter = merged(...names.map((name) => ({ [name]: row[name] })));
		const rows = this.#live(table).filter((entity) => matches(entity, filter));
		if (rows.length > 1) throw new ModelRefusal('key_not_unique', 400, { matched: rows.length });
		if (rows.length === 0) return { created: true, row: this.#insert(table, row) };
		return { created: false, row: this.#update(table, rows, () => row)[0] };
	}

	#updateWhere(table: string, { filter, patch, allowMultiple }: Any): Any {
		const rows = this.#matching(table, filter);
		this.#requireOwn(patch);
		const matched = rows.length;
		if (allowMultiple !== true && matched === 0) throw new ModelRefusal('row_not_found', 404);
		if (allowMultiple !== true && matched > 1) throw new ModelRefusal('multiple_matches', 409, { matched });
		return { updated: matched, rows: this.#update(table, rows, (own) => merged(own, patch)) };
	}

	#restore(table: string, id: string, number: number): Any {
		const entity = this.#table(table).entities.find((one) => one.id.value === id);
		const version = entity?.versions.find((one) => one.version === number);
		if (entity === undefined || version === undefined || !this.#isKept(version))
			throw new ModelRefusal('version_not_found', 404);
		const own = merged(version.row);
		for (const name of SYSTEM) delete own[name];
		if (entity.live) return { row: this.#update(table, [entity], () => own)[0] };
		this.#requireRoom(table, own);
		const back = { ...entity, own, updatedAt: this.#changed, live: true };
		this.#replace(table, entity, back);
		return { row: rowOf(back) };
	}

	#insert(name: string, own: Any): Any {
		this.#requireRoom(name, own);
		const [id, now] = [new Later('id'), this.#changed];
		const entity = { id, createdAt: now, updatedAt: now, own, live: true, newest: 0, versions: [] };
		const table = this.#table(name);
		this.#tables.set(name, { ...table, entities: [...table.entities, entity] });
		this.ids.push(id);
		return rowOf(entity);
	}

	/** Changes rows together: limits are those of all of them. */
	#update(table: string, rows: readonly Entity[], change: (own: Any) => Any): Any[] {
		const changes = rows.map((entity) => ({ entity, own: change(entity.own) }));
		let growth = 0;
		for (const { entity, own } of changes) {
			const grown = bytesOf(own) - bytesOf(entity.own);
			if (grown > 0 && bytesOf(own) > this.limits.maxRowBytes) throw new ModelRefusal('row_too_large', 413);
			growth += grown;
		}
		if (growth > 0 && this.#bytes() + growth > this.limits.maxAccountBytes) throw new ModelRefusal('account_full', 413);
		return changes.map(({ entity, own }) => {
			const after = { ...this.#archive(entity, false), own, updatedAt: this.#changed };
			this.#replace(table, entity, after);
			return rowOf(after);
		});
	}

	#archive(entity: Entity, deleted: boolean): Entity {
		const newest = entity.newest + 1;
		const version: Version = {
			no: ++this.#no,
			version: newest,
			archivedAt: this.#archived,
			deleted,
			row: rowOf(entity),
			bytes: answerBytes(entity.own),
			hour: this.hour,
		};
		const kept = [...entity.versions, version].slice(-this.limits.maxVersionsPerRow);
		return { ...entity, newest, versions: kept };
	}

	#replace(name: string, before: Entity, after: Entity): void {
		const table = this.#table(name);
		const entities = table.entities.map((entity) => (entity.id === before.id ? after : entity));
		this.#tables.set(name, { ...table, entities });
	}

	#keep(name: string, key: string, kept: Kept | undefined): void {
		const table = this.#table(name);
		const all = new Map(table.kept);
		all.delete(key);
		if (kept !== undefined) all.set(key, kept);
		this.#tables.set(name, { ...table, kept: all });
	}

	/** Oldest versions first, then kept answers that are not of this hour, until the archive is within its bound. */
	#shrinkArchive(): void {
		const size = () => sum(this.#names().flatMap((name) => this.#versionsIn(name).map((one) => one.bytes)));
		const kept = () => sum(this.#allKept().map(([, , one]) => one.bytes));
		while (size() > 0 && size() + kept() > this.limits.maxArchiveBytes) this.#dropOldestVersion();
		while (size() + kept() > this.limits.maxArchiveBytes) {
			const oldest = this.#allKept().toSorted(([, , a], [, , b]) => a.no - b.no)[0];
			if (oldest === undefined || oldest[2].hour === this.hour) return;
			this.#keep(oldest[0], oldest[1], undefined);
		}
	}

	#dropOldestVersion(): void {
		const oldest = Math.min(...this.#names().flatMap((name) => this.#versionsIn(name).map((one) => one.no)));
		for (const name of this.#names()) {
			for (const entity of this.#table(name).entities) {
				const versions = entity.versions.filter((one) => one.no !== oldest);
				if (versions.length < entity.versions.length) this.#replace(name, entity, { ...entity, versions });
			}
		}
	}

	#requireOwn(members: Any): void {
		if (SYSTEM.some((name) => Object.hasOwn(members, name))) throw new ModelRefusal('reserved_field');
	}

	#matching(table: string, filter: Any): Entity[] {
		if (Object.keys(filter).length === 0) throw new ModelRefusal('filter_required');
		return this.#live(table).filter((entity) => matches(entity, filter));
	}

	#requireRoom(table: string, own: Any): void {
		const rows = this.#live(table).length;
		const tables = this.#names().filter((name) => this.#live(name).length > 0).length;
		if (rows === 0 && tables >= this.limits.maxTables) throw new ModelRefusal('table_limit_reached');
		if (rows >= this.limits.maxRowsPerTable) throw new ModelRefusal('row_limit_reached');
		if (bytesOf(own) > this.limits.maxRowBytes) throw new ModelRefusal('row_too_large', 413);
		if (this.#bytes() + bytesOf(own) > this.limits.maxAccountBytes) throw new ModelRefusal('account_full', 413);
	}

	#bytes(): number {
		return sum(this.#names().flatMap((name) => this.#live(name).map((entity) => bytesOf(entity.own))));
	}

	#isKept(version: Version): boolean {
		return this.hour - version.hour <= this.limits.versionRetentionDays * 24;
	}

	#names(): string[] {
		return [...this.#tables.keys()].toSorted();
	}

	#table(name: string): Table {
		return this.#tables.get(name) ?? EMPTY;
	}

	#live(name: string): Entity[] {
		return this.#table(name).entities.filter((entity) => entity.live);
	}

	#versionsIn(name: string): Version[] {
		return this.#table(name).entities.flatMap((entity) => entity.versions);
	}

	#allKept(): (readonly [table: string, key: string, kept: Kept])[] {
		return this.#names().flatMap((name) =>
			[...this.#table(name).kept].map(([key, kept]) => [name, key, kept] as const),
		);
	}
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, one) => total + one, 0);
}
