/**
 * The load client, in a process of its own: keeps a number of connections busy, each sending its next request once the answer to
 * the last is whole, over plain sockets, because a client that costs as much as the server would measure itself.
 */
import { connect, type Socket } from 'node:net';

export interface LoadOrder {
	readonly port: number;
	/** Whole HTTP requests as text. */
	readonly requests: readonly string[];
	/** Each request once, or picks at random until time is up. */
	readonly order: 'once' | 'random';
	readonly connections: number;
	readonly seconds: number;
	/** Seconds before answers are counted. */
	readonly warmup: number;
	/** With `once`: picked from at random until the warm-up is over. */
	readonly warmupRequests?: readonly string[];
}

export interface LoadResult {
	readonly perSecond: number;
	readonly answers: number;
	/** Milliseconds. */
	readonly median: number;
	readonly p99: number;
	readonly max: number;
	/** Answers by status, those of the warm-up included. */
	readonly statuses: Readonly<Record<string, number>>;
	/** Bytes of bodies counted. */
	readonly bytes: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

async function run(order: LoadOrder): Promise<LoadResult> {
	const requests = order.requests.map((text) => Buffer.from(text));
	const warmups = (order.warmupRequests ?? []).map((text) => Buffer.from(text));
	const latencies: number[] = [];
	const statuses: Record<string, number> = {};
	let bytes = 0;
	let next = 0;
	let seed = 12345;
	const begin = performance.now();
	const counted = begin + order.warmup * 1000;
	const end = counted + order.seconds * 1000;

	function pick(): Buffer | undefined {
		if (order.order === 'random') return performance.now() < end ? random(requests) : undefined;
		return warmups.length > 0 && performance.now() < counted ? random(warmups) : requests[next++];
	}

	function random(from: readonly Buffer[]): Buffer {
		seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
		return from[(seed >>> 8) % from.length]!;
	}

	function connection(): Promise<void> {
		return new Promise((resolve, reject) => {
			const socket: Socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true });
			let sent = 0;
			let left = -1;
			let head: Buffer = Buffer.alloc(0);
			const sendNext = (): void => {
				const request = pick();
				if (request === undefined) {
					socket.destroy();
					resolve();
					return;
				}
				sent = performance.now();
				socket.write(request);
			};
			socket.on('connect', sendNext);
			socket.on('error', reject);
			socket.on('data', (chunk: Buffer) => {
				if (left === -1) {
					head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
					const at = head.indexOf(HEAD_END);
					if (at === -1) return;
					const text = head.toString('latin1', 0, at);
					const length = /content-length: (\d+)/i.exec(text);
					if (length === null) throw new Error(`An answer without a length: ${text}`);
					const status = text.slice(9, 12);
					statuses[status] = (statuses[status] ?? 0) + 1;
					left = Number(length[1]) - (head.length - at - 4);
					bytes += Number(length[1]);
					head = Buffer.alloc(0);
				} else left -= chunk.length;
				if (left > 0) return;
				left = -1;
				const now = performance.now();
				if (now >= counted && now <= end) latencies.push(now - sent);
				sendNext();
			});
		});
	}

	await Promise.all(Array.from({ length: order.connections }, connection));
	const took = order.order === 'once' ? (performance.now() - counted) / 1000 : order.seconds;
	const sorted = Float64Array.from(latencies).sort();
	const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
	return {
		perSecond: sorted.length / took,
		answers: sorted.length,
		median: at(0.5),
		p99: at(0.99),
		max: at(1),
		statuses,
		bytes,
	};
}

process.on('message', (order: LoadOrder) => {
	run(order).then((result) => {
		process.send?.(result);
		process.disconnect?.();
	});
});
