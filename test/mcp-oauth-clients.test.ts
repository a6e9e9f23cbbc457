import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client as McpClient } from '@modelcontextprotocol/client';
import { openBrowser, watch } from './support/browser.ts';
import type { Any } from './support/client.ts';
import { untilConsent, Visitor } from './support/oauth.ts';
import { authorizationIn, inspectOnTerminal, mcpRemote, signingIn } from './support/real-clients.ts';
import { startServer, type TestServer } from './support/server.ts';

/** Clients of others, unchanged, that sign their person in: once, and then no more. */

const EMAIL = 'ada@example.com';

let server: TestServer;

before(async () => {
	server = await startServer();
});
after(() => server.stop());

/** A person at a browser without script. */
async function consent(authorization: string): Promise<void> {
	const visitor = new Visitor(server.url);
	const answer = await visitor.submit(await untilConsent(visitor, authorization, EMAIL), { decision: 'allow' });
	await (await fetch(answer.location!)).text();
}

/** A person at Chromium. */
async function consentInBrowser(authorization: string): Promise<void> {
	const browser = await openBrowser();
	try {
		const page = await browser.newPage();
		const watched = await watch(page);
		await page.goto(authorization);
		await page.getByLabel('Email address').fill(EMAIL);
		await page.getByRole('button', { name: 'Send a link' }).click();
		await page.getByRole('button', { name: 'Sign in' }).click();
		const back = page.waitForURL(/\/oauth\/callback\?/);
		await page.getByRole('button', { name: 'Allow', exact: true }).click();
		await back;
		// Of the client's own page nothing is asked.
		assert.deepEqual(
			watched.faults.filter((fault) => fault.includes(server.url)),
			[],
		);
	} finally {
		await browser.close();
	}
}

test('[14.1] [14.7] [14.9] the inspector signs in in a real browser, lists and calls the tools', async () => {
	const access = signingIn();
	const url = `${server.url}/mcp`;
	let asked = 0;
	const run = async (...args: string[]): Promise<Any> => {
		const { code, out } = await inspectOnTerminal(
			url,
			access,
			['--method', ...args, '--format', 'json'],
			async (to) => {
				asked++;
				await consentInBrowser(to);
			},
		);
		assert.equal(code, 0, out);
		// The answer is the last thing that it prints.
		return JSON.parse(/^\{.*\}\s*$/ms.exec(out.replaceAll('\r', ''))![0]).result;
	};
	const { tools } = await run('tools/list');
	assert.equal(tools.length, 19);
	const row = { title: 'Buy milk' };
	const added = await run(
		'tools/call',
		'--tool-name',
		'add',
		'--tool-args-json',
		JSON.stringify({ table: 'notes', row }),
	);
	assert.equal(added.structuredContent.title, 'Buy milk');
	const found = await run('tools/call', '--tool-name', 'query', '--tool-args-json', JSON.stringify({ table: 'notes' }));
	assert.deepEqual(found.structuredContent.rows, [added.structuredContent]);
	assert.equal(asked, 1, 'it kept what it was given');
});

test('[14.2] [14.9] mcp-remote signs in for a client that starts programs, and again without asking', async () => {
	const access = signingIn();
	let asked = 0;
	for (let run = 0; run < 2; run++) {
		const client = new McpClient({ name: 'test', version: '1' });
		const transport = mcpRemote(`${server.url}/mcp`, access);
		let said = '';
		transport.stderr?.on('data', (chunk: Buffer) => {
			const before = authorizationIn(said);
			said += chunk;
			const authorization = authorizationIn(said);
			if (authorization === undefined || before !== undefined) return;
			asked++;
			void consent(authorization);
		});
		await client.connect(transport);
		try {
			assert.equal((await client.listTools()).tools.length, 19);
			const added: Any = await client.callTool({ name: 'add', arguments: { table: 'bridged', row: { run } } });
			assert.equal(added.structuredContent.run, run);
		} finally {
			await client.close();
		}
	}
	assert.equal(asked, 1);
});
