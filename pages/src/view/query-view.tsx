import { useMemo, useState } from 'preact/hooks';
import type { Json } from '../../../src/domain/json-text.ts';
import { compareSorted } from '../../../src/domain/order.ts';
import { wordsOf } from '../shared/call.ts';
import { isNumber, type Members, print } from '../shared/json.ts';
import { when } from '../shared/time.ts';
import { load, type ShownQuery } from './api.ts';
import { csvOf } from './csv.ts';
import { type Order, RowTable } from './row-table.tsx';
import { CopyButton, DownloadLink, Expiry, Failure, Segments, Shell } from './shell.tsx';

type Mode = 'table' | 'json';

/** Rows of JSON that are laid out together, once they come near the screen. */
const JSON_ROWS = 20;

/** The rows that a query finds, to look at: nothing here changes anything. */
export function QueryView({ shown: first }: { readonly shown: ShownQuery }) {
	const [shown, setShown] = useState(first);
	const [mode, setMode] = useState<Mode>('table');
	const [order, setOrder] = useState<Order>();
	const [problem, setProblem] = useState<string>();
	const [loading, setLoading] = useState(false);
	const { link, rows } = shown;
	const columns = useMemo(() => columnsOf(rows), [rows]);
	const sorted = useMemo(() => (order === undefined ? rows : inOrder(rows, order)), [rows, order]);
	const reload = async (): Promise<void> => {
		setLoading(true);
		try {
			setShown((await load()) as ShownQuery);
			setProblem(undefined);
		} catch (error) {
			setProblem(wordsOf(error));
		}
		setLoading(false);
	};
	const saveCsv = (): void => {
		const url = URL.createObjectURL(new Blob([csvOf(columns, sorted)], { type: 'text/csv;charset=utf-8' }));
		const anchor = document.createElement('a');
		anchor.href = url;
		anchor.download = link.filename.replace(/(\.json)?$/i, '.csv');
		anchor.click();
		setTimeout(() => URL.revokeObjectURL(url), 10_000);
	};
	const filter = link.filter === undefined ? undefined : ` where ${link.filter}`;
	return (
		<Shell
			title={link.filename}
			subtitle={
				<>
					{rows.length} {rows.length === 1 ? 'row' : 'rows'} of <bdi>{link.table}</bdi>
					<bdi class="mono">{filter}</bdi>
					{link.sort === undefined ? '' : `, sorted by ${link.sort}`}
					{link.limit === undefined ? '' : `, at most ${link.limit}`} · <Expiry at={link.expires_at} />
				</>
			}
			actions={
				<>
					<span class="small muted" role="status">
						as of {when(link.as_of)}
					</span>
					<button type="button" disabled={loading} onClick={() => void reload()}>
						Reload
					</button>
				</>
			}
			tools={
				<>
					<Segments
						label="Show"
						options={[
							['table', 'Table'],
							['json', 'JSON'],
						]}
						value={mode}
						onChange={setMode}
					/>
					<CopyButton text={() => print({ rows: sorted })} label="Copy JSON" />
					<DownloadLink label="Download JSON" />
					<button
						type="button"
						title="Texts that a spreadsheet would run as a formula get an apostrophe in front"
						onClick={saveCsv}
					>
						Download CSV
					</button>
				</>
			}
			notices={<Failure words={problem} />}
		>
			<main class="fill query-view">
				{rows.length === 0 ? (
					<p class="empty muted">The query finds no rows now.</p>
				) : mode === 'json' ? (
					<JsonRows rows={sorted} />
				) : (
					<RowTable columns={columns} rows={sorted} order={order} onOrder={setOrder} />
				)}
			</main>
		</Shell>
	);
}

/** Members in the order of their first appearance, the service's own last: on a phone, ids would be all that is seen. */
function columnsOf(rows: readonly Members[]): readonly string[] {
	const names = new Set(rows.flatMap((row) => Object.keys(row)));
	for (const name of ['created_at', 'updated_at', 'id']) if (names.delete(name)) names.add(name);
	return [...names];
}

function inOrder(rows: readonly Members[], { member, descending }: Order): readonly Members[] {
	const memberOf = (row: Members): Json | undefined => {
		const value = Object.hasOwn(row, member) ? row[member] : undefined;
		// A number kept as it was written is compared as the number it is.
		return (isNumber(value) ? Number(print(value)) : value) as Json | undefined;
	};
	return rows.toSorted((a, b) => compareSorted(memberOf(a), memberOf(b), descending));
}

/** All rows as JSON, in pieces that are laid out only near the screen. */
function JsonRows({ rows }: { readonly rows: readonly Members[] }) {
	const pieces = useMemo(
		() =>
			Array.from({ length: Math.ceil(rows.length / JSON_ROWS) }, (_, i) =>
				rows
					.slice(i * JSON_ROWS, (i + 1) * JSON_ROWS)
					.map((row) => print(row))
					.join(',\n'),
			),
		[rows],
	);
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
		<section class="json" aria-label="Rows as JSON" tabIndex={0}>
			{pieces.map((piece, i) => (
				<pre key={piece} class="json-piece">
					{i === 0 ? '[' : ''}
					{piece}
					{i === pieces.length - 1 ? ']' : ','}
				</pre>
			))}
		</section>
	);
}
