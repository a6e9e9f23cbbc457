import { readFileSync } from 'node:fs';
import { DEFAULT_LIMITS, type Limits, type WriteLimits } from './limits.ts';

/** Every setting: environment variable, flag of the same name, default and meaning. The help text is made from this table. */
interface Setting {
	readonly name: string;
	readonly fallback: string;
	readonly meaning: string;
	/** Holds a secret: no flag, but `<NAME>_FILE` may name a file that holds the value. */
	readonly secret?: boolean;
}

const LIMIT_MEANINGS: Readonly<Record<keyof Limits, string>> = {
	maxTables: 'tables an account may have',
	maxRowsPerTable: 'rows a table may have',
	maxAccountBytes: 'bytes an account may hold',
	maxRowBytes: 'bytes a row may have',
	maxBatchOperations: 'operations in one batch',
	readsPerMinute: 'reads per key and minute',
	writesPerMinute: 'writes per key and minute',
	maxQueryLimit: 'rows one query answers',
	maxVersionsPerRow: 'versions kept of a row',
	versionRetentionDays: 'days a version is kept',
};

const LIMIT_NAMES = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];

function limitSetting(name: keyof Limits): string {
	return `PUMADB_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export const SETTINGS: readonly Setting[] = [
	{ name: 'PUMADB_HOST', fallback: '127.0.0.1', meaning: 'address to listen on' },
	{ name: 'PUMADB_PORT', fallback: '8787', meaning: 'port to listen on; 0 takes any free one' },
	{
		name: 'PUMADB_PUBLIC_URL',
		fallback: '',
		meaning: 'base of every link handed out: an origin, no path (default: from host and port)',
	},
	{ name: 'PUMADB_DATA_DIR', fallback: './data', meaning: 'directory of the embedded database' },
	{
		name: 'PUMADB_DATABASE_URL',
		fallback: '',
		meaning: 'postgres://… in place of the embedded database, for any number of servers',
		secret: true,
	},
	{
		name: 'PUMADB_DATABASE_CONNECTIONS',
		fallback: '12',
		meaning: 'most connections of this server to the PostgreSQL of PUMADB_DATABASE_URL',
	},
	{
		name: 'PUMADB_SMTP_URL',
		fallback: '',
		meaning: 'mail server, smtp:// or smtps://, with user and password where needed',
		secret: true,
	},
	{ name: 'PUMADB_MAIL_FROM', fallback: '', meaning: 'sender of sign-in mail' },
	{ name: 'PUMADB_LINK_TTL_SECONDS', fallback: '3600', meaning: 'life of viewer and download links' },
	{
		name: 'PUMADB_TRUST_PROXY',
		fallback: '0',
		meaning: 'proxies in front; the client is that many entries from the end of X-Forwarded-For',
	},
	...LIMIT_NAMES.map((name) => ({
		name: limitSetting(name),
		fallback: String(DEFAULT_LIMITS[name]),
		meaning: `${LIMIT_MEANINGS[name]}; 0: unlimited`,
	})),
	{
		name: 'PUMADB_SIGN_INS_PER_HOUR',
		fallback: '10',
		meaning:
			'magic links per address and client in an hour; ten times as many per client, and other limits of callers without a key follow; 0: unlimited',
	},
	{
		name: 'PUMADB_MAX_ARCHIVE_BYTES',
		fallback: '',
		meaning: "bytes of an account's versions and kept answers; 0: unbounded (default: 4 × the account's bytes)",
	},
	{ name: 'PUMADB_SIGN_IN', fallback: 'on', meaning: 'on or off: sign-in by magic link' },
	{ name: 'PUMADB_METRICS', fallback: 'off', meaning: 'on or off: serve /metrics' },
	{ name: 'PUMADB_ACCESS_TOKEN_TTL_SECONDS', fallback: '3600', meaning: 'life of OAuth access tokens' },
	{ name: 'PUMADB_CLIENT_METADATA', fallback: 'on', meaning: 'on or off: fetch OAuth client-metadata documents' },
	{
		name: 'PUMADB_MCP_ORIGINS',
		fallback: '',
		meaning: 'further browser origins that may call /mcp, separated by commas',
	},
	{
		name: 'PUMADB_LOG_LEVEL',
		fallback: 'info',
		meaning: 'debug, info, warn, error or silent; logs go to standard error',
	},
];

/** The settings, read and checked. Limits that are switched off are Infinity. */
export interface Config {
	readonly host: string;
	readonly port: number;
	/** Undefined: made from host and port once the port is known. */
	readonly publicUrl: string | undefined;
	readonly dataDir: string;
	/** Undefined for the embedded database. */
	readonly databaseUrl: string | undefined;
	readonly databaseConnections: number;
	readonly smtpUrl: string | undefined;
	readonly mailFrom: string;
	readonly linkTtlSeconds: number;
	readonly trustProxy: number;
	readonly limits: WriteLimits;
	readonly signInsPerHour: number;
	readonly signIn: boolean;
	readonly metrics: boolean;
	readonly accessTokenTtlSeconds: number;
	readonly clientMetadata: boolean;
	readonly mcpOrigins: readonly string[];
	readonly logLevel: string;
}

/** A setting that makes no sense: one sentence that names it. */
export class ConfigError extends Error {}

/** The flag of a setting: `PUMADB_DATA_DIR` is `data-dir`. */
export function flagOf(name: string): string {
	return name.slice('PUMADB_'.length).toLowerCase().replaceAll('_', '-');
}

/**
 * Reads the settings.
 * @param env environment variables.
 * @param flags values of flags, by flag name; they win over the environment.
 * @throws ConfigError
 */
export function readConfig(
	env: Readonly<Record<string, string | undefined>>,
	flags: Readonly<Record<string, string | undefined>>,
): Config {
	const values = new Map(SETTINGS.map((setting) => [setting.name, settingValue(setting, env, flags)]));
	const get = (name: string): string => values.get(name)!;
	const limits = {
		...(Object.fromEntries(
			LIMIT_NAMES.map((name) => [
				name,
				orUnlimited(number(get, limitSetting(name), 0, name === 'versionRetentionDays' ? 36_500 : 1e12)),
			]),
		) as unknown as Limits),
	};
	const archive = get('PUMADB_MAX_ARCHIVE_BYTES');
	const maxArchiveBytes =
		archive === '' ? limits.maxAccountBytes * 4 : orUnlimited(number(get, 'PUMADB_MAX_ARCHIVE_BYTES', 0, 1e15));
	const config: Config = {
		host: get('PUMADB_HOST'),
		port: number(get, 'PUMADB_PORT', 0, 65_535),
		publicUrl: publicUrl(get('PUMADB_PUBLIC_URL')),
		dataDir: get('PUMADB_DATA_DIR'),
		databaseUrl: databaseUrl(get('PUMADB_DATABASE_URL')),
		databaseConnections: number(get, 'PUMADB_DATABASE_CONNECTIONS', 3, 1000),
		smtpUrl: smtpUrl(get('PUMADB_SMTP_URL')),
		mailFrom: get('PUMADB_MAIL_FROM'),
		linkTtlSeconds: number(get, 'PUMADB_LINK_TTL_SECONDS', 1, 31_536_000),
		trustProxy: number(get, 'PUMADB_TRUST_PROXY', 0, 100),
		limits: { ...limits, maxArchiveBytes },
		signInsPerHour: orUnlimited(number(get, 'PUMADB_SIGN_INS_PER_HOUR', 0, 1e9)),
		signIn: onOff(get, 'PUMADB_SIGN_IN'),
		metrics: onOff(get, 'PUMADB_METRICS'),
		accessTokenTtlSeconds: number(get, 'PUMADB_ACCESS_TOKEN_TTL_SECONDS', 1, 31_536_000),
		clientMetadata: onOff(get, 'PUMADB_CLIENT_METADATA'),
		mcpOrigins: origins(get('PUMADB_MCP_ORIGINS')),
		logLevel: oneOf(get, 'PUMADB_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent']),
	};
	requireSense(config);
	return config;
}

function settingValue(
	setting: Setting,
	env: Readonly<Record<string, string | undefined>>,
	flags: Readonly<Record<string, string | undefined>>,
): string {
	const { name, fallback, secret } = setting;
	const flag = secret ? undefined : flags[flagOf(name)];
	if (flag !== undefined) return flag.trim();
	const file = secret ? env[`${name}_FILE`] : undefined;
	if (file !== undefined && file !== '') {
		if (env[name]) throw new ConfigError(`Set either ${name} or ${name}_FILE, not both.`);
		try {
			return readFileSync(file, 'utf8').trim();
		} catch (error) {
			throw new ConfigError(`${name}_FILE names a file that cannot be read (${(error as { code?: string }).code}).`);
		}
	}
	const value = env[name]?.trim();
	return value === undefined || value === '' ? fallback : value;
}

type Get = (name: string) => string;

function number(get: Get, name: string, min: number, max: number): number {
	const text = get(name);
	const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : -1;
	if (value >= min && value <= max) return value;
	throw new ConfigError(`${name} must be a whole number from ${min} to ${max}, not "${text}".`);
}

function orUnlimited(value: number): number {
	return value === 0 ? Number.POSITIVE_INFINITY : value;
}

function oneOf(get: Get, name: string, allowed: readonly string[]): string {
	const text = get(name).toLowerCase();
	if (allowed.includes(text)) return text;
	throw new ConfigError(`${name} must be one of ${allowed.join(', ')}, not "${text}".`);
}

function onOff(get: Get, name: string): boolean {
	return oneOf(get, name, ['on', 'off']) === 'on';
}

function publicUrl(text: string): string | undefined {
	if (text === '') return undefined;
	const url = URL.canParse(text) ? new URL(text) : undefined;
	const plain =
		url !== undefined && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '';
	if (plain && url.pathname === '/' && !/[?#]/.test(text)) return url.origin;
	throw new ConfigError(
		`PUMADB_PUBLIC_URL must be an origin such as https://memory.example.com, without a path, not "${text}".`,
	);
}

