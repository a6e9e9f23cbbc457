import { useState } from 'preact/hooks';
import { isNumber, type Members, print } from '../shared/json.ts';
import { unturned } from './own.ts';

/** Of a longer text only the beginning is shown until it is asked for. */
const FOLD = 2000;

/** The members of a row, to be read. Texts are shown as they are, everything else as JSON. */
export function MemberList({ members }: { readonly members: Members }) {
	const entries = Object.entries(members);
	if (entries.length === 0) return <p class="muted">The row has no members of its own.</p>;
	return (
		<dl class="members">
			{entries.map(([name, value]) => (
				<div key={name}>
					<dt>
						<bdi>{unturned(name)}</bdi>
					</dt>
					<dd>
						<Value value={value} />
					</dd>
				</div>
			))}
		</dl>
	);
}

function Value({ value }: { readonly value: unknown }) {
	const [whole, setWhole] = useState(false);
	const text = typeof value === 'string' ? value : print(value);
	const long = text.length > FOLD;
	const plain = typeof value === 'string';
	if (plain && value === '') return <span class="muted">empty text</span>;
	return (
		<>
			<div class={plain ? 'prose' : isNumber(value) ? 'number' : 'code'} dir={plain ? 'auto' : 'ltr'}>
				{unturned(long && !whole ? `${text.slice(0, FOLD)}…` : text)}
			</div>
			{long && (
				<button type="button" class="quiet small" aria-expanded={whole} onClick={() => setWhole(!whole)}>
					{whole ? 'Fold it again' : `Show all ${text.length.toLocaleString()} characters`}
				</button>
			)}
		</>
	);
}
