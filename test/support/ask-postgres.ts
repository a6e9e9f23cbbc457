import { type MessagePort, workerData } from 'node:worker_threads';
import { faultsOf } from '../../src/store/postgres/store.ts';
import { query } from './postgres.ts';

/** A thread that answers questions about databases, for tests that ask without waiting: see `data-dir.ts`. */

const { port, done } = workerData as { port: MessagePort; done: Int32Array };

/** The tables that hold a text anywhere in a row. */
async function holding(url: string, text: string): Promise<string[]> {
	const tables = await query(url, `SELECT tablename FROM pg_tables WHERE schemaname = 'pumadb'`);
	const found: string[] = [];
	for (const { tablename: table } of tables) {
		const rows = await query(url, `SELECT 1 FROM pumadb.${table} t WHERE strpos(t::text, $1) > 0 LIMIT 1`, [text]);
		if (rows.length > 0) found.push(table);
	}
	return found;
}

function ask(question: string, url: string, text: string): Promise<unknown> {
	if (question === 'faults') return faultsOf(url);
	return question === 'query' ? query(url, text) : holding(url, text);
}

port.on('message', async ([question, url, text]: [string, string, string]) => {
	try {
		port.postMessage({ answer: JSON.parse(JSON.stringify(await ask(question, url, text))) });
	} catch (error) {
		port.postMessage({ error: String(error) });
	}
	Atomics.store(done, 0, 1);
	Atomics.notify(done, 0);
});
