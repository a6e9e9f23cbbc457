import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '../config.ts';
import { LockedError } from '../store/sqlite/lock.ts';
import { DATABASE_FILE, SqliteStore } from '../store/sqlite/store.ts';
import { askServer } from './admin-socket.ts';
import { type OperatorCommand, runOperatorCommand } from './operator-commands.ts';
import type { Surroundings } from './surroundings.ts';

/** Runs an operator's command: through the running server where there is one, else on the database itself. */
export async function operate(dataDir: string, command: OperatorCommand, around: Surroundings): Promise<number> {
	const result = await run(dataDir, command, around);
	for (const [name, value] of Object.entries(result)) around.print(`${name}: ${value}`);
	return 0;
}

async function run(
	dataDir: string,
	command: OperatorCommand,
	around: Surroundings,
): Promise<Record<string, string | number>> {
	if (command.command !== 'keys create' && !existsSync(join(dataDir, DATABASE_FILE))) {
		throw new Error(`There is no database in ${dataDir}. Set --data-dir to the server's data directory.`);
	}
	// Only limits matter here, and of those only what a sweep reads.
	const { limits } = readConfig(
		{ ...around.env, PUMADB_SIGN_IN: 'off', PUMADB_SMTP_URL: '', PUMADB_SMTP_URL_FILE: '' },
		{},
	);
	let store: SqliteStore;
	try {
		store = await SqliteStore.open({
			dataDir,
			limits,
			clock: around.clock,
			onFault: (message, cause) => around.complain(`${message} ${cause}`),
			onFatal: () => around.complain('The writer failed.'),
		});
	} catch (error) {
		if (error instanceof LockedError) return askServer(dataDir, command);
		throw error;
	}
	try {
		return await runOperatorCommand(store, command);
	} finally {
		await store.close();
	}
}
