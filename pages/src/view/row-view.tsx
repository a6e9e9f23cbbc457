import { useMemo, useRef, useState } from 'preact/hooks';
import { wordsOf } from '../shared/call.ts';
import type { Members } from '../shared/json.ts';
import { when } from '../shared/time.ts';
import { load, ownJson, readOwn, restore, type ShownRow, saveRow, type Version, versions } from './api.ts';
import { Aside, Conflict } from './conflict.tsx';
import type { Editor } from './editor.ts';
import { EditorPane } from './editor-pane.tsx';
import { History } from './history.tsx';
import { RowForm } from './row-form.tsx';
import { CopyButton, DownloadLink, Expiry, Failure, SaveButton, Segments, Shell, Status } from './shell.tsx';
import { type Saved, type Source, useDraft, useSaveKey } from './use-draft.ts';

type Mode = 'form' | 'json';

const JSON_LANGUAGE = { name: 'json' };

const saved = ({ row, tag }: ShownRow): Saved => ({ text: ownJson(row), tag, at: String(row.updated_at) });
const source: Source = {
	async write(text, tag) {
		readOwn(text);
		return saved(await saveRow(text, tag));
	},
	read: async () => saved((await load()) as ShownRow),
	normal(text) {
		const members = membersOf(text);
		return members instanceof SyntaxError ? text : ownJson(members);
	},
};

/** One row: a form of its members, or its JSON, and its history. */
export function RowView({ shown }: { readonly shown: ShownRow }) {
	const { link, row } = shown;
	const [mode, setMode] = useState<Mode>('form');
	const [wrap, setWrap] = useState(true);
	const [history, setHistory] = useState(false);
	/** Fields of the form that hold something which cannot be read yet. */
	const [unread, setUnread] = useState<readonly string[]>([]);
	const draft = useDraft(saved(shown), source, unread.length === 0 ? undefined : unreadWords(unread));
	const editor = useRef<Editor | undefined>(undefined);
	useSaveKey(() => void draft.save());
	const members = useMemo(() => membersOf(draft.text), [draft.text]);
	const bringBack = async (version: Version): Promise<void> =>
		draft.receive(saved(await restore(version.version, draft.saved.tag)));
	/** The deleted row comes back as it was last; the draft then meets it as it meets every change. */
	const revive = async (): Promise<void> => {
		const [newest] = await versions();
		if (newest !== undefined) draft.receive(saved(await restore(newest.version)));
	};
	return (
		<Shell
			title={`Row of ${link.table}`}
			subtitle={
				<>
					<bdi>{link.filename}</bdi> · <Expiry at={link.expires_at} />
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
			notices={
				<>
					<Failure words={draft.problem} />
					{draft.gone && <Gone onRevive={revive} />}
					<Aside draft={draft} />
				</>
			}
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
						currentLabel={draft.dirty ? 'Now, with your changes' : 'Now'}
						blocked={
							draft.dirty ? 'Save your changes before you restore: restoring replaces what is there.' : undefined
						}
						onRestore={bringBack}
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
				{/* Kept while the JSON is shown: a field may hold what cannot be read yet. */}
				<div hidden={mode !== 'form'}>
					{members instanceof SyntaxError ? (
						<p class="notice warn">
							The JSON is not valid yet, so there is no form of it. <span class="mono">{members.message}</span>
							<button type="button" onClick={() => setMode('json')}>
								Go on in the JSON
							</button>
						</p>
					) : (
						<RowForm
							members={members}
							onChange={draft.replaceText}
							onUnread={setUnread}
							onJson={() => setMode('json')}
						/>
					)}
				</div>
			</main>
		</Shell>
	);
}

function membersOf(text: string): Members | SyntaxError {
	try {
		return readOwn(text);
	} catch (error) {
		if (error instanceof SyntaxError) return error;
		throw error;
	}
}

function unreadWords(names: readonly string[]): string {
	const listed = names.map((name) => `"${name}"`).join(', ');
	return `Not saved: what stands in ${listed} in the form cannot be read yet. Mend it, or choose another kind for it.`;
}

/** What to do when the row went away under an edit. */
function Gone({ onRevive }: { readonly onRevive: () => Promise<void> }) {
	const [problem, setProblem] = useState<string>();
	return (
		<p class="notice bad" role="alert">
			<span>The row was deleted meanwhile. Your changes are still here. {problem}</span>
			<button type="button" onClick={() => void onRevive().catch((error: unknown) => setProblem(wordsOf(error)))}>
				Bring the row back
			</button>
		</p>
	);
}
