import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, RouteHandlerMethod } from 'fastify';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Context } from '../operations/context.ts';
import { type Answers, JSON_TYPE } from './answers.ts';
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
export function addServiceRoutes(
	app: FastifyInstance,
	context: Context,
	answers: Answers,
	metrics: Metrics | undefined,
): void {
	const json = ['Content-Type', JSON_TYPE];
	let contract: string | undefined;
	const routes: Record<string, RouteHandlerMethod> = {
		'/openapi.json': (request, reply) => {
			contract ??= servedContract(context.limits, context.signIn.publicUrl);
			answers.text(request, reply, 200, [...json], contract);
		},
		'/healthz': (request, reply) => answers.text(request, reply, 200, [...json], '{"status":"ok"}'),
		'/readyz': async (request, reply) => {
			await context.store.ping();
			answers.text(request, reply, 200, [...json], '{"status":"ready"}');
		},
	};
	if (metrics !== undefined) {
		routes['/metrics'] = async (request, reply) => {
			const text = await metrics.text();
			answers.text(request, reply, 200, ['Content-Type', metrics.contentType], text);
		};
	}
	for (const [url, handler] of Object.entries(routes)) {
		app.get(url, handler);
		answerOtherMethods(app, answers, url, ['GET']);
	}
}
