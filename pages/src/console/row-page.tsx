import { useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from '../shared/call.ts';
import { Copy } from '../shared/copy.tsx';
import { type Members, print } from '../shared/json.ts';
import { deleteRow, findRow, listVersions, type Row, restoreVersion, saveRow, type Version } from './api.ts';
import { Conflict } from './conflict.tsx';
import {
	type Draft,
	EditProblem,
	keepDraft,
	keptDraft,
	patchOf,
	readText,
	removedMembers,
	textOf,
	withNulls,
} from './edit.ts';
import { Editor } from './editor.tsx';
import { MemberList } from './members.tsx';
import { ownOf } from './own.ts';
import { Done, shortId, Time, Title, Trouble } from './parts.tsx';
import { tableRoute } from './route.ts';
import { useLoad } from './use-load.ts';
import { Versions } from './versions.tsx';

interface Loaded {
	/** Undefined where there is no live row with the id. */
	readonly row: Row | undefined;
	readonly versions: readonly Version[];
}

/** One row: read it, edit it, look back, bring back. */
export function RowPage({ table, id }: { readonly table: string; readonly id: string }) {
	const key = `${table}/${id}`;
	const load = useLoad(async (): Promise<Loaded> => {
		const [row, versions] = await Promise.all([findRow(table, id), listVersions(table, id)]);
		return { row, versions };
	}, [table, id]);
	const [draft, setDraft] = useState(() => keptDraft(key));
	const [theirs, setTheirs] = useState<Row | 'deleted'>();
	const [done, setDone] = useState<'saved' | 'nothing' | 'restored' | 'deleted'>();
	const [aside, setAside] = useState<Draft>();
	const [problem, setProblem] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const { row, versions } = load.value ?? { row: undefined, versions: [] };
	const dirty = draft !== undefined && draft.text !== textOf(draft.base);
	useEffect(() => keepDraft(key, dirty ? draft : undefined), [key, dirty, draft]);

	/** One thing at a time, and what goes wrong is shown. */
	const act = async (run: () => Promise<void>): Promise<void> => {
		if (busy) return;
		setBusy(true);
		setProblem(undefined);
		setDone(undefined);
		try {
			await run();
		} catch (error) {
			setProblem(error);
		} finally {
			setBusy(false);
		}
	};
	/** What was just answered is what the next act is about; the versions follow. */
	const show = (now: Row | undefined): void => {
		load.set({ row: now, versions });
		load.reload();
	};
	/** Saves members over a state of the row; where the row has changed since, both are kept and shown. */
	const save = (edited: Members, over: Row): Promise<void> =>
		act(async () => {
			const patch = patchOf(over, edited);
			try {
				if (Object.keys(patch).length > 0) show(await saveRow(table, over, patch));
			} catch (error) {
				if (!(error instanceof Problem && error.code === 'row_not_found')) throw error;
				setTheirs((await findRow(table, id)) ?? 'deleted');
				load.reload();
				return;
			}
			setDraft(undefined);
			setTheirs(undefined);
			setDone(Object.keys(patch).length > 0 ? 'saved' : 'nothing');
		});
	const submit = (over: Row): void => {
		if (draft === undefined) return;
		try {
			const edited = readText(draft.text);
			const removed = removedMembers(draft.base, edited);
			if (removed.length > 0) throw new MembersRemoved(removed);
			void save(edited, over);
		} catch (error) {
			setProblem(error);
		}
	};
	const restore = (version: number): void => {
		void act(async () => {
			const restored = await restoreVersion(table, id, version);
			// A draft goes on, now over the row that is there again.
			if (theirs === 'deleted') setTheirs(restored);
			setDone('restored');
			show(restored);
		});
	};
	const remove = (shown: Row): void => {
		void act(async () => {
			const gone = await deleteRow(table, shown);
			if (!gone) {
				const words = 'The row was changed meanwhile, so it was not deleted. Look at it again first.';
				setProblem(new Problem(0, 'row_changed', words));
				load.reload();
				return;
			}
			setDone('deleted');
			setDraft(undefined);
			show(undefined);
		});
	};
	const editButton = useRef<HTMLButtonElement>(null);
	useEffect(() => {
		// The editor is gone, and the focus with it, unless something took it.
		if (draft === undefined && document.activeElement === document.body) editButton.current?.focus();
	}, [draft === undefined]);
	useSaveKey(dirty && theirs === undefined ? () => submit(draft.base) : undefined);

	const deleted = load.value !== undefined && row === undefined;
	return (
		<>
			<Title
				text={`Row ${shortId(id)}`}
				trail={[
					['Memory', { page: 'overview' }],
					[table, tableRoute(table)],
				]}
			>
				<p class="muted small ids">
					<span class="mono">{id}</span>
					{row !== undefined && (
						<>
							{' '}
							· created <Time stamp={row.created_at} /> · updated <Time stamp={row.updated_at} />
						</>
					)}
				</p>
			</Title>
			<Done>{done !== undefined && doneWords(done, versions, restore, busy)}</Done>
			{draft === undefined && <Trouble problem={problem} />}
			<Trouble problem={load.problem} />
			{aside !== undefined && draft === undefined && (
				<p class="notice">
					Your text was put aside.
					<button
						type="button"
						onClick={() => {
							setDraft(aside);
							setAside(undefined);
						}}
					>
						Take it back
					</button>
				</p>
			)}
			{theirs !== undefined && draft !== undefined && (
				<Conflict
					draft={draft}
					theirs={theirs}
					busy={busy}
					onKeepMine={() => theirs !== 'deleted' && submit(theirs)}
					onKeepTheirs={() => {
						setAside(draft);
						setDraft(undefined);
						setTheirs(undefined);
						setProblem(undefined);
					}}
					onRestore={versions[0] === undefined ? undefined : () => restore(versions[0]!.version)}
				/>
			)}
			{draft !== undefined ? (
				<section class="card" aria-label="Edit the row">
					<Editor
						text={draft.text}
						problem={problem}
						busy={busy}
						onInput={(text) => {
							setDraft({ ...draft, text });
							setProblem(undefined);
						}}
					/>
					{problem instanceof MembersRemoved && (
						<p>
							<button
								type="button"
								onClick={() => {
									setDraft({ ...draft, text: print(withNulls(draft.base, readText(draft.text))) });
									setProblem(undefined);
								}}
							>
								Set to null instead
							</button>
						</p>
					)}
					<div class="actions">
						<button
							type="button"
							class="primary"
							disabled={busy || !dirty || theirs !== undefined}
							onClick={() => submit(draft.base)}
						>
							{busy ? 'Saving…' : 'Save'}
						</button>
						<button
							type="button"
							class="quiet"
							disabled={busy}
							onClick={() => {
								if (dirty) setAside(draft);
								setDraft(undefined);
								setTheirs(undefined);
								setProblem(undefined);
							}}
						>
							{dirty ? 'Discard' : 'Close'}
						</button>
						<span class="small muted" role="status">
							{dirty && !busy && 'Not saved yet'}
						</span>
					</div>
				</section>
			) : (
				row !== undefined && (
					<section class="card" aria-label="The row">
						<div class="row-head">
							<h2>Members</h2>
							<div class="actions">
								<button type="button" ref={editButton} onClick={() => setDraft({ text: textOf(row), base: row })}>
									Edit
								</button>
								<Copy text={textOf(row)} what="the members as JSON" />
								<button type="button" class="danger" disabled={busy} onClick={() => remove(row)}>
									Delete
								</button>
							</div>
						</div>
						<MemberList members={ownOf(row)} />
					</section>
				)
			)}
			{deleted && done !== 'deleted' && theirs === undefined && (
				<p class="notice warn">
					{versions.length > 0
						? 'This row is deleted. Restore a version to bring it back.'
						: 'There is no row with this id here, and no version of one that could be restored.'}
				</p>
			)}
			{load.value !== undefined && (row !== undefined || versions.length > 0) && (
				<Versions versions={versions} row={row} onRestore={busy || dirty ? undefined : restore} />
			)}
		</>
	);
}

/** An update merges: it has no way to say that a member is gone. */
class MembersRemoved extends EditProblem {
	constructor(names: readonly string[]) {
		super(
			`An update keeps every member, so ${names.map((name) => `"${name}"`).join(', ')} cannot be removed. Put it back, or set it to null.`,
		);
	}
}

function doneWords(
	done: 'saved' | 'nothing' | 'restored' | 'deleted',
	versions: readonly Version[],
	restore: (version: number) => void,
	busy: boolean,
) {
	if (done === 'saved') return 'Saved. The version before is below.';
	if (done === 'nothing') return 'Nothing has changed, so nothing was saved.';
	if (done === 'restored') return 'Restored. The version before is below.';
	const last = versions[0];
	return (
		<>
			The row is deleted.
			{last?.deleted === true && (
				<button type="button" disabled={busy} onClick={() => restore(last.version)}>
					Undo
				</button>
			)}
		</>
	);
}

/** Ctrl-S and Cmd-S save, where there is something to save. */
function useSaveKey(save: (() => void) | undefined): void {
	const latest = useRef(save);
	// Not in an effect, which would come after a key that is pressed quickly.
	latest.current = save;
	useEffect(() => {
		const press = (event: KeyboardEvent): void => {
			if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey)) return;
			event.preventDefault();
			latest.current?.();
		};
		addEventListener('keydown', press);
		return () => removeEventListener('keydown', press);
	}, []);
}
