import { JsonDocument } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import type { OPERATIONS } from '../generated/operations.ts';
import type { Part } from '../operations/context.ts';

const NO_VALUES: ReadonlyMap<string, string> = new Map();

type Operation = (typeof OPERATIONS)[keyof typeof OPERATIONS];

/**
 * Reads a query string as forms write it (`+` is a space). Nothing is guessed: bad escapes, a parameter given twice and one the
 * operation does not have are refused; operations that list no 400 ignore their query string.
 */
export function readQuery(url: string, operation: Operation): ReadonlyMap<string, string> {
	const start = url.indexOf('?');
	if (start === -1 || !(operation.statuses as readonly number[]).includes(400)) return NO_VALUES;
	const values = new Map<string, string>();
	const known: readonly string[] = operation.query;
	for (const pair of url.slice(start + 1).split('&')) {
		if (pair === '') continue;
		const equals = pair.indexOf('=');
		const name = decode(equals === -1 ? pair : pair.slice(0, equals));
		const value = equals === -1 ? '' : decode(pair.slice(equals + 1));
		if (!known.includes(name)) throw unknownParameter(name, value, operation);
		if (values.has(name)) {
			throw new Refusal('duplicate_parameter', `The query parameter "${name}" is given twice. Send it once.`, {
				parameter: name,
			});
		}
		values.set(name, value);
	}
	return values;
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text.replaceAll('+', ' '));
	} catch {
		throw new Refusal(
			'invalid_query',
			'The query string has a bad percent escape. Encode each value as UTF-8, as encodeURIComponent does.',
		);
	}
}

function unknownParameter(name: string, value: string, operation: Operation): Refusal {
	const known: readonly string[] = operation.query;
	const shown = name.slice(0, 100);
	const filter = JSON.stringify({ [shown]: value.slice(0, 100) });
	const hint = known.includes('filter')
		? `To filter, send filter=${encodeURIComponent(filter)}, which is ${filter} URL-encoded.`
		: known.length > 0
			? `It takes ${known.join(', ')}.`
			: 'It takes none; send what it needs in the body.';
	return new Refusal('unknown_parameter', `There is no query parameter "${shown}" here. ${hint}`, {
		parameter: shown,
		known,
	});
}

/** The `filter` parameter as a part that an operation can read. */
export function filterPart(text: string | undefined): Part | undefined {
	if (text === undefined) return undefined;
	const document = JsonDocument.fromText(text, 'filter parameter', '{"status":"open"}');
	return { document, value: document.value, path: [] };
}
