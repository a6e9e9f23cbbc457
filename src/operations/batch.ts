import { isObject, type Json, type JsonObject } from '../domain/json.ts';
import type { RowOperation } from '../domain/writes.ts';
import { Refusal } from '../errors.ts';
import type { BatchBody } from '../generated/bodies.ts';
import type { Fault, Validator } from '../generated/validators.js';
import * as validators from '../generated/validators.js';
import { bodyOf, callerOf, type Part, type Run } from './context.ts';
import { invalidRequest, mainFault, tableOf } from './input.ts';
import { readAdd, readDelete, readUpdateRow, readUpdateWhere, readUpsert } from './row-operations.ts';

type Item = BatchBody['operations'][number];
type Action = Item['action'];

/** How each action is checked and read: its members first, then what is in them. */
const ACTIONS: Readonly<
	Record<Action, { envelope: Validator; whole: Validator; read: (part: Part, item: never) => RowOperation }>
> = {
	add: {
		envelope: validators.batch_add_envelope,
		whole: validators.batch_add,
		read: (part: Part, item: Extract<Item, { action: 'add' }>) =>
			readAdd(part, item.row, [...part.path, 'row'], item.idempotencyKey),
	},
	upsert: { envelope: validators.batch_upsert_envelope, whole: validators.batch_upsert, read: readUpsert },
	update_row: {
		envelope: validators.batch_update_row_envelope,
		whole: validators.batch_update_row,
		read: readUpdateRow,
	},
	update_where: {
		envelope: validators.batch_update_where_envelope,
		whole: validators.batch_update_where,
		read: readUpdateWhere,
	},
	delete: { envelope: validators.batch_delete_envelope, whole: validators.batch_delete, read: readDelete },
};

/** Runs several writes on one table, all of them or none. */
export const batch: Run = async (context, input) => {
	const table = tableOf(input);
	const { accountId, keyId } = callerOf(input);
	const items = checkEnvelope(bodyOf(input), context.limits.maxBatchOperations);
	const operations: RowOperation[] = [];
	for (const [index, item] of items.entries()) {
		const operation = readItem(bodyOf(input), item, index);
		operations.push(operation);
		// Nothing after it can be the first failure.
		if (operation.action === 'refuse') break;
	}
	const outcome = await context.store.writeRows({ accountId, keyId, table, operations });
	if ('refusal' in outcome) {
		const { refusal, index } = outcome;
		throw Refusal.from(index === undefined ? refusal : atIndex(refusal, index, items[index]!.action));
	}
	const results = outcome.results.map(
		(result, index) => `{"index":${index},"action":"${items[index]!.action}","result":${result}}`,
	);
	return { body: `{"results":[${results.join(',')}]}` };
};

/** Members, actions and number of operations: wrong anywhere, nothing is run. */
function checkEnvelope(part: Part, maxOperations: number): readonly Item[] {
	if (!validators.batch(part.value)) {
		const operations = isObject(part.value) ? part.value.operations : undefined;
		const fault = validators.batch.errors?.[0];
		throw invalidRequest('batch', fault, part.value, indexDetails(fault, operations));
	}
	const items = (part.value as { operations: unknown }).operations as readonly Item[];
	if (items.length > maxOperations) {
		throw new Refusal(
			'invalid_request',
			`A batch has at most ${maxOperations} operations. Send the rest in another batch.`,
			{
				field: 'operations',
				limit: maxOperations,
			},
		);
	}
	for (const [index, item] of items.entries()) {
		const { envelope } = ACTIONS[item.action];
		if (envelope(item)) continue;
		throw invalidItem(mainFault(envelope), item, index);
	}
	return items;
}

function readItem(body: Part, item: Item, index: number): RowOperation {
	try {
		const { whole, read } = ACTIONS[item.action];
		const part = { document: body.document, value: item as Json, path: [...body.path, 'operations', index] };
		if (!whole(item)) throw invalidItem(mainFault(whole), item, index);
		return (read as (part: Part, item: Item) => RowOperation)(part, item);
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		return { action: 'refuse', refusal: { code: error.code, message: error.message, details: error.details } };
	}
}

function invalidItem(fault: Fault | undefined, item: Item, index: number): Refusal {
	const inOperations =
		fault === undefined ? undefined : { ...fault, instancePath: `/operations/${index}${fault.instancePath}` };
	return invalidRequest('batch', inOperations, item as JsonObject, { index, action: item.action });
}

/** Which operation a fault of the envelope is in, where it is in one. */
function indexDetails(fault: Fault | undefined, operations: Json | undefined): object {
	const index = /^\/operations\/(\d+)/.exec(fault?.instancePath ?? '')?.[1];
	if (index === undefined || !Array.isArray(operations)) return {};
	const item = operations[Number(index)];
	return { index: Number(index), action: isObject(item) ? item.action : undefined };
}

function atIndex(
	refusal: { code: Refusal['code']; message: string; details?: Refusal['details'] },
	index: number,
	action: Action,
) {
	return {
		...refusal,
		message: `Operation ${index} (${action}): ${refusal.message}`,
		details: { ...refusal.details, index, action },
	};
}
