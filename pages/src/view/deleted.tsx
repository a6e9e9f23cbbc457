import { useEffect, useState } from 'preact/hooks';
import { wordsOf } from '../shared/call.ts';
import { when } from '../shared/time.ts';
import { ownJson, restore, type Shown, type Version, versions } from './api.ts';

/** The row behind the link is gone: say so, show what it last was, and bring it back where the link may. */
export function Deleted({ onBack }: { readonly onBack: (shown: Shown) => void }) {
	const [last, setLast] = useState<Version>();
	const [problem, setProblem] = useState<string>();
	useEffect(() => {
		versions().then(
			([newest]) => setLast(newest),
			(error) => setProblem(wordsOf(error)),
		);
	}, []);
	const bringBack = (version: Version): void => {
		restore(version.version).then(onBack, (error) => setProblem(wordsOf(error)));
	};
	return (
		<main class="plain wide">
			<h1>The row was deleted</h1>
			<p>
				{last === undefined
					? 'Nothing of it is kept any more.'
					: `It was deleted ${when(last.archived_at)}. This is what it was then.`}
			</p>
			<div role="alert">{problem !== undefined && <p class="notice bad">{problem}</p>}</div>
			{last !== undefined && (
				<>
					{last.row === undefined ? (
						<p class="muted">
							This link shows one text only: ask your agent, or the console, to restore the whole row.
						</p>
					) : (
						<p>
							<button type="button" class="primary" onClick={() => bringBack(last)}>
								Restore the row
							</button>
						</p>
					)}
					{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
					<pre class="card json" tabIndex={0}>
						{last.row === undefined ? last.text : ownJson(last.row)}
					</pre>
				</>
			)}
		</main>
	);
}