function databaseUrl(text: string): string | undefined {
	if (text === '') return undefined;
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url !== undefined && ['postgres:', 'postgresql:'].includes(url.protocol) && url.pathname.length > 1) return text;
	throw new ConfigError(
		'PUMADB_DATABASE_URL must be a URL such as postgres://user:password@db.example.com:5432/pumadb.',
	);
}

function smtpUrl(text: string): string | undefined {
	if (text === '') return undefined;
	if (URL.canParse(text) && ['smtp:', 'smtps:'].includes(new URL(text).protocol) && new URL(text).hostname !== '')
		return text;
	throw new ConfigError('PUMADB_SMTP_URL must be a URL such as smtp://user:password@mail.example.com:587.');
}

function origins(text: string): string[] {
	const list = text
		.split(',')
		.map((part) => part.trim())
		.filter((part) => part !== '');
	for (const origin of list) {
		if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
			throw new ConfigError(
				`PUMADB_MCP_ORIGINS must be origins such as https://app.example.com, separated by commas, not "${origin}".`,
			);
		}
	}
	return list;
}

/** Is this the name or address of the machine itself? */
export function isLoopback(host: string): boolean {
	const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
	return (
		bare === 'localhost' ||
		bare === '::1' ||
		/^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare) ||
		bare.startsWith('::ffff:127.')
	);
}

function requireSense(config: Config): void {
	if (config.host === '') throw new ConfigError('PUMADB_HOST must name an address to listen on.');
	if (config.smtpUrl !== undefined && config.mailFrom === '') {
		throw new ConfigError(
			'PUMADB_SMTP_URL is set, so PUMADB_MAIL_FROM must name the sender, for example "pumaDB <noreply@example.com>".',
		);
	}
	if (config.mailFrom !== '' && !/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/.test(config.mailFrom)) {
		throw new ConfigError(
			`PUMADB_MAIL_FROM must be an address such as "pumaDB <noreply@example.com>", not "${config.mailFrom}".`,
		);
	}
	const local =
		isLoopback(config.host) && (config.publicUrl === undefined || isLoopback(new URL(config.publicUrl).hostname));
	if (config.signIn && config.smtpUrl === undefined && !local) {
		throw new ConfigError(
			'PUMADB_HOST or PUMADB_PUBLIC_URL can be reached from other machines, so people need mail to sign in: set PUMADB_SMTP_URL and PUMADB_MAIL_FROM, or set PUMADB_SIGN_IN=off and make keys with "pumadb keys create".',
		);
	}
}
