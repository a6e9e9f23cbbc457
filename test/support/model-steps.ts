import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Answer, Any, Client } from './client.ts';
import { type Model, ModelRefusal } from './model.ts';
import { Later, merged } from './model-rows.ts';

/** What a model test does: steps as plain data, so that fast-check can shrink and print them, and how each is taken. */

export interface Step {
	/** Which of the accounts. */
	readonly who: number;
	readonly table: string;
	readonly call: Any;
}

/** One account: its calls and what they must answer. */
export interface Side {
	readonly client: Client;
	readonly model: Model;
	/** The greatest id and moment that the server has told this account. */
	lastId: string;
	lastStamp: string;
}

/** How a run's steps differ: values of the key member "k", idempotency keys, hours that time may be moved on. */
export interface Scope {
	readonly keys: number;
	readonly idempotencyKeys: number;
	readonly hours: readonly number[];
	readonly steps: number;
}

type Members = readonly (readonly [string, Any])[];
/** An id or version by its place among those of the table or row, or among all there are and some that there are not. */
interface Ref {
	readonly ref: number;
	readonly any?: boolean;
}

const UNKNOWN_IDS = ['01890000-0000-7000-8000-000000000000', 'x', ''];
/** In code-point order the last two stand the other way round than in UTF-16. */
export const STRINGS = ['', 'a', 'b', 'é', '~', '\u{1f600}', '\uff5e'];

type Weighted<T> = readonly [weight: number, arbitrary: fc.Arbitrary<T>];
function among<T>(...choices: readonly Weighted<T>[]): fc.Arbitrary<T> {
	return fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}
/** The members of `shape`, and of `maybe` some. */
function call(
	action: string,
	shape: Record<string, fc.Arbitrary<Any>>,
	maybe: Record<string, fc.Arbitrary<Any>> = {},
): fc.Arbitrary<Any> {
	const requiredKeys = ['action' as string, ...Object.keys(shape)];
	return fc.record<Any, string>({ action: fc.constant(action), ...shape, ...maybe }, { requiredKeys });
}
const pair = (name: string, value: fc.Arbitrary<Any>): fc.Arbitrary<[string, Any]> =>
	fc.tuple(fc.constant(name), value);
const named = (names: readonly string[], value: fc.Arbitrary<Any>): fc.Arbitrary<[string, Any]> =>
	fc.tuple(fc.constantFrom(...names), value);
const distinct = (one: fc.Arbitrary<[string, Any]>, minLength: number, maxLength: number): fc.Arbitrary<Members> =>
	fc.uniqueArray(one, { minLength, maxLength, selector: ([name]) => name });

/** Sequences of steps over two accounts and three tables. */
export function stepsOf({ keys, idempotencyKeys, hours, steps }: Scope): fc.Arbitrary<Step[]> {
	const key = fc.nat(keys - 1);
	const scalar = fc.constantFrom<Any[]>(null, true, false, 0, 1, 1.5, -2, ...STRINGS);
	const long = fc.integer({ min: 20, max: 100 }).map((length) => 'x'.repeat(length));
	const value = among([8, scalar], [1, fc.constantFrom<Any[]>([], [1, 'a'], { x: null })], [3, long]);
	const system = named(['id', 'created_at', 'updated_at'], fc.constant('mine'));
	const member = among(
		[40, pair('k', key)],
		[60, named(['v', 'w', '10', '2', '__proto__', 'constructor'], value)],
		[1, system],
	);
	const patch = distinct(member, 0, 3);
	const row = among(
		[1, distinct(member, 0, 3)],
		[
			8,
			fc
				.tuple(pair('k', key), distinct(member, 0, 3))
				.map(([k, rest]) => [k, ...rest.filter(([name]) => name !== 'k')]),
		],
	);
	const ref: fc.Arbitrary<Ref> = among(
		[9, fc.record({ ref: fc.nat(200) })],
		[1, fc.record({ ref: fc.nat(200), any: fc.constant(true) })],
	);
	const condition = among(
		[6, pair('k', key)],
		[3, named(['v', 'w', '10', '__proto__', 'none'], scalar)],
		[2, pair('id', ref)],
	);
	const filter = among([12, distinct(condition, 1, 2)], [1, fc.constant([])]);
	const natural = among(
		[8, fc.constantFrom<Any[]>('k', ['k'])],
		[2, fc.constantFrom<Any[]>(['k', 'v'], ['v', 'w', '__proto__'], 'none', 'id')],
	);
	const idempotencyKey = among([20, fc.nat(idempotencyKeys - 1).map((n) => `key ${n}`)], [1, fc.constant('')]);
	const write = among(
		[8, call('add', { row }, { idempotencyKey })],
		[5, call('upsert', { key: natural, row })],
		[5, call('update_row', { id: ref, patch })],
		[4, call('update_where', { filter, patch, allowMultiple: fc.boolean() })],
		[3, call('delete', { filter })],
	);
	const sort = fc.constantFrom('k', '-k', 'v', '-v', 'w', '-10', '-id', 'updated_at', '-created_at', 'none');
	const limit = among([10, fc.integer({ min: 1, max: 3 })], [1, fc.constantFrom(0, 4)]);
	const operations = among(
		[6, fc.array(write, { minLength: 1, maxLength: 3 })],
		[1, fc.array(write, { minLength: 4, maxLength: 5 })],
	);
	const any = among(
		[16, write],
		[4, call('batch', { operations })],
		[6, call('restore', { id: ref, version: ref })],
		[4, call('query', {}, { filter, sort, limit })],
		[2, call('count', {}, { filter })],
		[3, call('versions', { id: ref })],
		[1, call('tables', {})],
		[1, call('export', {})],
		...hours.map((one): Weighted<Any> => [1, call('advance', { hours: fc.constant(one) })]),
	);
	const table = among([5, fc.constant('one')], [2, fc.constant('two')], [1, fc.constant('three')]);
	return fc.array(fc.record({ who: fc.nat(1), table, call: any }), {
		minLength: steps / 2,
		maxLength: steps,
		size: 'max',
	});
}

