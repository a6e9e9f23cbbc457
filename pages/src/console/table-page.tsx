import { useRef } from 'preact/hooks';
import { isMembers, type Members, parse, print } from '../shared/json.ts';
import { queryRows, type Row } from './api.ts';
import { cellClass, cellText, columnsOf, typedScalar } from './columns.ts';
import { unturned } from './own.ts';
import { counted, number, shortId, Time, Title, Trouble } from './parts.tsx';
import { go, hrefOf, type Route } from './route.ts';
import type { Session } from './session.ts';
import { useLoad } from './use-load.ts';

type TableRoute = Extract<Route, { page: 'table' }>;

const PAGE = 50;
/** Where the operator has set no limit to a query, the page still has one. */
const MOST = 1000;

/** The rows of a table: filtered and sorted by the service, a page of them at a time. */
export function TablePage({ route, session }: { readonly route: TableRoute; readonly session: Session }) {
	const { table, filter, sort, from } = route;
	const limit = Math.min(session.limits.maxQueryLimit ?? MOST, MOST);
	const query = useLoad(() => queryRows(table, { filter, sort }, limit), [table, filter, sort]);
	const rows = query.value;
	return (
		<>
			<Title text={table} trail={[['Memory', { page: 'overview' }]]}>
				<p class="muted small" role="status">
					{query.loading && rows === undefined && 'Loading…'}
					{rows !== undefined && summary(rows.length, limit, filter !== '')}
				</p>
			</Title>
			<div class="tools">
				<Filters route={route} rows={rows ?? []} />
				<button type="button" onClick={query.reload} disabled={query.loading}>
					Reload
				</button>
			</div>
			<Trouble problem={query.problem} />
			{rows !== undefined && rows.length > 0 && <Rows route={route} rows={rows} />}
			{rows !== undefined && rows.length > PAGE && (
				<nav class="pager" aria-label="Pages of rows">
					<button type="button" disabled={from <= 0} onClick={() => go({ ...route, from: Math.max(0, from - PAGE) })}>
						Previous
					</button>
					<span class="small muted">
						{number(from + 1)}–{number(Math.min(from + PAGE, rows.length))} of {number(rows.length)}
					</span>
					<button
						type="button"
						disabled={from + PAGE >= rows.length}
						onClick={() => go({ ...route, from: from + PAGE })}
					>
						Next
					</button>
				</nav>
			)}
			<OpenById table={table} />
		</>
	);
}

function summary(count: number, limit: number, filtered: boolean): string {
	if (count === 0)
		return filtered ? 'No row matches.' : 'There are no rows. Deleted ones can still be opened by their id.';
	if (count < limit) return counted(count, filtered ? 'matching row' : 'row');
	return `The first ${counted(count, 'row')}. A filter finds the others.`;
}

/** The conditions that hold, each of which can be taken back, and a form for one more. */
function Filters({ route, rows }: { readonly route: TableRoute; readonly rows: readonly Row[] }) {
	const conditions = conditionsOf(route.filter);
	const member = useRef<HTMLInputElement>(null);
	const value = useRef<HTMLInputElement>(null);
	const set = (next: Members): void => {
		go({ ...route, from: 0, filter: Object.keys(next).length === 0 ? '' : print(next, 0) });
	};
	const add = (event: Event): void => {
		event.preventDefault();
		const name = member.current!.value;
		if (name === '') return;
		set({ ...conditions, [name]: parse(typedScalar(value.current!.value)) });
		(event.currentTarget as HTMLFormElement).reset();
		member.current!.focus();
	};
	return (
		<div class="filters">
			<form onSubmit={add} aria-label="Filter">
				<label>
					<span class="hidden">Member</span>
					<input ref={member} list="members" placeholder="Member" autocomplete="off" spellcheck={false} />
				</label>
				<span aria-hidden="true">=</span>
				<label>
					<span class="hidden">Value</span>
					<input ref={value} placeholder="Value" autocomplete="off" aria-describedby="value-hint" spellcheck={false} />
				</label>
				<button type="submit">Filter</button>
				<datalist id="members">
					{[...columnsOf(rows).shown, 'id', 'created_at', 'updated_at'].map((name) => (
						<option key={name} value={name} />
					))}
				</datalist>
				<span id="value-hint" class="hidden">
					5, true and null are taken as what they are, anything else as text; "5" in quotes is the text 5.
				</span>
			</form>
			{Object.keys(conditions).length > 0 && (
				<ul class="chips" aria-label="Conditions">
					{Object.entries(conditions).map(([name, wanted]) => (
						<li key={name}>
							<bdi>{cellText(name)}</bdi> = <bdi class="mono">{cellText(print(wanted, 0))}</bdi>
							<button
								type="button"
								class="quiet"
								aria-label={`Remove the condition on ${unturned(name)}`}
								onClick={() => set(without(conditions, name))}
							>
								×
							</button>
						</li>
					))}
				</ul>
			)}
		</div>
	);
}

