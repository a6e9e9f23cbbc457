import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { NewKey } from '../shared/new-key.tsx';
import { createKey, type Grant, type Key, listGrants, listKeys, revokeKey } from './api.ts';
import { Apps } from './apps.tsx';
import { unturned } from './own.ts';
import { Done, Time, Title, Trouble } from './parts.tsx';
import { Revoke } from './revoke.tsx';
import { useLoad } from './use-load.ts';

/** A new key until its person says that it is copied: it is shown this once, and pages come and go. */
let unread: string | undefined;

/** Asks before the window is closed over it (HTML standard, beforeunload). */
addEventListener('beforeunload', (event) => {
	if (unread !== undefined) event.preventDefault();
});

/** The account's API keys, which there are, a new one, and the end of one; and the apps that are connected without one. */
export function KeysPage() {
	const loaded = useLoad(load, []);
	const [made, setMade] = useState(unread);
	const [revoking, setRevoking] = useState<Key>();
	const [revoked, setRevoked] = useState<string>();
	const revoke = (key: Key): void => {
		setRevoked(undefined);
		setRevoking(key);
	};
	const live = loaded.value?.keys.filter((key) => key.revoked_at === null) ?? [];
	const dead = loaded.value?.keys.filter((key) => key.revoked_at !== null) ?? [];
	return (
		<>
			<Title text="Keys">
				<p class="muted">
					A key lets an agent into this whole account. Give each agent its own, so that one can be revoked alone.
				</p>
			</Title>
			{made === undefined ? (
				<CreateKey
					onBegin={() => setRevoked(undefined)}
					onMade={(key) => {
						unread = key;
						setMade(key);
						loaded.reload();
					}}
				/>
			) : (
				<Made
					apiKey={made}
					onDone={() => {
						unread = undefined;
						setMade(undefined);
					}}
				/>
			)}
			<Done>
				{revoked !== undefined && (
					<span>
						“<bdi>{unturned(revoked)}</bdi>” is revoked. It does not work any more.
					</span>
				)}
			</Done>
			<Trouble problem={loaded.problem} />
			{loaded.value !== undefined && live.length === 0 && <p class="muted">There is no live key.</p>}
			{live.length > 0 && <KeyList label="Live keys" keys={live} onRevoke={revoke} />}
			{dead.length > 0 && (
				<details>
					<summary class="small">Revoked keys ({dead.length})</summary>
					<KeyList label="Revoked keys" keys={dead} />
				</details>
			)}
			{revoking !== undefined && (
				<Revoke
					title={`Revoke “${unturned(revoking.name)}”?`}
					action="Revoke the key"
					run={() => revokeKey(revoking.id)}
					onClose={() => setRevoking(undefined)}
					onRevoked={() => {
						setRevoked(revoking.name);
						setRevoking(undefined);
						loaded.reload();
					}}
				>
					Whatever uses <code>{revoking.prefix}…</code> stops working at once, and so do the links that it made. This
					cannot be undone.
				</Revoke>
			)}
			{loaded.value !== undefined && <Apps grants={loaded.value.grants} onEnded={loaded.reload} />}
		</>
	);
}

async function load(): Promise<{ keys: readonly Key[]; grants: readonly Grant[] }> {
	const [keys, grants] = await Promise.all([listKeys(), listGrants()]);
	return { keys, grants };
}

function CreateKey(props: { readonly onBegin: () => void; readonly onMade: (key: string) => void }) {
	const { onBegin, onMade } = props;
	const name = useRef<HTMLInputElement>(null);
	const [problem, setProblem] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const create = async (event: Event): Promise<void> => {
		event.preventDefault();
		setBusy(true);
		setProblem(undefined);
		onBegin();
		try {
			onMade(await createKey(name.current!.value.trim()));
		} catch (error) {
			setProblem(error);
			setBusy(false);
		}
	};
	return (
		<section class="card" aria-labelledby="create-title">
			<h2 id="create-title">Make a key</h2>
			<form class="line" onSubmit={(event) => void create(event)}>
				<label class="grow">
					<span class="small muted">Name, so that you know it again</span>
					<input ref={name} required maxLength={80} autocomplete="off" placeholder="laptop agent" />
				</label>
				<button type="submit" class="primary" disabled={busy}>
					Make a key
				</button>
			</form>
			<Trouble problem={problem} />
		</section>
	);
}

function Made({ apiKey, onDone }: { readonly apiKey: string; readonly onDone: () => void }) {
	const heading = useRef<HTMLHeadingElement>(null);
	useLayoutEffect(() => heading.current?.focus(), []);
	return (
		<section class="card made" aria-labelledby="made-title">
			<h2 id="made-title" tabIndex={-1} ref={heading}>
				Your new key
			</h2>
			<NewKey apiKey={apiKey} />
			<div class="actions">
				<button type="button" onClick={onDone}>
					I have copied it
				</button>
			</div>
		</section>
	);
}

function KeyList(props: {
	readonly label: string;
	readonly keys: readonly Key[];
	readonly onRevoke?: (key: Key) => void;
}) {
	const { label, keys, onRevoke } = props;
	return (
		<section class="card list keys" aria-label={label}>
			<ul>
				{keys.map((key) => (
					<li key={key.id}>
						<div>
							<h2>
								<bdi>{unturned(key.name)}</bdi>
							</h2>
							<p class="mono">{key.prefix}…</p>
							<p class="muted small">
								Made <Time stamp={key.created_at} />
								{key.revoked_at === null ? (
									<>
										{' '}
										· {key.last_used_at === null ? 'never used' : 'last used '}
										{key.last_used_at !== null && <Time stamp={key.last_used_at} />}
									</>
								) : (
									<>
										{' '}
										· revoked <Time stamp={key.revoked_at} />
									</>
								)}
							</p>
						</div>
						{onRevoke !== undefined && (
							<button type="button" class="danger" onClick={() => onRevoke(key)}>
								Revoke<span class="hidden"> {unturned(key.name)}</span>
							</button>
						)}
					</li>
				))}
			</ul>
		</section>
	);
}
