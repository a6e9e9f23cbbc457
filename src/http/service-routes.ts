import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Context } from '../operations/context.ts';
import { type Answers, JSON_TYPE } from './answers.ts';
import type { Exchange, Handler } from './exchange.ts';
import type { Metrics } from './metrics.ts';
import type { Router } from './router.ts';

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
	router: Router,
	context: Context,
	answers: Answers,
	metrics: Metrics | undefined,
): void {
	const add = (path: string, handler: Handler): void => router.add(path, { GET: { handler, operation: undefined } });
	const json = (exchange: Exchange, body: string): void =>
		answers.text(exchange, 200, ['Content-Type', JSON_TYPE], body);
	let contract: string | undefined;
	add('/openapi.json', (exchange) => {
		contract ??= servedContract(context.limits, context.publicUrl);
		json(exchange, contract);
	});
	add('/healthz', (exchange) => json(exchange, '{"status":"ok"}'));
	add('/readyz', async (exchange) => {
		await context.store.ping();
		json(exchange, '{"status":"ready"}');
	});
	if (metrics === undefined) return;
	add('/metrics', async (exchange) => {
		answers.text(exchange, 200, ['Content-Type', metrics.contentType], await metrics.text());
	});
}
