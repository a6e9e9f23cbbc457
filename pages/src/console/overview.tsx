import { Copy } from '../shared/copy.tsx';
import { listTables } from './api.ts';
import { bytes, counted, Meter, number, Title, Trouble } from './parts.tsx';
import { hrefOf, tableRoute } from './route.ts';
import type { Session } from './session.ts';
import { useLoad } from './use-load.ts';

/** What there is, and how much of the limits it takes. */
export function Overview({ session }: { readonly session: Session }) {
	const tables = useLoad(listTables, []);
	const { usage, limits } = session;
	return (
		<>
			<Title text="Memory" />
			<section class="card usages" aria-label="Usage against the limits">
				<Meter label="Tables" value={usage.tables} limit={limits.maxTables ?? null} words={number} />
				<Meter label="Storage" value={usage.bytes} limit={limits.maxAccountBytes ?? null} words={bytes} />
				<p class="small muted">{limitWords(limits)}</p>
			</section>
			<Trouble problem={tables.problem} />
			{tables.value?.length === 0 && <Empty />}
			{tables.value !== undefined && tables.value.length > 0 && (
				<section class="card list" aria-labelledby="tables-title">
					<h2 id="tables-title">Tables</h2>
					<ul>
						{tables.value.map(({ name, rows }) => (
							<li key={name}>
								<a href={hrefOf(tableRoute(name))}>{name}</a>
								<span class={rows === 0 ? 'muted small' : 'count'}>
									{rows === 0 ? 'only deleted rows' : counted(rows, 'row')}
								</span>
							</li>
						))}
					</ul>
				</section>
			)}
		</>
	);
}

function limitWords(limits: Session['limits']): string {
	const most = (name: string, words: (value: number) => string, none: string): string => {
		const limit = limits[name] ?? null;
		return limit === null ? none : words(limit);
	};
	return [
		most('maxRowsPerTable', (limit) => `Up to ${counted(limit, 'row')} a table`, 'Any number of rows a table'),
		most('maxRowBytes', (limit) => `${bytes(limit)} a row`, 'rows of any size'),
		most('maxVersionsPerRow', (limit) => `${counted(limit, 'version')} of each row`, 'every version of each row'),
		most('versionRetentionDays', (limit) => `for ${counted(limit, 'day')}`, 'for good'),
		most('readsPerMinute', (limit) => `${counted(limit, 'read')} a minute`, 'any number of reads'),
		most('writesPerMinute', (limit) => `${counted(limit, 'write')} a minute`, 'any number of writes'),
	]
		.join(', ')
		.replace(', for ', ' for ')
		.concat('.');
}

function Empty() {
	const curl = `curl -X POST ${location.origin}/v1/notes -H "Authorization: Bearer $PUMADB_API_KEY" -H "Content-Type: application/json" -d '{"text":"hello"}'`;
	return (
		<section class="card empty">
			<h2>Nothing is remembered yet</h2>
			<p>
				<a href="#/keys">Make a key</a> for an agent. A table begins with the first row that is written to it:
			</p>
			<div class="snippet-text">
				<code>{curl}</code>
				<Copy text={curl} what="the command" />
			</div>
		</section>
	);
}
