import { useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from '../shared/call.ts';
import { AccountPage } from './account-page.tsx';
import { KeysPage } from './keys-page.tsx';
import { Overview } from './overview.tsx';
import { Trouble } from './parts.tsx';
import { hrefOf, type Route, useRoute } from './route.ts';
import { RowPage } from './row-page.tsx';
import { leave, loadSession, type Session, signOut } from './session.ts';
import { TablePage } from './table-page.tsx';
import { useLoad } from './use-load.ts';

const NAVIGATION: readonly (readonly [text: string, route: Route, pages: readonly Route['page'][]])[] = [
	['Memory', { page: 'overview' }, ['overview', 'table', 'row']],
	['Keys', { page: 'keys' }, ['keys']],
	['Account', { page: 'account' }, ['account']],
];

/** The whole console: who is signed in, the way around, and the page that the address names. */
export function Console() {
	const session = useLoad(loadSession, []);
	const route = useRoute();
	const [problem, setProblem] = useState<unknown>();
	const { problem: refused } = session;
	const signedOut = refused instanceof Problem && refused.code === 'session_required';
	useEffect(() => {
		if (signedOut && session.value === undefined) leave('console');
	}, [signedOut, session.value]);
	const { reload } = session;
	const opened = useRef(true);
	useEffect(() => {
		// What was written since counts against the limits too.
		if (!opened.current && route.page === 'overview') reload();
		opened.current = false;
	}, [route.page, reload]);
	const out = (): void => {
		signOut().catch(setProblem);
	};
	if (session.value === undefined) {
		return (
			<main class="plain">
				<h1>Console</h1>
				{session.problem === undefined || signedOut ? <p class="muted">One moment…</p> : <Trouble problem={refused} />}
			</main>
		);
	}
	return (
		<>
			<button type="button" class="skip" onClick={() => document.getElementById('content')?.focus()}>
				Skip to the content
			</button>
			<header class="bar">
				<a class="brand" href="#/">
					pumaDB
				</a>
				<nav aria-label="Console">
					{NAVIGATION.map(([text, to, pages]) => (
						<a
							key={text}
							href={hrefOf(to)}
							aria-current={pages.includes(route.page) ? (pages[0] === route.page ? 'page' : 'true') : undefined}
						>
							{text}
						</a>
					))}
				</nav>
				<span class="who small muted">{session.value.email}</span>
				<button type="button" class="quiet" onClick={out}>
					Sign out
				</button>
			</header>
			<main id="content" class="content" tabIndex={-1}>
				<Trouble problem={problem} />
				<Page route={route} session={session.value} />
			</main>
		</>
	);
}

function Page({ route, session }: { readonly route: Route; readonly session: Session }) {
	switch (route.page) {
		case 'overview':
			return <Overview session={session} />;
		case 'table':
			return <TablePage key={route.table} route={route} session={session} />;
		case 'row':
			return <RowPage key={`${route.table}/${route.id}`} table={route.table} id={route.id} />;
		case 'keys':
			return <KeysPage />;
		case 'account':
			return <AccountPage session={session} />;
	}
}
