/**
 * Makes everything that follows from contract/openapi.json and from the error catalogue:
 *
 *   src/generated/operations.ts   what each operation is on the wire: method, path, parameters, statuses, example
 *   src/generated/validators.js   ajv's standalone validators of the request bodies (they never coerce, default or strip)
 *   src/generated/bodies.ts       the types of the same bodies
 *   client/src/generated.ts       the operations' methods and paths, the types of their bodies and answers, and the error codes
 *   docs/errors.md                the catalogue of error codes
 *   src/http/texts/docs/reference.md   the operations, as a page of the documentation
 *   docs/client.md, command-line.md, mcp.md, operating.md   pages of the served documentation, to be read in the repository
 *
 * The results are committed. `node scripts/generate.ts --check` fails where they are stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { compile as compileTypes } from 'json-schema-to-typescript';
import { ERROR_CATALOGUE } from '../src/errors.ts';

const ROOT = join(import.meta.dirname, '..');
const BANNER = 'Generated from contract/openapi.json by scripts/generate.ts. Do not edit.';

// biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document is read, not modelled, here.
type Any = any;

const contract: Any = JSON.parse(readFileSync(join(ROOT, 'contract/openapi.json'), 'utf8'));

interface Found {
	id: string;
	method: string;
	path: string;
	operation: Any;
	schema: Any;
}

function operations(): Found[] {
	const found: Found[] = [];
	for (const [path, item] of Object.entries<Any>(contract.paths)) {
		for (const [method, operation] of Object.entries<Any>(item)) {
			if (method === 'parameters') continue;
			const schema = operation.requestBody?.content['application/json'].schema;
			found.push({ id: operation.operationId, method: method.toUpperCase(), path, operation, schema: resolve(schema) });
		}
	}
	return found;
}

function resolve(schema: Any): Any {
	return schema?.$ref === undefined ? schema : contract.components.schemas[schema.$ref.split('/').at(-1)];
}

function operationsFile(): string {
	const entries = operations().map(({ id, method, path, operation, schema }) => {
		const statuses = Object.keys(operation.responses).map(Number);
		return {
			id,
			method,
			path,
			open: operation.security?.length === 0,
			query: (operation.parameters ?? []).filter((p: Any) => p.in === 'query').map((p: Any) => p.name),
			hasBody: schema !== undefined,
			success: statuses[0],
			statuses,
			example: JSON.stringify(operation.requestBody?.content['application/json'].example ?? null),
		};
	});
	return `// ${BANNER}
export const OPERATIONS = ${JSON.stringify(Object.fromEntries(entries.map((e) => [e.id, e])), null, '\t')} as const;

export const CONTRACT_LIMITS = ${JSON.stringify(contract['x-pumadb-limits'], null, '\t')} as const;
`;
}

/** Keeps which members there must be and of what type; what is inside them is checked operation by operation. */
function envelopeOf(schema: Any): Any {
	const properties: Any = {};
	for (const [name, value] of Object.entries<Any>(schema.properties)) {
		if (value.oneOf !== undefined) properties[name] = { type: value.oneOf.map((one: Any) => one.type) };
		else properties[name] = value.enum === undefined ? { type: value.type } : { type: value.type, enum: value.enum };
	}
	return { type: 'object', required: schema.required, properties };
}

/** The bodies by the name of their validator. A batch is checked as an envelope first, then by its operations' actions. */
function bodySchemas(): Record<string, Any> {
	const schemas: Record<string, Any> = {};
	for (const { id, schema } of operations()) {
		if (schema === undefined) continue;
		if (id !== 'batch') {
			schemas[id] = schema;
			continue;
		}
		const { items } = schema.properties.operations;
		const actions = items.oneOf.map((one: Any) => one.properties.action.enum[0]);
		// How many operations there may be is a limit in force, not a constant.
		schemas.batch = {
			type: 'object',
			required: schema.required,
			properties: {
				operations: {
					type: 'array',
					minItems: 1,
					items: { type: 'object', required: ['action'], properties: { action: { type: 'string', enum: actions } } },
				},
			},
		};
		for (const one of items.oneOf) {
			schemas[`batch_${one.properties.action.enum[0]}_envelope`] = envelopeOf(one);
			schemas[`batch_${one.properties.action.enum[0]}`] = one;
		}
	}
	return schemas;
}

function validatorsFile(): string {
	const ajv = new Ajv2020({
		code: { source: true, esm: true, lines: true },
		strict: false,
		validateFormats: false,
		ownProperties: true,
	});
	const schemas = bodySchemas();
	const names: Record<string, string> = {};
	for (const [name, schema] of Object.entries(schemas)) {
		ajv.addSchema(schema, name);
		names[name] = name;
	}
	const code = (standalone as Any).default(ajv, names);
	const esm = code.replace(
		/const (\w+) = require\("([^"]+)"\)(?:\.default)?;/g,
		(_: string, name: string, from: string) => {
			return `import ${name}Module from "${from}.js";\nconst ${name} = ${name}Module.default ?? ${name}Module;`;
		},
	);
	return `// ${BANNER}\n${esm}\n`;
}

