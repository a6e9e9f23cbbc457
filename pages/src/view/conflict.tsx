import { useEffect, useRef } from 'preact/hooks';
import { clock } from '../shared/time.ts';
import type { LanguageHint } from './editor.ts';
import { ComparePane, useNarrow } from './editor-pane.tsx';
import type { Draft, Saved } from './use-draft.ts';

/** Both texts, when somebody else saved first. One's own is still the draft: it can be edited here, to bring both together. */
export function Conflict(props: { readonly draft: Draft; readonly theirs: Saved; readonly language: LanguageHint }) {
	const { draft, theirs, language } = props;
	const narrow = useNarrow();
	const heading = useRef<HTMLHeadingElement>(null);
	useEffect(() => heading.current?.focus(), []);
	const at = clock(theirs.at);
	return (
		<section class="panel" aria-labelledby="conflict-title">
			<div class="panel-head notice warn">
				<div>
					<h2 id="conflict-title" tabIndex={-1} ref={heading}>
						Somebody saved before you
					</h2>
					<p>
						{narrow
							? `Your text is not saved. What was saved at ${at} and is not in yours stands struck through above the lines that you have instead.`
							: `Your text is on the left and not saved; on the right is what was saved at ${at}.`}{' '}
						You can edit yours here before you keep it.
					</p>
				</div>
				<div class="actions">
					<button type="button" class="primary" disabled={draft.saving} onClick={() => void draft.save()}>
						Keep mine
					</button>
					<button type="button" disabled={draft.saving} onClick={() => draft.keepTheirs()}>
						Keep the saved one
					</button>
					<button type="button" class="quiet" disabled={draft.saving} onClick={() => draft.postpone()}>
						Back to editing
					</button>
				</div>
			</div>
			<p class="small muted hint">
				The text that you do not keep is not lost: the saved one stays in the history, and yours can be taken back.
			</p>
			<ComparePane
				left={draft.text}
				right={theirs.text}
				leftLabel="Yours, not saved"
				rightLabel={`Saved at ${at}`}
				language={language}
				onEdit={draft.setText}
			/>
		</section>
	);
}

/** A draft that gave way, and the way to it. */
export function Aside({ draft }: { readonly draft: Draft }) {
	if (draft.aside === undefined) return null;
	return (
		<p class="notice warn">
			<span>Your text was put aside.</span>
			<span class="actions">
				<button type="button" onClick={() => draft.takeBack()}>
					Take my text back
				</button>
				<button type="button" class="quiet" onClick={() => draft.forgetAside()}>
					Forget it
				</button>
			</span>
		</p>
	);
}
