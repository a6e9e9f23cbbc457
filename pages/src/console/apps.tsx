import { useState } from 'preact/hooks';
import { type Grant, revokeGrant } from './api.ts';
import { unturned } from './own.ts';
import { Done, Time } from './parts.tsx';
import { Revoke } from './revoke.tsx';

/** The apps that the person connected, and the end of a connection. */
export function Apps({ grants, onEnded }: { readonly grants: readonly Grant[]; readonly onEnded: () => void }) {
	const [ending, setEnding] = useState<Grant>();
	const [ended, setEnded] = useState<string>();
	return (
		<section class="apps" aria-labelledby="apps-title">
			<h2 id="apps-title">Connected apps</h2>
			<p class="muted">
				An app that you connect over MCP gets no key. It can use this memory until you disconnect it, or leave it unused
				for 90 days.
			</p>
			<Done>
				{ended !== undefined && (
					<span>
						“<bdi>{unturned(ended)}</bdi>” is disconnected. It gets in no more.
					</span>
				)}
			</Done>
			{grants.length === 0 && (
				<p class="muted">
					No app is connected. <a href="/install">How to connect one</a>
				</p>
			)}
			{grants.length > 0 && (
				<div class="card list keys">
					<ul aria-label="Connected apps">
						{grants.map((grant) => (
							<li key={grant.id}>
								<div>
									<h3>
										<bdi>{unturned(nameOf(grant))}</bdi>
									</h3>
									<p class="small">
										<bdi>{unturned(grant.destination)}</bdi>
									</p>
									<p class="muted small">
										Connected <Time stamp={grant.created_at} /> ·{' '}
										{grant.last_used_at === null ? 'never used' : 'last used '}
										{grant.last_used_at !== null && <Time stamp={grant.last_used_at} />}
									</p>
								</div>
								<button
									type="button"
									class="danger"
									onClick={() => {
										setEnded(undefined);
										setEnding(grant);
									}}
								>
									Disconnect<span class="hidden"> {unturned(nameOf(grant))}</span>
								</button>
							</li>
						))}
					</ul>
				</div>
			)}
			{ending !== undefined && (
				<Revoke
					title={`Disconnect “${unturned(nameOf(ending))}”?`}
					action="Disconnect the app"
					run={() => revokeGrant(ending.id)}
					onClose={() => setEnding(undefined)}
					onRevoked={() => {
						setEnded(nameOf(ending));
						setEnding(undefined);
						onEnded();
					}}
				>
					It stops working at once, and so do the links that it made. What it wrote stays. To use it again, connect it
					again.
				</Revoke>
			)}
		</section>
	);
}

function nameOf({ client_name: name }: Grant): string {
	return name ?? 'An app without a name';
}
