import { useEffect, useRef } from 'preact/hooks';
import { clock } from '../shared/time.ts';
import type { Comparison, LanguageHint } from './editor.ts';
import { ComparePane } from './editor-pane.tsx';
import type { Draft, Saved } from './use-draft.ts';

/** Both texts, when somebody else saved first: either can be kept, and the left one edited to bring both together. */
export function Conflict(props: { readonly draft: Draft; readonly theirs: Saved; readonly language: LanguageHint }) {
	const { draft, theirs, language } = props;
	const comparison = useRef<Comparison | undefined>(undefined);
	const heading = useRef<HTMLHeadingElement>(null);
	useEffect(() => heading.current?.focus(), []);
	const mine = (): string => comparison.current?.left() ?? draft.text;
	return (
		<section class="panel" aria-labelledby="conflict-title">
			<div class="panel-head notice warn">
				<div>
					<h2 id="conflict-title" tabIndex={-1} ref={heading}>
						Somebody saved before you
					</h2>
					<p>
						Your text is on the left and not saved; on the right is what was saved at {clock(theirs.at)}. You can edit
						the left text before you keep it.
					</p>
				</div>
				<div class="actions">
					<button type="button" class="primary" disabled={draft.saving} onClick={() => void draft.keepMine(mine())}>
						Keep the left text
					</button>
					<button type="button" disabled={draft.saving} onClick={() => draft.adopt(theirs)}>
						Keep the right text
					</button>
					<button type="button" class="quiet" onClick={() => draft.postpone()}>
						Back to editing
					</button>
				</div>
			</div>
			<p class="small muted hint">
				The text that you do not keep is not lost: the saved one stays in the history, and yours comes back with Undo in
				the editor.
			</p>
			<ComparePane
				left={draft.text}
				right={theirs.text}
				leftLabel="Yours, not saved"
				rightLabel={`Saved at ${clock(theirs.at)}`}
				language={language}
				editLeft
				handle={comparison}
			/>
		</section>
	);
}
