import { hash } from 'node:crypto';
import { type Filter, makeFilter, readFilter, requireFilter } from '../domain/filter.ts';
import { canonicalText, type JsonObject, type Scalar } from '../domain/json.ts';
import { checkRow, ownText } from '../domain/row.ts';
import type { RowOperation } from '../domain/writes.ts';
import { Refusal } from '../errors.ts';
import type {
	AddRowBody,
	DeleteWhereBody,
	UpdateRowBody,
	UpdateWhereBody,
	UpsertRowBody,
} from '../generated/bodies.ts';
import { type Answer, type Context, callerOf, type Input, type Part } from './context.ts';
import { checkIdempotencyKey, keyMembers, tableOf } from './input.ts';

/**
 * Bodies to {@link RowOperation}s: the same for a call of its own and for an operation of a batch. Each refuses what must not be
 * stored before anything is asked of the store.
 */

/** The body of an add; `rowPath` is where the row stands. @throws Refusal */
export function readAdd(
	part: Part,
	row: AddRowBody,
	rowPath: Part['path'],
	idempotencyKey: string | undefined,
): RowOperation {
	const object = row as JsonObject;
	checkRow(part.document, object, rowPath);
	if (idempotencyKey === undefined) return { action: 'add', own: ownText(object) };
	const key = checkIdempotencyKey(idempotencyKey, [...part.path, 'idempotencyKey']);
	return {
		action: 'add',
		own: ownText(object),
		idempotency: { key, fingerprint: hash('sha256', canonicalText(object)) },
	};
}

/** The body of an upsert. @throws Refusal */
export function readUpsert(part: Part, body: UpsertRowBody): RowOperation {
	const row = body.row as JsonObject;
	checkRow(part.document, row, [...part.path, 'row']);
	const members = keyMembers(body.key, row, [...part.path, 'key']);
	const match = makeFilter(members.map((name) => [name, row[name] as Scalar]));
	return { action: 'upsert', match, own: ownText(row) };
}

/** The body of an update by id. @throws Refusal */
export function readUpdateRow(part: Part, body: UpdateRowBody): RowOperation {
	return { action: 'update_row', id: body.id, patch: readPatch(part, body.patch as JsonObject) };
}

/** The body of an update by filter. @throws Refusal */
export function readUpdateWhere(part: Part, body: UpdateWhereBody): RowOperation {
	const filter = bodyFilter(part, body.filter as JsonObject, 'update rows');
	const patch = readPatch(part, body.patch as JsonObject);
	return { action: 'update_where', filter, patch, allowMultiple: body.allowMultiple === true };
}

/** The body of a delete. @throws Refusal */
export function readDelete(part: Part, body: DeleteWhereBody): RowOperation {
	return { action: 'delete', filter: bodyFilter(part, body.filter as JsonObject, 'delete rows') };
}

function readPatch(part: Part, patch: JsonObject): string {
	checkRow(part.document, patch, [...part.path, 'patch']);
	return ownText(patch);
}

function bodyFilter(part: Part, filter: JsonObject, action: string): Filter {
	return requireFilter(readFilter(part.document, filter, [...part.path, 'filter']), action);
}

/** Runs one operation as a call of its own. */
export async function runOne(context: Context, input: Input, operation: RowOperation): Promise<Answer> {
	const { accountId, keyId } = callerOf(input);
	const outcome = await context.store.writeRows({ accountId, keyId, table: tableOf(input), operations: [operation] });
	if ('refusal' in outcome) throw Refusal.from(outcome.refusal);
	return { body: outcome.results[0]!, replayed: outcome.replayed };
}
