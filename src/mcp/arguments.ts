import { isObject, type Json, type JsonDocument, type JsonObject, member } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import type { Part } from '../operations/context.ts';

/**
 * The arguments of one tool call. They stay part of the message's own text, so that an operation sees each number as it was
 * spelled, and the paths in its refusals begin where a REST body would begin.
 */
export class Arguments {
	readonly #document: JsonDocument;
	readonly #object: JsonObject;

	/** @param document of the arguments alone: see `JsonDocument.inner`. */
	constructor(document: JsonDocument, object: JsonObject) {
		this.#document = document;
		this.#object = object;
	}

	/** The arguments of a message; none are an empty object. Undefined where they are no object. */
	static of(message: JsonDocument, sent: Json | undefined): Arguments | undefined {
		const value = sent ?? {};
		return sent !== null && isObject(value)
			? new Arguments(message.inner(['params', 'arguments'], value), value)
			: undefined;
	}

	names(): string[] {
		return Object.keys(this.#object);
	}

	value(name: string): Json | undefined {
		return member(this.#object, name);
	}

	/** A text. @throws Refusal invalid_request where it is something else. */
	text(name: string): string | undefined {
		const value = this.value(name);
		if (value === undefined || typeof value === 'string') return value;
		throw new Refusal('invalid_request', `The argument "${name}" must be a string.`, { field: name });
	}

	/** A text that must be there. @throws Refusal invalid_request */
	requiredText(name: string, example: string): string {
		return this.text(name) ?? missing(name, example);
	}

	/** An argument as a document of its own. */
	part(name: string): Part | undefined {
		const value = this.value(name);
		return value === undefined ? undefined : { document: this.#document.inner([name], value), value, path: [] };
	}

	/** The same for one that must be there. @throws Refusal invalid_request */
	requiredPart(name: string, example: string): Part {
		return this.part(name) ?? missing(name, example);
	}

	/** All arguments as an operation's body: members that it does not know are ignored, as in REST. */
	body(): Part {
		return { document: this.#document, value: this.#object, path: [] };
	}

	/** Something made from the arguments; what it holds must stand at the same path as in them. */
	bodyOf(value: JsonObject): Part {
		return { document: this.#document, value, path: [] };
	}

	/** What REST does for query strings: a misspelt filter must not read every row. @throws Refusal unknown_parameter */
	onlyKnown(known: readonly string[]): void {
		const name = this.names().find((sent) => !known.includes(sent));
		if (name === undefined) return;
		const shown = name.slice(0, 100);
		const hint = known.includes('filter') ? ' To filter, send for example {"filter":{"status":"open"}}.' : '';
		throw new Refusal(
			'unknown_parameter',
			`There is no argument "${shown}" here. ${known.length === 0 ? 'Send none.' : `Send ${known.join(', ')}.`}${hint}`,
			{ parameter: shown, known },
		);
	}
}

function missing(name: string, example: string): never {
	throw new Refusal('invalid_request', `The argument "${name}" is missing. Send for example ${example}.`, {
		field: name,
	});
}
