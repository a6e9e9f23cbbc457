import { Copy } from './copy.tsx';
import './new-key.css';

/** A key that was just made: shown this once, with what to do with it. */
export function NewKey({ apiKey }: { readonly apiKey: string }) {
	const variable = `export PUMADB_API_KEY=${apiKey}`;
	const curl = `curl -H "Authorization: Bearer $PUMADB_API_KEY" ${location.origin}/v1/_tables`;
	const header = `Authorization: Bearer ${apiKey}`;
	return (
		<div class="new-key">
			<p class="notice warn">
				Copy it now: it is not shown again. It opens your whole account, so keep it on servers and out of browsers and
				repositories.
			</p>
			<Snippet label="API key" text={apiKey} />
			<h2>What to do with it</h2>
			<Snippet label="Put it where your agent runs, as an environment variable" text={variable} />
			<Snippet label="Try it from that shell" text={curl} />
			<Snippet label="Anywhere else that takes a header" text={header} />
		</div>
	);
}

function Snippet({ label, text }: { readonly label: string; readonly text: string }) {
	return (
		<div class="snippet">
			<p class="small muted">{label}</p>
			<div class="snippet-text">
				<code>{text}</code>
				<Copy text={text} what={label} />
			</div>
		</div>
	);
}
