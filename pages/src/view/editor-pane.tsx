import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Comparison, Editor, LanguageHint } from './editor.ts';

/** A text, at first plain, then in the editor once that is loaded. */
export function EditorPane(props: {
	readonly text: string;
	/** The editor takes the text over when this changes; else what is typed would race with what was typed before. */
	readonly revision: number;
	readonly label: string;
	readonly language: LanguageHint;
	readonly readOnly: boolean;
	readonly wrap: boolean;
	readonly onChange: (text: string) => void;
	readonly handle: RefObject<Editor | undefined>;
}) {
	const parent = useRef<HTMLDivElement>(null);
	const [ready, setReady] = useState(false);
	const [failed, setFailed] = useState(false);
	const latest = useRef(props);
	latest.current = props;
	const { handle, text, revision, wrap } = props;

	useEffect(() => {
		let gone = false;
		import('./editor.ts').then(
			({ makeEditor }) => {
				if (gone || parent.current === null) return;
				const { text, label, language, readOnly, wrap } = latest.current;
				handle.current = makeEditor({
					...{ parent: parent.current, text, label, language, readOnly, wrap },
					onChange: (next) => latest.current.onChange(next),
				});
				setReady(true);
			},
			() => setFailed(true),
		);
		return () => {
			gone = true;
			handle.current?.destroy();
			handle.current = undefined;
		};
	}, [handle]);

	useEffect(() => handle.current?.setWrap(wrap), [handle, wrap]);
	// The revision says when, the text what. At once, not after the next frame: what is typed in between would be put back.
	useLayoutEffect(() => {
		const next = latest.current.text;
		if (handle.current !== undefined && handle.current.text() !== next) handle.current.replace(next);
	}, [handle, revision]);

	return (
		<>
			{failed && <NotLoaded />}
			<div class="editor" ref={parent} hidden={!ready} />
			{!ready && (
				// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
				<pre class={`waiting-text ${wrap ? 'wrap' : ''}`} tabIndex={0}>
					{text}
				</pre>
			)}
		</>
	);
}

/** Is the screen too narrow for two texts side by side? */
export function useNarrow(): boolean {
	const [narrow, setNarrow] = useState(() => NARROW.matches);
	useEffect(() => {
		const look = (): void => setNarrow(NARROW.matches);
		NARROW.addEventListener('change', look);
		return () => NARROW.removeEventListener('change', look);
	}, []);
	return narrow;
}

const NARROW = matchMedia('(max-width: 700px)');

/** Two texts side by side, or in one where there is no room. */
export function ComparePane(props: {
	/** As it is at first; from then on the pane holds it, and `onEdit` is told. */
	readonly left: string;
	readonly right: string;
	readonly leftLabel: string;
	readonly rightLabel: string;
	readonly language: LanguageHint;
	readonly onEdit?: (text: string) => void;
}) {
	const parent = useRef<HTMLDivElement>(null);
	const [failed, setFailed] = useState(false);
	const latest = useRef(props);
	latest.current = props;
	const { right, leftLabel, rightLabel, language, onEdit } = props;
	const editable = onEdit !== undefined;
	// Without editing the left text is another version each time.
	const fixed = editable ? undefined : props.left;
	const unified = useNarrow();
	const { name, mimeType, filename } = language;
	// A left text that is only shown is part of what the pane is made of; one that is edited is not.
	useEffect(() => {
		let comparison: Comparison | undefined;
		let gone = false;
		import('./editor.ts').then(
			({ makeComparison }) => {
				if (gone || parent.current === null) return;
				comparison = makeComparison({
					...{ parent: parent.current, left: latest.current.left, right, leftLabel, rightLabel, unified },
					language: { name, mimeType, filename },
					onEdit: editable ? (text) => latest.current.onEdit?.(text) : undefined,
				});
			},
			() => setFailed(true),
		);
		return () => {
			gone = true;
			comparison?.destroy();
		};
	}, [fixed, right, leftLabel, rightLabel, editable, unified, name, mimeType, filename]);
	return (
		<div class="compare">
			{failed && <NotLoaded />}
			{!unified && (
				<div class="compare-heads" aria-hidden="true">
					<span>{leftLabel}</span>
					<span>{rightLabel}</span>
				</div>
			)}
			<div class="compare-body" ref={parent} />
		</div>
	);
}

/** The editor comes in a file of its own, which may not arrive. */
function NotLoaded() {
	return (
		<p class="notice bad" role="alert">
			The editor could not be loaded. Check the connection and reload the page; copy first what you have not saved.
		</p>
	);
}
