import type { Members } from '../shared/json.ts';
import { diffRows, type Line, type MemberChange } from './diff.ts';
import { unturned } from './own.ts';

const SIGNS = { same: ' ', added: '+', removed: '−' } as const;
const WORDS = { added: 'is new', removed: 'is gone', changed: 'changed' } as const;

/** What changed from one state of a row to another. */
export function Changes({ before, after }: { readonly before: Members; readonly after: Members }) {
	const changes = diffRows(before, after);
	if (changes.length === 0) return <p class="muted small">The members are the same.</p>;
	return (
		<div class="changes">
			{changes.map((change) => (
				<Change key={change.name} change={change} />
			))}
		</div>
	);
}

function Change({ change }: { readonly change: MemberChange }) {
	return (
		<section aria-label={`${unturned(change.name)} ${WORDS[change.kind]}`}>
			<h4>
				<bdi class="mono">{unturned(change.name)}</bdi> <span class="muted small">{WORDS[change.kind]}</span>
			</h4>
			<div class="lines">
				{change.lines.map((line, at) => (
					<ChangedLine key={at} line={line} />
				))}
			</div>
		</section>
	);
}

function ChangedLine({ line }: { readonly line: Line }) {
	const content = (
		<>
			<span class="sign" aria-hidden="true">
				{SIGNS[line.kind]}
			</span>
			<bdi>{unturned(line.text)}</bdi>
		</>
	);
	// Screen readers tell insertions and deletions.
	if (line.kind === 'added') return <ins class="line">{content}</ins>;
	if (line.kind === 'removed') return <del class="line">{content}</del>;
	return <div class="line">{content}</div>;
}
