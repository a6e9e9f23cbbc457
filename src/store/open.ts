import type { Config } from '../config.ts';
import type { Store } from './seam.ts';

export interface OpenOptions {
	readonly config: Config;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Told of faults that no call could be blamed for, and of causes behind failed calls. */
	readonly onFault: (message: string, cause: string) => void;
	/** Told when the store is gone for good: the process should end and be started again. */
	readonly onFatal: () => void;
	/** Most calls in one commit; only the benchmark sets it. */
	readonly maxGroup?: number | undefined;
}

/** Opens the engine that the settings name. Each is loaded only where it is used. */
export async function openStore({ config, clock, onFault, onFatal, maxGroup }: OpenOptions): Promise<Store> {
	const { dataDir, databaseUrl, databaseConnections, limits } = config;
	if (databaseUrl !== undefined) {
		const { PostgresStore } = await import('./postgres/store.ts');
		return PostgresStore.open({ url: databaseUrl, maxConnections: databaseConnections, limits, clock, onFault });
	}
	const { SqliteStore } = await import('./sqlite/store.ts');
	const more = maxGroup === undefined ? {} : { maxGroup };
	return SqliteStore.open({ dataDir, limits, clock, onFault, onFatal, ...more });
}
