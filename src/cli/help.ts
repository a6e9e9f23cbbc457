import { flagOf, SETTINGS } from '../config.ts';
import type { Command, Flag } from './command.ts';
import { EXIT_MEANINGS } from './exit-codes.ts';

/** All commands, in two groups. */
export function overview(commands: readonly Command[]): string {
	const width = Math.max(...commands.map(({ words }) => words.length));
	const lines = (group: Command['group']): string =>
		commands
			.filter((command) => command.group === group)
			.map(({ words, summary }) => `  ${words.padEnd(width)}  ${summary}`)
			.join('\n');
	return `pumaDB: durable memory for agents

Usage: pumadb COMMAND [flags]

Your memory, on any server, with your API key:
${lines('person')}

The server, and the data directory on its machine:
${lines('operator')}

pumadb COMMAND --help tells more; pumadb --version is the version.

Exit codes:
${EXIT_MEANINGS.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join('\n')}`;
}

export function helpOf(command: Command): string {
	const serve = command.words === 'serve';
	const shown = Object.entries(command.flags).map(
		([name, flag]) => [spelled(name, flag), meaningOf(flag), name] as const,
	);
	const width = Math.max(0, ...shown.map(([spelling]) => spelling.length));
	const lines = shown.map(([spelling, meaning, name]) => {
		const setting = serve ? SETTINGS.find((one) => flagOf(one.name) === name) : undefined;
		const fallback = setting !== undefined && setting.fallback !== '' ? ` (default: ${setting.fallback})` : '';
		return `  ${spelling.padEnd(width)}  ${meaning}${fallback}`;
	});
	const usage = `pumadb ${command.words} — ${command.summary}\n\nUsage: pumadb ${[command.words, ...command.positionals].join(' ')} [flags]`;
	const parts = [usage, lines.join('\n'), command.notes, serve ? environmentHelp() : undefined];
	return parts.filter((part) => part !== undefined && part !== '').join('\n\n');
}

function spelled(name: string, flag: Flag): string {
	return typeof flag === 'string' || flag.value === undefined ? `--${name}` : `--${name} ${flag.value}`;
}

export function meaningOf(flag: Flag): string {
	return typeof flag === 'string' ? flag : flag.meaning;
}

function environmentHelp(): string {
	const secrets = SETTINGS.filter((setting) => setting.secret);
	const width = Math.max(...secrets.map(({ name }) => name.length));
	const lines = secrets.map(({ name, meaning }) => `  ${name.padEnd(width)}  ${meaning}`);
	return `Each flag is also an environment variable: --data-dir is PUMADB_DATA_DIR; the flag wins.
Settings that hold a secret are environment variables only; NAME_FILE may name a file that holds the value:

${lines.join('\n')}`;
}
