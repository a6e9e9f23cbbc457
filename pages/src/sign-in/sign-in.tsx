import { useEffect, useRef, useState } from 'preact/hooks';
import { call, Problem, wordsOf } from '../shared/call.ts';
import { NewKey } from '../shared/new-key.tsx';
import { Ask } from './ask.tsx';

/** Where a person stands between an address and an account. */
type Step =
	| { readonly step: 'ask'; readonly title: string; readonly words: string }
	| { readonly step: 'sent'; readonly email: string; readonly devLink: string | undefined }
	| { readonly step: 'choose'; readonly token: string }
	| { readonly step: 'key'; readonly apiKey: string };

const TITLES = { sent: 'Look into your mail', choose: 'You are almost in', key: 'Your API key' } as const;

/** Why a link does not work, in words; by `details.reason` of the refusal (src/accounts/rules.ts). */
const FAULTS: Readonly<Record<string, readonly [title: string, words: string]>> = {
	used: ['This link was used already', 'Each link works once. Ask for a new one to sign in again.'],
	expired: ['This link has expired', 'Links work for 15 minutes. Ask for a new one; it arrives in a moment.'],
	unknown: [
		'This link is not known here',
		'It may have been cut off on its way. Open it exactly as it stands in the mail, or ask for a new one.',
	],
};

/** What earlier pages send people here with (pages/src/console/session.ts). */
const GREETINGS: Readonly<Record<string, string>> = {
	'#signed-out': 'You are signed out. Sign in again whenever you like.',
	'#console': 'Sign in to open the console. Sessions end after 12 hours.',
	'#erased': 'Your account is erased. Signing in again begins a new, empty one.',
};

function firstStep(): Step {
	const token = new URLSearchParams(location.search).get('token');
	if (token !== null && token !== '') return { step: 'choose', token };
	const words = GREETINGS[location.hash] ?? 'No password: we send you a link. A new address gets a new account.';
	return { step: 'ask', title: 'Sign in', words };
}

export function SignIn() {
	const [state, setState] = useState(firstStep);
	const heading = useRef<HTMLHeadingElement>(null);
	const title = state.step === 'ask' ? state.title : TITLES[state.step];
	const go = (next: Step): void => {
		setState(next);
		// Once the new step is on the page, it is where reading goes on.
		setTimeout(() => heading.current?.focus());
	};
	useEffect(() => {
		document.title = `${title} · pumaDB`;
	}, [title]);
	return (
		<main class="plain sign-in">
			<h1 tabIndex={-1} ref={heading}>
				{title}
			</h1>
			{state.step === 'ask' && (
				<>
					<p>{state.words}</p>
					<Ask onSent={(email, devLink) => go({ step: 'sent', email, devLink })} />
				</>
			)}
			{state.step === 'sent' && <Sent email={state.email} devLink={state.devLink} />}
			{state.step === 'choose' && <Choose token={state.token} go={go} />}
			{state.step === 'key' && (
				<>
					<NewKey apiKey={state.apiKey} />
					<p class="small muted">
						To look at what your agents remember, <a href="/sign-in">sign in to the console</a>.
					</p>
				</>
			)}
		</main>
	);
}

function Sent({ email, devLink }: { readonly email: string; readonly devLink: string | undefined }) {
	if (devLink === undefined) {
		return (
			<>
				<p>
					A link is on its way to <strong>{email}</strong>. It works once, for 15 minutes.
				</p>
				<p class="small muted">
					Nothing there? Look into the folder for unwanted mail, or <a href="/sign-in">ask again</a>.
				</p>
			</>
		);
	}
	return (
		<>
			<p>
				This server sends no mail, so here is the link for <strong>{email}</strong>. It works once, for 15 minutes.
			</p>
			<p>
				<a class="button primary" href={devLink}>
					Open the sign-in link
				</a>
			</p>
		</>
	);
}

function Choose({ token, go }: { readonly token: string; readonly go: (next: Step) => void }) {
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState<string>();
	const use = async (path: string, done: (answer: string) => void): Promise<void> => {
		setBusy(true);
		setProblem(undefined);
		try {
			const { text } = await call('POST', path, JSON.stringify({ token }));
			forgetToken();
			done(text);
		} catch (error) {
			setBusy(false);
			if (!(error instanceof Problem && error.code === 'invalid_magic_link')) {
				setProblem(wordsOf(error));
				return;
			}
			forgetToken();
			const [title, words] = FAULTS[String(error.details.reason)] ?? FAULTS.unknown!;
			go({ step: 'ask', title, words });
		}
	};
	const openConsole = (): Promise<void> => use('/console/api/sign-in', () => location.replace('/console'));
	const getKey = (): Promise<void> =>
		use('/auth/verify', (answer) => go({ step: 'key', apiKey: JSON.parse(answer).api_key }));
	return (
		<>
			<p>Your link works once. What is it for?</p>
			<div class="choices">
				<section class="card" aria-labelledby="for-people">
					<h2 id="for-people">For you</h2>
					<p class="muted">See, search and correct what your agents remember.</p>
					<button type="button" class="primary" disabled={busy} onClick={() => void openConsole()}>
						Open the console
					</button>
				</section>
				<section class="card" aria-labelledby="for-agents">
					<h2 id="for-agents">For an agent</h2>
					<p class="muted">A key for programs, shown to you once.</p>
					<button type="button" disabled={busy} onClick={() => void getKey()}>
						Get an API key
					</button>
				</section>
			</div>
			<div role="alert">{problem !== undefined && <p class="notice bad">{problem}</p>}</div>
		</>
	);
}

/** A used token is of no use to anybody, and has no place in the address bar and the history. */
function forgetToken(): void {
	history.replaceState(null, '', '/sign-in');
}
