import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Dialog } from './dialog.tsx';
import { Time, Title, Trouble } from './parts.tsx';
import { eraseAccount, loadExport, type Session, signOut } from './session.ts';

/** Who is signed in, everything in one file, and the end of it all. */
export function AccountPage({ session }: { readonly session: Session }) {
	const [erasing, setErasing] = useState(false);
	const [problem, setProblem] = useState<unknown>();
	const [loading, setLoading] = useState(false);
	const exportAll = async (): Promise<void> => {
		setLoading(true);
		setProblem(undefined);
		try {
			keepFile(await loadExport(), `pumadb-${new Date().toISOString().slice(0, 10)}.json`);
		} catch (error) {
			setProblem(error);
		} finally {
			setLoading(false);
		}
	};
	return (
		<>
			<Title text="Account" />
			<Trouble problem={problem} />
			<section class="card stack" aria-labelledby="session-title">
				<h2 id="session-title">Signed in</h2>
				<p>
					You are signed in as <strong>{session.email}</strong> until <Time stamp={session.expires_at} />.
				</p>
				<p class="small muted">
					The account is <span class="mono">{session.account_id}</span>.
				</p>
				<div class="actions">
					<button type="button" onClick={() => void signOut().catch(setProblem)}>
						Sign out
					</button>
				</div>
			</section>
			<section class="card stack" aria-labelledby="export-title">
				<h2 id="export-title">Export</h2>
				<p>All tables and rows as one JSON file, as they are at one moment. Earlier versions are not in it.</p>
				<div class="actions">
					<button type="button" disabled={loading} onClick={() => void exportAll()}>
						{loading ? 'Loading the export…' : 'Download the export'}
					</button>
				</div>
			</section>
			<section class="card stack danger-zone" aria-labelledby="erase-title">
				<h2 id="erase-title">Erase the account</h2>
				<p>
					Every table, row, version, key and link goes at once, and cannot be brought back. Export first what you may
					need.
				</p>
				<div class="actions">
					<button type="button" class="danger" onClick={() => setErasing(true)}>
						Erase the account…
					</button>
				</div>
			</section>
			{erasing && <Erase email={session.email} onClose={() => setErasing(false)} />}
		</>
	);
}

const FILE_KEPT_MS = 60_000;

/** Has the browser keep a file that was loaded: a plain link to it could not say which account it is meant for. */
function keepFile(file: Blob, name: string): void {
	const link = document.createElement('a');
	link.href = URL.createObjectURL(file);
	link.download = name;
	link.click();
	// The browser reads the file after the click.
	setTimeout(() => URL.revokeObjectURL(link.href), FILE_KEPT_MS);
}

/** Asks twice: for the address, and then once more. */
function Erase({ email, onClose }: { readonly email: string; readonly onClose: () => void }) {
	const [typed, setTyped] = useState('');
	const [sure, setSure] = useState(false);
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState<unknown>();
	const matches = typed.trim().toLowerCase() === email;
	const erase = async (): Promise<void> => {
		setBusy(true);
		try {
			await eraseAccount(typed);
		} catch (error) {
			setProblem(error);
			setBusy(false);
		}
	};
	const keep = useRef<HTMLButtonElement>(null);
	useLayoutEffect(() => {
		if (sure) keep.current?.focus();
	}, [sure]);
	return (
		<Dialog title={sure ? 'Erase everything now?' : 'Erase this account?'} onClose={onClose}>
			{sure ? (
				<>
					<p>
						This is the last question. All that agents remember for <strong>{email}</strong> will be gone.
					</p>
					<Trouble problem={problem} />
					<div class="actions">
						<button type="button" ref={keep} onClick={onClose}>
							Keep my account
						</button>
						<button type="button" class="danger" disabled={busy} onClick={() => void erase()}>
							{busy ? 'Erasing…' : 'Erase everything'}
						</button>
					</div>
				</>
			) : (
				<form
					class="stack"
					onSubmit={(event) => {
						event.preventDefault();
						if (matches) setSure(true);
					}}
				>
					<label class="stack">
						<span>
							Type <strong>{email}</strong> to go on.
						</span>
						<input
							type="email"
							autocomplete="off"
							value={typed}
							onInput={(event) => setTyped(event.currentTarget.value)}
							required
						/>
					</label>
					<div class="actions">
						<button type="button" onClick={onClose}>
							Keep my account
						</button>
						<button type="submit" class="danger" disabled={!matches}>
							Go on
						</button>
					</div>
				</form>
			)}
		</Dialog>
	);
}
