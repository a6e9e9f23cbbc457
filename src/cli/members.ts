import { PumaError, parseExact, type Scalar } from '../../client/src/index.ts';
import { UsageError } from './command.ts';
import { readText } from './read-text.ts';
import type { Surroundings } from './surroundings.ts';

/** How members are written on the command line, for rows, patches and filters alike. */
export const MEMBERS_HELP = `Members are written as
  title='Buy milk'       a text
  size:=3  done:=false   any JSON
or as one JSON object, '{"title":"Buy milk"}', or - to read one from standard input.`;

export type Members = Record<string, unknown>;

/** Reads members from arguments. @throws UsageError; PumaError for a number that would not stay what it is */
export async function readMembers(args: readonly string[], around: Surroundings): Promise<Members> {
	if (args.length === 1 && args[0] === '-') {
		const { text, name } = await readText('-', around);
		return objectOf(text, name);
	}
	if (args.length === 1 && args[0]!.trimStart().startsWith('{')) return objectOf(args[0]!, 'The argument');
	const members: Members = Object.create(null);
	for (const arg of args) {
		const [name, value] = memberOf(arg);
		if (name in members) throw new UsageError(`The member "${name}" is given twice.`);
		members[name] = value;
	}
	return members;
}

/** The same for a filter, whose values are scalars; the server checks that. */
export async function readFilter(args: readonly string[], around: Surroundings): Promise<Record<string, Scalar>> {
	return (await readMembers(args, around)) as Record<string, Scalar>;
}

function memberOf(arg: string): readonly [name: string, value: unknown] {
	const [, name, colon, value] = /^([^=]*?)(:?)=([\s\S]*)$/.exec(arg) ?? [];
	if (name === undefined || name === '') {
		throw new UsageError(`"${arg}" is not a member: write NAME=TEXT, NAME:=JSON, or one JSON object.`);
	}
	return [name, colon === '' ? value : parseJson(value!, `"${arg}"`)];
}

function objectOf(text: string, what: string): Members {
	const value = parseJson(text, what);
	if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members;
	throw new UsageError(`${what} must be one JSON object, such as {"title":"Buy milk"}.`);
}

/** @throws UsageError for what is no JSON; PumaError for a number that would not stay what it is */
export function parseJson(text: string, what: string): unknown {
	try {
		return parseExact(text);
	} catch (error) {
		if (error instanceof PumaError)
			throw new PumaError(error.code, `${what}: ${error.message}`, { details: error.details });
		if (!(error instanceof SyntaxError)) throw error;
		throw new UsageError(`${what} is not JSON: ${error.message}.`);
	}
}

/** Does it look like a row's id? */
export function isId(text: string | undefined): text is string {
	return text !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
