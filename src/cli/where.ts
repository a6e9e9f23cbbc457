import { type Config, readConfig } from '../config.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * The settings that matter without a server: limits, and where the data is. A command that names a data directory means the
 * embedded database, whatever PUMADB_DATABASE_URL says.
 */
export function configWithoutServer(dataDir: string | undefined, { env }: Surroundings): Config {
	const alone = { ...env, PUMADB_SIGN_IN: 'off', PUMADB_SMTP_URL: '', PUMADB_SMTP_URL_FILE: '' };
	const embedded = dataDir === undefined ? {} : { PUMADB_DATABASE_URL: '', PUMADB_DATABASE_URL_FILE: '' };
	return readConfig({ ...alone, ...embedded }, { 'data-dir': dataDir });
}
