import { isUtf8 } from 'node:buffer';
import { Refusal } from '../errors.ts';
import { MAX_MEMBER_NAME_BYTES, MAX_NESTING } from '../limits.ts';
import { type Json, type JsonObject, parseJson, type Scalar } from './json-text.ts';
import { LostNumbers } from './lost-numbers.ts';

export type { Json, JsonObject, Scalar };

export type Path = readonly (string | number)[];

/** The object's own member, never one inherited from JavaScript. */
export function member(object: JsonObject, name: string): Json | undefined {
	return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function isObject(value: unknown): value is JsonObject {
	return value !== null && typeof value === 'object' && !Array.isArray(value);
}

export function isScalar(value: unknown): value is Scalar {
	return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** A JSONPath (RFC 9535) from the document's root: `$.tags[2]`, `$['odd name']`. */
export function pathText(path: Path): string {
	let text = '$';
	for (const step of path) {
		if (typeof step === 'number') text += `[${step}]`;
		else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(step)) text += `.${step}`;
		else text += `[${quoted(step)}]`;
	}
	return text;
}

function quoted(name: string): string {
	return `'${JSON.stringify(name).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/**
 * A JSON text that was read, with what reading loses: which numbers a double does not hold. ECMAScript's JSON.parse rounds
 * silently; rows must not (contract/rules.md 2.5).
 */
export class JsonDocument {
	readonly value: Json;
	readonly #text: string;
	/** Where the value stands in the text. */
	readonly #base: Path;
	/** Found when one is suspected. */
	#lost: LostNumbers | undefined;
	#mayUnderflow: boolean | undefined;

	private constructor(value: Json, text: string, base: Path = []) {
		this.value = value;
		this.#text = text;
		this.#base = base;
	}

	/** The value at `path` as a document of its own: paths in refusals begin there. */
	inner(path: Path, value: Json): JsonDocument {
		return new JsonDocument(value, this.#text, [...this.#base, ...path]);
	}

	/** Reads a request body. @throws Refusal `invalid_json` for bytes that are not UTF-8 or not JSON. */
	static fromBytes(bytes: Buffer, example?: string): JsonDocument {
		if (!isUtf8(bytes)) throw new Refusal('invalid_json', 'The body is not UTF-8. Send JSON encoded as UTF-8.');
		return JsonDocument.fromText(bytes.toString('utf8'), 'body', example);
	}

	/** Reads `text`. `what` names it in the refusal, and `example` is what could be sent instead. */
	static fromText(text: string, what: string, example = '{"title":"Buy milk"}'): JsonDocument {
		let value: Json;
		try {
			value = parseJson(text) as Json;
		} catch (error) {
			const position = /position (\d+)/.exec(String(error))?.[1];
			const where = position === undefined ? '' : ` at character ${position}`;
			const empty = text === '' ? ` The ${what} is empty.` : '';
			throw new Refusal(
				'invalid_json',
				`The ${what} is not valid JSON${where}.${empty} Send one JSON object, for example ${example}.`,
				position === undefined ? undefined : { position: Number(position) },
			);
		}
		return new JsonDocument(value, text);
	}

	/**
	 * Refuses what could not be stored and answered unchanged, anywhere below `value`, which stands at `path` in this document
	 * and counts as nesting level 1.
	 * @throws Refusal number_not_exact, invalid_string, nesting_too_deep or invalid_member_name, with the JSON path in `details`.
	 */
	checkStorable(value: Json, path: Path): void {
		this.#check(value, path, 1);
	}

	#check(value: Json, path: Path, level: number): void {
		if (typeof value === 'string') checkString(value, path);
		else if (typeof value === 'number') this.#checkNumber(value, path);
		else if (value !== null && typeof value === 'object') {
			if (level > MAX_NESTING) {
				throw new Refusal(
					'nesting_too_deep',
					`The value at ${pathText(path)} is nested deeper than ${MAX_NESTING} levels. Send a flatter value, or store the inner part as text.`,
					{ path: pathText(path), limit: MAX_NESTING },
				);
			}
			if (Array.isArray(value)) {
				for (let i = 0; i < value.length; i++) this.#checkInner(value[i]!, path, i, level);
			} else {
				for (const name of Object.keys(value)) {
					checkMemberName(name, path);
					this.#checkInner(value[name]!, path, name, level);
				}
			}
		}
	}

	/** Paths are only built where they are needed: this runs for each member of each row that is written. */
	#checkInner(value: Json, path: Path, step: string | number, level: number): void {
		if (value === null || typeof value === 'boolean') return;
		if (typeof value === 'string' && value.isWellFormed() && !value.includes('\0')) return;
		if (typeof value === 'number' && value !== 0 && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return;
		this.#check(value, [...path, step], typeof value === 'object' ? level + 1 : level);
	}

	#checkNumber(value: number, path: Path): void {
		if (value !== 0 && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return;
		if (value === 0) {
			this.#mayUnderflow ??= UNDERFLOW_MARKS.some((mark) => this.#text.includes(mark));
			if (!this.#mayUnderflow) return;
		}
		this.#lost ??= new LostNumbers(this.#text, MAX_NESTING + ENVELOPE_LEVELS + this.#base.length);
		const token = this.#lost.tokenAt([...this.#base, ...path]);
		if (token === undefined) return;
		const sent = token.length > 40 ? `${token.slice(0, 40)}…` : token;
		throw new Refusal(
			'number_not_exact',
			`The number ${sent} at ${pathText(path)} cannot be kept exactly as a double. Send it as a string, for example "${sent}".`,
			{ path: pathText(path) },
		);
	}
}

/** @throws Refusal invalid_string */
export function checkString(value: string, path: Path): void {
	const fault = value.isWellFormed()
		? value.includes('\0')
			? 'the character U+0000'
			: undefined
		: 'half a surrogate pair';
	if (fault === undefined) return;
	throw new Refusal(
		'invalid_string',
		`The string at ${pathText(path)} holds ${fault}, which cannot be stored. Remove it, or encode the text (for example as base64).`,
		{ path: pathText(path) },
	);
}

/** @throws Refusal invalid_member_name or invalid_string */
export function checkMemberName(name: string, path: Path): void {
	// A UTF-16 unit is at most three bytes of UTF-8, so short names need no count.
	const fits = name.length * 3 <= MAX_MEMBER_NAME_BYTES || Buffer.byteLength(name) <= MAX_MEMBER_NAME_BYTES;
	if (name === '' || !fits) {
		const fault = name === '' ? 'is empty' : `is longer than ${MAX_MEMBER_NAME_BYTES} bytes`;
		throw new Refusal(
			'invalid_member_name',
			`A member name at ${pathText(path)} ${fault}. Send names of 1 to ${MAX_MEMBER_NAME_BYTES} bytes.`,
			{ path: pathText(path), limit: MAX_MEMBER_NAME_BYTES },
		);
	}
	if (!name.isWellFormed() || name.includes('\0')) checkString(name, path);
}

/** Texts without any of these have no number that underflows to 0. Plain texts: a pattern could be made to take long. */
const UNDERFLOW_MARKS = ['e-', 'E-', '.00000000'] as const;

/** A row stands inside at most so many arrays and objects of a body; the batch's has most: body, operations, operation. */
const ENVELOPE_LEVELS = 3;

/** One text for all spellings of one JSON value: members in order of name, at every level. For comparing, not for storing. */
export function canonicalText(value: Json): string {
	if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
	if (!isObject(value)) return JSON.stringify(value);
	const members = Object.keys(value)
		.sort()
		.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name]!)}`);
	return `{${members.join(',')}}`;
}
