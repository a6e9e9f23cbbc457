import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export interface Load<T> {
	/** What was loaded last for these `keys`; undefined as long as nothing is. */
	readonly value: T | undefined;
	/** What was thrown by the last attempt. */
	readonly problem: unknown;
	readonly loading: boolean;
	reload(): void;
	/** Takes over what is known without asking. */
	set(value: T): void;
}

/** Loads something when the page shows it, and again when one of `keys` changes. Late answers to earlier questions are dropped. */
export function useLoad<T>(load: () => Promise<T>, keys: readonly unknown[]): Load<T> {
	const [state, setState] = useState<{ value: T | undefined; problem: unknown; loading: boolean }>({
		value: undefined,
		problem: undefined,
		loading: true,
	});
	const [attempt, setAttempt] = useState(0);
	const latest = useRef(load);
	latest.current = load;
	// The caller says what the load depends on.
	useEffect(() => {
		let wanted = true;
		setState((before) => ({ ...before, loading: true }));
		latest.current().then(
			(value) => wanted && setState({ value, problem: undefined, loading: false }),
			(problem) => wanted && setState((before) => ({ ...before, problem, loading: false })),
		);
		return () => {
			wanted = false;
		};
	}, [...keys, attempt]);
	const reload = useCallback(() => setAttempt((before) => before + 1), []);
	const set = useCallback((value: T) => setState({ value, problem: undefined, loading: false }), []);
	return { ...state, reload, set };
}
