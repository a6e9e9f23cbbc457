import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
	Client as McpClient,
	type OAuthClientMetadata,
	type OAuthClientProvider,
	StreamableHTTPClientTransport,
	UnauthorizedError,
} from '@modelcontextprotocol/client';
import type { Any } from './support/client.ts';
import { queryDatabase } from './support/data-dir.ts';
import { newApp, untilConsent, Visitor } from './support/oauth.ts';
import { freePort } from './support/real-clients.ts';
import { type Env, NO_RATE_LIMITS, ROOT, startServer, type TestServer } from './support/server.ts';

/** The MCP SDK's client with its own OAuth flow, and the protocol's conformance suite for authorization servers. */

const EMAIL = 'ada@example.com';
const CALLBACK = 'http://localhost:33418/callback';

let server: TestServer;

before(async () => {
	server = await startServer();
});
after(() => server.stop());

/** What an app keeps, and how it sends its person away. */
class Keeper implements OAuthClientProvider {
	readonly redirectUrl = CALLBACK;
	readonly clientMetadata: OAuthClientMetadata;
	/** What the person came back with, one for each time that it was sent away. */
	readonly callbacks: URL[] = [];
	refreshes = 0;
	readonly #visitor: Visitor;
	#client: Any;
	#tokens: Any;
	#verifier = '';
	#discovered: Any;

	constructor(base: string, more: Partial<OAuthClientMetadata> = {}) {
		this.#visitor = new Visitor(base);
		this.clientMetadata = {
			client_name: 'The SDK',
			redirect_uris: [CALLBACK],
			grant_types: ['authorization_code', 'refresh_token'],
			response_types: ['code'],
			token_endpoint_auth_method: 'none',
			...more,
		};
	}

	clientInformation(): Any {
		return this.#client;
	}

	saveClientInformation(client: Any): void {
		this.#client = client;
	}

	tokens(): Any {
		return this.#tokens;
	}

	saveTokens(tokens: Any): void {
		this.refreshes++;
		this.#tokens = tokens;
	}

	saveCodeVerifier(verifier: string): void {
		this.#verifier = verifier;
	}

	codeVerifier(): string {
		return this.#verifier;
	}

	saveDiscoveryState(state: Any): void {
		this.#discovered = state;
	}

	discoveryState(): Any {
		return this.#discovered;
	}

	async redirectToAuthorization(url: URL): Promise<void> {
		const page = await untilConsent(this.#visitor, url.href, EMAIL);
		const answer = await this.#visitor.submit(page, { decision: 'allow' });
		this.callbacks.push(new URL(answer.location!));
	}
}

/** Connects, sending the person away where that is needed. */
async function connect(url: string, keeper: Keeper, mode: 'legacy' | 'auto' = 'auto'): Promise<McpClient> {
	const client = () => new McpClient({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
	const transport = () => new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider: keeper });
	const first = transport();
	const one = client();
	try {
		await one.connect(first);
		return one;
	} catch (error) {
		if (!(error instanceof UnauthorizedError)) throw error;
	}
	await first.finishAuth(keeper.callbacks.at(-1)!.searchParams);
	const two = client();
	await two.connect(transport());
	return two;
}

for (const mode of ['legacy', 'auto'] as const) {
	for (const method of ['none', 'client_secret_post', 'client_secret_basic']) {
		test(`[14.1] [14.2] [14.9] the SDK's client signs in by itself: ${mode}, ${method}`, async () => {
			const keeper = new Keeper(server.url, { token_endpoint_auth_method: method });
			const client = await connect(server.url, keeper, mode);
			try {
				assert.equal(keeper.callbacks.length, 1);
				assert.equal((await client.listTools()).tools.length, 19);
				const added: Any = await client.callTool({ name: 'add', arguments: { table: 'notes', row: { mode, method } } });
				assert.equal(added.structuredContent.mode, mode);
				assert.equal(keeper.tokens().scope, 'pumadb');
			} finally {
				await client.close();
			}
		});
	}
}

/** The server again, at the address that its tokens are for. */
function startAgain(old: TestServer, env: Env): Promise<TestServer> {
	return startServer({ ...env, PUMADB_PORT: new URL(old.url).port }, old.dataDir);
}

test('[14.9] tokens that live for 2 seconds, three clients that share them, restarts: nobody signs in again', async () => {
	const env = { ...NO_RATE_LIMITS, PUMADB_ACCESS_TOKEN_TTL_SECONDS: '2' };
	let own = await startServer(env);
	const { url } = own;
	const keeper = new Keeper(url);
	const clients = [await connect(url, keeper)];
	clients.push(await connect(url, keeper), await connect(url, keeper, 'legacy'));
	let calls = 0;
	let ended = false;
	/** Calls on and on; a server that is away is tried again, as an agent would. */
	const use = async (client: McpClient): Promise<void> => {
		while (!ended) {
			try {
				const answer: Any = await client.callTool({ name: 'count', arguments: { table: 'notes' } });
				assert.equal(answer.structuredContent.count, 0);
				calls++;
			} catch (error) {
				if (error instanceof assert.AssertionError || error instanceof UnauthorizedError) throw error;
			}
			await sleep(20);
		}
	};
	const using = Promise.all(clients.map(use));
	try {
		for (const end of ['stop', 'kill', 'stop'] as const) {
			await sleep(4500);
			await own[end]();
			own = await startAgain(own, env);
		}
		await sleep(4500);
	} finally {
		ended = true;
		await using.finally(async () => {
			for (const client of clients) await client.close();
		});
	}
	assert.equal(keeper.callbacks.length, 1, 'the person was sent away once');
	assert.ok(keeper.refreshes > 6, `${keeper.refreshes} refreshes`);
	assert.ok(calls > 50, `${calls} calls`);
	assert.equal(queryDatabase(own.dataDir, 'SELECT 1 FROM grants').length, 1);
	await own.stop();
});

test('[14.1] [14.5] [14.9] conformance: the scenarios for authorization servers', async () => {
	const suite = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
	const port = await freePort();
	const app = await newApp(server.url, `http://127.0.0.1:${port}/callback`, 'Conformance');
	const args = ['authorization', '--url', server.url, '--client-id', app.id, '--resource', `${server.url}/mcp`];
	const child = spawn(process.execPath, [suite, ...args, '--port', String(port)], {
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let said = '';
	let went = false;
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text: string) => {
			said += text;
			const url = /^http\S+\/oauth\/authorize\?\S+$/m.exec(said)?.[0];
			if (url === undefined || went || !said.includes('Callback server started')) return;
			went = true;
			void goThrough(url);
		});
	}
	const goThrough = async (url: string): Promise<void> => {
		const visitor = new Visitor(server.url);
		const answer = await visitor.submit(await untilConsent(visitor, url, EMAIL), { decision: 'allow' });
		await (await fetch(answer.location!)).text();
	};
	const [code] = await once(child, 'close');
	assert.equal(code, 0, said);
	assert.ok(went, said);
	assert.match(said, /authorization-code-grant/);
	assert.match(said, /Total: 3 passed, 0 failed/, said);
});
