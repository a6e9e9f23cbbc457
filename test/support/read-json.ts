import type { Json, JsonObject } from '../../src/domain/json.ts';

/**
 * Reads valid JSON by the letter of RFC 8259. JSON.parse takes some member names that are written with an escape for others that
 * were read before (https://github.com/nodejs/node/issues/63785), so a test that judges names cannot use it.
 */
export function readJson(text: string): Json {
	const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[-+.\w]+|[[\]{}:,]/g);
	const next = (): string => tokens.next().value![0];
	return readValue(next(), next);
}

function readValue(token: string, next: () => string): Json {
	if (token === '[') {
		const items: Json[] = [];
		for (let at = next(); at !== ']'; at = next()) if (at !== ',') items.push(readValue(at, next));
		return items;
	}
	if (token === '{') {
		const members: [string, Json][] = [];
		for (let at = next(); at !== '}'; at = next()) {
			if (at === ',') continue;
			next();
			members.push([readString(at), readValue(next(), next)]);
		}
		return Object.fromEntries(members);
	}
	return token.startsWith('"') ? readString(token) : (JSON.parse(token) as Json);
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function readString(token: string): string {
	return token
		.slice(1, -1)
		.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_all, hex: string | undefined, plain: string) =>
			hex === undefined ? (ESCAPES[plain] ?? plain) : String.fromCharCode(Number.parseInt(hex, 16)),
		);
}

/** The same for an answer's text that must be an object. */
export function readObject(text: string): JsonObject {
	return readJson(text) as JsonObject;
}
