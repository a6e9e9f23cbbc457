import { styleText } from 'node:util';
import type { Surroundings } from './surroundings.ts';

const BAR_WIDTH = 24;

/** A bar on a terminal's standard error; nothing anywhere else. */
export class Progress {
	readonly #around: Surroundings;
	readonly #total: number;
	readonly #unit: string;

	/** @param unit what is counted */
	constructor(around: Surroundings, total: number, unit = 'rows') {
		this.#around = around;
		this.#total = total;
		this.#unit = unit;
	}

	/** @param note what is being waited for */
	show(done: number, note = ''): void {
		const { stderr } = this.#around;
		if (stderr.isTTY !== true) return;
		const filled = this.#total === 0 ? BAR_WIDTH : Math.floor((done / this.#total) * BAR_WIDTH);
		const bar = styleText('green', '█'.repeat(filled)) + '░'.repeat(BAR_WIDTH - filled);
		stderr.write(`\r\u001b[K${bar} ${done}/${this.#total} ${this.#unit}${note === '' ? '' : `  ${note}`}`);
	}

	/** Leaves the line to what is written next. */
	clear(): void {
		if (this.#around.stderr.isTTY === true) this.#around.stderr.write('\r\u001b[K');
	}
}
