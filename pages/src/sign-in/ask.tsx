import { useRef, useState } from 'preact/hooks';
import { call, wordsOf } from '../shared/call.ts';

/** Asks for an address and has a link sent there. */
export function Ask({ onSent }: { readonly onSent: (email: string, devLink: string | undefined) => void }) {
	const [problem, setProblem] = useState<string>();
	const [busy, setBusy] = useState(false);
	const input = useRef<HTMLInputElement>(null);
	const ask = async (event: Event): Promise<void> => {
		event.preventDefault();
		const email = input.current!.value.trim();
		setBusy(true);
		setProblem(undefined);
		try {
			const { text } = await call('POST', '/auth/magic-link', JSON.stringify({ email }));
			onSent(email, JSON.parse(text).dev_magic_link);
		} catch (error) {
			setProblem(wordsOf(error));
			setBusy(false);
			input.current?.focus();
		}
	};
	return (
		<form class="ask" onSubmit={(event) => void ask(event)}>
			<label for="email">Email address</label>
			<div class="ask-line">
				<input
					id="email"
					type="email"
					name="email"
					autocomplete="email"
					required
					ref={input}
					aria-invalid={problem !== undefined}
					aria-describedby="email-problem"
				/>
				<button type="submit" class="primary" disabled={busy}>
					{busy ? 'Sending…' : 'Send a link'}
				</button>
			</div>
			<div id="email-problem" role="alert">
				{problem !== undefined && <p class="notice bad">{problem}</p>}
			</div>
		</form>
	);
}
