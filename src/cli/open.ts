import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { textOf, UsageError, type Values, wholeNumber } from './command.ts';
import { connect } from './connect.ts';
import { isId, readFilter } from './members.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';

/** Makes a link to a row, to one of its texts, or to what a query finds, and opens it in the browser. */
export async function open(values: Values, [name, ...rest]: readonly string[], around: Surroundings): Promise<number> {
	const table = connect(around).table(name!);
	const field = textOf(values, 'field');
	const id = rest.length === 1 && isId(rest[0]) ? rest[0] : undefined;
	if (id !== undefined && (values.sort !== undefined || values.limit !== undefined)) {
		throw new UsageError('--sort and --limit are for a query, not for one row.');
	}
	if (id === undefined && field !== undefined)
		throw new UsageError('--field shows a text of one row: name the row by its id.');
	const link = await (async () => {
		if (id !== undefined) return field === undefined ? table.rowLink(id) : table.textFieldLink(id, field);
		const filter = rest.length === 0 ? undefined : await readFilter(rest, around);
		const sort = textOf(values, 'sort') as `-${string}` | undefined;
		return table.queryLink({ filter, sort, limit: wholeNumber(textOf(values, 'limit'), '--limit') });
	})();
	// The system would start whatever program is there for another scheme.
	if (!/^https?:$/.test(URL.parse(link.viewer_url)?.protocol ?? ''))
		throw new Error('The server answered a link that is no http or https address, so it is not opened.');
	await answer(around, values, link, () => link.viewer_url);
	if (values.print || values.json) return 0;
	if (await openBrowser(link.viewer_url)) return 0;
	around.complain('No browser could be started here: open the address above yourself.');
	return 1;
}

/** The platform's own way to open an address. The address goes as an argument, never through a shell. */
async function openBrowser(url: string): Promise<boolean> {
	const [program, args] =
		process.platform === 'darwin'
			? ['open', [url]]
			: process.platform === 'win32'
				? ['rundll32', ['url.dll,FileProtocolHandler', url]]
				: ['xdg-open', [url]];
	const child = spawn(program, args, { stdio: 'ignore' });
	try {
		const [code] = await once(child, 'exit');
		return code === 0;
	} catch {
		return false;
	}
}
