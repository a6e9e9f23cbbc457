import '../shared/base.css';
import './view.css';
import { render } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { Problem, wordsOf } from '../shared/call.ts';
import { load, type Shown } from './api.ts';
import { Deleted } from './deleted.tsx';
import { QueryView } from './query-view.tsx';
import { RowView } from './row-view.tsx';
import { TextView } from './text-view.tsx';

function App() {
	const [shown, setShown] = useState<Shown>();
	const [problem, setProblem] = useState<unknown>();
	const start = useCallback(() => {
		setProblem(undefined);
		load().then(setShown, setProblem);
	}, []);
	useEffect(start, [start]);
	if (shown !== undefined) return <View shown={shown} />;
	if (problem instanceof Problem && problem.code === 'row_not_found') return <Deleted onBack={setShown} />;
	if (problem !== undefined) {
		return (
			<main class="plain">
				<h1>This cannot be shown now</h1>
				<p role="alert">{wordsOf(problem)}</p>
				<p>
					<button type="button" onClick={start}>
						Try again
					</button>
				</p>
			</main>
		);
	}
	return (
		<main class="plain" aria-busy="true">
			<p class="muted">Loading…</p>
		</main>
	);
}

function View({ shown }: { readonly shown: Shown }) {
	if ('text' in shown) return <TextView shown={shown} />;
	return 'row' in shown ? <RowView shown={shown} /> : <QueryView shown={shown} />;
}

render(<App />, document.getElementById('app')!);
