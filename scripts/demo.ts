/**
 * A real workload on real data, checked at every step: the service remembers its own contract, one row for each operation.
 *
 *   npm run demo
 *
 * It starts a server of its own on a temporary data directory, with all limits at their defaults; batches keep it below 30
 * writes a minute. With PUMADB_URL and PUMADB_KEY it works on that server and account instead, and takes away what it stored.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Any, DemoFault, must, Service, startOwnServer } from './demo-service.ts';

const TABLE = '/v1/operations';
const SCHEMAS = '/v1/schemas';
const KEY = ['method', 'path'];
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

const contract: Any = JSON.parse(readFileSync(join(import.meta.dirname, '../contract/openapi.json'), 'utf8'));

function say(title: string, text: string): void {
	console.log(`${title.padEnd(9)} ${text}`);
}

/** The contract as rows: all of an operation, nested as it stands there. */
function operationRows(): Any[] {
	const rows: Any[] = [];
	for (const [path, item] of Object.entries<Any>(contract.paths)) {
		for (const method of METHODS.filter((name) => item[name] !== undefined)) {
			const { operationId, tags, summary, description, parameters = [], requestBody, responses } = item[method];
			rows.push({
				method: method.toUpperCase(),
				path,
				operation: operationId,
				tag: tags[0],
				summary,
				description,
				parameters: [...(item.parameters ?? []), ...parameters],
				requestBody: requestBody ?? null,
				responses,
				statuses: Object.keys(responses).map(Number),
			});
		}
	}
	return rows;
}

/** A row without what the service adds. */
function own({ id, created_at, updated_at, ...members }: Any): Any {
	return members;
}

function same(rows: Any[], expected: Any[], what: string): void {
	must(rows.length === expected.length, `${what} has ${rows.length} rows in place of ${expected.length}.`);
	for (const [i, row] of rows.entries())
		must(isDeepStrictEqual(own(row), expected[i]), `${what}: row ${i} is not what was stored.`);
}

function rowsText(count: number): string {
	return `${count} ${count === 1 ? 'row' : 'rows'}`;
}

function kilobytes(value: unknown): string {
	return `${(Buffer.byteLength(JSON.stringify(value)) / 1024).toFixed(1)} KB`;
}

/** What the demo expects to be stored, in order of creation. */
interface Memory {
	readonly service: Service;
	rows: Any[];
	ids: string[];
}

async function store(service: Service): Promise<Memory> {
	const rows = operationRows();
	const upserts = rows.map((row) => ({ action: 'upsert', key: KEY, row }));
	const { results } = await service.post(`${TABLE}/batch`, { operations: upserts });
	must(
		results.every((one: Any) => one.result.created === true),
		'An operation was there before it was stored.',
	);
	same(
		results.map((one: Any) => one.result.row),
		rows,
		'The answer to the batch',
	);
	const largest = rows.toSorted((a, b) => JSON.stringify(b).length - JSON.stringify(a).length)[0];
	say(
		'store',
		`${rows.length} operations in one batch, ${kilobytes(rows)}; the largest is ${largest.operation}, ${kilobytes(largest)}`,
	);

	const run = randomUUID();
	const adds = Object.entries(contract.components.schemas).map(([name, schema]) => ({
		action: 'add',
		row: { name, schema },
		idempotencyKey: `${run} ${name}`,
	}));
	const first = await service.post(`${SCHEMAS}/batch`, { operations: adds });
	const second = await service.post(`${SCHEMAS}/batch`, { operations: adds });
	must(
		isDeepStrictEqual(first, second),
		'A batch of keyed adds that was sent again did not get its first answer again.',
	);
	const { count } = await service.get(`${SCHEMAS}/count`);
	must(count === adds.length, `The schemas were sent twice, and ${count} are there in place of ${adds.length}.`);
	say('retry', `${adds.length} schemas sent twice under idempotency keys: ${count} rows`);
	return { service, rows, ids: results.map((one: Any) => one.result.row.id) };
}

