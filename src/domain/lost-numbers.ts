import { type JsonVisitor, scanJson, stringAt } from './json-text.ts';

type Node = Map<string | number, Node | string>;

/**
 * The numbers of a JSON text that a double does not hold, by their paths; of a name that came twice the last value counts.
 * Made in one pass that keeps nothing of the other values, for it runs on bodies of many megabytes while others wait.
 */
export class LostNumbers {
	readonly #root: Node = new Map();

	/**
	 * @param text valid JSON.
	 * @param maxDepth numbers inside more arrays and objects than this are passed over: at least 1.
	 */
	constructor(text: string, maxDepth: number) {
		scanJson(text, new Collector(text, maxDepth, this.#root));
	}

	/** How the number at `path` was spelled, if a double does not hold it. */
	tokenAt(path: readonly (string | number)[]): string | undefined {
		let node: Node | string | undefined = this.#root.get(DOCUMENT);
		for (const step of path) {
			if (typeof node !== 'object') return undefined;
			node = node.get(step);
		}
		return typeof node === 'string' ? node : undefined;
	}
}

/** The root's only step, to the document's own value. */
const DOCUMENT = 0;

/** Where the scan stands in one array or object. Reused for the next at its depth. */
interface Place {
	/** Index of the current item; undefined in an object. */
	index: number | undefined;
	/** Where the current member's name stands in the text. It is read only when it is needed. */
	nameStart: number;
	nameEnd: number;
	/** What was lost inside so far. */
	node: Node | undefined;
}

class Collector implements JsonVisitor {
	readonly #text: string;
	readonly #maxDepth: number;
	/** The places from the document down; those from `#depth` on are spent. */
	readonly #places: Place[];
	/** Of arrays and objects that are open, and 1 for the document. */
	#depth = 1;

	constructor(text: string, maxDepth: number, root: Node) {
		this.#text = text;
		this.#maxDepth = maxDepth + 1;
		this.#places = [{ index: DOCUMENT - 1, nameStart: 0, nameEnd: 0, node: root }];
	}

	open(isArray: boolean): void {
		this.#nextItem();
		if (this.#depth < this.#maxDepth) {
			const index = isArray ? -1 : undefined;
			this.#places[this.#depth] = { index, nameStart: 0, nameEnd: 0, node: undefined };
		}
		this.#depth++;
	}

	close(): void {
		this.#depth--;
	}

	name(start: number, end: number): void {
		if (this.#depth > this.#maxDepth) return;
		const place = this.#places[this.#depth - 1]!;
		place.nameStart = start;
		place.nameEnd = end;
		// What an earlier member of the same name held does not count any more.
		place.node?.delete(this.#step(place));
	}

	string(): void {
		this.#nextItem();
	}

	literal(): void {
		this.#nextItem();
	}

	number(start: number, end: number): void {
		this.#nextItem();
		if (this.#depth > this.#maxDepth) return;
		const token = this.#text.slice(start, end);
		if (!isLost(token)) return;
		const place = this.#places[this.#depth - 1]!;
		this.#nodeOf(this.#depth - 1).set(this.#step(place), token);
	}

	#nextItem(): void {
		if (this.#depth > this.#maxDepth) return;
		const place = this.#places[this.#depth - 1]!;
		if (place.index !== undefined) place.index++;
	}

	#step(place: Place): string | number {
		return place.index ?? stringAt(this.#text, place.nameStart, place.nameEnd);
	}

	/** The node of the place at `level`, made with those above it where nothing was lost there before. */
	#nodeOf(level: number): Node {
		const place = this.#places[level]!;
		if (place.node === undefined) {
			place.node = new Map();
			this.#nodeOf(level - 1).set(this.#step(this.#places[level - 1]!), place.node);
		}
		return place.node;
	}
}

/** Is the value of this number token lost when it becomes a double? Decimals may round; integers and magnitudes may not. */
function isLost(token: string): boolean {
	// Up to 15 digits are exact, and without an exponent they neither overflow nor underflow.
	if (token.length <= 15 && !token.includes('e') && !token.includes('E')) return false;
	const value = Number(token);
	if (!Number.isFinite(value)) return true;
	if (/^-?\d+$/.test(token)) return BigInt(token) !== BigInt(value);
	return value === 0 && /[1-9]/.test(token.split(/e/i)[0]!);
}
