import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Config, flagOf, SETTINGS } from '../config.ts';
import { type Command, type Flag, need, textOf, UsageError, type Values } from './command.ts';
import { tellFailure } from './failure.ts';
import { helpOf, overview } from './help.ts';
import { print } from './output.ts';
import { PERSON_COMMANDS } from './person-commands.ts';
import type { Surroundings } from './surroundings.ts';
import { configWithoutServer } from './where.ts';

const DATA_DIR = {
	'data-dir':
		'directory of the embedded database (PUMADB_DATA_DIR, default ./data; else PUMADB_DATABASE_URL where that is set)',
};

const OPERATOR: readonly Omit<Command, 'group'>[] = [
	{
		words: 'serve',
		summary: 'start the server',
		flags: Object.fromEntries(
			SETTINGS.filter((setting) => !setting.secret).map((setting) => [flagOf(setting.name), setting.meaning]),
		),
		positionals: [],
		run: async (values, _, around) => (await import('./serve.ts')).runServe(values, around),
	},
	{
		words: 'mcp',
		summary: "speak MCP on standard input and output, for an agent's client",
		flags: {
			url: 'address of a server (default: PUMADB_URL, or the login); the API key is that of PUMADB_API_KEY, or of the login',
			...DATA_DIR,
			account: 'without --url: email address of the account whose rows these are',
		},
		positionals: [],
		run: async (values, _, around) => {
			const { mcp } = await import('./mcp.ts');
			const dataDir = textOf(values, 'data-dir');
			return mcp({ url: textOf(values, 'url'), account: textOf(values, 'account'), dataDir }, around);
		},
	},
	{
		words: 'backup',
		summary: 'write a consistent copy of the database to FILE, while the server runs or not',
		flags: DATA_DIR,
		positionals: ['FILE'],
		run: async (values, [file], around) =>
			(await import('./backup.ts')).backup(configOf(values, around), file!, around),
	},
	{
		words: 'check',
		summary: "check the database's integrity and pumaDB's own invariants",
		flags: DATA_DIR,
		positionals: [],
		run: async (values, _, around) => (await import('./check.ts')).check(configOf(values, around), around),
	},
	{
		words: 'move',
		summary: 'carry everything from a data directory to PostgreSQL, or back, while no server runs',
		flags: {
			from: 'where everything is: a data directory, or postgres://…',
			to: 'where it is to go, which must be empty: a data directory, or postgres://…',
			'dry-run': { meaning: 'look at both ends and say what would be carried; change nothing' },
		},
		positionals: [],
		notes:
			'A move that was stopped, in whatever way, goes on where it was when the same command is run again. Passwords need not be in the URL: PGPASSWORD and ~/.pgpass are read.',
		run: async (values, _, around) => {
			const { runMove } = await import('./move.ts');
			return runMove(need(values, 'from'), need(values, 'to'), values['dry-run'] === true, around);
		},
	},
	{
		words: 'keys create',
		summary: 'with --email: make an API key, and the account where the address is new',
		flags: { ...DATA_DIR, email: "the account's email address", name: "the key's name (default: operator)" },
		positionals: [],
		takes: (args) => args.some((arg) => /^--(email|data-dir)(=|$)/.test(arg)),
		run: async (values, _, around) => {
			const { operate } = await import('./operate.ts');
			const name = textOf(values, 'name') ?? 'operator';
			return operate(configOf(values, around), { command: 'keys create', email: need(values, 'email'), name }, around);
		},
	},
	{
		words: 'accounts delete',
		summary: 'erase an account with all it holds',
		flags: { ...DATA_DIR, account: "the account's email address or id" },
		positionals: [],
		run: async (values, _, around) => {
			const { operate } = await import('./operate.ts');
			const command = { command: 'accounts delete', account: need(values, 'account') } as const;
			return operate(configOf(values, around), command, around);
		},
	},
	{
		words: 'rows purge',
		summary: 'remove a row with its versions and kept answers, beyond restoring',
		flags: { ...DATA_DIR, account: "the account's email address or id", table: 'the table', id: "the row's id" },
		positionals: [],
		run: async (values, _, around) => {
			const { operate } = await import('./operate.ts');
			const [account, table, id] = [need(values, 'account'), need(values, 'table'), need(values, 'id')];
			return operate(configOf(values, around), { command: 'rows purge', account, table, id }, around);
		},
	},
];

