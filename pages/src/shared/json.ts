/**
 * JSON that keeps numbers as they were written. A double that stands for 2^60 would be printed with other digits than it
 * has, which the service rightly refuses to store.
 */

interface RawJson {
	rawJSON?(text: string): unknown;
	isRawJSON?(value: unknown): boolean;
}

const { rawJSON, isRawJSON } = JSON as unknown as RawJson;

export type Members = Record<string, unknown>;

/** `JSON.parse`, with numbers that JavaScript would print differently kept as written (ECMAScript 2026, JSON.rawJSON). @throws SyntaxError */
export function parse(text: string): unknown {
	const revive = (_name: string, value: unknown, context?: { source?: string }): unknown => {
		if (typeof value !== 'number' || context?.source === undefined || rawJSON === undefined) return value;
		// Also 1e400 and 1e-400: the service says what is wrong with them, where null and 0 would be stored without a word.
		return JSON.stringify(value) === context.source ? value : rawJSON(context.source);
	};
	try {
		return JSON.parse(text, revive as (name: string, value: unknown) => unknown);
	} catch (error) {
		if (error instanceof RangeError) throw new SyntaxError('It is nested thousands of levels deep; a row may have 64.');
		throw error;
	}
}

export function print(value: unknown, indent = 2): string {
	return JSON.stringify(value, null, indent);
}

/** Is this a number, however it is kept? */
export function isNumber(value: unknown): boolean {
	return typeof value === 'number' || isRawJSON?.(value) === true;
}

export function isMembers(value: unknown): value is Members {
	return value !== null && typeof value === 'object' && !Array.isArray(value) && !isNumber(value);
}
