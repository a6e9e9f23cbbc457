/**
 * Answers one question about a database as JSON on standard output, for tests that ask without waiting:
 * `faults URL`, `query URL SQL`, `holding URL TEXT`.
 */
import { faultsOf } from '../../src/store/postgres/store.ts';
import { query } from './postgres.ts';

const [question, url, text] = process.argv.slice(2) as [string, string, string];

/** The tables that hold a text anywhere in a row. */
async function holding(): Promise<string[]> {
	const tables = await query(url, `SELECT tablename FROM pg_tables WHERE schemaname = 'pumadb'`);
	const found: string[] = [];
	for (const { tablename: table } of tables) {
		const rows = await query(url, `SELECT 1 FROM pumadb.${table} t WHERE strpos(t::text, $1) > 0 LIMIT 1`, [text]);
		if (rows.length > 0) found.push(table);
	}
	return found;
}

const answer =
	question === 'faults' ? await faultsOf(url) : question === 'query' ? await query(url, text) : await holding();
console.log(JSON.stringify(answer));
