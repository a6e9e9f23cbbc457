import type { AnyRow, BatchOperation } from '../../client/src/index.ts';
import { textOf, UsageError, type Values } from './command.ts';
import { connect } from './connect.ts';
import { parseJson } from './members.ts';
import { answer } from './output.ts';
import { readText } from './read-text.ts';
import type { Surroundings } from './surroundings.ts';

/** Runs several writes on one table, all of them or none. */
export async function batch(values: Values, [name, file]: readonly string[], around: Surroundings): Promise<number> {
	const source = await readText(file ?? '-', around);
	const operations = operationsIn(source.text, source.name);
	const options = { idempotencyKey: textOf(values, 'idempotency-key') };
	const results = await connect(around).table(name!).batch(operations, options);
	const told = results.map((result, index) => ({ index, action: operations[index]!.action, result }));
	await answer(around, values, { results: told }, () => `Done: ${operations.map(({ action }) => action).join(', ')}.`);
	return 0;
}

function parseLines(text: string, what: string): unknown[] {
	return text
		.split('\n')
		.flatMap((line, index) => (line.trim() === '' ? [] : [parseJson(line, `line ${index + 1} of ${what}`)]));
}

/** Those of an envelope; what says what it does is one itself. */
function operationsOf(value: { operations?: unknown } | null): unknown {
	return value !== null && typeof value === 'object' && Object.hasOwn(value, 'action') ? [value] : value?.operations;
}

/** An array of operations, `{"operations":[…]}`, one operation, or one a line. What is in them is the server's to check. */
function operationsIn(text: string, what: string): BatchOperation<AnyRow>[] {
	const lines = text.split('\n').filter((line) => line.trim() !== '');
	const perLine = lines.length > 1 && lines.every((line) => /^\s*\{.*\}\s*$/.test(line));
	const value = perLine ? parseLines(text, what) : parseJson(text, what);
	const operations = Array.isArray(value) ? value : operationsOf(value as { operations?: unknown } | null);
	const right = Array.isArray(operations) && operations.every((one) => typeof one === 'object' && one !== null);
	if (right) return operations as BatchOperation<AnyRow>[];
	throw new UsageError(
		`${what} must hold an array of operations, such as [{"action":"add","row":{"title":"Buy milk"}}].`,
	);
}
