import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Problem, wordsOf } from '../shared/call.ts';
import { when } from '../shared/time.ts';
import { unturned } from './own.ts';
import { hrefOf, type Route } from './route.ts';

/** Small things that several pages of the console are made of. */

/** What went wrong, in words; where the session has ended, with the way back in that loses nothing. */
export function Trouble({ problem }: { readonly problem: unknown }) {
	return (
		<div role="alert">
			{problem !== undefined && (
				<p class="notice bad">
					{problem instanceof Problem && problem.code === 'session_required' ? (
						<span>
							Your session has ended. <SignInAgain />, then try again here: what you typed stays.
						</span>
					) : (
						<span>{unturned(wordsOf(problem))}</span>
					)}
					{problem instanceof Problem && problem.code === 'other_account' && (
						<button type="button" onClick={() => location.reload()}>
							Reload the page
						</button>
					)}
				</p>
			)}
		</div>
	);
}

function SignInAgain() {
	return (
		<a href="/sign-in" target="_blank" rel="noopener">
			Sign in in a new tab
		</a>
	);
}

/** Tells what was done, and takes the focus: what was pressed may be gone. @param typing somebody is, and keeps the focus. */
export function Done(props: { readonly typing?: boolean; readonly children?: ComponentChildren }) {
	const { typing = false, children } = props;
	const notice = useRef<HTMLDivElement>(null);
	const there = children !== undefined && children !== false;
	useLayoutEffect(() => {
		if (there && !typing) notice.current?.focus();
	}, [there]);
	return (
		<div role="status">
			{there && (
				<div class="notice good" tabIndex={-1} ref={notice}>
					{children}
				</div>
			)}
		</div>
	);
}

/** The heading of a page: it names the window, and takes the focus when the page was gone to. */
export function Title(props: {
	readonly text: string;
	readonly trail?: readonly (readonly [text: string, route: Route])[];
	readonly children?: ComponentChildren;
}) {
	const heading = useRef<HTMLHeadingElement>(null);
	useLayoutEffect(() => {
		document.title = `${unturned(props.text)} · pumaDB`;
		// On the first page, reading begins at the top by itself.
		if (navigated) heading.current?.focus();
		navigated = true;
	}, [props.text]);
	return (
		<div class="title">
			{props.trail !== undefined && (
				<nav aria-label="Where you are" class="trail small">
					{props.trail.map(([text, route]) => (
						<span key={text}>
							<a href={hrefOf(route)}>
								<bdi>{unturned(text)}</bdi>
							</a>
						</span>
					))}
				</nav>
			)}
			<h1 tabIndex={-1} ref={heading}>
				<bdi>{unturned(props.text)}</bdi>
			</h1>
			{props.children}
		</div>
	);
}

let navigated = false;

export function Time({ stamp }: { readonly stamp: string }) {
	return <time dateTime={stamp}>{when(stamp)}</time>;
}

const NEARLY_FULL = 0.9;

/** How much of a limit is used. @param limit null: unlimited. */
export function Meter(props: {
	readonly label: string;
	readonly value: number;
	readonly limit: number | null;
	readonly words: (value: number) => string;
}) {
	const { label, value, limit, words } = props;
	return (
		<div class="usage">
			<div class="usage-words">
				<span class="muted">{label}</span>
				<span>
					<strong>{words(value)}</strong>
					<span class="muted"> {limit === null ? 'without limit' : `of ${words(limit)}`}</span>
				</span>
			</div>
			{limit !== null && (
				<svg class={value > limit * NEARLY_FULL ? 'meter nearly-full' : 'meter'} aria-hidden="true">
					<rect width={`${Math.min(100, (value / limit) * 100)}%`} height="100%" rx="4" />
				</svg>
			)}
		</div>
	);
}

const NUMBER = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export function number(value: number): string {
	return NUMBER.format(value);
}

/** `1 row`, `2 rows`. */
export function counted(value: number, noun: string): string {
	return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'];

export function bytes(value: number): string {
	let unit = 0;
	let left = value;
	for (; left >= 1024 && unit < UNITS.length - 1; unit++) left /= 1024;
	return `${number(left)} ${UNITS[unit]}`;
}

/** The end of an id, which tells rows of one time apart. */
export function shortId(id: string): string {
	return `…${unturned(id.slice(-8))}`;
}
