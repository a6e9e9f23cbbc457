import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What may go wrong with one call between a client and a server. */
export type Fault =
	/** Answered by the proxy; the server never sees it. */
	| { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
	/** The connection ends before the server sees anything. */
	| 'dropped'
	/** The server does it, and its answer is lost. */
	| 'answer lost'
	/** The server does it, and half of its answer arrives. */
	| 'answer cut'
	/** The server does it, and the answer never comes. */
	| 'answer kept back';

export interface SeenRequest {
	readonly method: string;
	readonly path: string;
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	readonly body: string;
	/** Milliseconds, monotonic. */
	readonly at: number;
}

/** A proxy in front of a real server, in this process. */
export interface FaultProxy {
	readonly url: string;
	/** Where it forwards to; may be changed when the server restarts elsewhere. */
	target: string;
	/** What goes wrong with the next calls, one each; those after them go through. */
	readonly faults: Fault[];
	/** Decides for calls that have no fault waiting. */
	rule: ((request: SeenRequest, index: number) => Fault | undefined) | undefined;
	readonly seen: SeenRequest[];
	stop(): Promise<void>;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
	const held = new Set<ServerResponse>();
	const server = createServer((req, res) => {
		handle(req, res).catch(() => res.destroy());
	});
	async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
		const body = await buffer(req);
		const seen = {
			method: req.method!,
			path: req.url!,
			headers: req.headers,
			body: body.toString(),
			at: performance.now(),
		};
		const index = proxy.seen.push(seen) - 1;
		const fault = proxy.faults.shift() ?? proxy.rule?.(seen, index);
		if (fault === 'dropped') return void res.destroy();
		if (typeof fault === 'object') return void res.writeHead(fault.status, fault.headers ?? {}).end(fault.body);
		const { connection: _, host: __, ...headers } = req.headers;
		const answer = await fetch(proxy.target + req.url, {
			method: req.method!,
			headers: headers as Record<string, string>,
			redirect: 'manual',
			...(body.length === 0 ? {} : { body }),
		});
		const bytes = Buffer.from(await answer.arrayBuffer());
		if (fault === 'answer lost') return void res.destroy();
		if (fault === 'answer kept back') return void held.add(res);
		const passed = Object.fromEntries(
			[...answer.headers].filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/.test(name)),
		);
		res.writeHead(answer.status, { ...passed, 'content-length': bytes.length });
		if (fault === 'answer cut') {
			res.write(bytes.subarray(0, bytes.length / 2), () => res.destroy());
			return;
		}
		res.end(bytes);
	}
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	// A test that fails before it stops the proxy is not to hang.
	server.unref();
	const proxy: FaultProxy = {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		target,
		faults: [],
		rule: undefined,
		seen: [],
		async stop() {
			for (const res of held) res.destroy();
			server.closeAllConnections();
			server.close();
			await once(server, 'close');
		},
	};
	return proxy;
}

/** An address where nothing listens. */
export async function deadUrl(): Promise<string> {
	const server = createServer();
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, 'close');
	const probe = connect(port, '127.0.0.1');
	await once(probe, 'error');
	return `http://127.0.0.1:${port}`;
}