function validatorTypesFile(): string {
	const names = Object.keys(bodySchemas());
	return `// ${BANNER}
/** One fault that a validator found. */
export interface Fault {
	instancePath: string;
	keyword: string;
	params: Record<string, unknown>;
	message?: string;
}
/** True where the body has the contract's shape; else \`errors\` says what it lacks, until the next call. */
export interface Validator {
	(body: unknown): boolean;
	errors?: Fault[] | null;
}
${names.map((name) => `export const ${name}: Validator;`).join('\n')}
`;
}

async function bodiesFile(): Promise<string> {
	const parts: string[] = [];
	for (const { id, schema } of operations()) {
		if (schema === undefined) continue;
		const name = `${id[0]!.toUpperCase()}${id.slice(1)}Body`;
		const copy = structuredClone(schema);
		// The greatest number of operations is a limit in force; as a tuple type it would be a hundred lines.
		if (id === 'batch') delete copy.properties.operations.maxItems;
		parts.push(
			await compileTypes(copy, name, { bannerComment: '', additionalProperties: true, format: true, unknownAny: true }),
		);
	}
	return `// ${BANNER}\n${parts.join('\n')}`;
}

/** All of the contract that the client has: it must stand alone. */
async function clientFile(): Promise<string> {
	const found = operations();
	const definitions: Record<string, Any> = {};
	for (const { id, operation, schema } of found) {
		const success = Object.keys(operation.responses)[0]!;
		definitions[`${pascal(id)}Answer`] = resolve(operation.responses[success].content['application/json'].schema);
		if (schema !== undefined) definitions[`${pascal(id)}Body`] = schema;
	}
	for (const [name, schema] of Object.entries<Any>(contract.components.schemas)) {
		if (['ApiKey', 'RowVersion'].includes(name)) definitions[name] = schema;
	}
	const root = JSON.parse(
		JSON.stringify({ type: 'object', properties: {}, definitions }).replaceAll(
			'#/components/schemas/',
			'#/definitions/',
		),
	);
	// As a tuple type it would be a hundred lines, and the limit in force may be another.
	delete root.definitions.BatchBody.properties.operations.maxItems;
	delete root.definitions.BatchBody.properties.operations.minItems;
	for (const schema of Object.values<Any>(root.definitions)) closeObjects(schema);
	const types = await compileTypes(root, 'Nothing', {
		bannerComment: '',
		format: true,
		unknownAny: true,
		unreachableDefinitions: true,
	});
	const operationTypes = found.map(({ id, schema }) => {
		const body = schema === undefined ? 'undefined' : `${pascal(id)}Body`;
		return `\t${id}: { body: ${body}; answer: ${pascal(id)}Answer };`;
	});
	const paths = found.map(({ id, method, path, operation }) => {
		const success = Object.keys(operation.responses)[0]!;
		const answer = resolve(operation.responses[success].content['application/json'].schema);
		// Of a row, whose members are its writer's, its id.
		return `\t${id}: ['${method}', '${path}', '${answer.required?.[0] ?? 'id'}'],`;
	});
	return `// ${BANNER}
/** What each operation takes and answers. */
export interface Operations {
${operationTypes.join('\n')}
}

/** Where each operation is, and a member that every answer to it has. */
export const PATHS = {
${paths.join('\n')}
} as const satisfies Record<keyof Operations, readonly [method: string, path: string, member: string]>;

/** The limits in force; null where one is switched off. */
export interface Limits {
${Object.keys(contract['x-pumadb-limits'])
	.map((name) => `\treadonly ${name}: number | null;`)
	.join('\n')}
}

/** Every code that the service refuses a call with. */
export type ServiceErrorCode =
${Object.entries(ERROR_CATALOGUE)
	.map(([code, [status, meaning]]) => `\t/** ${status}: ${meaning} */\n\t| '${code}'`)
	.join('\n')};

${types
	.replace(/export interface Nothing \{[^}]*\}\n/, '')
	.replaceAll(/\/\*\*\n \* This interface was referenced by [\s\S]*?\*\/\n/g, '')
	.trim()}
`;
}

function pascal(id: string): string {
	return `${id[0]!.toUpperCase()}${id.slice(1)}`;
}

/** Objects whose members are all named have no others, as far as types go. */
function closeObjects(schema: Any): void {
	if (typeof schema !== 'object' || schema === null) return;
	if (schema.properties !== undefined && schema.additionalProperties === undefined) schema.additionalProperties = false;
	// A row's own members and the service's: one object.
	if (schema.allOf !== undefined) {
		Object.assign(schema, ...schema.allOf);
		delete schema.allOf;
		schema.additionalProperties = true;
	}
	// Which of several members there must be is the server's to check.
	delete schema.anyOf;
	for (const value of Object.values(schema)) closeObjects(value);
}

