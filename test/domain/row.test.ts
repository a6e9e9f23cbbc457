import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Json, JsonDocument, type JsonObject } from '../../src/domain/json.ts';
import {
	assemble,
	checkRow,
	identityOf,
	mergePatch,
	ownText,
	ownTextOf,
	rowBytes,
	SYSTEM_MEMBERS,
	stamp,
	stampAfter,
} from '../../src/domain/row.ts';
import { Refusal } from '../../src/errors.ts';
import * as any from '../support/arbitraries.ts';
import { readObject } from '../support/read-json.ts';

const moment = fc.integer({ min: 0, max: 253_402_300_799_999 });
const identity = fc.record(
	{
		id: fc.uuid({ version: 7 }),
		createdAt: moment.map(stamp),
		updatedAt: moment.map(stamp),
	},
	{ noNullPrototype: true },
);
/** Own members never have the names of the service's. */
const own = any.row.map((row) =>
	Object.fromEntries(Object.entries(row).filter(([name]) => !SYSTEM_MEMBERS.includes(name))),
);

/** Members in order, array indices apart: those may come first. */
function inOrder(names: Iterable<string>): string[] {
	return [...names].filter((name) => String(Number(name) >>> 0) !== name || name === '4294967295');
}

test('[2.2] a row is put together and taken apart without loss', () => {
	fc.assert(
		fc.property(identity, own, (who, members) => {
			const text = ownText(members);
			const row = assemble(who, text);
			assert.equal(ownTextOf(row), text);
			assert.deepEqual(identityOf(row), who);
			const read = readObject(row);
			const expected = { id: who.id, ...members, created_at: who.createdAt, updated_at: who.updatedAt };
			assert.deepEqual(Object.keys(read).toSorted(), Object.keys(expected).toSorted());
			assert.deepEqual(inOrder(Object.keys(read)), [
				'id',
				...inOrder(Object.keys(members)),
				'created_at',
				'updated_at',
			]);
			assert.equal(row.startsWith(`{"id":"${who.id}",`), true);
		}),
		{ numRuns: 1000 },
	);
});

test('[2.3] a size is the UTF-8 bytes of the own members as compact JSON', () => {
	fc.assert(
		fc.property(own, (members) => {
			const text = ownText(members);
			assert.equal(rowBytes(text), new TextEncoder().encode(text).length);
			assert.deepEqual(readObject(text), readObject(JSON.stringify(members)));
		}),
	);
	for (const [members, bytes] of [
		[{}, 2],
		[{ a: 1 }, 7],
		[{ é: 'é' }, 11],
		[{ a: '€😀' }, 15],
		[{ a: '\n"' }, 12],
		[{ a: [null, true, 1.5] }, 21],
	] as const) {
		assert.equal(rowBytes(ownText(members as unknown as JsonObject)), bytes);
	}
});

test('[2.4] [2.5] a number reads back as the same double, and an integer below 10^21 as the same integer', () => {
	const great = fc
		.tuple(fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }), fc.integer({ min: 0, max: 60 }), fc.boolean())
		.map(([significant, shift, minus]) => Number(significant * 2n ** BigInt(shift)) * (minus ? -1 : 1));
	fc.assert(
		fc.property(fc.oneof(any.number, great), (n) => {
			const text = ownText({ a: { b: [n] } });
			const token = /\[(.*)\]/.exec(text)![1]!;
			assert.equal(Number(token), n === 0 ? 0 : n);
			if (/^-?\d+$/.test(token)) assert.equal(BigInt(token), BigInt(n));
			const document = JsonDocument.fromText(text, 'row');
			document.checkStorable(document.value, []);
		}),
		{ numRuns: 2000 },
	);
});

test('[2.7] a patch is a shallow merge, each member in its place', () => {
	fc.assert(
		fc.property(own, any.row, (row, patch) => {
			const model = new Map<string, Json>(Object.entries(row));
			for (const [name, value] of Object.entries(patch)) model.set(name, value);
			const merged = readObject(mergePatch(ownText(row), patch));
			assert.deepEqual(inOrder(Object.keys(merged)), inOrder(model.keys()));
			assert.equal(Object.keys(merged).length, model.size);
			for (const [name, value] of model) {
				assert.ok(Object.hasOwn(merged, name));
				assert.equal(ownText({ v: merged[name]! }), ownText({ v: value }));
			}
		}),
		{ numRuns: 1000 },
	);
	assert.equal(
		mergePatch('{"a":1,"b":2}', JSON.parse('{"__proto__":{"a":3},"a":null}')),
		'{"a":null,"b":2,"__proto__":{"a":3}}',
	);
	assert.equal(mergePatch('{"__proto__":1,"b":2}', JSON.parse('{"__proto__":{"c":3}}')), '{"__proto__":{"c":3},"b":2}');
	assert.equal(mergePatch('{}', {}), '{}');
	assert.equal(mergePatch('{"n":1152921504606846976}', { a: 1 }), '{"n":1152921504606846976,"a":1}');
});

test('[2.7] an empty patch changes nothing, and a patch applied twice changes nothing more', () => {
	fc.assert(
		fc.property(own, any.row, (row, patch) => {
			const text = ownText(row);
			assert.equal(mergePatch(text, {}), text);
			const once = mergePatch(text, patch);
			assert.equal(mergePatch(once, patch), once);
		}),
	);
});

test('[2.1] stamps are RFC 3339 in UTC with milliseconds, and never go back', () => {
	fc.assert(
		fc.property(moment, moment, (now, before) => {
			const previous = stamp(before);
			const next = stampAfter(now, previous);
			assert.match(next, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
			assert.equal(Date.parse(next), Math.max(now, before));
		}),
	);
});

test('[2.1] a row with a member of the service is refused at its path, before anything else of it', () => {
	fc.assert(
		fc.property(own, fc.constantFrom(...SYSTEM_MEMBERS), any.json, (members, field, value) => {
			const row = { ...members, [field]: value };
			const document = JsonDocument.fromText(ownText({ patch: row }), 'body');
			assert.throws(
				() => checkRow(document, (document.value as JsonObject).patch as JsonObject, ['patch']),
				(error) =>
					error instanceof Refusal &&
					error.code === 'reserved_field' &&
					error.details!.field === field &&
					error.details!.path === `$.patch.${field}`,
			);
		}),
	);
});
