import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { clock, when } from '../shared/time.ts';
import { FILE } from './api.ts';
import type { Draft } from './use-draft.ts';

/** What surrounds every page behind a link: what it shows, what can be done, and how it stands. */
export function Shell(props: {
	readonly title: string;
	readonly subtitle: ComponentChildren;
	readonly actions?: ComponentChildren;
	readonly tools?: ComponentChildren;
	readonly notices?: ComponentChildren;
	readonly children: ComponentChildren;
}) {
	useEffect(() => {
		document.title = `${props.title} · pumaDB`;
	}, [props.title]);
	return (
		<div class="shell">
			<header>
				<div class="bar">
					<div class="what">
						<h1>{props.title}</h1>
						<p class="muted small">{props.subtitle}</p>
					</div>
					<div class="actions">{props.actions}</div>
				</div>
				{props.tools !== undefined && <div class="tools">{props.tools}</div>}
			</header>
			{props.notices}
			{props.children}
		</div>
	);
}

/** How a draft stands, in a few words, told to screen readers as it changes. */
export function Status({ draft }: { readonly draft: Draft }) {
	const words = draft.saving
		? 'Saving…'
		: draft.dirty
			? 'Unsaved changes'
			: draft.everSaved
				? `Saved ${clock(draft.saved.at)}`
				: '';
	return (
		<span class={`status small ${draft.dirty ? 'waiting' : ''}`} role="status">
			{words}
		</span>
	);
}

export function SaveButton({ draft }: { readonly draft: Draft }) {
	return (
		<button type="button" class="primary" disabled={!draft.dirty || draft.saving} onClick={() => void draft.save()}>
			Save
		</button>
	);
}

export function Failure({ words }: { readonly words: string | undefined }) {
	return (
		<div class="notices" role="alert">
			{words !== undefined && <p class="notice bad">{words}</p>}
		</div>
	);
}

export function Expiry({ at }: { readonly at: string }) {
	return (
		<span title={when(at)}>
			link works until <time dateTime={at}>{clock(at)}</time>
		</span>
	);
}

export function DownloadLink({ label = 'Download' }: { readonly label?: string }) {
	return (
		<a class="button" href={FILE} download>
			{label}
		</a>
	);
}

export function CopyButton({ text, label = 'Copy' }: { readonly text: () => string; readonly label?: string }) {
	const [words, setWords] = useState(label);
	const copy = async (): Promise<void> => {
		try {
			await navigator.clipboard.writeText(text());
			setWords('Copied');
		} catch {
			setWords('Copying is not allowed');
		}
		setTimeout(() => setWords(label), 2000);
	};
	return (
		<button type="button" onClick={() => void copy()}>
			<span aria-live="polite">{words}</span>
		</button>
	);
}

/** Buttons of which one is chosen. */
export function Segments<T extends string>(props: {
	readonly label: string;
	readonly options: readonly (readonly [value: T, label: string])[];
	readonly value: T;
	readonly onChange: (value: T) => void;
}) {
	return (
		<fieldset class="segments" aria-label={props.label}>
			{props.options.map(([value, label]) => (
				<button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>
					{label}
				</button>
			))}
		</fieldset>
	);
}
