import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
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
	const latest = useRef(props);
	latest.current = props;
	const { handle, text, revision, wrap } = props;

	useEffect(() => {
		let gone = false;
		void import('./editor.ts').then(({ makeEditor }) => {
			if (gone || parent.current === null) return;
			const { text, label, language, readOnly, wrap } = latest.current;
			handle.current = makeEditor({
				...{ parent: parent.current, text, label, language, readOnly, wrap },
				onChange: (next) => latest.current.onChange(next),
			});
			setReady(true);
		});
		return () => {
			gone = true;
			handle.current?.destroy();
			handle.current = undefined;
		};
	}, [handle]);

	useEffect(() => handle.current?.setWrap(wrap), [handle, wrap]);
	// The revision says when, the text what.
	useEffect(() => {
		const next = latest.current.text;
		if (handle.current !== undefined && handle.current.text() !== next) handle.current.replace(next);
	}, [handle, revision]);

	return (
		<>
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

/** Two texts side by side, or one above the other where there is no room. */
export function ComparePane(props: {
	readonly left: string;
	readonly right: string;
	readonly leftLabel: string;
	readonly rightLabel: string;
	readonly language: LanguageHint;
	readonly editLeft: boolean;
	readonly handle?: RefObject<Comparison | undefined>;
}) {
	const parent = useRef<HTMLDivElement>(null);
	const { left, right, leftLabel, rightLabel, language, editLeft, handle } = props;
	const unified = matchMedia('(max-width: 700px)').matches;
	const { name, mimeType, filename } = language;
	useEffect(() => {
		let comparison: Comparison | undefined;
		let gone = false;
		void import('./editor.ts').then(({ makeComparison }) => {
			if (gone || parent.current === null) return;
			comparison = makeComparison({
				...{ parent: parent.current, left, right, leftLabel, rightLabel, editLeft, unified },
				language: { name, mimeType, filename },
			});
			if (handle !== undefined) handle.current = comparison;
		});
		return () => {
			gone = true;
			comparison?.destroy();
		};
	}, [left, right, leftLabel, rightLabel, editLeft, unified, name, mimeType, filename, handle]);
	return (
		<div class="compare">
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
