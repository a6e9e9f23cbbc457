import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { OPERATIONS } from '../../src/generated/operations.ts';
import { ROOT } from './server.ts';

/**
 * Holds every answer that a test gets against the given contract: the status must be listed and the body must have the listed
 * shape. What was seen is noted, so that the suite fails for an operation and status that no test ever saw.
 */

// biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document is read, not modelled, here.
type Any = any;

const given: Any = JSON.parse(readFileSync(join(ROOT, 'contract/given.json'), 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
(formats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema({ $id: 'given', components: given.components });

const validators = new Map<string, ValidateFunction>();

function validatorOf(path: string, method: string, status: number): ValidateFunction | undefined {
	const name = `${method} ${path} ${status}`;
	const known = validators.get(name);
	if (known !== undefined) return known;
	const response = given.paths[path]?.[method.toLowerCase()]?.responses[status];
	if (response === undefined) return undefined;
	const text = JSON.stringify(response.content['application/json'].schema).replaceAll(
		'"#/components',
		'"given#/components',
	);
	const validator = ajv.compile(JSON.parse(text));
	validators.set(name, validator);
	return validator;
}

const paths = Object.keys(given.paths)
	// Literal paths win over patterns.
	.toSorted(
		(a, b) => Number(a.includes('{')) - Number(b.includes('{')) || b.split('{')[0]!.length - a.split('{')[0]!.length,
	)
	.map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`) }));

/** Statuses that any path may answer with: they belong to no operation. */
const OUTSIDE = new Set([405, 500, 503]);

/** Checks one answer of a contract path. @throws Error that says what is wrong with it. */
export function checkAnswer(method: string, url: string, status: number, body: unknown, headers: Headers): void {
	const pathname = url.split('?')[0]!;
	const asked = method === 'HEAD' ? 'GET' : method;
	if (headers.get('access-control-allow-origin') !== null) throw new Error(`${method} ${pathname} has a CORS header`);
	if (headers.get('x-request-id') === null) throw new Error(`${method} ${pathname} has no request id`);
	if (status >= 400 && method !== 'HEAD') checkErrorBody(body, `${method} ${pathname} ${status}`);
	const found = paths.find(({ pattern }) => pattern.test(pathname));
	const operation = Object.values(OPERATIONS).find((one) => one.path === found?.path && one.method === asked);
	if (operation === undefined || OUTSIDE.has(status)) return;
	const validator = validatorOf(operation.path, operation.method, status);
	if (validator === undefined) throw new Error(`${operation.id} answered ${status}, which the contract does not list`);
	if (method !== 'HEAD' && !validator(body)) {
		throw new Error(`${operation.id} ${status} does not fit the contract: ${ajv.errorsText(validator.errors)}`);
	}
	note(`${operation.id} ${status}`);
}

function checkErrorBody(body: unknown, name: string): void {
	const { error } = (body ?? {}) as { error?: { code?: unknown; message?: unknown } };
	const fits =
		typeof error?.code === 'string' && /^[a-z][a-z0-9_]*$/.test(error.code) && typeof error.message === 'string';
	if (!fits) throw new Error(`${name} has no error body: ${JSON.stringify(body)}`);
	if (!/^[A-Z].*[.!?]$/s.test(error.message as string))
		throw new Error(`${name} has a message that is no sentence: ${error.message}`);
}

const seen = new Set<string>();

/** Test processes write what they saw into one file; `test/run.ts` compares it with the contract. */
function note(name: string): void {
	if (seen.has(name)) return;
	seen.add(name);
	const file = process.env.SEEN_ANSWERS;
	if (file !== undefined) appendFileSync(file, `${name}\n`);
}
