import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { send } from './support/client.ts';
import { launch, run } from './support/launch.ts';
import { type Env, startServer, temporaryDir } from './support/server.ts';

const LIMITS: Readonly<Record<string, string>> = {
	maxTables: '20',
	maxRowsPerTable: '1000',
	maxAccountBytes: '26214400',
	maxRowBytes: '65536',
	maxBatchOperations: '100',
	readsPerMinute: '60',
	writesPerMinute: '30',
	maxQueryLimit: '1000',
	maxVersionsPerRow: '10',
	versionRetentionDays: '30',
};

/** Settings and their defaults, as they are promised; an empty default is none. */
const DEFAULTS: Readonly<Record<string, string>> = {
	PUMADB_HOST: '127.0.0.1',
	PUMADB_PORT: '8787',
	PUMADB_PUBLIC_URL: 'from host and port',
	PUMADB_DATA_DIR: './data',
	PUMADB_MAIL_FROM: '',
	PUMADB_LINK_TTL_SECONDS: '3600',
	PUMADB_TRUST_PROXY: '0',
	...Object.fromEntries(Object.entries(LIMITS).map(([name, value]) => [settingOf(name), value])),
	PUMADB_SIGN_INS_PER_HOUR: '10',
	PUMADB_MAX_ARCHIVE_BYTES: "4 × the account's bytes",
	PUMADB_SIGN_IN: 'on',
	PUMADB_METRICS: 'off',
	PUMADB_DATABASE_CONNECTIONS: '12',
	PUMADB_ACCESS_TOKEN_TTL_SECONDS: '3600',
	PUMADB_CLIENT_METADATA: 'on',
	PUMADB_MCP_ORIGINS: '',
};
const SECRETS = ['PUMADB_DATABASE_URL', 'PUMADB_SMTP_URL'];

