import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Problem, wordsOf } from '../shared/call.ts';

/** What the server holds: a text, the tag of its state, and when it was written. */
export interface Saved {
	readonly text: string;
	readonly tag: string;
	readonly at: string;
}

export interface Draft {
	readonly saved: Saved;
	readonly text: string;
	readonly dirty: boolean;
	readonly saving: boolean;
	/** Has anything been saved from this page? */
	readonly everSaved: boolean;
	/** Why the last save failed, in words. */
	readonly problem: string | undefined;
	/** What somebody else saved meanwhile; while it is set, neither text is lost. */
	readonly theirs: Saved | undefined;
	/** Grows when the text was changed by something else than the editor, which then takes it over. */
	readonly revision: number;
	/** What the editor holds now. */
	setText(text: string): void;
	/** Another text, from elsewhere than the editor. */
	replaceText(text: string): void;
	save(): Promise<void>;
	/** Saves a text over what somebody else saved, which stays in the row's versions. */
	keepMine(text: string): Promise<void>;
	/** Takes over what the server holds. */
	adopt(saved: Saved): void;
	/** Puts the conflict aside with the draft as it is; the next save meets it again. */
	postpone(): void;
}

/** The one way that pages edit: a draft of a saved text, saved only over the state it was made of. */
export function useDraft(
	initial: Saved,
	write: (text: string, tag: string) => Promise<Saved>,
	read: () => Promise<Saved>,
): Draft {
	const [saved, setSaved] = useState(initial);
	const [text, setText] = useState(initial.text);
	const [revision, setRevision] = useState(0);
	const [saving, setSaving] = useState(false);
	const [everSaved, setEverSaved] = useState(false);
	const [problem, setProblem] = useState<string>();
	const [theirs, setTheirs] = useState<Saved>();
	const busy = useRef(false);
	const dirty = text !== saved.text;

	const put = useCallback(
		async (next: string, tag: string): Promise<void> => {
			if (busy.current) return;
			busy.current = true;
			setSaving(true);
			setProblem(undefined);
			try {
				const written = await write(next, tag);
				// The draft stays as it was typed; what was typed meanwhile stays unsaved.
				setSaved({ ...written, text: next });
				setEverSaved(true);
				setTheirs(undefined);
			} catch (error) {
				try {
					if (!(error instanceof Problem && error.code === 'row_changed')) throw error;
					setTheirs(await read());
				} catch (failure) {
					setProblem(wordsOf(failure instanceof SyntaxError ? sentence(failure) : failure));
				}
			} finally {
				busy.current = false;
				setSaving(false);
			}
		},
		[write, read],
	);

	const replaceText = (next: string): void => {
		setText(next);
		setRevision((count) => count + 1);
	};

	// At once, not after the next frame: the page may be left the moment after a key was pressed.
	useLayoutEffect(() => {
		if (!dirty) return;
		// HTML standard, section 7.4.7: a page that prevents the event's default asks before it is left.
		const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
		addEventListener('beforeunload', ask);
		return () => removeEventListener('beforeunload', ask);
	}, [dirty]);

	return {
		saved,
		text,
		dirty,
		saving,
		everSaved,
		problem,
		theirs,
		revision,
		setText,
		replaceText,
		save: () => (dirty ? put(text, saved.tag) : Promise.resolve()),
		keepMine(mine) {
			replaceText(mine);
			return put(mine, theirs?.tag ?? saved.tag);
		},
		adopt(next) {
			setSaved(next);
			replaceText(next.text);
			setTheirs(undefined);
			setProblem(undefined);
		},
		postpone() {
			setTheirs(undefined);
			setProblem('Not saved: the row was changed meanwhile. Saving again compares both.');
		},
	};
}

function sentence(error: SyntaxError): Problem {
	return new Problem(0, 'invalid_json', `This is not valid JSON yet. ${error.message.replace(/\.?$/, '.')}`);
}

/** Ctrl-S and Cmd-S save, wherever the focus is. */
export function useSaveKey(save: () => void): void {
	const latest = useRef(save);
	latest.current = save;
	useEffect(() => {
		const press = (event: KeyboardEvent): void => {
			if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey)
				return;
			event.preventDefault();
			latest.current();
		};
		addEventListener('keydown', press);
		return () => removeEventListener('keydown', press);
	}, []);
}
