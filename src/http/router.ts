import type { OperationId } from '../operations/context.ts';
import type { Handler } from './exchange.ts';

/** What a path has: its handlers by method. */
export interface Path {
	/** As in the contract: `/v1/{table}/count`. */
	readonly pattern: string;
	readonly methods: ReadonlyMap<string, Route>;
	/** What answers other methods; undefined where the server refuses them by itself. */
	readonly otherwise: Route | undefined;
	/** The value of an `Allow` header. */
	readonly allow: string;
}

export interface Route {
	readonly handler: Handler;
	readonly operation: OperationId | undefined;
	/** Headers of every answer, refusals too: names and values in turn. */
	readonly headers?: readonly string[];
}

export interface Match {
	readonly path: Path;
	readonly params: Readonly<Record<string, string>>;
}

interface Pattern {
	readonly path: Path;
	readonly segments: readonly string[];
}

const NO_PARAMS: Readonly<Record<string, string>> = {};

/** Finds what there is at a path. A literal path wins over a pattern, and an earlier literal segment over a later one. */
export class Router {
	readonly #literal = new Map<string, Path>();
	/** Patterns by their number of segments, most literal first. */
	readonly #patterns = new Map<number, Pattern[]>();

	/**
	 * @param routes handlers by method. `GET` also answers `HEAD`, and every path `OPTIONS`.
	 * @param otherwise answers any other method; without it that is 405.
	 */
	add(pattern: string, routes: Readonly<Record<string, Route>>, otherwise?: Route): void {
		const methods = new Map(Object.entries(routes));
		const get = methods.get('GET');
		if (get !== undefined) methods.set('HEAD', get);
		const allow = [...new Set([...methods.keys(), 'OPTIONS'])].join(', ');
		const path = { pattern, methods, otherwise, allow };
		if (!pattern.includes('{')) {
			this.#literal.set(pattern, path);
			return;
		}
		const segments = pattern.split('/');
		const same = this.#patterns.get(segments.length) ?? [];
		same.push({ path, segments });
		same.sort((a, b) => shape(a.segments).localeCompare(shape(b.segments)));
		this.#patterns.set(segments.length, same);
	}

	/** @param pathname without the query string, as it was sent. */
	find(pathname: string): Match | undefined {
		const literal = this.#literal.get(pathname);
		if (literal !== undefined) return { path: literal, params: NO_PARAMS };
		const sent = pathname.split('/');
		const candidates = this.#patterns.get(sent.length);
		if (candidates === undefined) return undefined;
		for (const { path, segments } of candidates) {
			const params = match(segments, sent);
			if (params !== undefined) return { path, params };
		}
		return undefined;
	}
}

/** Sorts literal segments before parameters, from the left. */
function shape(segments: readonly string[]): string {
	return segments.map((segment) => (segment.startsWith('{') ? '1' : '0')).join('');
}

function match(segments: readonly string[], sent: readonly string[]): Record<string, string> | undefined {
	let params: Record<string, string> | undefined;
	for (let i = 0; i < segments.length; i++) {
		const segment = segments[i]!;
		const text = sent[i]!;
		if (segment[0] === '{') {
			if (text === '') return undefined;
			params ??= {};
			params[segment.slice(1, -1)] = decode(text);
		} else if (segment !== text) return undefined;
	}
	return params;
}

/** A segment whose escapes are wrong stays as it was sent: it names nothing, and validation says so. */
function decode(text: string): string {
	if (!text.includes('%')) return text;
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}