/** `maxTables` is set by `PUMADB_MAX_TABLES`. */
function settingOf(limit: string): string {
	return `PUMADB_${limit.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function flagOf(setting: string): string {
	return `--${setting.slice('PUMADB_'.length).toLowerCase().replaceAll('_', '-')}`;
}

async function limitsIn(url: string): Promise<object> {
	return (await send(url, 'GET', '/openapi.json')).body['x-pumadb-limits'];
}

test('[9.1] [9.2] every limit is set by its environment variable and its flag, and the flag wins', async () => {
	const names = Object.keys(LIMITS);
	const env = Object.fromEntries(names.map((name, i) => [settingOf(name), String(100 + i)]));
	const flags = names.flatMap((name, i) => (i % 2 === 0 ? [flagOf(settingOf(name)), String(200 + i)] : []));
	const server = launch(['serve', '--port', '0', '--data-dir', temporaryDir(), ...flags], {
		...env,
		PUMADB_PORT: '1',
		PUMADB_DATA_DIR: '/dev/null',
	});
	try {
		const expected = Object.fromEntries(names.map((name, i) => [name, i % 2 === 0 ? 200 + i : 100 + i]));
		assert.deepEqual(await limitsIn((await server.url) ?? server.err()), expected);
	} finally {
		await server.kill();
	}
});

test('[9.2] 0 switches a limit off, for each limit, and shows as null', async () => {
	const names = Object.keys(LIMITS);
	const server = await startServer(Object.fromEntries(names.map((name) => [settingOf(name), '0'])));
	try {
		assert.deepEqual(await limitsIn(server.url), Object.fromEntries(names.map((name) => [name, null])));
	} finally {
		await server.stop();
	}
});

test('[9.1] an empty or padded value is no value, and a flag may be written with "="', async () => {
	const env = { PUMADB_MAX_TABLES: '', PUMADB_MAX_ROW_BYTES: ' 70000 ', PUMADB_PORT: '0' };
	const server = launch(['serve', `--data-dir=${temporaryDir()}`, '--max-batch-operations=7'], env);
	try {
		const limits = (await limitsIn((await server.url) ?? server.err())) as Record<string, unknown>;
		assert.equal(limits.maxTables, 20);
		assert.equal(limits.maxRowBytes, 70_000);
		assert.equal(limits.maxBatchOperations, 7);
	} finally {
		await server.kill();
	}
});

test('[9.1] pumadb serve --help lists every setting with its default', async () => {
	const { code, out, err } = await run(['serve', '--help']);
	assert.equal(code, 0);
	assert.equal(err, '');
	const lines = out.split('\n');
	for (const [setting, fallback] of Object.entries(DEFAULTS)) {
		const line = lines.find((one) => one.trim().split(/\s+/)[0] === flagOf(setting));
		assert.ok(line !== undefined, `${flagOf(setting)} is not listed`);
		if (fallback !== '') assert.ok(line.includes(`(default: ${fallback})`), line);
	}
	for (const secret of SECRETS) {
		assert.ok(
			lines.some((line) => line.trim().startsWith(secret)),
			`${secret} is not listed`,
		);
		assert.ok(!out.includes(flagOf(secret)), `${secret} has a flag`);
	}
	assert.match(out, /_FILE/);
});

test('[9.1] a secret has no flag, and comes from the environment or a file', async () => {
	for (const secret of SECRETS) {
		const { code, err } = await run(['serve', flagOf(secret), 'smtp://ada:topsecret@localhost']);
		assert.equal(code, 2, err);
		assert.doesNotMatch(err, /topsecret/);
	}
	const file = join(temporaryDir(), 'smtp-url');
	writeFileSync(file, 'smtp://ada:topsecret@127.0.0.1:2525\n');
	const env = { PUMADB_SMTP_URL_FILE: file, PUMADB_MAIL_FROM: 'puma@example.com', PUMADB_PORT: '0' };
	// With mail, a server that others can reach may start.
	const server = launch(['serve', '--data-dir', temporaryDir(), '--public-url', 'https://memory.example.com'], env);
	try {
		assert.notEqual(await server.url, undefined, server.err());
	} finally {
		await server.kill();
	}
});

const DIRECTORY = temporaryDir();
const A_FILE = join(DIRECTORY, 'a-file');
writeFileSync(A_FILE, 'smtp://ada:topsecret@');
const MAIL: Env = { PUMADB_SMTP_URL: 'smtp://127.0.0.1:2525', PUMADB_MAIL_FROM: 'puma@example.com' };
const NO_SIGN_IN: Env = { PUMADB_SIGN_IN: 'off' };

/** The setting that must be named, its value, and what else is set. */
const NONSENSE: readonly (readonly [name: string, value: string, more?: Env])[] = [
	...['x', '-1', '1.5', '65536', '0x10', '1e3', '８０'].map((value) => ['PUMADB_PORT', value] as const),
	...['not a host', '300.1.1.1', '203.0.113.7'].map((value) => ['PUMADB_HOST', value, NO_SIGN_IN] as const),
	['PUMADB_HOST', '0.0.0.0'],
	['PUMADB_PUBLIC_URL', 'https://memory.example.com'],
	...[
		'memory.example.com',
		'ftp://example.com',
		'http://127.0.0.1/path',
		'http://u:p@127.0.0.1',
		'http://127.0.0.1/?q',
	].map((value) => ['PUMADB_PUBLIC_URL', value, NO_SIGN_IN] as const),
	['PUMADB_DATA_DIR', A_FILE],
	['PUMADB_DATA_DIR', join(A_FILE, 'below')],
	['PUMADB_DATA_DIR', '/sys/pumadb'],
	['PUMADB_DATABASE_URL', 'postgres://ada:topsecret@127.0.0.1:1/db'],
	['PUMADB_DATABASE_URL', 'postgres://ada:topsecret@localhost'],
	['PUMADB_DATABASE_URL', 'mysql://ada:topsecret@localhost/db'],
	['PUMADB_SMTP_URL', 'mail.example.com:25', { PUMADB_MAIL_FROM: 'puma@example.com' }],
	['PUMADB_SMTP_URL', 'https://ada:topsecret@mail.example.com', { PUMADB_MAIL_FROM: 'puma@example.com' }],
	['PUMADB_SMTP_URL_FILE', join(DIRECTORY, 'none'), { PUMADB_MAIL_FROM: 'puma@example.com' }],
	['PUMADB_SMTP_URL_FILE', DIRECTORY, { PUMADB_MAIL_FROM: 'puma@example.com' }],
	['PUMADB_SMTP_URL_FILE', A_FILE, MAIL],
	['PUMADB_MAIL_FROM', '', { PUMADB_SMTP_URL: MAIL.PUMADB_SMTP_URL! }],
	['PUMADB_MAIL_FROM', 'not an address', { PUMADB_SMTP_URL: MAIL.PUMADB_SMTP_URL! }],
	...['0', '-5', 'hour', '99999999999'].map((value) => ['PUMADB_LINK_TTL_SECONDS', value] as const),
	...['0', '2', 'many', '1001'].map((value) => ['PUMADB_DATABASE_CONNECTIONS', value] as const),
	...['yes', '-1', '1.5', '101'].map((value) => ['PUMADB_TRUST_PROXY', value] as const),
	...Object.keys(LIMITS).flatMap((name) => ['-1', 'many', '1.5'].map((value) => [settingOf(name), value] as const)),
	['PUMADB_SIGN_INS_PER_HOUR', 'ten'],
	['PUMADB_MAX_ARCHIVE_BYTES', '1GB'],
	['PUMADB_SIGN_IN', 'maybe'],
	['PUMADB_METRICS', '1'],
	['PUMADB_ACCESS_TOKEN_TTL_SECONDS', '0'],
	['PUMADB_CLIENT_METADATA', 'yes'],
	...['example.com', 'https://app.example.com/path', '*', 'https://a.example.com b'].map(
		(value) => ['PUMADB_MCP_ORIGINS', value] as const,
	),
	['PUMADB_LOG_LEVEL', 'loud'],
];

/** Fails to start, and says why in one sentence that names the setting. */
async function assertNamed(name: string, args: readonly string[], env: Env): Promise<void> {
	const what = JSON.stringify({ ...env, args });
	const dataDir = mkdtempSync(join(DIRECTORY, 'data-'));
	const { code, out, err } = await run(['serve', ...args], { PUMADB_DATA_DIR: dataDir, PUMADB_PORT: '0', ...env });
	assert.equal(out, '', `${what} started`);
	assert.ok(code !== 0 && code !== null, `${what} ended with ${code}`);
	assert.ok(err.includes(name), `${what} says ${err}`);
	const sentence = err.replace(/^pumadb serve: /, '').trimEnd();
	assert.match(sentence, /^[A-Z][^\n]*[^.]\.$/, `${what} says more or less than a sentence: ${err}`);
	assert.doesNotMatch(sentence, /[a-z)"]\. [A-Z]/, `${what} says several sentences: ${err}`);
	assert.doesNotMatch(err, /topsecret/, 'a secret is printed');
}

test('[9.5] [6.3] a setting that makes no sense stops the start with one sentence that names it', async (t) => {
	for (const [name, value, more] of NONSENSE) {
		await t.test(`${name}=${value.replace(DIRECTORY, '…')}`, () => assertNamed(name, [], { ...more, [name]: value }));
	}
	for (const [name, value] of [
		['PUMADB_PORT', 'x'],
		['PUMADB_MAX_TABLES', 'many'],
		['PUMADB_SIGN_IN', ''],
	] as const) {
		await t.test(`${flagOf(name)}=${value}`, () => assertNamed(name, [`${flagOf(name)}=${value}`], {}));
	}
});

test('[9.5] a port that is taken stops the start with one sentence that names the setting', async () => {
	const server = await startServer();
	try {
		await assertNamed('PUMADB_PORT', [], { PUMADB_PORT: new URL(server.url).port });
	} finally {
		await server.stop();
	}
});