async function query({ service, rows }: Memory): Promise<void> {
	const all = await service.get(TABLE);
	same(all.rows, rows, 'The table');
	say('query', `all ${rows.length} rows back as they were sent, in order of creation`);
	for (const filter of [{ tag: 'Rows' }, { method: 'GET', tag: 'Keys' }, { requestBody: null }, { method: 'PATCH' }]) {
		const [[firstName]] = Object.entries(filter) as [[string, unknown]];
		const expected = rows.filter((row) => Object.entries(filter).every(([name, value]) => row[name] === value));
		const found = await service.get(TABLE, { filter });
		same(found.rows, expected, `The filter on ${firstName}`);
		const { count } = await service.get(`${TABLE}/count`, { filter });
		must(count === expected.length, `The count is ${count}, and ${expected.length} rows match.`);
		say('filter', `${JSON.stringify(filter)}: ${rowsText(count)}`);
	}
	const sorted = await service.get(TABLE, { sort: '-operation', limit: 3 });
	const expected = rows.toSorted((a, b) => (a.operation < b.operation ? 1 : -1)).slice(0, 3);
	same(sorted.rows, expected, 'The sorted query');
	say('sort', `-operation, limit 3: ${expected.map((row) => row.operation).join(', ')}`);
	const { tables } = await service.get('/v1/_tables');
	say('tables', tables.map((table: Any) => `${table.name} ${table.rows}`).join(', '));
}

async function change(memory: Memory): Promise<void> {
	const { service, rows, ids } = memory;
	const at = rows.findIndex((row) => row.operation === 'addRow');
	const again = await service.post(`${TABLE}/upsert`, { key: KEY, row: { ...rows[at], reviewed: 1 } });
	must(again.created === false && again.row.id === ids[at], 'An upsert of a known key did not replace its row.');
	const patched = await service.post(`${TABLE}/update_row`, { id: ids[at], patch: { reviewed: 2, note: null } });
	rows[at] = { ...rows[at], reviewed: 2, note: null };
	same([patched.row], [rows[at]], 'The patched row');
	say('change', 'addRow upserted by its natural key (same id), then patched');

	const keys = rows.filter((row) => row.tag === 'Keys');
	const filter = { tag: 'Keys' };
	const one = await service.ask('POST', `${TABLE}/update_where`, { filter, patch: { team: 'accounts' } });
	const matched = one.body?.error?.details?.matched;
	must(one.status === 409 && matched === keys.length, `An update of several rows answered ${one.status}.`);
	const many = await service.post(`${TABLE}/update_where`, {
		filter,
		patch: { team: 'accounts' },
		allowMultiple: true,
	});
	must(many.updated === keys.length, `${many.updated} rows were updated in place of ${keys.length}.`);
	memory.rows = rows.map((row) => (row.tag === 'Keys' ? { ...row, team: 'accounts' } : row));
	say(
		'change',
		`update_where ${JSON.stringify(filter)}: 409 for ${matched} matches, then ${many.updated} updated with allowMultiple`,
	);

	const failing = [
		{ action: 'delete', filter: { method: 'GET' } },
		{ action: 'update_row', id: ids[0], patch: { id: 'mine' } },
	];
	const refused = await service.ask('POST', `${TABLE}/batch`, { operations: failing });
	must(refused.status === 400, `A batch with a bad operation answered ${refused.status}.`);
	same((await service.get(TABLE)).rows, memory.rows, 'The table after a batch that failed');
	say('batch', `a batch whose second operation fails (${refused.body?.error?.code}) changes nothing`);
}

async function removeSome(memory: Memory): Promise<string[]> {
	const { service, rows, ids } = memory;
	const filter = { method: 'DELETE' };
	const gone = ids.filter((_, i) => rows[i].method === 'DELETE');
	const { deleted } = await service.del(TABLE, { filter });
	must(deleted === gone.length, `${deleted} rows were deleted in place of ${gone.length}.`);
	const { count } = await service.get(`${TABLE}/count`);
	must(count === rows.length - gone.length, `${count} rows are left in place of ${rows.length - gone.length}.`);
	say('delete', `${JSON.stringify(filter)}: ${rowsText(deleted)}, ${count} left`);
	return gone;
}