function errorsPage(): string {
	const rows = Object.entries(ERROR_CATALOGUE).map(
		([code, [status, meaning]]) => `| \`${code}\` | ${status} | ${meaning} |`,
	);
	return `# Error codes

<!-- Generated from src/errors.ts by scripts/generate.ts. Do not edit. -->

Every refusal is \`{"error":{"code","message","details"?}}\`. Branch on \`code\`: it is stable. \`message\` says what was wrong and
what to send instead; \`details\` names the field, the index or the limit.

The status below is the code's own. An operation answers only with the statuses that its entry in \`/openapi.json\` lists:
where the own status is not among them, the answer is 400 (401 for \`POST /auth/verify\`), with the same code.
In a batch, \`details.index\` and \`details.action\` name the operation that failed.

| code | status | meaning |
| --- | --- | --- |
${rows.join('\n')}
`;
}

/** The page of the documentation that lists every operation. */
function referencePage(): string {
	const parts = operations().map(({ id, method, path, operation, schema }) => {
		const parameters = [...(contract.paths[path].parameters ?? []), ...(operation.parameters ?? [])];
		const taken = parameters.map(
			(p: Any) => `| \`${p.name}\` | ${p.in} | ${p.required ? 'yes' : 'no'} | ${p.description} |`,
		);
		const members = Object.entries<Any>(schema?.properties ?? {}).map(
			([name, value]) =>
				`| \`${name}\` | body | ${schema.required?.includes(name) ? 'yes' : 'no'} | ${value.type ?? value.oneOf?.map((one: Any) => one.type).join(' or ')} |`,
		);
		const rows = [...taken, ...members];
		const table =
			rows.length === 0 ? '' : `\n| takes | in | needed | is |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
		const example = operation.requestBody?.content['application/json'].example;
		const body =
			example === undefined ? '' : `\nBody, for example:\n\n\`\`\`json\n${JSON.stringify(example)}\n\`\`\`\n`;
		const statuses = Object.entries<Any>(operation.responses).map(
			([status, { description }]) => `| ${status} | ${description} |`,
		);
		const success = Object.keys(operation.responses)[0]!;
		const answer = resolve(operation.responses[success].content['application/json'].schema);
		const names = Object.keys(answer.properties ?? {}).map((name) => `\`${name}\``);
		const answers = names.length === 0 ? 'Answers the row.' : `Answers ${names.join(', ')}.`;
		return `## ${id}\n\n\`${method} ${path}\`\n\n${operation.description}\n${table}${body}\n${answers}\n\n| status | when |\n| --- | --- |\n${statuses.join('\n')}\n`;
	});
	const codes = Object.entries(ERROR_CATALOGUE).map(
		([code, [status, meaning]]) => `| \`${code}\` | ${status} | ${meaning} |`,
	);
	return `# Reference\n\nEvery operation of the contract, {{url}}/openapi.json, which has the schemas in full.\n\n${parts.join('\n')}\n## Error codes\n\n| code | status | meaning |\n| --- | --- | --- |\n${codes.join('\n')}\n`;
}

/** Served pages that are pages of `docs/` too, and what they are called there. */
const SHARED_PAGES = { client: 'client', 'command-line': 'command-line', mcp: 'mcp', 'self-hosting': 'operating' };

/** A page of the served documentation, with links between files of the repository and the address of a server on this machine. */
function sharedPage(page: string): string {
	const own: Readonly<Record<string, string>> = { ...SHARED_PAGES, errors: 'errors' };
	const text = readFileSync(join(ROOT, `src/http/texts/docs/${page}.md`), 'utf8')
		.replaceAll('{{url}}', 'http://127.0.0.1:8787')
		.replaceAll(/\]\(([a-z-]+)\.md/g, (_, to: string) =>
			to in own ? `](${own[to]}.md` : `](../src/http/texts/docs/${to}.md`,
		);
	return text.replace(
		'\n',
		`\n\n<!-- Generated from src/http/texts/docs/${page}.md by scripts/generate.ts. Do not edit. -->\n`,
	);
}

const files: Record<string, string> = {
	'src/generated/operations.ts': operationsFile(),
	'src/generated/validators.js': validatorsFile(),
	'src/generated/validators.d.ts': validatorTypesFile(),
	'src/generated/bodies.ts': await bodiesFile(),
	'client/src/generated.ts': await clientFile(),
	'docs/errors.md': errorsPage(),
	'src/http/texts/docs/reference.md': referencePage(),
	...Object.fromEntries(Object.entries(SHARED_PAGES).map(([page, name]) => [`docs/${name}.md`, sharedPage(page)])),
};

const check = process.argv.includes('--check');
for (const [name, text] of Object.entries(files)) {
	const path = join(ROOT, name);
	if (!check) writeFileSync(path, text);
	else if (readFileSync(path, 'utf8') !== text) {
		console.error(`${name} is stale: run "npm run generate" and commit the result.`);
		process.exitCode = 1;
	}
}
