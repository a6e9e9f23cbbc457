import { useState } from 'preact/hooks';
import type { Row, Version } from './api.ts';
import { Changes } from './changes.tsx';
import { MemberList } from './members.tsx';
import { ownOf } from './own.ts';
import { Time } from './parts.tsx';

/** Earlier states of a row: what changed since, and a way back to each. */
export function Versions(props: {
	readonly versions: readonly Version[];
	/** Undefined where the row is deleted. */
	readonly row: Row | undefined;
	/** Undefined where restoring would be in the way of something. */
	readonly onRestore: ((version: number) => void) | undefined;
}) {
	const { versions, row, onRestore } = props;
	const [open, setOpen] = useState<number>();
	return (
		<section class="card versions" aria-labelledby="versions-title">
			<h2 id="versions-title">Earlier versions</h2>
			{versions.length === 0 && (
				<p class="muted">Nothing was changed yet. Every change and deletion keeps what was before.</p>
			)}
			<ol reversed>
				{versions.map((version) => (
					<li key={version.version}>
						<div class="version">
							<div>
								<h3>Version {version.version}</h3>
								<p class="muted small">
									{version.deleted ? 'deleted' : 'replaced'} <Time stamp={version.archived_at} />
								</p>
							</div>
							<div class="actions">
								<button
									type="button"
									aria-expanded={open === version.version}
									onClick={() => setOpen(open === version.version ? undefined : version.version)}
								>
									{row === undefined ? 'Look' : 'Compare'}
									<span class="hidden"> at version {version.version}</span>
								</button>
								<button type="button" disabled={onRestore === undefined} onClick={() => onRestore?.(version.version)}>
									Restore<span class="hidden"> version {version.version}</span>
								</button>
							</div>
						</div>
						{open === version.version &&
							(row === undefined ? (
								<MemberList members={ownOf(version.row)} />
							) : (
								<>
									<p class="small muted">From this version to the row as it is now:</p>
									<Changes before={version.row} after={row} />
								</>
							))}
					</li>
				))}
			</ol>
		</section>
	);
}
