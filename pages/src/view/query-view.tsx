import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Json } from '../../../src/domain/json-text.ts';
import { compareSorted } from '../../../src/domain/order.ts';
import { wordsOf } from '../shared/call.ts';
import { isNumber, type Members, print } from '../shared/json.ts';
import { when } from '../shared/time.ts';
import { load, type ShownQuery } from './api.ts';
import { csvOf } from './csv.ts';
import { CopyButton, DownloadLink, Expiry, Failure, Segments, Shell } from './shell.tsx';

type Mode = 'table' | 'json';

interface Order {
	readonly member: string;
	readonly descending: boolean;
}

/** Rows that are drawn at once; more come as one scrolls. */
const STEP = 150;
const FOLDED_CHARACTERS = 120;

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
					{rows.length} {rows.length === 1 ? 'row' : 'rows'} of {link.table}
					<span class="mono">{filter}</span>
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
					// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
					<pre class="json" tabIndex={0}>
						{print(sorted)}
					</pre>
				) : (
					<Table columns={columns} rows={sorted} order={order} onOrder={setOrder} />
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

function Table(props: {
	readonly columns: readonly string[];
	readonly rows: readonly Members[];
	readonly order: Order | undefined;
	readonly onOrder: (order: Order | undefined) => void;
}) {
	const { columns, rows, order, onOrder } = props;
	const [drawn, setDrawn] = useState(STEP);
	const end = useRef<HTMLDivElement>(null);
	const frame = useRef<HTMLDivElement>(null);
	useEffect(() => {
		const sentinel = end.current;
		if (sentinel === null || drawn >= rows.length) return;
		const observer = new IntersectionObserver(
			([entry]) => {
				if (entry?.isIntersecting === true) setDrawn((count) => count + STEP);
			},
			{ root: frame.current, rootMargin: '1000px' },
		);
		observer.observe(sentinel);
		return () => observer.disconnect();
	}, [drawn, rows.length]);
	const next = (member: string): Order | undefined => {
		if (order?.member !== member) return { member, descending: false };
		return order.descending ? undefined : { member, descending: true };
	};
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
		<section class="table-frame" ref={frame} aria-label="Rows" tabIndex={0}>
			<table aria-rowcount={rows.length + 1}>
				<thead>
					<tr>
						{columns.map((name) => (
							<th key={name} scope="col" aria-sort={sortWord(order, name)}>
								<button type="button" class="quiet" onClick={() => onOrder(next(name))}>
									{name}
									<span aria-hidden="true" class="arrow">
										{order?.member === name ? (order.descending ? '↓' : '↑') : ''}
									</span>
								</button>
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{rows.slice(0, drawn).map((row) => (
						<tr key={String(row.id)}>
							{columns.map((name) => (
								<td key={name}>{Object.hasOwn(row, name) && <Cell name={name} value={row[name]} />}</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
			<div ref={end} />
		</section>
	);
}

function sortWord(order: Order | undefined, name: string): 'ascending' | 'descending' | 'none' {
	if (order?.member !== name) return 'none';
	return order.descending ? 'descending' : 'ascending';
}

function Cell({ name, value }: { readonly name: string; readonly value: unknown }) {
	const [open, setOpen] = useState(false);
	if (typeof value === 'string' && /^(created|updated)_at$/.test(name)) return <span title={value}>{when(value)}</span>;
	const text = typeof value === 'string' ? value : print(value, open ? 2 : 0);
	const kind = typeof value === 'string' ? 'text' : 'mono';
	if (text.length <= FOLDED_CHARACTERS && !text.includes('\n')) return <span class={kind}>{text}</span>;
	return (
		<div class={`long ${kind}`}>
			{open ? <pre>{text}</pre> : <span>{text.slice(0, FOLDED_CHARACTERS)}…</span>}
			<button type="button" class="quiet small" aria-expanded={open} onClick={() => setOpen(!open)}>
				{open ? 'Less' : 'More'}
				<span class="hidden"> of {name}</span>
			</button>
		</div>
	);
}
