import { connect, type Socket } from 'node:net';

/**
 * A client in a process of its own that holds very many connections: idle ones, which made one call and then keep silent, and
 * slow ones, which never come to the end of their headers, or never begin. Each message it gets is a question; it answers with what it counts.
 */

export interface ConnectionsOrder {
	readonly port: number;
	readonly idle: number;
	readonly slow: number;
}

export interface ConnectionsReport {
	/** Connections open now. */
	readonly idle: number;
	readonly slow: number;
	/** First lines of the answers that slow connections got, with how many got them. */
	readonly slowAnswers: Readonly<Record<string, number>>;
	/** Bodies of those answers, each once. */
	readonly slowBodies: readonly string[];
	/** Idle connections that made a second call and were answered. */
	readonly reused: number;
}

const SLOW_EVERY_MS = 1000;
const AT_ONCE = 200;
const IDLE_CALL = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';

const idle = new Set<Socket>();
const slow = new Set<Socket>();
const slowAnswers: Record<string, number> = {};
const slowBodies = new Set<string>();

function openIdle(port: number): Promise<void> {
	return new Promise((resolve, reject) => {
		const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(IDLE_CALL));
		socket.once('data', () => {
			idle.add(socket);
			resolve();
		});
		socket.on('error', reject);
		socket.on('close', () => idle.delete(socket));
	});
}

/** @param silent says nothing at all. */
function openSlow(port: number, silent: boolean): Promise<void> {
	return new Promise((resolve, reject) => {
		let answer = '';
		const socket = connect({ port, host: '127.0.0.1' }, () => {
			if (!silent) socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
			slow.add(socket);
			resolve();
		});
		const drip = setInterval(() => silent || socket.write('x'), SLOW_EVERY_MS);
		socket.setEncoding('utf8').on('data', (text) => {
			answer += text;
		});
		socket.on('error', reject);
		socket.on('close', () => {
			clearInterval(drip);
			slow.delete(socket);
			const first = answer.split('\r\n')[0]!;
			slowAnswers[first] = (slowAnswers[first] ?? 0) + 1;
			slowBodies.add(answer.split('\r\n\r\n')[1] ?? '');
		});
	});
}

async function openAll(count: number, open: (value: unknown, index: number) => Promise<void>): Promise<void> {
	for (let left = count; left > 0; left -= AT_ONCE) {
		await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, open));
	}
}

/** A second call on a hundred of the idle connections. */
async function reuse(): Promise<number> {
	const answers = await Promise.all(
		[...idle].slice(0, 100).map(
			(socket) =>
				new Promise<boolean>((resolve) => {
					socket.once('data', (data) => resolve(data.toString().startsWith('HTTP/1.1 200')));
					socket.once('close', () => resolve(false));
					socket.write(IDLE_CALL);
				}),
		),
	);
	return answers.filter((answered) => answered).length;
}

async function report(reused: number): Promise<void> {
	const counts: ConnectionsReport = {
		idle: idle.size,
		slow: slow.size,
		slowAnswers,
		slowBodies: [...slowBodies],
		reused,
	};
	process.send!(counts);
}

process.on('message', async (order: ConnectionsOrder | 'count' | 'reuse') => {
	if (order === 'count') return report(0);
	if (order === 'reuse') return report(await reuse());
	await openAll(order.slow, (_, i) => openSlow(order.port, i % 10 === 0));
	await openAll(order.idle, () => openIdle(order.port));
	return report(0);
});
