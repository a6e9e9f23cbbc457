import { Refusal } from '../errors.ts';
import { type JsonDocument, type JsonObject, type Path, pathText } from './json.ts';
import { parseJson } from './json-text.ts';

/**
 * A row as it is stored and answered: `{"id":…,<own members>,"created_at":…,"updated_at":…}`, compact. The three members
 * that the service owns have texts of fixed length, so own members are cut out and put back without parsing.
 */
export type RowText = string;

/** The members that the service owns. */
export const SYSTEM_MEMBERS: readonly string[] = ['id', 'created_at', 'updated_at'];

const ID_LENGTH = 36;
const STAMP_LENGTH = 24;
const BEFORE = '{"id":"'.length + ID_LENGTH + '"'.length;
const AFTER = '"created_at":"","updated_at":""}'.length + 2 * STAMP_LENGTH;
const UPDATED_AT = STAMP_LENGTH + '"}'.length;
const CREATED_AT = UPDATED_AT + '","updated_at":"'.length + STAMP_LENGTH;

/** What identifies and dates a row: a lower-case UUIDv7 and two RFC 3339 stamps in UTC with milliseconds. */
export interface RowIdentity {
	readonly id: string;
	readonly createdAt: string;
	readonly updatedAt: string;
}

/** ECMAScript 2026, JSON.rawJSON: a text that JSON.stringify takes over as it is. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * Compact JSON of a row's own members: what its size is measured on. Integers are written with all their digits:
 * JSON.stringify writes 2^60 as 1152921504606847000, which is the same double but, to a reader with integers, another number.
 */
export function ownText(row: JsonObject): string {
	const text = JSON.stringify(row);
	return /\d{17}/.test(text) ? JSON.stringify(row, withAllDigits) : text;
}

function withAllDigits(_name: string, value: unknown): unknown {
	if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
	return Math.abs(value) < 1e21 ? rawJSON(String(BigInt(value))) : value;
}

/** The size of a row in bytes, from {@link ownText}. */
export function rowBytes(own: string): number {
	return Buffer.byteLength(own);
}

/** Puts a row together from the text of its own members. */
export function assemble(identity: RowIdentity, own: string): RowText {
	const members = own === '{}' ? ',' : `,${own.slice(1, -1)},`;
	return `{"id":"${identity.id}"${members}"created_at":"${identity.createdAt}","updated_at":"${identity.updatedAt}"}`;
}

/** The reverse of {@link assemble}: the text of a row's own members. */
export function ownTextOf(row: RowText): string {
	const inner = row.slice(BEFORE + 1, row.length - AFTER);
	return inner === '' ? '{}' : `{${inner.slice(0, -1)}}`;
}

/** The reverse of {@link assemble}: what identifies and dates a row. */
export function identityOf(row: RowText): RowIdentity {
	const end = row.length;
	return {
		id: row.slice(BEFORE - 1 - ID_LENGTH, BEFORE - 1),
		createdAt: row.slice(end - CREATED_AT, end - CREATED_AT + STAMP_LENGTH),
		updatedAt: row.slice(end - UPDATED_AT, end - UPDATED_AT + STAMP_LENGTH),
	};
}

let stamped = 0;
let lastStamp = new Date(0).toISOString();

/** The stamp of a moment, in milliseconds since the epoch. The last one is kept: rows of one moment are many. */
export function stamp(now: number): string {
	if (now !== stamped) {
		lastStamp = new Date(now).toISOString();
		stamped = now;
	}
	return lastStamp;
}

/** The stamp of a change: never before the one it follows, whatever the clock does. */
export function stampAfter(now: number, previous: string): string {
	const next = stamp(now);
	return next > previous ? next : previous;
}

/**
 * Refuses a row or patch that carries a member the service owns, or a value that could not be stored unchanged.
 * @param path where `row` stands in `document`.
 */
export function checkRow(document: JsonDocument, row: JsonObject, path: Path): void {
	for (const name of SYSTEM_MEMBERS) {
		if (!Object.hasOwn(row, name)) continue;
		const at = pathText([...path, name]);
		throw new Refusal(
			'reserved_field',
			`The member "${name}" at ${at} belongs to the service. Leave id, created_at and updated_at out of rows and patches.`,
			{ field: name, path: at },
		);
	}
	document.checkStorable(row, path);
}

/** A shallow merge: each member of `patch` replaces the row's in its place, new ones come last. */
export function mergePatch(own: string, patch: JsonObject): string {
	const row = parseJson(own) as JsonObject;
	// A null prototype makes __proto__ an ordinary name on assignment.
	const merged: JsonObject = Object.create(null);
	for (const name of Object.keys(row)) merged[name] = row[name]!;
	for (const name of Object.keys(patch)) merged[name] = patch[name]!;
	return ownText(merged);
}
