import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { EditProblem } from './edit.ts';
import { Trouble } from './parts.tsx';

/** The row's members as JSON in a plain text field. */
export function Editor(props: {
	readonly text: string;
	readonly problem: unknown;
	readonly onInput: (text: string) => void;
}) {
	const { text, problem, onInput } = props;
	const area = useRef<HTMLTextAreaElement>(null);
	const wrong = problem instanceof EditProblem;
	// At once, so that not a key that is pressed is lost.
	useLayoutEffect(() => area.current?.focus(), []);
	useEffect(() => {
		if (!(problem instanceof EditProblem) || problem.position === undefined) return;
		// Where the trouble is, so that it can be put right at once.
		area.current?.focus();
		area.current?.setSelectionRange(problem.position, problem.position + 1);
	}, [problem]);
	const lines = Math.min(28, Math.max(6, text.split('\n').length + 1));
	return (
		<div class="editor">
			<label for="members-json">Members, as JSON</label>
			<textarea
				id="members-json"
				ref={area}
				class="mono"
				rows={lines}
				value={text}
				spellcheck={false}
				autocapitalize="off"
				autocomplete="off"
				aria-invalid={wrong}
				aria-describedby={wrong ? 'members-problem' : undefined}
				onInput={(event) => onInput(event.currentTarget.value)}
			/>
			<div id="members-problem" role="alert">
				{wrong && <p class="notice bad">{problem.message}</p>}
			</div>
			{!wrong && <Trouble problem={problem} />}
		</div>
	);
}
