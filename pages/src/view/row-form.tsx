import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { isNumber, type Members, parse, print } from '../shared/json.ts';
import { SYSTEM_MEMBERS } from './api.ts';

type Kind = 'text' | 'number' | 'yes or no' | 'null' | 'JSON';

const KINDS: readonly Kind[] = ['text', 'number', 'yes or no', 'null', 'JSON'];

function kindOf(value: unknown): Kind {
	if (value === null) return 'null';
	if (typeof value === 'string') return 'text';
	if (typeof value === 'boolean') return 'yes or no';
	return isNumber(value) ? 'number' : 'JSON';
}

/** What a member becomes when its kind is changed: as much of it as the other kind can hold. */
function converted(value: unknown, kind: Kind): unknown {
	const text = typeof value === 'string' ? value : value === null ? '' : print(value);
	switch (kind) {
		case 'text':
			return text;
		case 'number':
			return numberFrom(text) ?? 0;
		case 'yes or no':
			return text === 'true' || text === 'yes';
		case 'null':
			return null;
		case 'JSON':
			return jsonFrom(text) ?? [];
	}
}

/** The number that a text writes in JSON's way; undefined for anything else. */
function numberFrom(text: string): unknown {
	const value = jsonFrom(text.trim());
	return isNumber(value) ? value : undefined;
}

function jsonFrom(text: string): unknown {
	try {
		return parse(text);
	} catch {
		return undefined;
	}
}

/** Fields that are drawn at once; a row may have thousands of members. */
const FIELDS = 200;

/** A field for each member of a row. */
export function RowForm(props: {
	readonly members: Members;
	/** Given the whole row as JSON. */
	readonly onChange: (json: string) => void;
	/** Told which fields hold what cannot be read yet. */
	readonly onUnread: (names: readonly string[]) => void;
	/** Asked to show the JSON. */
	readonly onJson: () => void;
}) {
	const entries = Object.entries(props.members);
	const [drawn, setDrawn] = useState(FIELDS);
	const unread = useRef(new Set<string>());
	const tell = (name: string, wrong: boolean): void => {
		if (wrong === unread.current.has(name)) return;
		if (wrong) unread.current.add(name);
		else unread.current.delete(name);
		props.onUnread([...unread.current]);
	};
	const write = (next: readonly (readonly [string, unknown])[]): void =>
		props.onChange(print(Object.fromEntries(next)));
	const put = (name: string, value: unknown): void =>
		write(entries.map(([other, old]) => [other, other === name ? value : old]));
	return (
		<form class="form" onSubmit={(event) => event.preventDefault()}>
			{entries.slice(0, drawn).map(([name, value]) => (
				<Field
					key={name}
					name={name}
					value={value}
					onChange={(next) => put(name, next)}
					onRemove={() => write(entries.filter(([other]) => other !== name))}
					onUnread={(wrong) => tell(name, wrong)}
					onJson={props.onJson}
				/>
			))}
			{entries.length > drawn && (
				<button type="button" onClick={() => setDrawn(drawn + FIELDS)}>
					Show more of {entries.length - drawn} further members
				</button>
			)}
			{entries.length === 0 && <p class="muted">This row has no members of its own.</p>}
			<NewMember taken={Object.keys(props.members)} onAdd={(name) => write([...entries, [name, '']])} />
		</form>
	);
}

