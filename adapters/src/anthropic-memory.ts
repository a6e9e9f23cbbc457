import type { MemoryToolHandlers } from '@anthropic-ai/sdk/helpers/beta/memory';
import type { BatchOperation, Puma, Row, Table } from '@pumadb/client';
import { BATCH, codeOf } from './errors.ts';

type Command<Name extends keyof MemoryToolHandlers> = Parameters<MemoryToolHandlers[Name]>[0];

/** A file as a row. Directories are the beginnings of paths, and have no rows. */
interface File {
	scope: string;
	path: string;
	text: string;
}

const ROOT = '/memories';
const LINE_NUMBER_WIDTH = 6;
const MAX_LINES = 999_999;
/** How often an edit is made anew on a file that somebody changes at the same time. */
const MAX_EDITS = 5;
/** Each file that is renamed takes two operations of a batch. */
const MAX_RENAMED = BATCH / 2;

/**
 * The files of Anthropic's memory tool as text rows: `betaMemoryTool(new PumaMemory(puma))`. It answers as the SDK's own file-system
 * backend does. A file has at most 64 KB, as a row has; every earlier version of it can be restored, and a person can read and edit it by
 * a link. An edit is made on the text that was read or not at all, so two agents lose nothing of each other's.
 */
export class PumaMemory implements MemoryToolHandlers {
	readonly #files: Table<File>;
	readonly #scope: string;

	/** @param options `scope`: whose files, `default` unless given; `table`: `memory_files` unless given */
	constructor(puma: Puma, options: { readonly scope?: string; readonly table?: string } = {}) {
		this.#files = puma.table<File>(options.table ?? 'memory_files');
		this.#scope = options.scope ?? 'default';
	}

	async view({ path: given, view_range: range }: Command<'view'>): Promise<string> {
		const path = checkPath(given);
		const file = path === ROOT ? undefined : await this.#find(path);
		if (file !== undefined) return numbered(file.text, given, range);
		const inside = await this.#inside(path);
		if (inside.length === 0 && path !== ROOT)
			throw new Error(`The path ${given} does not exist. Please provide a valid path.`);
		return listing(inside, path);
	}

	async create({ path: given, file_text: text }: Command<'create'>): Promise<string> {
		const path = checkPath(given);
		await this.#requireFree(path, `File ${given} already exists`);
		const own = await this.#files.add({ scope: this.#scope, path, text });
		// Of two that make it at once the first has it.
		const [first] = await this.#files.query({ filter: { scope: this.#scope, path }, limit: 1 });
		if (first !== undefined && first.id !== own.id) {
			await this.#files.deleteWhere({ id: own.id });
			throw new Error(`File ${given} already exists`);
		}
		return `File created successfully at: ${given}`;
	}

