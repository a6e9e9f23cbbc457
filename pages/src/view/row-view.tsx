import { useMemo, useRef, useState } from 'preact/hooks';
import type { Members } from '../shared/json.ts';
import { when } from '../shared/time.ts';
import { load, ownJson, readOwn, restore, type ShownRow, saveRow, type Version } from './api.ts';
import { Conflict } from './conflict.tsx';
import type { Editor } from './editor.ts';
import { EditorPane } from './editor-pane.tsx';
import { History } from './history.tsx';
import { RowForm } from './row-form.tsx';
import { CopyButton, DownloadLink, Expiry, Failure, SaveButton, Segments, Shell, Status } from './shell.tsx';
import { type Saved, useDraft, useSaveKey } from './use-draft.ts';

type Mode = 'form' | 'json';

const JSON_LANGUAGE = { name: 'json' };

const saved = ({ row, tag }: ShownRow): Saved => ({ text: ownJson(row), tag, at: String(row.updated_at) });
const write = async (text: string, tag: string): Promise<Saved> => {
	readOwn(text);
	return saved(await saveRow(text, tag));
};
const read = async (): Promise<Saved> => saved((await load()) as ShownRow);

/** One row: a form of its members, or its JSON, and its history. */
export function RowView({ shown }: { readonly shown: ShownRow }) {
	const { link, row } = shown;
	const [mode, setMode] = useState<Mode>('form');
	const [wrap, setWrap] = useState(true);
	const [history, setHistory] = useState(false);
	const draft = useDraft(saved(shown), write, read);
	const editor = useRef<Editor | undefined>(undefined);
	useSaveKey(() => void draft.save());
	const members = useMemo(() => membersOf(draft.text), [draft.text]);
	const bringBack = async (version: Version): Promise<void> => draft.adopt(saved(await restore(version.version)));
	return (
		<Shell
			title={`Row of ${link.table}`}
			subtitle={
				<>
					{link.filename} · <Expiry at={link.expires_at} />
				</>
			}
			actions={
				<>
					<Status draft={draft} />
					<SaveButton draft={draft} />
				</>
			}
			tools={
				<>
					<Segments
						label="Show"
						options={[
							['form', 'Form'],
							['json', 'JSON'],
						]}
						value={mode}
						onChange={setMode}
					/>
					{mode === 'json' && (
						<>
							<button type="button" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
								Wrap
							</button>
							<button type="button" onClick={() => editor.current?.find()}>
								Find
							</button>
						</>
					)}
					<CopyButton text={() => draft.text} />
					<DownloadLink />
					<button type="button" aria-pressed={history} onClick={() => setHistory(!history)}>
						History
					</button>
				</>
			}
			notices={<Failure words={draft.problem} />}
		>
			{draft.theirs !== undefined ? (
				<main class="fill">
					<Conflict draft={draft} theirs={draft.theirs} language={JSON_LANGUAGE} />
				</main>
			) : history ? (
				<main class="fill">
					<History
						current={draft.text}
						language={JSON_LANGUAGE}
						textOf={(version) => ownJson(version.row ?? {})}
						onRestore={draft.dirty ? undefined : bringBack}
						onClose={() => setHistory(false)}
					/>
				</main>
			) : null}
			{/* Kept while something else is shown, so that Undo still knows everything. */}
			<main class="fill row-view" hidden={draft.theirs !== undefined || history}>
				<dl class="system small">
					<dt>id</dt>
					<dd class="mono">{String(row.id)}</dd>
					<dt>created</dt>
					<dd>{when(String(row.created_at))}</dd>
					<dt>updated</dt>
					<dd>{when(draft.saved.at)}</dd>
				</dl>
				<div class="source" hidden={mode !== 'json'}>
					<EditorPane
						text={draft.text}
						revision={draft.revision}
						label="Members of the row, as JSON"
						language={JSON_LANGUAGE}
						readOnly={false}
						wrap={wrap}
						onChange={draft.setText}
						handle={editor}
					/>
				</div>
				{mode === 'form' &&
					(members instanceof SyntaxError ? (
						<p class="notice warn">
							The JSON is not valid yet, so there is no form of it. <span class="mono">{members.message}</span>
							<button type="button" onClick={() => setMode('json')}>
								Go on in the JSON
							</button>
						</p>
					) : (
						<RowForm members={members} onChange={draft.replaceText} />
					))}
			</main>
		</Shell>
	);
}

function membersOf(text: string): Members | SyntaxError {
	try {
		return readOwn(text);
	} catch (error) {
		return error as SyntaxError;
	}
}