function Field(props: {
	readonly name: string;
	readonly value: unknown;
	readonly onChange: (value: unknown) => void;
	readonly onRemove: () => void;
	readonly onUnread: (wrong: boolean) => void;
	readonly onJson: () => void;
}) {
	const id = useId();
	const { name, value, onChange, onRemove, onUnread } = props;
	const kind = kindOf(value);
	/** What the field held under other kinds: by keyboard, one passes through them all on the way to the one that is meant. */
	const held = useRef(new Map<Kind, unknown>());
	const change = (next: Kind): void => {
		held.current.set(kind, value);
		onChange(held.current.has(next) ? held.current.get(next) : converted(value, next));
	};
	return (
		<div class="field">
			<div class="field-head">
				<label for={id}>
					<bdi>{name}</bdi>
				</label>
				<select
					aria-label={`Kind of ${name}`}
					value={kind}
					onChange={(event) => change(event.currentTarget.value as Kind)}
				>
					{KINDS.map((one) => (
						<option key={one} value={one}>
							{one}
						</option>
					))}
				</select>
				<button type="button" class="quiet danger" aria-label={`Remove ${name}`} onClick={onRemove}>
					Remove
				</button>
			</div>
			{kind === 'text' && (
				<textarea
					id={id}
					rows={rowsFor(value as string)}
					value={value as string}
					readOnly={hasReturns(value as string)}
					aria-describedby={hasReturns(value as string) ? `${id}-hint` : undefined}
					onInput={(event) => onChange(event.currentTarget.value)}
				/>
			)}
			{kind === 'text' && hasReturns(value as string) && (
				<p class="small muted" id={`${id}-hint`}>
					This text has line ends that a field of a form would change.{' '}
					<button type="button" class="quiet" onClick={props.onJson}>
						Edit it in the JSON
					</button>
				</p>
			)}
			{kind === 'yes or no' && (
				<span class="check">
					<input
						id={id}
						type="checkbox"
						checked={value as boolean}
						onChange={(event) => onChange(event.currentTarget.checked)}
					/>
					<span class="muted small">{value === true ? 'yes' : 'no'}</span>
				</span>
			)}
			{kind === 'null' && (
				<output id={id} class="muted mono">
					null
				</output>
			)}
			{kind === 'number' && (
				<Written
					id={id}
					value={value}
					read={numberFrom}
					fault="Write a number, such as 12 or -0.5."
					onChange={onChange}
					onUnread={onUnread}
				/>
			)}
			{kind === 'JSON' && (
				<Written
					id={id}
					value={value}
					read={jsonFrom}
					fault="This is not valid JSON yet."
					onChange={onChange}
					onUnread={onUnread}
					many
				/>
			)}
		</div>
	);
}

/** HTML fields turn carriage returns into line feeds (HTML standard, section 4.10.11). */
function hasReturns(text: string): boolean {
	return text.includes('\r');
}

/** A field whose text must be read before it is a value; what cannot be read stays in the field and is told. */
function Written(props: {
	readonly id: string;
	readonly value: unknown;
	readonly read: (text: string) => unknown;
	readonly fault: string;
	readonly onChange: (value: unknown) => void;
	readonly onUnread: (wrong: boolean) => void;
	readonly many?: boolean;
}) {
	const { id, value, read, fault, onChange, onUnread, many = false } = props;
	const printed = print(value);
	const [typed, setTyped] = useState<{ text: string; of: string }>();
	// What was typed counts as long as it stands for the value: spelling and spaces stay as they are.
	const text = typed !== undefined && (typed.of === printed || read(typed.text) === undefined) ? typed.text : printed;
	const wrong = read(text) === undefined;
	useLayoutEffect(() => {
		onUnread(wrong);
		return () => onUnread(false);
	}, [wrong]);
	const input = (next: string): void => {
		const parsed = read(next);
		setTyped({ text: next, of: parsed === undefined ? printed : print(parsed) });
		if (parsed !== undefined) onChange(parsed);
	};
	const shared = {
		id,
		value: text,
		'aria-invalid': wrong,
		'aria-describedby': wrong ? `${id}-fault` : undefined,
		class: 'mono',
		spellcheck: false,
	};
	return (
		<>
			{many ? (
				<textarea {...shared} rows={rowsFor(text)} onInput={(event) => input(event.currentTarget.value)} />
			) : (
				<input {...shared} inputMode="decimal" onInput={(event) => input(event.currentTarget.value)} />
			)}
			{wrong && (
				<p class="small fault" id={`${id}-fault`}>
					{fault}
				</p>
			)}
		</>
	);
}

function rowsFor(text: string): number {
	const lines = text.split('\n').length + Math.floor(text.length / 90);
	return Math.min(16, Math.max(1, lines));
}

function NewMember(props: { readonly taken: readonly string[]; readonly onAdd: (name: string) => void }) {
	const id = useId();
	const [name, setName] = useState('');
	const [fault, setFault] = useState('');
	const add = (): void => {
		if (name === '') setFault('Give the member a name.');
		else if (props.taken.includes(name)) setFault('The row has a member of this name already.');
		else if (SYSTEM_MEMBERS.includes(name)) setFault('This name belongs to the service.');
		else {
			props.onAdd(name);
			setName('');
			setFault('');
		}
	};
	return (
		<div class="new-member">
			<label for={id}>New member</label>
			<div class="actions">
				<input
					id={id}
					value={name}
					placeholder="name"
					aria-invalid={fault !== ''}
					aria-describedby={fault === '' ? undefined : `${id}-fault`}
					onInput={(event) => setName(event.currentTarget.value)}
					onKeyDown={(event) => {
						if (event.key === 'Enter') add();
					}}
				/>
				<button type="button" onClick={add}>
					Add
				</button>
			</div>
			{fault !== '' && (
				<p class="small fault" id={`${id}-fault`} role="alert">
					{fault}
				</p>
			)}
		</div>
	);
}
