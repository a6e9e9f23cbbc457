import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog } from './dialog.tsx';
import { Trouble } from './parts.tsx';

/** Asks before something that opens the account is ended for good. */
export function Revoke(props: {
	readonly title: string;
	/** What will stop working. */
	readonly children: ComponentChildren;
	/** What the button says that ends it. */
	readonly action: string;
	readonly run: () => Promise<void>;
	readonly onClose: () => void;
	readonly onRevoked: () => void;
}) {
	const { title, children, action, run, onClose, onRevoked } = props;
	const [problem, setProblem] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const revoke = async (): Promise<void> => {
		setBusy(true);
		try {
			await run();
			onRevoked();
		} catch (error) {
			setProblem(error);
			setBusy(false);
		}
	};
	return (
		<Dialog title={title} onClose={onClose}>
			<p>{children}</p>
			<Trouble problem={problem} />
			<div class="actions">
				<button type="button" onClick={onClose}>
					Keep it
				</button>
				<button type="button" class="danger" disabled={busy} onClick={() => void revoke()}>
					{action}
				</button>
			</div>
		</Dialog>
	);
}