/** Of two commands with the same words the first that takes the arguments is meant. */
export const COMMANDS: readonly Command[] = [
	...OPERATOR.map((command) => ({ ...command, group: 'operator' as const })),
	...PERSON_COMMANDS,
];

/** Runs the command that the arguments name. @returns the process's exit code, as `exit-codes.ts` has them */
export async function runCommand(args: readonly string[], around: Surroundings): Promise<number> {
	const command = COMMANDS.find(
		({ words, takes }) => words.split(' ').every((word, i) => args[i] === word) && (takes?.(args) ?? true),
	);
	if (command === undefined) {
		try {
			return await noCommand(args, around);
		} catch (error) {
			return tellFailure(args[0] ?? 'help', error, {}, around);
		}
	}
	let values: Values = { json: args.includes('--json') && 'json' in command.flags };
	try {
		const parsed = parse(command, args.slice(command.words.split(' ').length));
		values = parsed.values;
		if (values.help) {
			const same = COMMANDS.filter(({ words }) => words === command.words);
			await print(around, same.map(helpOf).join('\n\n'));
			return 0;
		}
		return await command.run(values, parsed.positionals, around);
	} catch (error) {
		return tellFailure(command.words, error, values, around);
	}
}

/** Help, the version, or what there is in place of a command that there is not. */
async function noCommand(args: readonly string[], around: Surroundings): Promise<number> {
	const [first] = args;
	if (first === '--version' || first === '-V') {
		await print(around, readVersion());
		return 0;
	}
	if (first === 'help' && args.length > 1) return runCommand([...args.slice(1), '--help'], around);
	if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
		await print(around, overview(COMMANDS));
		return 0;
	}
	const near = new Set(COMMANDS.flatMap(({ words }) => (words.startsWith(`${first} `) ? [words] : [])));
	const hint = near.size > 0 ? `There are: ${[...near].join(', ')}.` : '"pumadb --help" lists them.';
	around.complain(`There is no command "${args.slice(0, 2).join(' ')}". ${hint}`);
	return 2;
}

function readVersion(): string {
	return JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')).version;
}

function parse(command: Command, args: string[]): { values: Values; positionals: string[] } {
	const options = {
		...Object.fromEntries(Object.entries(command.flags).map(([name, flag]) => [name, optionOf(flag)])),
		help: { type: 'boolean' as const, short: 'h' },
	};
	try {
		const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
		const least = command.positionals.filter((name) => !name.startsWith('[')).length;
		const most = command.positionals.at(-1)?.includes('…') ? Number.POSITIVE_INFINITY : command.positionals.length;
		if (!values.help && (positionals.length < least || positionals.length > most)) {
			throw new UsageError(`Usage: pumadb ${[command.words, ...command.positionals].join(' ')} [flags]; see --help.`);
		}
		return { values: values as Values, positionals };
	} catch (error) {
		throw error instanceof UsageError ? error : new UsageError(wrongFlag(error as NodeJS.ErrnoException, options));
	}
}

/** What `parseArgs` refuses, in one sentence; its own messages are written for who wrote the program. */
function wrongFlag({ code, message }: NodeJS.ErrnoException, options: object): string {
	const flag = /'(?:-\w, )?(-[^' ]*)/.exec(message)?.[1] ?? 'A flag';
	if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
		const there = Object.keys(options).map((name) => `--${name}`);
		return `There is no flag ${flag} here. There are: ${there.join(', ')}. Where it is no flag, write -- before it.`;
	}
	if (message.includes('ambiguous')) return `${flag} takes a value: where it begins with "-", write ${flag}=-…`;
	if (message.includes('argument missing')) return `${flag} takes a value, and there is none; see --help.`;
	if (message.includes('does not take')) return `${flag} takes no value; see --help.`;
	return `${message}; see --help.`;
}

function optionOf(flag: Flag): { type: 'string' | 'boolean'; multiple: boolean } {
	if (typeof flag === 'string') return { type: 'string', multiple: false };
	return { type: flag.value === undefined ? 'boolean' : 'string', multiple: flag.multiple === true };
}

function configOf(values: Values, around: Surroundings): Config {
	return configWithoutServer(textOf(values, 'data-dir'), around);
}