async function undo(memory: Memory, gone: readonly string[]): Promise<void> {
	const { service, rows, ids } = memory;
	const at = rows.findIndex((row) => row.operation === 'addRow');
	const { versions } = await service.get(`${TABLE}/versions?id=${ids[at]}`);
	const told = versions.map((one: Any) => `${one.version}: reviewed ${one.row.reviewed ?? 'never'}`);
	must(versions.length === 2, `addRow has ${versions.length} versions in place of 2.`);
	say('versions', `addRow has ${versions.length} (${told.join(', ')})`);
	const restored = await service.post(`${TABLE}/restore`, { id: ids[at], version: 1 });
	rows[at] = operationRows()[at];
	same([restored.row], [rows[at]], 'The restored row');
	for (const id of gone) {
		const [last] = (await service.get(`${TABLE}/versions?id=${id}`)).versions;
		must(last.deleted === true, 'The newest version of a deleted row does not say that it was deleted.');
		await service.post(`${TABLE}/restore`, { id, version: last.version });
	}
	same((await service.get(TABLE)).rows, rows, 'The table after restoring');
	say('restore', `addRow as it was first, and ${gone.length} deleted rows, each back in its place`);
}

async function takeOut({ service, rows }: Memory): Promise<void> {
	const { body, bytes } = await service.ask('GET', '/v1/_export');
	same(body.tables.operations, rows, 'The export');
	const { schemas } = body.tables;
	say('export', `${rows.length + schemas.length} rows of 2 tables, ${(bytes / 1024).toFixed(1)} KB, all as stored`);
}

async function cleanUp(service: Service): Promise<void> {
	let deleted = 0;
	for (const tag of new Set(operationRows().map((row) => row.tag))) {
		deleted += (await service.del(TABLE, { filter: { tag } })).deleted;
	}
	const names = Object.keys(contract.components.schemas);
	const operations = names.map((name) => ({ action: 'delete', filter: { name } }));
	await service.post(`${SCHEMAS}/batch`, { operations });
	const { tables } = await service.get('/v1/_tables');
	const left = tables.filter(({ name, rows }: Any) => ['operations', 'schemas'].includes(name) && rows > 0);
	must(left.length === 0, 'Rows of the demo were left behind.');
	say('clean up', `${deleted + names.length} rows deleted`);
}

async function work(service: Service): Promise<void> {
	const begin = performance.now();
	const { tables } = await service.get('/v1/_tables');
	const taken = tables.find(({ name, rows }: Any) => ['operations', 'schemas'].includes(name) && rows > 0);
	must(taken === undefined, `The account has a table ${taken?.name} already; use another account for the demo.`);
	const memory = await store(service);
	await query(memory);
	await change(memory);
	await undo(memory, await removeSome(memory));
	await takeOut(memory);
	await cleanUp(service);
	const { reads, writes, waited } = service.counts;
	const waiting = waited === 0 ? 'the rate limits were never met' : `${waited} seconds waited for the rate limits`;
	say(
		'done',
		`${reads} reads and ${writes} writes in ${Math.round(performance.now() - begin)} ms; ${waiting}; every answer was checked`,
	);
}

async function demo(): Promise<void> {
	const { PUMADB_URL, PUMADB_KEY } = process.env;
	const server = PUMADB_URL ? undefined : await startOwnServer();
	const service = new Service(PUMADB_URL || server!.url, PUMADB_KEY || undefined);
	try {
		say('server', server === undefined ? service.url : `${service.url}, of the demo's own, limits at their defaults`);
		if (!PUMADB_KEY) say('sign in', `account ${await service.signIn('demo@example.com')}, by magic link`);
		await work(service);
	} finally {
		await server?.stop();
	}
}

try {
	await demo();
} catch (error) {
	const why = error instanceof Error ? error.message : String(error);
	console.error(`demo: ${error instanceof DemoFault ? why : `An answer could not be read (${why}).`}`);
	process.exitCode = 1;
}