	async str_replace({ path: given, old_str: old, new_str: next = '' }: Command<'str_replace'>): Promise<string> {
		const text = await this.#edit(given, (before) => {
			const parts = old === '' ? [before] : before.split(old);
			if (parts.length === 1) {
				throw new Error(`No replacement was performed, old_str \`${old}\` did not appear verbatim in ${given}.`);
			}
			if (parts.length > 2) {
				const lines = parts.slice(0, -1).map(
					(_, index) =>
						parts
							.slice(0, index + 1)
							.join(old)
							.split('\n').length,
				);
				throw new Error(
					`No replacement was performed. Multiple occurrences of old_str \`${old}\` in lines: ${lines.join(', ')}. Please ensure it is unique`,
				);
			}
			return { text: parts.join(next), line: parts[0]!.split('\n').length - 1 };
		});
		const lines = text.text.split('\n');
		const start = Math.max(0, text.line - 2);
		const snippet = lines.slice(start, text.line + 3).map((line, index) => numberedLine(start + index + 1, line));
		return `The memory file has been edited. Here is the snippet showing the change (with line numbers):\n${snippet.join('\n')}`;
	}

	async insert({ path: given, insert_line: at, insert_text: added }: Command<'insert'>): Promise<string> {
		await this.#edit(given, (before) => {
			const lines = before.split('\n');
			if (!(at >= 0 && at <= lines.length)) {
				throw new Error(
					`Invalid \`insert_line\` parameter: ${at}. It should be within the range of lines of the file: [0, ${lines.length}]`,
				);
			}
			lines.splice(at, 0, added.replace(/\n$/, ''));
			return { text: lines.join('\n') };
		});
		return `The file ${given} has been edited.`;
	}

	async delete({ path: given }: Command<'delete'>): Promise<string> {
		const path = checkPath(given);
		if (path === ROOT) throw new Error(`Cannot delete the ${ROOT} directory itself`);
		const files = await this.#at(path);
		if (files.length === 0) throw new Error(`The path ${given} does not exist`);
		const deletes = files.map(({ id }) => ({ action: 'delete' as const, filter: { id } }));
		for (let start = 0; start < deletes.length; start += BATCH)
			await this.#files.batch(deletes.slice(start, start + BATCH));
		return `Successfully deleted ${given}`;
	}

	async rename({ old_path: oldGiven, new_path: newGiven }: Command<'rename'>): Promise<string> {
		const from = checkPath(oldGiven);
		const to = checkPath(newGiven);
		if (from === ROOT) throw new Error(`Cannot rename the ${ROOT} directory itself`);
		await this.#requireFree(to, `The destination ${newGiven} already exists`);
		if (to.startsWith(`${from}/`)) throw new Error(`The destination ${newGiven} is inside ${oldGiven}`);
		const files = await this.#at(from);
		if (files.length === 0) throw new Error(`The path ${oldGiven} does not exist`);
		if (files.length > MAX_RENAMED) throw new Error(`${oldGiven} has more than ${MAX_RENAMED} files: rename its parts`);
		try {
			await this.#files.batch(
				files.flatMap((file, index) => this.#move(file, to + file.path.slice(from.length), files[index - 1])),
			);
		} catch (error) {
			// Somebody else was there first: nothing of the batch is stored.
			const code = codeOf(error);
			if (code === 'multiple_matches') throw new Error(`The destination ${newGiven} already exists`);
			if (code === 'row_not_found') throw new Error(`The path ${oldGiven} does not exist`);
			throw error;
		}
		return `Successfully renamed ${oldGiven} to ${newGiven}`;
	}

	/**
	 * Of a batch, what moves a file that is still where it was read to a path where nothing else is by then: the second write changes nothing,
	 * but is refused where two rows have the path. What a creation that was cut short left beside the file goes.
	 */
	#move({ id, path }: Row<File>, to: string, before: Row<File> | undefined): BatchOperation<File>[] {
		if (path === before?.path) return [{ action: 'delete', filter: { id } }];
		return [
			{ action: 'update_where', filter: { id, path }, patch: { path: to } },
			{ action: 'update_where', filter: { scope: this.#scope, path: to }, patch: { path: to } },
		];
	}

	async #find(path: string): Promise<Row<File> | undefined> {
		const [file] = await this.#files.query({ filter: { scope: this.#scope, path }, limit: 1 });
		return file;
	}

	/** The file at the path, or all files below it. A creation that was cut short may have left a second row: it is one of them. */
	async #at(path: string): Promise<Row<File>[]> {
		const files = await this.#files.query({ filter: { scope: this.#scope, path } });
		return files.length > 0 ? files : this.#inside(path);
	}

	async #inside(path: string): Promise<Row<File>[]> {
		const all = await this.#files.query({ filter: { scope: this.#scope }, sort: 'path' });
		return all.filter((file) => file.path.startsWith(`${path}/`));
	}

	/** @throws Error where there is a file or a directory, or where something above is a file */
	async #requireFree(path: string, message: string): Promise<void> {
		if (path === ROOT || (await this.#at(path)).length > 0) throw new Error(message);
		const names = path.split('/').slice(2, -1);
		for (const [index] of names.entries()) {
			const above = `${ROOT}/${names.slice(0, index + 1).join('/')}`;
			if ((await this.#find(above)) !== undefined) throw new Error(`${above} is a file, not a directory`);
		}
	}

	/** Changes a file from the text that was read; where it was changed meanwhile, it is read anew. */
	async #edit<T extends { text: string }>(given: string, change: (text: string) => T): Promise<T> {
		const path = checkPath(given);
		for (let attempt = 1; ; attempt++) {
			const file = path === ROOT ? undefined : await this.#find(path);
			if (file === undefined) {
				const directory = path === ROOT || (await this.#inside(path)).length > 0;
				throw new Error(
					directory
						? `The path ${given} is not a file.`
						: `The path ${given} does not exist. Please provide a valid path.`,
				);
			}
			const changed = change(file.text);
			try {
				await this.#files.updateWhere({ id: file.id, text: file.text }, { text: changed.text });
				return changed;
			} catch (error) {
				if (codeOf(error) !== 'row_not_found' || attempt === MAX_EDITS) throw error;
			}
		}
	}
}

/** The path, without a slash at its end. @throws Error for one that is not below /memories, whatever it is spelled like */
function checkPath(given: string): string {
	if (typeof given !== 'string' || !(given === ROOT || given.startsWith(`${ROOT}/`))) {
		throw new Error(`Path must start with ${ROOT}, got: ${given}`);
	}
	const path = given.length > ROOT.length ? given.replace(/\/$/, '') : given;
	const names = path.split('/').slice(2);
	const spelled = names.map((name) => name.replace(/%2e/gi, '.').replace(/%(2f|5c)/gi, '/'));
	const bad = spelled.some((name) => name === '' || name === '.' || name === '..' || /[/\\\p{Cc}]/u.test(name));
	if (bad) throw new Error(`Path ${given} would escape ${ROOT} directory`);
	return path;
}

function numberedLine(number: number, line: string): string {
	return `${String(number).padStart(LINE_NUMBER_WIDTH)}\t${line}`;
}

function numbered(text: string, path: string, range: readonly number[] | null | undefined): string {
	const lines = text.split('\n');
	if (lines.length > MAX_LINES) throw new Error(`File ${path} has too many lines (${lines.length}).`);
	const [first, last] = range?.length === 2 ? (range as [number, number]) : [1, -1];
	const start = Math.max(1, first) - 1;
	const shown = lines
		.slice(start, last === -1 ? lines.length : last)
		.map((line, index) => numberedLine(start + index + 1, line));
	return `Here's the content of ${path} with line numbers:\n${shown.join('\n')}`;
}

/** Files and directories up to 2 levels below, with their sizes; a directory's is that of all in it. */
function listing(files: readonly Row<File>[], path: string): string {
	const sizes = new Map<string, number>();
	let total = 0;
	for (const file of files) {
		const names = file.path.slice(path.length + 1).split('/');
		if (names.some((name) => name.startsWith('.') || name === 'node_modules')) continue;
		const bytes = new TextEncoder().encode(file.text).length;
		total += bytes;
		for (let depth = 1; depth <= Math.min(2, names.length); depth++) {
			const entry = `${names.slice(0, depth).join('/')}${depth < names.length ? '/' : ''}`;
			sizes.set(entry, (sizes.get(entry) ?? 0) + bytes);
		}
	}
	const lines = [...sizes].map(([entry, bytes]) => `${sizeText(bytes)}\t${path}/${entry}`);
	const header = `Here're the files and directories up to 2 levels deep in ${path}, excluding hidden items and node_modules:`;
	return [header, `${sizeText(total)}\t${path}`, ...lines].join('\n');
}

function sizeText(bytes: number): string {
	if (bytes === 0) return '0B';
	const power = Math.min(3, Math.floor(Math.log(bytes) / Math.log(1024)));
	const size = bytes / 1024 ** power;
	return `${Number.isInteger(size) ? size : size.toFixed(1)}${'BKMG'[power]}`;
}