/** References become ids, and lists of members objects. */
function resolved(call: Any, sides: readonly Side[], { who, table }: Step): Any {
	const { model } = sides[who]!;
	const others = sides.flatMap((side) => (side.model === model ? [] : side.model.ids.slice(-5)));
	const all = [...model.ids, ...others].map((id) => id.value!);
	const anyone = [...all, ...all.slice(0, 3).flatMap((id) => [id.toUpperCase(), ` ${id}`, `${id} `]), ...UNKNOWN_IDS];
	const near = model.idsOf(table);
	const value = (one: Any): Any => {
		if (typeof one !== 'object' || one === null || !('ref' in one)) return one;
		const ids = one.any || near.length === 0 ? anyone : near;
		return ids[one.ref % ids.length];
	};
	const object = (pairs: Members): Any => merged(...pairs.map(([name, one]) => ({ [name]: value(one) })));
	const out = { ...call };
	if (call.id !== undefined) out.id = value(call.id);
	if (call.version !== undefined) out.version = versionOf(model, table, out.id, call.version);
	for (const name of ['row', 'patch', 'filter']) if (call[name] !== undefined) out[name] = object(call[name]);
	if (call.operations !== undefined) {
		out.operations = call.operations.map((one: Any) => resolved(one, sides, { who, table, call: one }));
	}
	return out;
}

/** Mostly a version that is kept; else any low number. */
function versionOf(model: Model, table: string, id: string, { ref, any }: Ref): number {
	const { versions } = model.versions(table, id);
	return any || versions.length === 0 ? (ref % 8) + 1 : versions[ref % versions.length].version;
}

/** Takes one step on the server and in the model, and holds the answers against each other. */
export async function take(step: Step, sides: readonly Side[], advance: (hours: number) => void): Promise<void> {
	const side = sides[step.who]!;
	const call = resolved(step.call, sides, step);
	if (call.action === 'advance') {
		advance(call.hours);
		for (const { model } of sides) model.hour += call.hours;
		return;
	}
	let expected: Any;
	try {
		expected = expectation(side.model, step.table, call);
	} catch (error) {
		if (!(error instanceof ModelRefusal)) throw error;
		expected = error;
	}
	const answer = await ask(side.client, step.table, call);
	if (expected instanceof ModelRefusal) return assertSameRefusal(answer, expected, call.action);
	assert.equal(answer.status, call.action === 'add' ? 201 : 200, answer.text);
	learn(expected, answer.body, side);
	assert.equal(JSON.stringify(answer.body), JSON.stringify(expected));
}

function expectation(model: Model, table: string, call: Any): Any {
	switch (call.action) {
		case 'batch':
			return model.batch(table, call.operations);
		case 'query':
			return model.query(table, call.filter, call.sort, call.limit);
		case 'count':
			return model.count(table, call.filter);
		case 'versions':
			return model.versions(table, call.id);
		case 'tables':
			return model.tables();
		case 'export':
			return model.export();
		default:
			return model.write(table, call);
	}
}

function ask(client: Client, table: string, { action, ...json }: Any): Promise<Answer> {
	switch (action) {
		case 'add': {
			const { row, idempotencyKey } = json;
			const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
			return client.post(`/v1/${table}`, row, headers);
		}
		case 'delete':
			return client.del(`/v1/${table}`, json);
		case 'query':
			return client.get(`/v1/${table}`, json);
		case 'count':
		case 'versions':
			return client.get(`/v1/${table}/${action}`, json);
		case 'tables':
		case 'export':
			return client.get(`/v1/_${action}`);
		default:
			return client.post(`/v1/${table}/${action}`, json);
	}
}

/** The statuses above 400 that an operation lists; where a refusal's own is not among them, 400 stands for it. */
const LISTED: Readonly<Record<string, readonly number[]>> = {
	add: [413],
	update_row: [404],
	update_where: [404, 409],
	restore: [404],
	batch: [404, 409, 413],
};

function assertSameRefusal(answer: Answer, expected: ModelRefusal, action: string): void {
	const status = LISTED[action]?.includes(expected.status) ? expected.status : 400;
	const { code, details } = answer.body.error ?? {};
	assert.equal(`${answer.status} ${code}`, `${status} ${expected.code}`, answer.text);
	for (const name of Object.keys(expected.details)) assert.equal(details[name], expected.details[name], answer.text);
}

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Takes over what only the server knows, where the answer has it. The order of ids and of moments is checked here. */
function learn(expected: Any, actual: Any, side: Side): void {
	if (expected === null || typeof expected !== 'object') return;
	for (const name of Object.keys(expected)) {
		const [later, value] = [expected[name], actual?.[name]];
		if (!(later instanceof Later)) learn(later, value, side);
		else if (later.value === undefined) {
			learnOne(later, value, side);
			if (later.kind === 'archived') assert.ok(value >= actual.row.updated_at, JSON.stringify(actual));
		}
	}
}

function learnOne(later: Later, value: string, side: Side): void {
	assert.match(value, later.kind === 'id' ? ID : STAMP);
	later.value = value;
	if (later.kind === 'id') {
		assert.ok(value > side.lastId, `${value} is not greater than ${side.lastId}`);
		side.lastId = value;
	} else if (later.kind === 'changed') {
		assert.ok(value >= side.lastStamp, `${value} is before ${side.lastStamp}`);
		side.lastStamp = value;
	}
}
