import { useState } from 'preact/hooks';

const SHOWN_MS = 2000;

/** Copies a text, and says so for a moment. @param what names the text for screen readers, where several buttons stand together. */
export function Copy(props: { readonly text: string; readonly what?: string; readonly class?: string }) {
	const [words, setWords] = useState('Copy');
	const copy = async (): Promise<void> => {
		try {
			await navigator.clipboard.writeText(props.text);
			setWords('Copied');
		} catch {
			// Browsers allow it on https and loopback only; the text itself can still be selected.
			setWords('Select and copy it');
		}
		setTimeout(setWords, SHOWN_MS, 'Copy');
	};
	return (
		<button type="button" class={props.class} onClick={() => void copy()}>
			<span aria-live="polite">{words}</span>
			{props.what !== undefined && <span class="hidden"> {props.what}</span>}
		</button>
	);
}
