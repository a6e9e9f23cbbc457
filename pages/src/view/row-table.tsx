import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isNumber, type Members, print } from '../shared/json.ts';
import { when } from '../shared/time.ts';
import { CopyButton } from './shell.tsx';

export interface Order {
	readonly member: string;
	readonly descending: boolean;
}

/** Every row is one line of this height: so it is known which rows are on the screen, and only those are drawn. */
const ROW_PX = 37;
/** Rows drawn above and below the screen. */
const MARGIN_ROWS = 20;
/** Members that get a column; the JSON has all of them. */
const MAX_COLUMNS = 50;
/** Characters of a value that its cell shows. */
const CELL_CHARACTERS = 80;
/** Rows that are looked at for the width of a column. */
const SAMPLE = 200;
const [MIN_CH, MAX_CH] = [8, 40];

interface Shown {
	readonly name: string;
	readonly value: unknown;
}

/** Rows as a table, of which only what is on the screen is drawn. */
export function RowTable(props: {
	readonly columns: readonly string[];
	readonly rows: readonly Members[];
	readonly order: Order | undefined;
	readonly onOrder: (order: Order | undefined) => void;
}) {
	const { rows, order, onOrder } = props;
	const columns = props.columns.slice(0, MAX_COLUMNS);
	const frame = useRef<HTMLElement>(null);
	const [view, setView] = useState({ top: 0, height: 1000 });
	const [shown, setShown] = useState<Shown>();
	const widths = useMemo(() => columns.map((name) => widthOf(name, rows)), [props.columns, rows]);
	useEffect(() => {
		const element = frame.current!;
		let asked = 0;
		const look = (): void => {
			asked = 0;
			setView({ top: element.scrollTop, height: element.clientHeight });
		};
		const ask = (): void => {
			if (asked === 0) asked = requestAnimationFrame(look);
		};
		look();
		element.addEventListener('scroll', ask, { passive: true });
		const sized = new ResizeObserver(ask);
		sized.observe(element);
		return () => {
			cancelAnimationFrame(asked);
			element.removeEventListener('scroll', ask);
			sized.disconnect();
		};
	}, []);
	const first = Math.max(0, Math.floor(view.top / ROW_PX) - MARGIN_ROWS);
	const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW_PX) + MARGIN_ROWS);
	const next = (member: string): Order | undefined => {
		if (order?.member !== member) return { member, descending: false };
		return order.descending ? undefined : { member, descending: true };
	};
	const sort = (member: string): void => {
		frame.current?.scrollTo({ top: 0 });
		onOrder(next(member));
	};
	const total = widths.reduce((sum, width) => sum + width, 0);
	return (
		<>
			{props.columns.length > MAX_COLUMNS && (
				<p class="notice">
					The rows have {props.columns.length} different members; {MAX_COLUMNS} are shown here. The JSON has all of
					them.
				</p>
			)}
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
			<section class="table-frame" ref={frame} aria-label="Rows" tabIndex={0}>
				<table aria-rowcount={rows.length + 1} style={{ width: `max(100%, ${total}ch)` }}>
					<colgroup>
						{widths.map((width, i) => (
							<col key={columns[i]} style={{ width: `${width}ch` }} />
						))}
					</colgroup>
					<thead>
						<tr aria-rowindex={1}>
							{columns.map((name) => (
								<th key={name} scope="col" aria-sort={sortWord(order, name)}>
									<button type="button" class="quiet" onClick={() => sort(name)}>
										<bdi>{name}</bdi>
										<span aria-hidden="true" class="arrow">
											{order?.member === name ? (order.descending ? '↓' : '↑') : ''}
										</span>
									</button>
								</th>
							))}
						</tr>
					</thead>
					<tbody>
						<Gap rows={first} />
						{rows.slice(first, last).map((row, i) => (
							<tr key={String(row.id)} aria-rowindex={first + i + 2}>
								{columns.map((name) => (
									<td key={name}>
										{Object.hasOwn(row, name) && <Cell name={name} value={row[name]} onShow={setShown} />}
									</td>
								))}
							</tr>
						))}
						<Gap rows={rows.length - last} />
					</tbody>
				</table>
			</section>
			{shown !== undefined && <Whole shown={shown} onClose={() => setShown(undefined)} />}
		</>
	);
}

/** The room of rows that are not drawn. */
function Gap({ rows }: { readonly rows: number }) {
	return rows === 0 ? null : <tr class="gap" style={{ height: `${rows * ROW_PX}px` }} />;
}

function widthOf(name: string, rows: readonly Members[]): number {
	let longest = name.length + 2;
	for (const row of rows.slice(0, SAMPLE)) {
		if (Object.hasOwn(row, name)) longest = Math.max(longest, wordsOf(name, row[name]).slice(0, MAX_CH).length);
	}
	return Math.min(MAX_CH, Math.max(MIN_CH, longest)) + 4;
}

function sortWord(order: Order | undefined, name: string): 'ascending' | 'descending' | 'none' {
	if (order?.member !== name) return 'none';
	return order.descending ? 'descending' : 'ascending';
}

/** A value on one line. */
function wordsOf(name: string, value: unknown): string {
	if (typeof value !== 'string') return print(value, 0);
	return /^(created|updated)_at$/.test(name) ? when(value) : value;
}

function Cell(props: { readonly name: string; readonly value: unknown; readonly onShow: (shown: Shown) => void }) {
	const { name, value, onShow } = props;
	const words = wordsOf(name, value);
	const kind = typeof value === 'string' ? '' : 'mono';
	if (words.length <= CELL_CHARACTERS / 2 && !words.includes('\n')) {
		return <span class={`value ${kind} ${isNumber(value) ? 'number' : ''}`}>{words}</span>;
	}
	return (
		<span class="value long">
			<button type="button" class="quiet small" onClick={() => onShow({ name, value })}>
				More<span class="hidden"> of {name}</span>
			</button>
			<span class={kind}>{words.slice(0, CELL_CHARACTERS)}</span>
		</span>
	);
}

/** One value, whole, above the table. */
function Whole({ shown: { name, value }, onClose }: { readonly shown: Shown; readonly onClose: () => void }) {
	const dialog = useRef<HTMLDialogElement>(null);
	useEffect(() => dialog.current?.showModal(), []);
	const text = typeof value === 'string' ? value : print(value);
	return (
		<dialog class="whole" ref={dialog} aria-labelledby="whole-title" onClose={onClose}>
			<header>
				<h2 id="whole-title">
					<bdi>{name}</bdi>
				</h2>
				<CopyButton text={() => text} />
				<button type="button" onClick={() => dialog.current?.close()}>
					Close
				</button>
			</header>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
			<pre tabIndex={0}>{text}</pre>
		</dialog>
	);
}
