import { parseArgs } from 'node:util';
import { type Config, ConfigError, flagOf, readConfig, SETTINGS } from '../config.ts';
import { Refusal } from '../errors.ts';
import { aborted, serve } from '../serve.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { mcp } from './mcp.ts';
import { operate } from './operate.ts';
import type { Surroundings } from './surroundings.ts';
import { configWithoutServer } from './where.ts';

type Flags = Readonly<Record<string, string | undefined>>;

interface Command {
	readonly words: string;
	readonly summary: string;
	/** Flags of its own, with what they mean. Every command takes --data-dir. */
	readonly flags: Readonly<Record<string, string>>;
	readonly positionals: readonly string[];
	run(flags: Flags, positionals: readonly string[], around: Surroundings): Promise<number>;
}

const DATA_DIR = {
	'data-dir':
		'directory of the embedded database (PUMADB_DATA_DIR, default ./data; else PUMADB_DATABASE_URL where that is set)',
};

const COMMANDS: readonly Command[] = [
	{
		words: 'serve',
		summary: 'start the server',
		flags: Object.fromEntries(
			SETTINGS.filter((setting) => !setting.secret).map((setting) => [flagOf(setting.name), setting.meaning]),
		),
		positionals: [],
		run: runServe,
	},
	{
		words: 'mcp',
		summary: "speak MCP on standard input and output, for an agent's client",
		flags: {
			url: 'address of a server; its API key is read from PUMADB_API_KEY',
			...DATA_DIR,
			account: 'without --url: email address of the account whose rows these are',
		},
		positionals: [],
		run: (flags, _, around) => mcp({ url: flags.url, account: flags.account, dataDir: flags['data-dir'] }, around),
	},
	{
		words: 'backup',
		summary: 'write a consistent copy of the database to FILE, while the server runs or not',
		flags: DATA_DIR,
		positionals: ['FILE'],
		run: async (flags, [file], around) => backup(configOf(flags, around), file!, around),
	},
	{
		words: 'check',
		summary: "check the database's integrity and pumaDB's own invariants",
		flags: DATA_DIR,
		positionals: [],
		run: async (flags, _, around) => check(configOf(flags, around), around),
	},
	{
		words: 'keys create',
		summary: 'make an API key, and the account where the address is new',
		flags: { ...DATA_DIR, email: "the account's email address", name: "the key's name (default: operator)" },
		positionals: [],
		run: (flags, _, around) =>
			operate(
				configOf(flags, around),
				{ command: 'keys create', email: need(flags, 'email'), name: flags.name ?? 'operator' },
				around,
			),
	},
	{
		words: 'accounts delete',
		summary: 'erase an account with all it holds',
		flags: { ...DATA_DIR, account: "the account's email address or id" },
		positionals: [],
		run: (flags, _, around) =>
			operate(configOf(flags, around), { command: 'accounts delete', account: need(flags, 'account') }, around),
	},
	{
		words: 'rows purge',
		summary: 'remove a row with its versions and kept answers, beyond restoring',
		flags: { ...DATA_DIR, account: "the account's email address or id", table: 'the table', id: "the row's id" },
		positionals: [],
		run: (flags, _, around) =>
			operate(
				configOf(flags, around),
				{ command: 'rows purge', account: need(flags, 'account'), table: need(flags, 'table'), id: need(flags, 'id') },
				around,
			),
	},
];

class UsageError extends Error {}

/** Runs the command that the arguments name. @returns the process's exit code: 0, 1 for a failure, 2 for wrong usage. */
export async function runCommand(args: readonly string[], around: Surroundings): Promise<number> {
	const command = COMMANDS.find(({ words }) => words.split(' ').every((word, i) => args[i] === word));
	if (command === undefined) {
		const help = args.length === 0 || args[0] === '--help' || args[0] === '-h' || args[0] === 'help';
		(help ? around.print : around.complain)(
			help ? overview() : `There is no command "${args.join(' ')}".\n\n${overview()}`,
		);
		return help ? 0 : 2;
	}
	try {
		const { values, positionals } = parse(command, args.slice(command.words.split(' ').length));
		if (values.help) {
			around.print(helpOf(command));
			return 0;
		}
		return await command.run(values as Flags, positionals, around);
	} catch (error) {
		around.complain(`pumadb ${command.words}: ${error instanceof Error ? error.message : String(error)}`);
		return error instanceof UsageError || error instanceof ConfigError || error instanceof Refusal ? 2 : 1;
	}
}

