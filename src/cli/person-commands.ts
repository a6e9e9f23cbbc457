import type { Command, Flag } from './command.ts';
import { MEMBERS_HELP } from './members.ts';

/** What a person does with their memory, with an API key. Each command is loaded when it is run, so that the help costs nothing. */

const JSON_FLAG: Readonly<Record<string, Flag>> = { json: { meaning: 'answer in JSON, and tell errors in JSON' } };
const QUERY_FLAGS: Readonly<Record<string, Flag>> = {
	sort: { value: 'MEMBER', meaning: 'sort by a member; -MEMBER the other way round (write --sort=-MEMBER)' },
	limit: { value: 'N', meaning: 'the greatest number of rows' },
};
const IDEMPOTENCY_FLAG: Readonly<Record<string, Flag>> = {
	'idempotency-key': { value: 'KEY', meaning: 'sent again with the same key within a day, nothing is stored twice' },
};

const PERSON: readonly Omit<Command, 'group'>[] = [
	{
		words: 'login',
		summary: 'sign in by a link sent to your email address, and keep the API key',
		flags: {
			url: { value: 'URL', meaning: 'the server (default: PUMADB_URL, the last login, http://127.0.0.1:8787)' },
			email: { value: 'ADDRESS', meaning: 'your email address; asked for unless given' },
			'with-key': { meaning: 'ask for an API key that you have already, in place of a link' },
			...JSON_FLAG,
		},
		positionals: [],
		notes:
			'The key is kept in $XDG_CONFIG_HOME/pumadb/login.json (~/.config), which only you can read.\nPUMADB_URL and PUMADB_API_KEY win over it.',
		run: async (values, _, around) => (await import('./login.ts')).login(values, around),
	},
	{
		words: 'logout',
		summary: 'revoke the key of the login, and forget it',
		flags: JSON_FLAG,
		positionals: [],
		run: async (values, _, around) => (await import('./logout.ts')).logout(values, around),
	},
	{
		words: 'tables',
		summary: 'list the tables',
		flags: JSON_FLAG,
		positionals: [],
		run: async (values, _, around) => (await import('./tables.ts')).tables(values, around),
	},
	{
		words: 'get',
		summary: 'show a row, or the rows that match',
		flags: { ...QUERY_FLAGS, count: { meaning: 'only how many there are' }, ...JSON_FLAG },
		positionals: ['TABLE', '[ID|MEMBER…]'],
		notes: `${MEMBERS_HELP}

  pumadb get tasks
  pumadb get tasks status=open done:=false --sort=-created_at --limit 10
  pumadb get tasks 0197a1b2-0000-7000-8000-000000000000 --json`,
		run: async (values, words, around) => (await import('./get.ts')).get(values, words, around),
	},
	{
		words: 'add',
		summary: 'add a row',
		flags: { ...IDEMPOTENCY_FLAG, ...JSON_FLAG },
		positionals: ['TABLE', 'MEMBER…'],
		notes: `${MEMBERS_HELP}

  pumadb add tasks title='Buy milk' status=open size:=2
  echo '{"title":"Buy milk"}' | pumadb add tasks -`,
		run: async (values, words, around) => (await import('./add.ts')).add(values, words, around),
	},
	{
		words: 'upsert',
		summary: 'add a row, or replace the one with the same key',
		flags: {
			key: { value: 'MEMBER', multiple: true, meaning: 'what identifies the row; may be given several times' },
			...JSON_FLAG,
		},
		positionals: ['TABLE', 'MEMBER…'],
		notes: `${MEMBERS_HELP}

  pumadb upsert people --key email email=ada@example.com name=Ada`,
		run: async (values, words, around) => (await import('./upsert.ts')).upsert(values, words, around),
	},
	{
		words: 'update',
		summary: 'change members of a row, or of the rows that match',
		flags: {
			where: { value: 'MEMBER', multiple: true, meaning: 'in place of an id: which row; may be given several times' },
			all: { meaning: 'with --where: change every match, not just a single one' },
			...JSON_FLAG,
		},
		positionals: ['TABLE', '[ID]', 'MEMBER…'],
		notes: `${MEMBERS_HELP}

  pumadb update tasks 0197a1b2-0000-7000-8000-000000000000 status=done
  pumadb update tasks --where status=open --all status=later`,
		run: async (values, words, around) => (await import('./update.ts')).update(values, words, around),
	},
	{
		words: 'delete',
		summary: 'delete rows: shows which, and asks',
		flags: { yes: { meaning: 'do not ask' }, ...JSON_FLAG },
		positionals: ['TABLE', 'ID|MEMBER…'],
		notes: `${MEMBERS_HELP}

  pumadb delete tasks status=done
Deleted rows can be restored for a while: pumadb restore TABLE ID`,
		run: async (values, words, around) => (await import('./delete.ts')).deleteRows(values, words, around),
	},
	{
		words: 'batch',
		summary: 'run up to 100 writes on a table, all or none, from a file or standard input',
		flags: { ...IDEMPOTENCY_FLAG, ...JSON_FLAG },
		positionals: ['TABLE', '[FILE]'],
		notes: `The file has an array of operations, or one a line:
  {"action":"add","row":{"title":"Buy milk"}}
  {"action":"update_where","filter":{"status":"open"},"patch":{"status":"later"},"allowMultiple":true}
  {"action":"delete","filter":{"status":"done"}}`,
		run: async (values, words, around) => (await import('./batch.ts')).batch(values, words, around),
	},
	{
		words: 'versions',
		summary: 'list the earlier versions of a row',
		flags: JSON_FLAG,
		positionals: ['TABLE', 'ID'],
		run: async (values, words, around) => (await import('./versions.ts')).versions(values, words, around),
	},
	{
		words: 'restore',
		summary: 'put a version of a row back: the newest, of a deleted row too',
		flags: { version: { value: 'N', meaning: 'which version, as "pumadb versions" numbers them' }, ...JSON_FLAG },
		positionals: ['TABLE', 'ID'],
		run: async (values, words, around) => (await import('./restore.ts')).restore(values, words, around),
	},
	{
		words: 'export',
		summary: 'write everything as JSON, to FILE or standard output',
		flags: { force: { meaning: 'replace FILE where it exists' }, ...JSON_FLAG },
		positionals: ['[FILE]'],
		run: async (values, words, around) => (await import('./export.ts')).exportTables(values, words, around),
	},
	{
		words: 'import',
		summary: 'store the rows of a file: JSON, JSON lines, CSV, an export, or a memory file of the MCP memory server',
		flags: {
			table: { value: 'TABLE', meaning: 'where the rows go; an export and a memory file have tables of their own' },
			key: { value: 'MEMBER', multiple: true, meaning: 'upsert by this member; may be given several times' },
			format: { value: 'FORMAT', meaning: 'json, jsonl, csv or memory; told by the file unless given' },
			rename: {
				value: 'OLD=NEW',
				multiple: true,
				meaning: 'store a member under another name; may be given several times',
			},
			typed: { meaning: 'CSV: read 3, true and null as number, boolean and null; all is text otherwise' },
			delimiter: {
				value: 'CHARACTER',
				meaning: 'CSV: what stands between cells (default: a comma; a tab in .tsv files)',
			},
			'dry-run': { meaning: 'look at everything and store nothing' },
			new: { meaning: 'forget that an import of this file stopped, and begin anew' },
			...JSON_FLAG,
		},
		positionals: ['FILE'],
		notes: `FILE may be - for standard input. Everything is looked at before anything is stored. An import that stops goes on
when the same command is run again; no row is stored twice. What it cannot be sure of after an hour, it says.

  pumadb import tasks.csv --table tasks --typed --dry-run
  pumadb import memory.jsonl        entities and relations, upserted by their names
  pumadb import backup.json         what "pumadb export" wrote`,
		run: async (values, words, around) => (await import('./import.ts')).importRows(values, words, around),
	},
	{
		words: 'open',
		summary: 'make a short-lived link to a row, a text or a query, and open it in the browser',
		flags: {
			field: { value: 'MEMBER', meaning: 'the text of one row to show' },
			...QUERY_FLAGS,
			print: { meaning: 'print the link, open nothing' },
			...JSON_FLAG,
		},
		positionals: ['TABLE', '[ID|MEMBER…]'],
		run: async (values, words, around) => (await import('./open.ts')).open(values, words, around),
	},
	{
		words: 'keys list',
		summary: 'list your API keys',
		flags: JSON_FLAG,
		positionals: [],
		run: async (values, _, around) => (await import('./keys.ts')).listKeys(values, around),
	},
	{
		words: 'keys create',
		summary: "make a further API key of your account (with --email: the operator's command)",
		flags: JSON_FLAG,
		positionals: ['NAME'],
		run: async (values, words, around) => (await import('./keys.ts')).createKey(values, words, around),
	},
	{
		words: 'keys revoke',
		summary: 'end an API key',
		flags: JSON_FLAG,
		positionals: ['ID'],
		run: async (values, words, around) => (await import('./keys.ts')).revokeKey(values, words, around),
	},
	{
		words: 'completions',
		summary: 'print completions for bash, zsh or fish',
		flags: {},
		positionals: ['SHELL'],
		notes: `  bash: source <(pumadb completions bash)          in ~/.bashrc
  zsh:  source <(pumadb completions zsh)           in ~/.zshrc, after compinit
  fish: pumadb completions fish | source           in ~/.config/fish/config.fish`,
		run: async (_, words, around) => (await import('./completions.ts')).completions(words, around),
	},
];

export const PERSON_COMMANDS: readonly Command[] = PERSON.map((command) => ({ ...command, group: 'person' }));
