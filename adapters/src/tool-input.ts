/** A member of a tool's input, as JSON Schema has it; of JSON Schema only this. */
export interface Property {
	readonly type: 'object' | 'string' | 'integer' | 'array';
	readonly description?: string;
	readonly minimum?: number;
	/** Of arrays, whose items are texts. */
	readonly minItems?: number;
	readonly items?: { readonly type: 'string' };
	readonly additionalProperties?: true;
}

export type Properties = Readonly<Record<string, Property>>;

const KINDS: Readonly<Record<Property['type'], readonly [words: string, is: (value: unknown) => boolean]>> = {
	object: ['an object', isObject],
	string: ['a text', (value) => typeof value === 'string'],
	integer: ['a whole number', Number.isInteger],
	array: ['an array of texts', (value) => Array.isArray(value) && value.every((item) => typeof item === 'string')],
};

/**
 * What is wrong with a tool's input, and what to send instead; undefined where nothing is. What the values mean, the service judges.
 * @param required names of members that must be there
 */
export function problemOf(input: unknown, properties: Properties, required: readonly string[]): string | undefined {
	const names = Object.keys(properties);
	const wanted = names.length === 0 ? 'Send {}.' : `Send an object with ${names.join(', ')}.`;
	if (!isObject(input)) return `The input is not an object. ${wanted}`;
	const unknown = Object.keys(input).find((name) => !Object.hasOwn(properties, name));
	if (unknown !== undefined) return `There is no member ${JSON.stringify(unknown)} here. ${wanted}`;
	for (const [name, { type, description = wanted, minimum, minItems }] of Object.entries(properties)) {
		const value = Object.hasOwn(input, name) ? input[name] : undefined;
		if (value === undefined) {
			if (required.includes(name)) return `${name} is missing. ${description}`;
			continue;
		}
		const [words, is] = KINDS[type];
		if (!is(value)) return `${name} must be ${words}. ${description}`;
		if (minimum !== undefined && (value as number) < minimum) return `${name} must be ${minimum} or more.`;
		if (minItems !== undefined && (value as string[]).length < minItems)
			return `${name} must have ${minItems} or more. ${description}`;
	}
	return undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
