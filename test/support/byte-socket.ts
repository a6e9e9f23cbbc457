import { connect, type Socket } from 'node:net';

/** A connection on which a test says byte by byte what goes out, and reads when it likes. */
export interface ByteSocket {
	write(text: string): void;
	/** Resolves with all that came, once the pattern is in it; rejects where the connection ends before. */
	until(pattern: RegExp): Promise<string>;
	/** Resolves with all that came, once the other side has closed. */
	ended(): Promise<string>;
	/** Stops and goes on reading. */
	pause(): void;
	resume(): void;
	destroy(): void;
}

export function openSocket(url: string): Promise<ByteSocket> {
	const { hostname, port } = new URL(url);
	return new Promise((resolve, reject) => {
		const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true });
		let text = '';
		let closed = false;
		socket.setEncoding('utf8').on('data', (part) => {
			text += part;
			socket.emit('more');
		});
		socket.on('close', () => {
			closed = true;
			socket.emit('more');
		});
		socket.once('error', reject);
		const when = (done: () => boolean): Promise<string> =>
			new Promise((found, lost) => {
				const look = (): void => {
					if (!done() && !closed) return;
					socket.off('more', look);
					if (done()) found(text);
					else lost(new Error(`The connection ended after: ${text.slice(0, 500)}`));
				};
				socket.on('more', look);
				look();
			});
		socket.once('connect', () =>
			resolve({
				write: (part) => socket.write(part),
				until: (pattern) => when(() => pattern.test(text)),
				ended: () => when(() => closed),
				pause: () => socket.pause(),
				resume: () => socket.resume(),
				destroy: () => socket.destroy(),
			}),
		);
	});
}