function parse(
	command: Command,
	args: string[],
): { values: Record<string, string | boolean | undefined>; positionals: string[] } {
	const options = {
		...Object.fromEntries(Object.keys(command.flags).map((flag) => [flag, { type: 'string' as const }])),
		help: { type: 'boolean' as const, short: 'h' },
	};
	try {
		const parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
		const values = parsed.values as Record<string, string | boolean | undefined>;
		if (!values.help && parsed.positionals.length !== command.positionals.length) {
			throw new UsageError(`Usage: pumadb ${command.words} ${command.positionals.join(' ')} [flags]; see --help.`);
		}
		return { values, positionals: parsed.positionals };
	} catch (error) {
		throw error instanceof UsageError ? error : new UsageError(`${(error as Error).message}; see --help.`);
	}
}

function need(flags: Flags, name: string): string {
	const value = flags[name];
	if (value !== undefined && value !== '') return value;
	throw new UsageError(`--${name} is missing; see --help.`);
}

function configOf(flags: Flags, around: Surroundings): Config {
	return configWithoutServer(flags['data-dir'], around);
}

function overview(): string {
	const width = Math.max(...COMMANDS.map(({ words }) => words.length));
	const lines = COMMANDS.map(({ words, summary }) => `  ${words.padEnd(width)}  ${summary}`);
	return `pumaDB: durable memory for agents\n\nUsage: pumadb COMMAND [flags]\n\n${lines.join('\n')}\n\npumadb COMMAND --help tells more.`;
}

function helpOf(command: Command): string {
	const serve = command.words === 'serve';
	const width = Math.max(...Object.keys(command.flags).map((flag) => flag.length));
	const lines = Object.entries(command.flags).map(([flag, meaning]) => {
		const setting = serve ? SETTINGS.find(({ name }) => flagOf(name) === flag) : undefined;
		const fallback = setting !== undefined && setting.fallback !== '' ? ` (default: ${setting.fallback})` : '';
		return `  --${flag.padEnd(width)}  ${meaning}${fallback}`;
	});
	const usage = `pumadb ${command.words} — ${command.summary}\n\nUsage: pumadb ${[command.words, ...command.positionals].join(' ')} [flags]`;
	return `${usage}\n\n${lines.join('\n')}${serve ? `\n\n${environmentHelp()}` : ''}`;
}

function environmentHelp(): string {
	const secrets = SETTINGS.filter((setting) => setting.secret);
	const width = Math.max(...secrets.map(({ name }) => name.length));
	const lines = secrets.map(({ name, meaning }) => `  ${name.padEnd(width)}  ${meaning}`);
	return `Each flag is also an environment variable: --data-dir is PUMADB_DATA_DIR; the flag wins.
Settings that hold a secret are environment variables only; NAME_FILE may name a file that holds the value:

${lines.join('\n')}`;
}

async function runServe(flags: Flags, _: readonly string[], around: Surroundings): Promise<number> {
	const config = readConfig(around.env, flags);
	const fatal = new AbortController();
	const running = await serve({ config, clock: around.clock, onFatal: () => fatal.abort() });
	around.print(`pumaDB listens on ${running.url}`);
	await Promise.race([aborted(around.stopped), aborted(fatal.signal)]);
	if (fatal.signal.aborted) {
		around.complain('pumadb serve: the writer failed; see the log. Start the server again.');
		process.exit(1);
	}
	await running.stop();
	return 0;
}
