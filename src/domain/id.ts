/** Row ids: UUIDv7 (RFC 9562 section 5.7), lower case, each greater than the one before. */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MAX_COUNTER = 0xfff;

/** Could this be the id of a row? Anything else names no row; it is not an error. */
export function isRowId(text: string): boolean {
	return UUID.test(text);
}

/**
 * Makes ids that grow whatever the clock does (RFC 9562 section 6.2, method 1): the 12 bits after the version count within a
 * millisecond, and an overrun borrows from the next one.
 */
export class IdSequence {
	#milliseconds: number;
	#counter: number;

	/** @param last the greatest id given out before, or undefined for none. */
	constructor(last: string | undefined) {
		this.#milliseconds = last === undefined ? 0 : Number.parseInt(last.slice(0, 8) + last.slice(9, 13), 16);
		this.#counter = last === undefined ? 0 : Number.parseInt(last.slice(15, 18), 16);
	}

	/**
	 * @param now milliseconds since the epoch.
	 * @param random 10 fresh random bytes.
	 */
	next(now: number, random: Buffer): string {
		if (now > this.#milliseconds) {
			this.#milliseconds = now;
			// Half of the counter's range is left to count in.
			this.#counter = random.readUInt16BE(0) & (MAX_COUNTER >> 1);
		} else if (this.#counter < MAX_COUNTER) {
			this.#counter++;
		} else {
			this.#milliseconds++;
			this.#counter = 0;
		}
		const time = this.#milliseconds.toString(16).padStart(12, '0');
		const version = (0x7000 | this.#counter).toString(16);
		const variant = (0x8000 | (random.readUInt16BE(2) & 0x3fff)).toString(16);
		return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${random.toString('hex', 4, 10)}`;
	}
}
