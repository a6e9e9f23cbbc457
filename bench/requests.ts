/** The requests that the benchmarks send, as text. */

export interface Account {
	readonly key: string;
}

/** A row that takes about 327 bytes in an answer, so that 25 of them are 8 KB. */
export function sampleRow(n: number): Record<string, unknown> {
	return {
		title: `Note ${n}`,
		status: n % 3 === 0 ? 'open' : 'done',
		tags: ['alpha', 'beta'],
		score: n / 7,
		text: 'The quick brown fox jumps over the lazy dog, again and again, until the dog has had enough of it.',
		n,
	};
}

export function get(account: Account, path: string): string {
	return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${account.key}\r\n\r\n`;
}

/** @param headers further ones, each ending with CRLF. */
export function post(account: Account, path: string, body: unknown, headers = ''): string {
	const text = JSON.stringify(body);
	return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${account.key}\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

/** Makes accounts by magic link, `parallel` at a time. */
export async function makeAccounts(url: string, count: number, parallel = 32): Promise<Account[]> {
	const accounts: Account[] = [];
	let next = 0;
	const send = async (path: string, body: unknown) => {
		const response = await fetch(url + path, {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify(body),
		});
		return (await response.json()) as { dev_magic_link: string; api_key: string };
	};
	const worker = async (): Promise<void> => {
		while (next < count) {
			const email = `bench-${next++}@example.com`;
			const { dev_magic_link: link } = await send('/auth/magic-link', { email });
			const { api_key: key } = await send('/auth/verify', { token: new URL(link).searchParams.get('token') });
			accounts.push({ key });
		}
	};
	await Promise.all(Array.from({ length: parallel }, worker));
	return accounts;
}
