import { isolateHistory } from '@codemirror/commands';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { LanguageDescription, syntaxHighlighting } from '@codemirror/language';
import { languages } from '@codemirror/language-data';
import { linter, lintGutter } from '@codemirror/lint';
import { MergeView, unifiedMergeView } from '@codemirror/merge';
import { openSearchPanel, search } from '@codemirror/search';
import { Compartment, EditorState, type Extension, Text } from '@codemirror/state';
import { ViewPlugin } from '@codemirror/view';
import { classHighlighter } from '@lezer/highlight';
import { basicSetup, EditorView } from 'codemirror';
import './editor.css';

/** CodeMirror as these pages use it. Loaded after the first view, which shows the text without it. */

export interface EditorOptions {
	readonly parent: HTMLElement;
	readonly text: string;
	/** Read by screen readers. */
	readonly label: string;
	readonly language: LanguageHint;
	readonly readOnly: boolean;
	readonly wrap: boolean;
	readonly onChange: (text: string) => void;
}

/** What is known of a text's language, the surest first. */
export interface LanguageHint {
	readonly name?: string | undefined;
	readonly mimeType?: string | undefined;
	readonly filename?: string | undefined;
}

export interface Editor {
	text(): string;
	/** Puts another text in, as a change that can be undone. */
	replace(text: string): void;
	setWrap(on: boolean): void;
	find(): void;
	focus(): void;
	destroy(): void;
}

export function makeEditor({ parent, text, label, language, readOnly, wrap, onChange }: EditorOptions): Editor {
	const wrapping = new Compartment();
	const view = new EditorView({
		parent,
		state: EditorState.create({
			doc: text,
			extensions: [
				common(label, readOnly),
				wrapping.of(wrap ? EditorView.lineWrapping : []),
				languageOf(language, text),
				EditorView.updateListener.of((update) => {
					if (update.docChanged) onChange(update.state.sliceDoc());
				}),
			],
		}),
	});
	return {
		text: () => view.state.sliceDoc(),
		replace(next) {
			const { length } = view.state.doc;
			view.dispatch({
				changes: { from: 0, to: length, insert: view.state.toText(next) },
				// One step of its own for Undo, however soon it comes after something typed.
				annotations: isolateHistory.of('full'),
			});
		},
		setWrap(on) {
			view.dispatch({ effects: wrapping.reconfigure(on ? EditorView.lineWrapping : []) });
		},
		find() {
			openSearchPanel(view);
		},
		focus: () => view.focus(),
		destroy: () => view.destroy(),
	};
}

export interface CompareOptions {
	readonly parent: HTMLElement;
	readonly left: string;
	readonly right: string;
	readonly leftLabel: string;
	readonly rightLabel: string;
	readonly language: LanguageHint;
	/** Told of each edit of the left text, which is read-only without it. */
	readonly onEdit: ((text: string) => void) | undefined;
	/** One below the other, for narrow screens. */
	readonly unified: boolean;
}

export interface Comparison {
	destroy(): void;
}

export function makeComparison(options: CompareOptions): Comparison {
	const { parent, left, right, leftLabel, rightLabel, language, onEdit, unified } = options;
	const shared = [languageOf(language, `${left}\n${right}`, false), EditorView.lineWrapping];
	const edits = EditorView.updateListener.of((update) => {
		if (update.docChanged) onEdit?.(update.state.sliceDoc());
	});
	const readOnly = onEdit === undefined;
	if (unified) {
		const view = new EditorView({
			parent,
			state: EditorState.create({
				doc: left,
				extensions: [
					common(leftLabel, readOnly),
					edits,
					shared,
					unifiedMergeView({ original: Text.of(right.split('\n')), mergeControls: false, gutter: true }),
				],
			}),
		});
		return { destroy: () => view.destroy() };
	}
	const view = new MergeView({
		parent,
		a: { doc: left, extensions: [common(leftLabel, readOnly), edits, shared] },
		b: { doc: right, extensions: [common(rightLabel, true), shared] },
		collapseUnchanged: { margin: 3, minSize: 6 },
	});
	return { destroy: () => view.destroy() };
}

function common(label: string, readOnly: boolean): Extension {
	return [
		// The style elements that CodeMirror makes carry the page's nonce (CSP Level 3, section 8.2).
		EditorView.cspNonce.of(document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''),
		basicSetup,
		replacesSelection,
		search({ top: true }),
		syntaxHighlighting(classHighlighter),
		EditorState.readOnly.of(readOnly),
		// Contents that scroll must be seen to be reachable by keyboard.
		EditorView.contentAttributes.of({
			'aria-label': label,
			tabindex: '0',
			...(readOnly ? { 'aria-readonly': 'true' } : {}),
		}),
		// Stored texts keep their own line ends.
		EditorState.lineSeparator.of('\n'),
	];
}

/**
 * Text typed over a selection is put in by us. Chromium would keep the looks of what it replaces as an inline style, which the
 * page's policy refuses.
 */
const replacesSelection = EditorView.domEventHandlers({
	beforeinput(event, view) {
		const { state } = view;
		if (event.inputType !== 'insertText' || event.data === null || view.composing) return false;
		if (state.readOnly || state.selection.main.empty) return false;
		view.dispatch(state.replaceSelection(event.data), { userEvent: 'input.type', scrollIntoView: true });
		return true;
	},
});

const NAMES_BY_TYPE: Readonly<Record<string, string>> = {
	'application/json': 'json',
	'application/sql': 'sql',
	'application/toml': 'toml',
	'application/x-php': 'php',
	'application/x-sh': 'shell',
	'application/xml': 'xml',
	'application/yaml': 'yaml',
	'image/svg+xml': 'xml',
	'text/css': 'css',
	'text/html': 'html',
	'text/javascript': 'javascript',
	'text/markdown': 'markdown',
	'text/x-c': 'c',
	'text/x-c++': 'c++',
	'text/x-go': 'go',
	'text/x-java': 'java',
	'text/x-python': 'python',
	'text/x-rust': 'rust',
	'text/x-typescript': 'typescript',
};

/** The support for a language, which arrives after the editor stands where it is not JSON. Without it a text is shown plain. */
function languageOf({ name, mimeType = '', filename = '' }: LanguageHint, text: string, lint = true): Extension {
	const essence = mimeType.split(';')[0]!.trim().toLowerCase();
	const found =
		(name === undefined ? null : LanguageDescription.matchLanguageName(languages, name, true)) ??
		LanguageDescription.matchLanguageName(languages, NAMES_BY_TYPE[essence] ?? '', false) ??
		LanguageDescription.matchFilename(languages, filename);
	if (found === null) return [];
	if (found.name === 'JSON') return lint ? [json(), linter(jsonParseLinter()), lintGutter()] : json();
	return hasLongLine(text) ? [] : arriving(found);
}

/** Lines above this are no prose and no code; some grammars take seconds for them with every key. */
const MAX_LINE = 10_000;

function hasLongLine(text: string): boolean {
	return text.split('\n').some((line) => line.length > MAX_LINE);
}

/** A language's support comes in a file of its own, after the editor stands. */
function arriving(language: LanguageDescription): Extension {
	const place = new Compartment();
	const loader = ViewPlugin.define((view) => {
		let gone = false;
		language.load().then(
			(support) => {
				if (!gone) view.dispatch({ effects: place.reconfigure(support) });
			},
			// Without its language a text is shown plain.
			() => {},
		);
		return {
			destroy() {
				gone = true;
			},
		};
	});
	return [place.of([]), loader];
}
