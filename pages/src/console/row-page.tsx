import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Problem } from '../shared/call.ts';
import { Copy } from '../shared/copy.tsx';
import { deleteRow, findRow, listVersions, restoreVersion, type Seen, saveRow, type Version } from './api.ts';
import { Conflict } from './conflict.tsx';
import { type Draft, keepAside, keepDraft, keptAside, keptDraft, readText, sameMembers, textOf } from './edit.ts';
import { Editor } from './editor.tsx';
import { MemberList } from './members.tsx';
import { ownOf, unturned } from './own.ts';
import { Done, shortId, Time, Title, Trouble } from './parts.tsx';
import { tableRoute } from './route.ts';
import { useLoad } from './use-load.ts';
import { Versions } from './versions.tsx';

interface Loaded {
	/** Undefined where there is no live row with the id. */
	readonly seen: Seen | undefined;
	readonly versions: readonly Version[];
}

/** One row: read it, edit it, look back, bring back. */
export function RowPage({ table, id }: { readonly table: string; readonly id: string }) {
	const key = `${table}/${id}`;
	const load = useLoad(async (): Promise<Loaded> => {
		const [seen, versions] = await Promise.all([findRow(table, id), listVersions(table, id)]);
		return { seen, versions };
	}, [table, id]);
	const [draft, setDraft] = useState(() => keptDraft(key));
	const [theirs, setTheirs] = useState<Seen | 'deleted'>();
	const [done, setDone] = useState<'saved' | 'nothing' | 'restored' | 'deleted'>();
	const [aside, setAside] = useState(() => keptAside(key));
	const [problem, setProblem] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const { seen, versions } = load.value ?? { seen: undefined, versions: [] };
	const row = seen?.row;
	const dirty = isDirty(draft);
	// At once, not after the next frame: the page may be left the moment after a key was pressed.
	useLayoutEffect(() => keepDraft(key, dirty ? draft : undefined), [key, dirty, draft]);
	useLayoutEffect(() => keepAside(key, aside), [key, aside]);

	/** What was told of the act before does not stay beside what comes of the next. */
	const begin = (): void => {
		setProblem(undefined);
		setDone(undefined);
	};
	/** One thing at a time, and what goes wrong is shown. */
	const act = async (run: () => Promise<void>): Promise<void> => {
		if (busy) return;
		setBusy(true);
		begin();
		try {
			await run();
		} catch (error) {
			setProblem(error);
		} finally {
			setBusy(false);
		}
	};
	/** What was just answered is what the next act is about; the versions follow. */
	const show = (now: Seen | undefined): void => {
		load.set({ seen: now, versions });
		load.reload();
	};
	/** Saves the draft over a state of the row; where the row has changed since, both are kept and shown. */
	const save = (text: string, over: Seen): Promise<void> =>
		act(async () => {
			const same = sameMembers(over.row, readText(text));
			let saved = over;
			try {
				if (!same) {
					saved = await saveRow(table, over, text);
					show(saved);
				}
			} catch (error) {
				if (!hasCode(error, 'row_changed', 'row_not_found')) throw error;
				setTheirs((await findRow(table, id)) ?? 'deleted');
				load.reload();
				return;
			}
			// What was typed while the text was on its way goes on, as an edit of what is saved now.
			const rest = (now: Draft | undefined): Draft | undefined =>
				now === undefined || now.text === text ? undefined : { text: now.text, base: saved };
			setDraft(rest);
			// The page may have been left meanwhile, and then keeps nothing by itself.
			keepDraft(key, rest(keptDraft(key)));
			setTheirs(undefined);
			setDone(same ? 'nothing' : 'saved');
		});
	const submit = (over: Seen): void => {
		if (draft !== undefined) void save(draft.text, over);
	};
	const restore = (version: number): void => {
		void act(async () => {
			let restored: Seen;
			try {
				restored = await restoreVersion(table, id, version, seen);
			} catch (error) {
				if (!hasCode(error, 'row_changed')) throw error;
				load.reload();
				if (theirs === 'deleted') setTheirs((await findRow(table, id)) ?? 'deleted');
				throw changedMeanwhile('restored');
			}
			// A draft goes on, now over the row that is there again.
			if (theirs === 'deleted') setTheirs(restored);
			setDraft((now) => (isDirty(now) ? now : undefined));
			setDone('restored');
			show(restored);
		});
	};
	const remove = (shown: Seen): void => {
		void act(async () => {
			const gone = await deleteRow(table, shown);
			if (!gone) {
				load.reload();
				throw changedMeanwhile('deleted');
			}
			setDone('deleted');
			setDraft(undefined);
			show(undefined);
		});
	};
	/** Ends the editing, and keeps what was typed at hand. @param wanted as of {@link Aside} */
	const putAside = (wanted: boolean): void => {
		if (draft !== undefined && dirty) setAside({ ...draft, wanted });
		setDraft(undefined);
		setTheirs(undefined);
		begin();
	};
	const editButton = useRef<HTMLButtonElement>(null);
	useEffect(() => {
		// The editor is gone, and the focus with it, unless something took it.
		if (draft === undefined && document.activeElement === document.body) editButton.current?.focus();
	}, [draft === undefined]);
	useSaveKey(draft !== undefined && dirty && theirs === undefined ? () => submit(draft.base) : undefined);

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
					<bdi class="mono">{unturned(id)}</bdi>
					{row !== undefined && (
						<>
							{' '}
							· created <Time stamp={row.created_at} /> · updated <Time stamp={row.updated_at} />
						</>
					)}
				</p>
			</Title>
			<Done typing={draft !== undefined}>
				{done !== undefined && doneWords(done, draft !== undefined, versions, restore, busy)}
			</Done>
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
							begin();
						}}
					>
						Take it back
					</button>
					<button type="button" class="quiet" onClick={() => setAside(undefined)}>
						Throw it away
					</button>
				</p>
			)}
			{theirs !== undefined && draft !== undefined && (
				<Conflict
					draft={draft}
					theirs={theirs}
					busy={busy}
					onKeepMine={() => theirs !== 'deleted' && submit(theirs)}
					onKeepTheirs={() => putAside(true)}
					onRestore={versions[0] === undefined ? undefined : () => restore(versions[0]!.version)}
				/>
			)}
			{draft !== undefined ? (
				<section class="card" aria-label="Edit the row">
					<Editor
						text={draft.text}
						problem={problem}
						onInput={(text) => {
							setDraft({ ...draft, text });
							setProblem(undefined);
						}}
					/>
					<div class="actions">
						<button
							type="button"
							class="primary"
							disabled={busy || !dirty || theirs !== undefined}
							onClick={() => submit(draft.base)}
						>
							{busy ? 'Saving…' : 'Save'}
						</button>
						<button type="button" class="quiet" disabled={busy} onClick={() => putAside(false)}>
							{dirty ? 'Discard' : 'Close'}
						</button>
						<span class="small muted" role="status">
							{dirty && !busy && 'Not saved yet'}
						</span>
					</div>
				</section>
			) : (
				seen !== undefined && (
					<section class="card" aria-label="The row">
						<div class="row-head">
							<h2>Members</h2>
							<div class="actions">
								<button
									type="button"
									ref={editButton}
									onClick={() => {
										begin();
										setDraft({ text: textOf(seen.row), base: seen });
									}}
								>
									Edit
								</button>
								<Copy text={textOf(seen.row)} what="the members as JSON" />
								<button type="button" class="danger" disabled={busy} onClick={() => remove(seen)}>
									Delete
								</button>
							</div>
						</div>
						<MemberList members={ownOf(seen.row)} />
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

function isDirty(draft: Draft | undefined): boolean {
	return draft !== undefined && draft.text !== textOf(draft.base.row);
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
	return error instanceof Problem && codes.includes(error.code);
}

function changedMeanwhile(what: 'restored' | 'deleted'): Problem {
	return new Problem(0, 'row_changed', `The row was changed meanwhile, so it was not ${what}. Look at it again first.`);
}

function doneWords(
	done: 'saved' | 'nothing' | 'restored' | 'deleted',
	typing: boolean,
	versions: readonly Version[],
	restore: (version: number) => void,
	busy: boolean,
) {
	if (done === 'saved' && typing) return 'Saved, but for what you typed since.';
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
