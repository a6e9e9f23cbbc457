import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Context } from '../operations/context.ts';
import type { Metrics } from './metrics.ts';
import { answerOtherMethods } from './rest.ts';

// biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document is edited, not modelled, here.
type Any = any;

/** The contract as this server keeps it: its own address, and the limits in force wherever the contract states one. */
export function servedContract(limits: Limits, publicUrl: string): string {
	const contract: Any = JSON.parse(readFileSync(join(import.meta.dirname, '../../contract/openapi.json'), 'utf8'));
	contract.servers = [{ url: publicUrl }];
	contract.externalDocs.url = `${publicUrl}/llms.md`;
	// JSON writes Infinity as null: unlimited.
	contract['x-pumadb-limits'] = Object.fromEntries(
		Object.keys(DEFAULT_LIMITS).map((name) => [name, limits[name as keyof Limits]]),
	);
	const query = contract.paths['/v1/{table}'].get.parameters.find(
		(parameter: Any) => parameter.name === 'limit',
	).schema;
	setOrDrop(query, 'maximum', limits.maxQueryLimit);
	const { operations } =
		contract.paths['/v1/{table}/batch'].post.requestBody.content['application/json'].schema.properties;
	setOrDrop(operations, 'maxItems', limits.maxBatchOperations);
	return JSON.stringify(contract);
}

function setOrDrop(schema: Any, keyword: string, limit: number): void {
	if (limit === Number.POSITIVE_INFINITY) delete schema[keyword];
	else schema[keyword] = limit;
}

/** What stands beside the contract's own paths: the document itself, health, and metrics where they are on. */
export function addServiceRoutes(app: FastifyInstance, context: Context, metrics: Metrics | undefined): void {
	const paths = ['/openapi.json', '/healthz', '/readyz'];
	let contract: string | undefined;
	app.get('/openapi.json', (_request, reply) => {
		contract ??= servedContract(context.limits, context.signIn.publicUrl);
		reply.type('application/json; charset=utf-8').send(contract);
	});
	app.get('/healthz', (_request, reply) => reply.type('application/json').send('{"status":"ok"}'));
	app.get('/readyz', async (_request, reply) => {
		await context.store.ping();
		reply.type('application/json');
		return '{"status":"ready"}';
	});
	if (metrics !== undefined) {
		paths.push('/metrics');
		app.get('/metrics', async (_request, reply) => {
			reply.type(metrics.contentType);
			return metrics.text();
		});
	}
	for (const path of paths) answerOtherMethods(app, path, ['GET']);
}
