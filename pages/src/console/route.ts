import { useEffect, useState } from 'preact/hooks';
import type { Query } from './api.ts';

/** What the console shows is told by the address, after the `#`: it can be kept, and Back works. */
export type Route =
	| { readonly page: 'overview' }
	| ({ readonly page: 'table'; readonly table: string; readonly from: number } & Query)
	| { readonly page: 'row'; readonly table: string; readonly id: string }
	| { readonly page: 'keys' }
	| { readonly page: 'account' };

export function parseRoute(hash: string): Route {
	const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
	const [first, table, id] = path.split('/').map(decode);
	if (first === 'keys' || first === 'account') return { page: first };
	if (first !== 'tables' || table === undefined || table === '') return { page: 'overview' };
	if (id !== undefined && id !== '') return { page: 'row', table, id };
	const params = new URLSearchParams(query);
	return {
		page: 'table',
		table,
		filter: params.get('filter') ?? '',
		sort: params.get('sort') ?? '',
		from: Math.max(0, Number.parseInt(params.get('from') ?? '', 10) || 0),
	};
}

export function hrefOf(route: Route): string {
	switch (route.page) {
		case 'overview':
			return '#/';
		case 'row':
			return `#/tables/${encodeURIComponent(route.table)}/${encodeURIComponent(route.id)}`;
		case 'table': {
			const query = new URLSearchParams();
			if (route.filter !== '') query.set('filter', route.filter);
			if (route.sort !== '') query.set('sort', route.sort);
			if (route.from > 0) query.set('from', String(route.from));
			return `#/tables/${encodeURIComponent(route.table)}${query.size === 0 ? '' : `?${query}`}`;
		}
		default:
			return `#/${route.page}`;
	}
}

/** A table as it is first opened. */
export function tableRoute(table: string): Route {
	return { page: 'table', table, filter: '', sort: '', from: 0 };
}

export function go(route: Route): void {
	location.hash = hrefOf(route);
}

export function useRoute(): Route {
	const [route, setRoute] = useState(() => parseRoute(location.hash));
	useEffect(() => {
		const follow = (): void => setRoute(parseRoute(location.hash));
		addEventListener('hashchange', follow);
		return () => removeEventListener('hashchange', follow);
	}, []);
	return route;
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}
