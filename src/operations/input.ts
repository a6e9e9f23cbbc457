import { EVERY_ROW, type Filter, readFilter } from '../domain/filter.ts';
import {
	checkMemberName,
	checkString,
	isObject,
	type Json,
	type JsonObject,
	type Path,
	pathText,
} from '../domain/json.ts';
import type { Sort } from '../domain/order.ts';
import { Refusal } from '../errors.ts';
import { OPERATIONS } from '../generated/operations.ts';
import type { Fault, Validator } from '../generated/validators.js';
import { type Limits, MAX_IDEMPOTENCY_KEY_CHARACTERS } from '../limits.ts';
import { bodyOf, type Input, type OperationId, type Part } from './context.ts';

/** How operations read what a face handed over. Each rule of what may be sent is here or in the domain, once. */

/** How much of a member's path is told: names come from callers. */
const MAX_FIELD_CHARACTERS = 300;
const TABLE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** @throws Refusal invalid_table_name */
export function tableOf(input: Input): string {
	return checkTableName(input.table ?? '');
}

/** @throws Refusal invalid_table_name */
export function checkTableName(name: string): string {
	if (TABLE_NAME.test(name)) return name;
	throw new Refusal(
		'invalid_table_name',
		'A table name is a letter followed by up to 63 letters, digits, "_" or "-". Send a name such as "notes".',
		{ table: name.slice(0, 100), pattern: TABLE_NAME.source },
	);
}

/** The body's members, shaped as the contract says. @throws Refusal invalid_request */
export function shapedBody<T>(input: Input, operation: OperationId, validator: Validator): { body: T; part: Part } {
	const part = bodyOf(input);
	if (!validator(part.value)) throw invalidRequest(operation, mainFault(validator), part.value);
	return { body: part.value as T, part };
}

/** The fault to tell of: where no one of several forms fits, that, and not why the first does not. */
export function mainFault(validator: Validator): Fault | undefined {
	const { errors } = validator;
	const oneOf = errors?.find(({ keyword }) => keyword === 'oneOf');
	if (oneOf !== undefined) return { ...oneOf, message: 'has none of the forms it may have' };
	const anyOf = errors?.find(({ keyword }) => keyword === 'anyOf');
	if (anyOf === undefined) return errors?.[0];
	const names = errors?.flatMap(({ params }) => params.missingProperty ?? []);
	return { ...anyOf, message: `lacks all of the members of which it needs one: ${names?.join(', ')}` };
}

/** A refusal that says which member is wrong and shows a body that is right. */
export function invalidRequest(
	operation: OperationId,
	fault: Fault | undefined,
	body: Json,
	details: object = {},
): Refusal {
	const { example } = OPERATIONS[operation];
	if (!isObject(body)) {
		return new Refusal('invalid_request', `The body must be a JSON object. Send for example ${example}.`, {
			...details,
			expected: 'object',
		});
	}
	const at = (fault?.instancePath ?? '').slice(1, MAX_FIELD_CHARACTERS).replaceAll('/', '.');
	const field = fault?.keyword === 'required' ? joined(at, String(fault.params.missingProperty)) : at;
	const wrong =
		fault?.keyword === 'required'
			? `The member "${field}" is missing`
			: `${field === '' ? 'The body' : `The member "${field}"`} ${problemOf(fault)}`;
	return new Refusal('invalid_request', `${wrong}. Send for example ${example}.`, { field, ...details });
}

/** What is wrong, in words that say what would be right. */
function problemOf(fault: Fault | undefined): string {
	if (fault?.keyword === 'enum') return `must be one of ${(fault.params.allowedValues as string[]).join(', ')}`;
	if (fault?.keyword === 'minItems') return 'must not be an empty array';
	return fault?.message ?? 'is wrong';
}

function joined(path: string, name: string): string {
	return path === '' ? name : `${path}.${name}`;
}

/** The filter of a read; none means every row. */
export function readFilterOf(part: Part | undefined): Filter {
	return part === undefined ? EVERY_ROW : readFilter(part.document, part.value, part.path);
}

/** @throws Refusal invalid_sort */
export function sortOf(text: string | undefined): Sort | undefined {
	if (text === undefined) return undefined;
	const descending = text.startsWith('-');
	const member = descending ? text.slice(1) : text;
	if (member !== '') return { member, descending };
	throw new Refusal(
		'invalid_sort',
		'The sort parameter names no member. Send for example sort=created_at or sort=-created_at.',
		{
			field: 'sort',
		},
	);
}

/** @throws Refusal invalid_limit */
export function limitOf(text: string | undefined, limits: Limits): number {
	const max = limits.maxQueryLimit;
	if (text === undefined) return max;
	const limit = /^[0-9]{1,15}$/.test(text) ? Number(text) : 0;
	if (limit >= 1 && limit <= max) return limit;
	const range = max === Number.POSITIVE_INFINITY ? 'of at least 1' : `from 1 to ${max}`;
	throw new Refusal(
		'invalid_limit',
		`The limit must be a whole number ${range}. Send for example ${Math.min(max, 100)}.`,
		{
			field: 'limit',
			limit: max,
		},
	);
}

/** @throws Refusal invalid_idempotency_key */
export function checkIdempotencyKey(key: string, path: Path): string {
	checkString(key, path);
	if (key !== '' && [...key].length <= MAX_IDEMPOTENCY_KEY_CHARACTERS) return key;
	throw new Refusal(
		'invalid_idempotency_key',
		`An idempotency key has 1 to ${MAX_IDEMPOTENCY_KEY_CHARACTERS} characters. Send for example a UUID, the same for each retry of one add.`,
		{ limit: MAX_IDEMPOTENCY_KEY_CHARACTERS },
	);
}

/** The members of a natural key, from `"email"` or `["user","day"]`. @throws Refusal invalid_key */
export function keyMembers(key: string | readonly string[], row: JsonObject, path: Path): readonly string[] {
	const members = typeof key === 'string' ? [key] : [...new Set(key)];
	for (const [i, name] of members.entries()) checkMemberName(name, typeof key === 'string' ? path : [...path, i]);
	const faulty = members.find((name) => !Object.hasOwn(row, name) || typeof row[name] === 'object');
	if (faulty === undefined) return members;
	const problem = Object.hasOwn(row, faulty) ? 'is not a string, number or boolean in the row' : 'is not in the row';
	throw new Refusal(
		'invalid_key',
		`The key member "${faulty}" ${problem}. Send for example ${OPERATIONS.upsertRow.example}.`,
		{
			field: faulty,
			path: pathText(path),
		},
	);
}
