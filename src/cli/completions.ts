import { type Command, type Flag, UsageError } from './command.ts';
import { COMMANDS } from './commands.ts';
import { meaningOf } from './help.ts';
import { write } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Prints a script that completes commands and flags, made from the table of commands. */
export async function completions([shell]: readonly string[], around: Surroundings): Promise<number> {
	const scripts: Readonly<Record<string, () => string>> = { bash, zsh, fish };
	const script = Object.hasOwn(scripts, shell!) ? scripts[shell!] : undefined;
	if (script === undefined) throw new UsageError(`There are completions for bash, zsh and fish, not for "${shell}".`);
	await write(around, script());
	return 0;
}

/** Flags of all commands with the same words. */
function flagsByWords(): Map<string, [name: string, flag: Flag][]> {
	const byWords = new Map<string, [string, Flag][]>();
	for (const { words, flags } of COMMANDS) {
		const list = byWords.get(words) ?? [];
		list.push(...Object.entries(flags).filter(([name]) => !list.some(([other]) => other === name)));
		byWords.set(words, list);
	}
	return byWords;
}

/** What may follow `pumadb`, and what may follow a first word that needs a second. */
function wordTree(): Map<string, { summary: string; second: Map<string, string> }> {
	const tree = new Map<string, { summary: string; second: Map<string, string> }>();
	for (const { words, summary } of COMMANDS) {
		const [first, second] = words.split(' ') as [string, string | undefined];
		const entry = tree.get(first) ?? {
			summary: second === undefined ? summary : groupSummary(first),
			second: new Map(),
		};
		if (second !== undefined && !entry.second.has(second)) entry.second.set(second, summary);
		tree.set(first, entry);
	}
	return tree;
}

function groupSummary(first: string): string {
	return COMMANDS.flatMap(({ words }) => (words.startsWith(`${first} `) ? [words.slice(first.length + 1)] : [])).join(
		', ',
	);
}

function takesValue(flag: Flag): boolean {
	return typeof flag === 'string' || flag.value !== undefined;
}

function bash(): string {
	const tree = wordTree();
	const seconds = [...tree].filter(([, { second }]) => second.size > 0);
	const flags = [...flagsByWords()].map(
		([words, list]) => `\t\t'${words}') flags='${[...list.map(([name]) => `--${name}`), '--help'].join(' ')}' ;;`,
	);
	return `# Completions of pumadb for bash, by "pumadb completions bash".
_pumadb() {
	local current=\${COMP_WORDS[COMP_CWORD]} first=\${COMP_WORDS[1]} second=\${COMP_WORDS[2]} words flags=''
	if [[ $COMP_CWORD -eq 1 ]]; then
		COMPREPLY=($(compgen -W '${[...tree.keys()].join(' ')}' -- "$current"))
		return
	fi
	if [[ $COMP_CWORD -eq 2 ]]; then
		case $first in
${seconds.map(([first, { second }]) => `\t\t\t${first}) COMPREPLY=($(compgen -W '${[...second.keys()].join(' ')}' -- "$current")); return ;;`).join('\n')}
			completions) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$current")); return ;;
		esac
	fi
	words=$first
	case $first in ${seconds.map(([first]) => first).join('|')}) words="$first $second" ;; esac
	case $words in
${flags.join('\n')}
	esac
	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$current"))
	else
		COMPREPLY=($(compgen -f -- "$current"))
	fi
}
complete -o filenames -F _pumadb pumadb
`;
}

function zsh(): string {
	const tree = wordTree();
	const seconds = [...tree].filter(([, { second }]) => second.size > 0);
	const item = (word: string, summary: string): string => `'${word}:${quoted(summary)}'`;
	const flags = [...flagsByWords()].map(([words, list]) => {
		const specs = list.map(
			([name, flag]) => `'*--${name}[${bracketed(meaningOf(flag))}]${takesValue(flag) ? ':value:_files' : ''}'`,
		);
		return `\t\t'${words}') _arguments ${[...specs, "'--help[show help]'", "'*:file:_files'"].join(' ')} ;;`;
	});
	return `#compdef pumadb
# Completions of pumadb for zsh, by "pumadb completions zsh".
_pumadb() {
	local -a items
	if (( CURRENT == 2 )); then
		items=(${[...tree].map(([word, { summary }]) => item(word, summary)).join(' ')})
		_describe command items
		return
	fi
	local command=$words[2] skip=1
	if (( CURRENT == 3 )); then
		case $command in
${seconds.map(([first, { second }]) => `\t\t\t${first}) items=(${[...second].map(([word, summary]) => item(word, summary)).join(' ')}); _describe command items; return ;;`).join('\n')}
			completions) items=(bash zsh fish); _describe shell items; return ;;
		esac
	fi
	case $command in ${seconds.map(([first]) => first).join('|')}) command="$command $words[3]"; skip=2 ;; esac
	words=(pumadb "\${(@)words[skip+2,-1]}")
	(( CURRENT -= skip ))
	case $command in
${flags.join('\n')}
	esac
}
compdef _pumadb pumadb
`;
}

function fish(): string {
	const tree = wordTree();
	const lines: string[] = [];
	for (const [first, { summary, second }] of tree) {
		lines.push(`complete -c pumadb -f -n __fish_use_subcommand -a ${first} -d '${quoted(summary)}'`);
		for (const [word, meaning] of second) {
			const condition = `"__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${[...second.keys()].join(' ')}"`;
			lines.push(`complete -c pumadb -f -n ${condition} -a ${word} -d '${quoted(meaning)}'`);
		}
	}
	lines.push("complete -c pumadb -f -n '__fish_seen_subcommand_from completions' -a 'bash zsh fish'");
	for (const [words, list] of flagsByWords()) {
		const condition = words
			.split(' ')
			.map((word) => `__fish_seen_subcommand_from ${word}`)
			.join('; and ');
		for (const [name, flag] of list) {
			lines.push(
				`complete -c pumadb -n '${condition}' -l ${name} ${takesValue(flag) ? '-r ' : ''}-d '${quoted(meaningOf(flag))}'`,
			);
		}
	}
	return `# Completions of pumadb for fish, by "pumadb completions fish".\n${lines.join('\n')}\n`;
}

/** Inside single quotes of a shell; an apostrophe there would end them. */
function quoted(text: string): string {
	return text.replaceAll("'", '’');
}

function bracketed(text: string): string {
	return quoted(text).replaceAll(/[[\]:]/g, (character) => `\\${character}`);
}

export type { Command };
