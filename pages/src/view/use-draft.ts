import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Problem, wordsOf } from '../shared/call.ts';

/** What the server holds: a text, the tag of its state, and when it was written. */
export interface Saved {
	readonly text: string;
	readonly tag: string;
	readonly at: string;
}

/** How a draft reaches the server. */
export interface Source {
	/** @throws Problem */
	write(text: string, tag: string): Promise<Saved>;
	/** @throws Problem */
	read(): Promise<Saved>;
	/** One spelling for all texts that mean the same. */
	normal(text: string): string;
}

export interface Draft {
	readonly saved: Saved;
	readonly text: string;
	/** Is there anything that only this page holds? */
	readonly dirty: boolean;
	readonly saving: boolean;
	/** Has anything been saved from this page? */
	readonly everSaved: boolean;
	/** Why the last save failed, in words. */
	readonly problem: string | undefined;
	/** What somebody else saved meanwhile. While it is set both are shown, and what is typed is still the draft. */
	readonly theirs: Saved | undefined;
	/** The row was deleted meanwhile. */
	readonly gone: boolean;
	/** A draft that gave way to somebody else's text; it can be taken back. */
	readonly aside: string | undefined;
	/** Grows when the text was changed by something else than the editor, which then takes it over. */
	readonly revision: number;
	/** What the editor holds now. */
	setText(text: string): void;
	/** Another text, from elsewhere than the editor. */
	replaceText(text: string): void;
	/** Saves the draft; in a conflict over what somebody else saved, which stays in the row's versions. */
	save(): Promise<void>;
	/** Takes what the server holds; the draft is put aside. */
	keepTheirs(): void;
	takeBack(): void;
	forgetAside(): void;
	/** Leaves the conflict with the draft as it is; the next save meets it again. */
	postpone(): void;
	/** What the server answered to something else than a save, for example a restore. A draft that was typed meanwhile meets it as a conflict. */
	receive(saved: Saved): void;
}

/** A save that meets a change of what this page does not show is tried again so often. */
const TRIES = 3;

/**
 * The one way that pages edit: a draft of a saved text, saved only over the state it was made of. Nothing that was typed is
 * dropped by anything but the person's own word.
 * @param blocked why the draft cannot be saved as it stands, in words: something typed that cannot be read yet.
 */
export function useDraft(initial: Saved, source: Source, blocked?: string): Draft {
	const [saved, setSaved] = useState(initial);
	const [text, setText] = useState(initial.text);
	const [revision, setRevision] = useState(0);
	const [saving, setSaving] = useState(false);
	const [everSaved, setEverSaved] = useState(false);
	const [problem, setProblem] = useState<string>();
	const [theirs, setTheirs] = useState<Saved>();
	const [gone, setGone] = useState(false);
	const [aside, setAside] = useState<string>();
	const busy = useRef(false);
	/** The draft as it is now, for what ends later than it began. */
	const latest = useRef({ text, saved });
	latest.current = { text, saved };
	const dirty = text !== saved.text || blocked !== undefined;

	const replaceText = (next: string): void => {
		latest.current = { ...latest.current, text: next };
		setText(next);
		setRevision((count) => count + 1);
	};

	/** What was written of `next` is saved; what was typed since stays unsaved. */
	const settle = (next: string, written: Saved): void => {
		setSaved({ ...written, text: next });
		setEverSaved(true);
		setTheirs(undefined);
		setGone(false);
		// The editor takes over what was typed elsewhere, in a conflict.
		setRevision((count) => count + 1);
	};

	const write = async (next: string, from: Saved): Promise<void> => {
		let { tag } = from;
		for (let tries = 1; ; tries++) {
			try {
				settle(next, await source.write(next, tag));
				return;
			} catch (error) {
				if (!(error instanceof Problem && error.code === 'row_changed')) throw error;
				const now = await readNow(error);
				if (source.normal(now.text) === source.normal(next)) {
					// Our own save, whose answer was lost, or somebody who wrote the same.
					settle(next, now);
					return;
				}
				if (source.normal(now.text) !== source.normal(from.text) || tries === TRIES) {
					setTheirs(now);
					return;
				}
				// What changed is not what this page shows.
				tag = now.tag;
			}
		}
	};

	/** What the server holds now. A text that is none any more counts as empty: it can still be saved over. */
	const readNow = async (changed: Problem): Promise<Saved> => {
		try {
			return await source.read();
		} catch (error) {
			if (!(error instanceof Problem && error.code === 'not_a_text')) throw error;
			const { state, updated_at: at } = changed.details as { state: number; updated_at: string };
			return { text: '', tag: `"${state}"`, at };
		}
	};

	const save = async (): Promise<void> => {
		if (busy.current || (!dirty && theirs === undefined)) return;
		if (blocked !== undefined) {
			setProblem(blocked);
			return;
		}
		busy.current = true;
		setSaving(true);
		setProblem(undefined);
		try {
			await write(latest.current.text, theirs ?? saved);
		} catch (error) {
			if (error instanceof Problem && error.code === 'row_not_found') setGone(true);
			else setProblem(wordsOf(error instanceof SyntaxError ? sentence(error) : error));
		} finally {
			busy.current = false;
			setSaving(false);
		}
	};

	// At once, not after the next frame: the page may be left the moment after a key was pressed.
	const atStake = dirty || aside !== undefined;
	useLayoutEffect(() => {
		if (!atStake) return;
		// HTML standard, section 7.4.7: a page that prevents the event's default asks before it is left.
		const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
		addEventListener('beforeunload', ask);
		return () => removeEventListener('beforeunload', ask);
	}, [atStake]);

	const adopt = (next: Saved): void => {
		setSaved(next);
		replaceText(next.text);
		setTheirs(undefined);
		setGone(false);
		setProblem(undefined);
	};

	return {
		...{ saved, text, dirty, saving, everSaved, problem, theirs, gone, aside, revision },
		setText,
		replaceText,
		save,
		keepTheirs() {
			if (theirs === undefined) return;
			setAside(text);
			adopt(theirs);
		},
		takeBack() {
			if (aside === undefined) return;
			replaceText(aside);
			setAside(undefined);
		},
		forgetAside: () => setAside(undefined),
		postpone() {
			setTheirs(undefined);
			setRevision((count) => count + 1);
			setProblem('Not saved: the row was changed meanwhile. Saving again compares both.');
		},
		receive(next) {
			if (latest.current.text === latest.current.saved.text) adopt(next);
			else setTheirs(next);
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