/** What cannot be read is sent as it is, and refused in the service's words. */
function conditionsOf(filter: string): Members {
	try {
		const value = parse(filter);
		return isMembers(value) ? value : {};
	} catch {
		return {};
	}
}

function without(members: Members, name: string): Members {
	return Object.fromEntries(Object.entries(members).filter(([other]) => other !== name));
}

function Rows({ route, rows }: { readonly route: TableRoute; readonly rows: readonly Row[] }) {
	const { shown, left } = columnsOf(rows);
	const page = rows.slice(route.from, route.from + PAGE);
	return (
		<>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
			<section class="scroller card" tabIndex={0} aria-label={`Rows of ${unturned(route.table)}`}>
				<table>
					<thead>
						<tr>
							<SortHeader route={route} member="id" text="row" />
							{shown.map((name) => (
								<SortHeader key={name} route={route} member={name} text={name} />
							))}
							<SortHeader route={route} member="created_at" text="created_at" />
							<SortHeader route={route} member="updated_at" text="updated_at" />
						</tr>
					</thead>
					<tbody>
						{page.map((row) => (
							<tr key={row.id}>
								<th scope="row">
									<a class="mono" href={hrefOf({ page: 'row', table: route.table, id: row.id })}>
										{shortId(row.id)}
									</a>
								</th>
								{shown.map((name) => (
									<Cell key={name} row={row} name={name} />
								))}
								<td class="muted">
									<Time stamp={row.created_at} />
								</td>
								<td class="muted">
									<Time stamp={row.updated_at} />
								</td>
							</tr>
						))}
					</tbody>
				</table>
			</section>
			{left > 0 && (
				<p class="small muted">
					{counted(left, 'further member')} that fewer rows have {left === 1 ? 'is' : 'are'} on the pages of the rows.
				</p>
			)}
		</>
	);
}

function Cell({ row, name }: { readonly row: Row; readonly name: string }) {
	if (!Object.hasOwn(row, name)) {
		return (
			<td class="muted">
				<span aria-hidden="true">·</span>
				<span class="hidden">not there</span>
			</td>
		);
	}
	const value = row[name];
	return (
		<td class={cellClass(value)}>
			<bdi>{cellText(value)}</bdi>
		</td>
	);
}

/** Sorts by the member: up, then down, then in order of creation again. */
function SortHeader(props: { readonly route: TableRoute; readonly member: string; readonly text: string }) {
	const { route, member, text } = props;
	const direction = route.sort === member ? 'ascending' : route.sort === `-${member}` ? 'descending' : 'none';
	const next = direction === 'none' ? member : direction === 'ascending' ? `-${member}` : '';
	// In a query, the dash would mean "descending".
	if (member.startsWith('-')) return <th scope="col">{cellText(text)}</th>;
	return (
		<th scope="col" aria-sort={direction}>
			<button type="button" class="quiet" onClick={() => go({ ...route, sort: next, from: 0 })}>
				<bdi>{cellText(text)}</bdi>
				<span aria-hidden="true">{direction === 'ascending' ? ' ↑' : direction === 'descending' ? ' ↓' : ''}</span>
			</button>
		</th>
	);
}

function OpenById({ table }: { readonly table: string }) {
	const id = useRef<HTMLInputElement>(null);
	const open = (event: Event): void => {
		event.preventDefault();
		const value = id.current!.value.trim();
		if (value !== '') go({ page: 'row', table, id: value });
	};
	return (
		<details class="by-id">
			<summary class="small">Open a row by its id, a deleted one too</summary>
			<form onSubmit={open}>
				<label>
					<span class="hidden">Row id</span>
					<input ref={id} class="mono" placeholder="0197a1b2-…" autocomplete="off" spellcheck={false} required />
				</label>
				<button type="submit">Open</button>
			</form>
		</details>
	);
}
