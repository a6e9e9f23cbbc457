import { useEffect, useRef, useState } from 'preact/hooks';
import { wordsOf } from '../shared/call.ts';
import { when } from '../shared/time.ts';
import { type Version, versions } from './api.ts';
import type { LanguageHint } from './editor.ts';
import { ComparePane } from './editor-pane.tsx';

/** Earlier versions: look, compare with what is there now, restore. */
export function History(props: {
	readonly current: string;
	readonly currentLabel: string;
	readonly language: LanguageHint;
	/** The text of a version, as it is compared. */
	readonly textOf: (version: Version) => string;
	/** Why nothing can be restored now, in words. */
	readonly blocked: string | undefined;
	/** @throws Problem */
	readonly onRestore: (version: Version) => Promise<void>;
	readonly onClose: () => void;
}) {
	const [list, setList] = useState<readonly Version[]>();
	const [problem, setProblem] = useState<string>();
	const [chosen, setChosen] = useState<number>();
	const [busy, setBusy] = useState(false);
	const heading = useRef<HTMLHeadingElement>(null);
	useEffect(() => heading.current?.focus(), []);
	useEffect(() => {
		versions().then(
			(found) => {
				setList(found);
				setChosen(found[0]?.version);
			},
			(error) => setProblem(wordsOf(error)),
		);
	}, []);
	const version = list?.find((one) => one.version === chosen);
	const restore = async (): Promise<void> => {
		if (version === undefined) return;
		setBusy(true);
		try {
			await props.onRestore(version);
			props.onClose();
		} catch (error) {
			setProblem(wordsOf(error));
			setBusy(false);
		}
	};
	return (
		<section class="panel" aria-labelledby="history-title">
			<div class="panel-head">
				<h2 id="history-title" tabIndex={-1} ref={heading}>
					Earlier versions
				</h2>
				<div class="actions">
					{version !== undefined && (
						<button
							type="button"
							class="primary"
							disabled={busy || props.blocked !== undefined}
							onClick={() => void restore()}
						>
							Restore version {version.version}
						</button>
					)}
					<button type="button" disabled={busy} onClick={props.onClose}>
						Close
					</button>
				</div>
			</div>
			<div role="alert">{problem !== undefined && <p class="notice bad">{problem}</p>}</div>
			{props.blocked !== undefined && <p class="notice warn">{props.blocked}</p>}
			{list?.length === 0 && <p class="muted">Nothing was changed yet, so there are no earlier versions.</p>}
			{list !== undefined && list.length > 0 && (
				<div class="history">
					<ul class="version-list" aria-label="Versions, newest first">
						{list.map((one) => (
							<li key={one.version}>
								<button type="button" aria-pressed={one.version === chosen} onClick={() => setChosen(one.version)}>
									<strong>Version {one.version}</strong>
									<span class="small muted">
										{one.deleted ? 'deleted' : 'replaced'} {when(one.archived_at)}
									</span>
								</button>
							</li>
						))}
					</ul>
					{version !== undefined && (
						<ComparePane
							left={props.textOf(version)}
							right={props.current}
							leftLabel={`Version ${version.version}`}
							rightLabel={props.currentLabel}
							language={props.language}
						/>
					)}
				</div>
			)}
		</section>
	);
}
