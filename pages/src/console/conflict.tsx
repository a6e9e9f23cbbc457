import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Seen } from './api.ts';
import { Changes } from './changes.tsx';
import { type Draft, readText, textOf } from './edit.ts';
import { unturned } from './own.ts';
import { Time } from './parts.tsx';

/** Somebody changed the row meanwhile: both texts side by side, and a way to keep either. */
export function Conflict(props: {
	readonly draft: Draft;
	readonly theirs: Seen | 'deleted';
	readonly busy: boolean;
	readonly onKeepMine: () => void;
	readonly onKeepTheirs: () => void;
	readonly onRestore: (() => void) | undefined;
}) {
	const { draft, theirs, busy } = props;
	const heading = useRef<HTMLHeadingElement>(null);
	useLayoutEffect(() => heading.current?.focus(), []);
	const mine = members(draft);
	return (
		<section class="card conflict" aria-labelledby="conflict-title">
			<h2 id="conflict-title" tabIndex={-1} ref={heading}>
				{theirs === 'deleted' ? 'The row was deleted meanwhile' : 'The row was changed meanwhile'}
			</h2>
			<p>
				Nothing is lost: your text is still in the field below, not saved.
				{theirs !== 'deleted' && (
					<>
						{' '}
						The other change was saved <Time stamp={theirs.row.updated_at} />.
					</>
				)}
			</p>
			{theirs !== 'deleted' && (
				<>
					<div class="sides">
						<div>
							<h3>Yours</h3>
							<pre dir="ltr">{unturned(draft.text)}</pre>
						</div>
						<div>
							<h3>Saved meanwhile</h3>
							<pre dir="ltr">{unturned(textOf(theirs.row))}</pre>
						</div>
					</div>
					{mine !== undefined && (
						<details>
							<summary class="small">What keeping yours would change</summary>
							<Changes before={theirs.row} after={mine} />
						</details>
					)}
				</>
			)}
			<div class="actions">
				{theirs === 'deleted' ? (
					props.onRestore !== undefined && (
						<button type="button" class="primary" disabled={busy} onClick={props.onRestore}>
							Bring the row back
						</button>
					)
				) : (
					<button type="button" class="primary" disabled={busy} onClick={props.onKeepMine}>
						Keep mine
					</button>
				)}
				<button type="button" disabled={busy} onClick={props.onKeepTheirs}>
					{theirs === 'deleted' ? 'Leave it deleted' : 'Keep theirs'}
				</button>
			</div>
		</section>
	);
}

function members(draft: Draft) {
	try {
		return readText(draft.text);
	} catch {
		return undefined;
	}
}
