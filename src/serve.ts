import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { smtpMailer } from './accounts/mail.ts';
import { type AdminSocket, listenForOperators } from './cli/admin-socket.ts';
import type { Config } from './config.ts';
import { makeMetrics } from './http/metrics.ts';
import { createServer, type Server } from './http/server.ts';
import { makeLog } from './log.ts';
import type { Tool } from './mcp/tool.ts';
import { documentFetcher, type FetchDocument } from './oauth/document-fetcher.ts';
import { ReadyAnswers } from './operations/ready-answers.ts';
import { openStore } from './store/open.ts';

/** Connections that may wait to be accepted. */
const BACKLOG = 1024;
const HOUR_MS = 3_600_000;
/** Room for ready answers, in characters. */
const READY_CHARACTERS = 4_000_000;

export interface Running {
	readonly url: string;
	stop(): Promise<void>;
}

export interface ServeOptions {
	readonly config: Config;
	/** Milliseconds since the epoch. */
	readonly clock: () => number;
	/** Told when the server cannot go on; it should be stopped. */
	readonly onFatal: () => void;
	/** Most calls in one commit; only the benchmark sets it. */
	readonly maxGroup?: number;
	/** How metadata documents of OAuth clients are fetched; only tests bring their own. */
	readonly fetchDocument?: FetchDocument;
	/** MCP tools in place of the product's; only the server for the protocol's conformance suite brings its own. */
	readonly mcpTools?: readonly Tool[];
}

/** Opens the store, starts listening, and resolves once the server can answer. */
export async function serve({
	config,
	clock,
	onFatal,
	maxGroup,
	fetchDocument = documentFetcher(),
	mcpTools,
}: ServeOptions): Promise<Running> {
	const log = makeLog(config.logLevel);
	const store = await openStore({
		config,
		clock,
		onFault: (message, cause) => log.error({ cause }, message),
		onFatal,
		maxGroup,
	});
	let server: Server | undefined;
	let operators: AdminSocket | undefined;
	try {
		const mailer =
			config.smtpUrl === undefined
				? undefined
				: await smtpMailer(config.smtpUrl, config.mailFrom, (cause) =>
						log.warn({ cause }, 'A sign-in mail could not be sent.'),
					);
		const signIn = {
			on: config.signIn,
			mailer,
			perHour: config.signInsPerHour,
			windows: store.windows(HOUR_MS),
		};
		const context = {
			store,
			limits: config.limits,
			clock,
			ready: new ReadyAnswers(READY_CHARACTERS),
			// Known for certain once the port is.
			publicUrl: config.publicUrl ?? '',
			linkTtlSeconds: config.linkTtlSeconds,
			signIn,
		};
		const metrics = config.metrics ? await makeMetrics(() => store.waitingWrites) : undefined;
		server = createServer({
			context,
			log,
			metrics,
			trustProxy: config.trustProxy,
			mcpOrigins: config.mcpOrigins,
			mcpTools,
			oauth: {
				accessTokenTtlSeconds: config.accessTokenTtlSeconds,
				fetchDocument: config.clientMetadata ? fetchDocument : undefined,
			},
		});
		server.http.listen({ host: config.host, port: config.port, backlog: BACKLOG });
		await once(server.http, 'listening').catch((error: unknown) => {
			const { code } = error as { code?: string };
			throw new Error(
				`The server cannot listen on PUMADB_HOST ${config.host} and PUMADB_PORT ${config.port} (${code}): set them to an address of this machine and a free port.`,
			);
		});
		context.publicUrl = config.publicUrl ?? originOf(config.host, server.http.address() as AddressInfo);
		// With PostgreSQL, operators' commands reach the database themselves.
		if (config.databaseUrl === undefined) operators = await listenForOperators(config.dataDir, store);
		const { http, stop } = server;
		const url = originOf(config.host, http.address() as AddressInfo);
		log.info(config.databaseUrl === undefined ? { url, dataDir: config.dataDir } : { url }, 'Ready.');
		return {
			url,
			async stop() {
				log.info('Stopping.');
				await stop();
				await operators?.close();
				await store.close();
				mailer?.close();
				await log.close();
			},
		};
	} catch (error) {
		await server?.stop();
		await operators?.close();
		await store.close();
		throw error;
	}
}

function originOf(host: string, { port }: AddressInfo): string {
	return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Resolves when the signal fires. */
export async function aborted(signal: AbortSignal): Promise<void> {
	if (!signal.aborted) await once(signal, 'abort');
}
