import { request } from 'node:http';
import type { Answer } from './client.ts';
import { checkAnswer } from './contract.ts';

/** Sends one request over node:http, for what fetch keeps back: Host and forwarding headers, a header given twice. */
export async function sendRaw(
	base: string,
	method: string,
	path: string,
	headers: Readonly<Record<string, string | string[]>>,
	body = '',
): Promise<Answer> {
	const { status, pairs, text } = await exchange(base, method, path, headers, body);
	const parsed = parse(text);
	checkAnswer(method, path, status, parsed, pairs);
	return { status, headers: pairs, body: parsed, text };
}

function exchange(
	base: string,
	method: string,
	path: string,
	headers: Readonly<Record<string, string | string[]>>,
	body: string,
): Promise<{ status: number; pairs: Headers; text: string }> {
	return new Promise((resolve, reject) => {
		const sent = request(base + path, { method, headers, agent: false }, (response) => {
			let text = '';
			response.setEncoding('utf8');
			response.on('data', (part: string) => {
				text += part;
			});
			response.on('error', reject);
			response.on('end', () => {
				const pairs = new Headers();
				for (let i = 0; i < response.rawHeaders.length; i += 2)
					pairs.append(response.rawHeaders[i]!, response.rawHeaders[i + 1]!);
				resolve({ status: response.statusCode!, pairs, text });
			});
		});
		sent.on('error', reject);
		sent.end(body);
	});
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}
