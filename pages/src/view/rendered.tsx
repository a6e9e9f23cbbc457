import { useEffect, useRef, useState } from 'preact/hooks';

/** How long a text may take to render before this is said. */
const PATIENCE_MS = 3000;

/** Markdown as it reads. While a text takes its time, the one before stays. */
export function Rendered({ text }: { readonly text: string }) {
	const worker = useRef<Worker | undefined>(undefined);
	const [html, setHtml] = useState('');
	const [words, setWords] = useState<string>();
	useEffect(() => {
		// One that is still at an older text is given up.
		worker.current ??= new Worker(new URL('./markdown-worker.ts', import.meta.url), { type: 'module' });
		const own = worker.current;
		let done = false;
		const timer = setTimeout(() => setWords('This text takes long to render. Its source is all there.'), PATIENCE_MS);
		const finish = (next: string | undefined): void => {
			done = true;
			clearTimeout(timer);
			setWords(next === undefined ? 'This text cannot be rendered. Its source is all there.' : undefined);
			if (next !== undefined) setHtml(next);
		};
		own.onmessage = ({ data }: MessageEvent<string>) => finish(data);
		own.onerror = () => finish(undefined);
		own.postMessage(text);
		return () => {
			clearTimeout(timer);
			if (done) return;
			own.onmessage = null;
			own.terminate();
			worker.current = undefined;
		};
	}, [text]);
	useEffect(() => () => worker.current?.terminate(), []);
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
		<section class="rendered" aria-label="Rendered" tabIndex={0}>
			{words !== undefined && <p class="notice warn">{words}</p>}
			{/* Made by markdown.ts, which lets no HTML of the text through. */}
			<div class="prose" dangerouslySetInnerHTML={{ __html: html }} />
		</section>
	);
}
