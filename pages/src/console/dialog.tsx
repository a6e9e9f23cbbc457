import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** Asks before something is done. The browser keeps the focus inside, and gives it back. Escape is "no". */
export function Dialog(props: {
	readonly title: string;
	readonly onClose: () => void;
	readonly children: ComponentChildren;
}) {
	const dialog = useRef<HTMLDialogElement>(null);
	useLayoutEffect(() => {
		const element = dialog.current!;
		element.showModal();
		// Gives the focus back to where it was.
		return () => element.close();
	}, []);
	return (
		<dialog ref={dialog} class="card" aria-labelledby="dialog-title" onClose={props.onClose}>
			<h2 id="dialog-title">{props.title}</h2>
			{props.children}
		</dialog>
	);
}
