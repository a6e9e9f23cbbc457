import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/seam.ts';
import { LockedError } from '../store/sqlite/lock.ts';
import { DATABASE_FILE } from '../store/sqlite/store.ts';
import { askServer } from './admin-socket.ts';
import { type OperatorCommand, runOperatorCommand } from './operator-commands.ts';
import { print } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Runs an operator's command: through the running server where there is one, else on the database itself. */
export async function operate(config: Config, command: OperatorCommand, around: Surroundings): Promise<number> {
	const result = await run(config, command, around);
	for (const [name, value] of Object.entries(result)) await print(around, `${name}: ${value}`);
	return 0;
}

async function run(
	config: Config,
	command: OperatorCommand,
	around: Surroundings,
): Promise<Record<string, string | number>> {
	const { dataDir } = config;
	const embedded = config.databaseUrl === undefined;
	if (embedded && command.command !== 'keys create' && !existsSync(join(dataDir, DATABASE_FILE))) {
		throw new Error(`There is no database in ${dataDir}. Set --data-dir to the server's data directory.`);
	}
	let store: Store;
	try {
		const onFatal = (): void => around.complain('The writer failed.');
		const onFault = (message: string, cause: string): void => around.complain(`${message} ${cause}`);
		store = await openStore({ config, clock: around.clock, onFatal, onFault });
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
