import { useMemo, useRef, useState } from 'preact/hooks';
import { load, type ShownText, saveText, type Version } from './api.ts';
import { Aside, Conflict } from './conflict.tsx';
import type { Editor } from './editor.ts';
import { EditorPane } from './editor-pane.tsx';
import { History } from './history.tsx';
import { Rendered } from './rendered.tsx';
import { CopyButton, DownloadLink, Expiry, Failure, SaveButton, Segments, Shell, Status } from './shell.tsx';
import { type Saved, type Source, useDraft, useSaveKey } from './use-draft.ts';

type Mode = 'source' | 'rendered' | 'both';

const saved = ({ text, tag, updated_at: at }: ShownText): Saved => ({ text, tag, at });
const source: Source = {
	write: async (text, tag) => saved(await saveText(text, tag)),
	read: async () => saved((await load()) as ShownText),
	normal: (text) => text,
};

/** One text: source, rendered where it is Markdown, and its history. */
export function TextView({ shown }: { readonly shown: ShownText }) {
	const { link } = shown;
	const language = useMemo(
		() => ({ name: shown.language, mimeType: link.mime_type, filename: link.filename }),
		[shown.language, link.mime_type, link.filename],
	);
	const isMarkdown = /^text\/(x-)?markdown/i.test(link.mime_type) || /\.(md|markdown)$/i.test(link.filename);
	const [mode, setMode] = useState<Mode>(isMarkdown ? (innerWidth > 900 ? 'both' : 'rendered') : 'source');
	const [wrap, setWrap] = useState(true);
	const [history, setHistory] = useState(false);
	const draft = useDraft(saved(shown), source);
	const editor = useRef<Editor | undefined>(undefined);
	useSaveKey(() => void draft.save());
	const find = (): void => {
		if (mode === 'rendered') setMode('source');
		requestAnimationFrame(() => editor.current?.find());
	};
	const restore = async (version: Version): Promise<void> =>
		draft.receive(await source.write(version.text ?? '', draft.saved.tag));
	return (
		<Shell
			title={link.filename}
			subtitle={
				<>
					<bdi>{link.field}</bdi> in <bdi>{link.table}</bdi> · <Expiry at={link.expires_at} />
				</>
			}
			actions={
				<>
					<Status draft={draft} />
					{link.editable && <SaveButton draft={draft} />}
				</>
			}
			tools={
				<>
					{isMarkdown && (
						<Segments
							label="Show"
							options={[
								['source', 'Source'],
								['both', 'Both'],
								['rendered', 'Rendered'],
							]}
							value={mode}
							onChange={setMode}
						/>
					)}
					<button type="button" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
						Wrap
					</button>
					<button type="button" onClick={find}>
						Find
					</button>
					<CopyButton text={() => draft.text} />
					<DownloadLink />
					<button type="button" aria-pressed={history} onClick={() => setHistory(!history)}>
						History
					</button>
					<Size text={draft.text} max={link.max_row_bytes} />
				</>
			}
			notices={
				<>
					<Failure words={draft.problem} />
					{draft.gone && (
						<p class="notice bad" role="alert">
							The row was deleted meanwhile, and this link cannot bring it back. Your text is still here: copy it, and
							ask for the row to be restored; then it can be saved.
						</p>
					)}
					<Aside draft={draft} />
				</>
			}
		>
			{draft.theirs !== undefined ? (
				<main class="fill">
					<Conflict draft={draft} theirs={draft.theirs} language={language} />
				</main>
			) : history ? (
				<main class="fill">
					<History
						current={draft.text}
						language={language}
						textOf={(version) => version.text ?? ''}
						currentLabel={draft.dirty ? 'Now, with your changes' : 'Now'}
						blocked={blockedWords(draft.dirty, link.editable)}
						onRestore={restore}
						onClose={() => setHistory(false)}
					/>
				</main>
			) : null}
			{/* Kept while something else is shown, so that Undo still knows everything. */}
			<main class={`fill text-view ${mode}`} hidden={draft.theirs !== undefined || history}>
				<div class="source" hidden={mode === 'rendered'}>
					<EditorPane
						text={draft.text}
						revision={draft.revision}
						label={`${link.field}, text`}
						language={language}
						readOnly={!link.editable}
						wrap={wrap}
						onChange={draft.setText}
						handle={editor}
					/>
				</div>
				{mode !== 'source' && <Rendered text={draft.text} />}
			</main>
		</Shell>
	);
}

function blockedWords(dirty: boolean, editable: boolean): string | undefined {
	if (!editable) return 'This text belongs to the service, so earlier versions can only be looked at.';
	return dirty ? 'Save your changes before you restore: restoring replaces what is there.' : undefined;
}

const ENCODER = new TextEncoder();

function Size({ text, max }: { readonly text: string; readonly max: number | null }) {
	const bytes = useMemo(() => ENCODER.encode(text).length, [text]);
	const size = bytes < 10_000 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(1)} KB`;
	const most = max === null ? '' : ` of ${Math.round(max / 1024)} KB a row`;
	return (
		<span class={`size small ${max !== null && bytes > max ? 'over' : 'muted'}`}>
			{size}
			{most}
		</span>
	);
}
