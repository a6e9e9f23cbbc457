import { randomFillSync } from 'node:crypto';

const BYTES = 10;
const POOL_BYTES = 500 * BYTES;

/** Random bytes for row ids, made many at a time: one id's worth costs nearly as much as five hundred's. */
export class RandomBytes {
	readonly #pool = Buffer.alloc(POOL_BYTES);
	#at = POOL_BYTES;

	/** 10 fresh bytes, good until they are asked for again. */
	next(): Buffer {
		if (this.#at === POOL_BYTES) {
			randomFillSync(this.#pool);
			this.#at = 0;
		}
		this.#at += BYTES;
		return this.#pool.subarray(this.#at - BYTES, this.#at);
	}
}
