import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { axeFaults, openBrowser, overflows, SCREENS, shoot, type Watch, watch } from './support/browser.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { message, postMcp } from './support/mcp.ts';
import { authorizeUrl, exchange, newApp, pkce, tokensIn } from './support/oauth.ts';
import { NO_RATE_LIMITS } from './support/server.ts';
import { type MailServer, startMailServer } from './support/smtp.ts';

/** How a person connects an app, in a real browser. */

let server: ClockedServer;
let browser: Browser;
/** Another origin: an app's own pages. Where it is called back it says so, and tells its opener. */
let appSite: Server;
let appUrl: string;
let called: string[] = [];

before(async () => {
	appSite = createServer((request, response) => {
		const { pathname, searchParams } = new URL(request.url!, 'http://localhost');
		if (pathname === '/callback') called.push(request.url!);
		response.writeHead(200, { 'content-type': 'text/html' });
		const to = searchParams.get('to') ?? '';
		const pages: Record<string, string> = {
			'/callback': `<title>App</title><h1>Back in the app</h1><script>opener?.postMessage('back', '*')</script>`,
			'/opens': `<title>App</title><button onclick="open(${JSON.stringify(to).replaceAll('"', '&quot;')}, 'w', 'width=500')">Connect</button>
				<p></p><script>addEventListener('message', ({ data }) => document.querySelector('p').append('told: ' + data))</script>`,
			'/frames': `<title>App</title><iframe src="${to.replaceAll('&', '&amp;')}"></iframe>`,
		};
		response.end(`<!doctype html><html lang="en">${pages[pathname] ?? ''}`);
	});
	appSite.listen(0, '127.0.0.1');
	await once(appSite, 'listening');
	appUrl = `http://127.0.0.1:${(appSite.address() as AddressInfo).port}`;
	[server, browser] = await Promise.all([startClocked(), openBrowser()]);
});
after(async () => {
	await browser.close();
	await server.stop();
	appSite.closeAllConnections();
	appSite.close();
});

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });

interface Visit {
	readonly context: BrowserContext;
	readonly page: Page;
	readonly watched: Watch;
}

/** A window of a fresh browser profile, in which nothing may go wrong. */
async function visit(
	run: (visit: Visit) => Promise<void>,
	options: BrowserContextOptions = SCREENS.light,
): Promise<void> {
	const context = await browser.newContext(options);
	try {
		const page = await context.newPage();
		const watched = await watch(page);
		await run({ context, page, watched });
		watched.check();
	} finally {
		await context.close();
	}
}

async function assertSound(page: Page, name: string): Promise<void> {
	assert.deepEqual(await axeFaults(page), [], name);
	assert.equal(await overflows(page), false, `${name} is wider than its window`);
	await shoot(page, name);
}

/** From the form to the page that asks for consent. */
async function signIn(page: Page, email: string): Promise<void> {
	await page.getByLabel('Email address').fill(email);
	await page.keyboard.press('Enter');
	await heading(page, 'You are almost in').waitFor();
	await button(page, 'Sign in').click();
	await button(page, 'Allow').waitFor();
}

for (const [screen, options] of Object.entries(SCREENS)) {
	test(`[14.5] [14.6] [14.7] a person connects an app and disconnects it in the console: ${screen}`, () =>
		visit(async ({ page }) => {
			const { verifier, challenge } = pkce();
			const app = await newApp(server.url, `${appUrl}/callback`, 'Claude');
			const email = `${screen}@example.com`;
			await page.goto(server.url + authorizeUrl(app, challenge));
			await heading(page, 'Connect Claude').waitFor();
			await assertSound(page, `connect-${screen}`);
			await page.getByLabel('Email address').fill(email);
			await button(page, 'Send a link').click();
			await heading(page, 'You are almost in').waitFor();
			await assertSound(page, `connect-continue-${screen}`);
			await button(page, 'Sign in').click();
			await heading(page, 'Connect Claude?').waitFor();
			await page.getByText(email).waitFor();
			await assertSound(page, `consent-${screen}`);
			await button(page, 'Allow').click();
			await heading(page, 'Back in the app').waitFor();
			const back = new URL(page.url());
			assert.equal(back.origin, appUrl);
			const code = back.searchParams.get('code')!;
			const { access } = tokensIn(await exchange(server.url, app, code, verifier));
			const listed = await postMcp(server.url, access, message('tools/call', { name: 'list_tables' }));
			assert.deepEqual(listed.body.result.structuredContent, { tables: [] });
			// In the console it is beside the keys.
			await page.goto(`${server.url}/sign-in`);
			await page.getByLabel('Email address').fill(email);
			await button(page, 'Send a link').click();
			await page.getByRole('link', { name: 'Open the sign-in link' }).click();
			await button(page, 'Open the console').click();
			await heading(page, 'Memory').waitFor();
			await page.goto(`${server.url}/console#/keys`);
			await heading(page, 'Claude').waitFor();
			await assertSound(page, `console-apps-${screen}`);
			await button(page, 'Disconnect Claude').click();
			await assertSound(page, `console-apps-disconnect-${screen}`);
			await button(page, 'Disconnect the app').click();
			await page.getByText('is disconnected').waitFor();
			await page.getByText('No app is connected').waitFor();
			assert.equal((await postMcp(server.url, access, message('ping'))).status, 401);
		}, options));
}

test('[14.7] saying no leads back to the app, with the keyboard alone', () =>
	visit(async ({ page }) => {
		const app = await newApp(server.url, `${appUrl}/callback`, 'Claude');
		await page.goto(server.url + authorizeUrl(app, pkce().challenge));
		await signIn(page, 'no@example.com');
		for (let n = 0; n < 10 && (await page.evaluate('document.activeElement.value')) !== 'deny'; n++) {
			await page.keyboard.press('Tab');
		}
		await page.keyboard.press('Enter');
		await heading(page, 'Back in the app').waitFor();
		assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied');
	}));

test('[14.7] the policy of the page lets its form lead to an app’s own scheme, and nowhere else', () =>
	visit(async ({ page, watched }) => {
		const app = await newApp(server.url, 'cursor://anysphere.cursor-mcp/oauth/callback', 'Cursor');
		await page.goto(server.url + authorizeUrl(app, pkce().challenge));
		await signIn(page, 'cursor@example.com');
		const answered = page.waitForResponse((response) => response.request().method() === 'POST');
		await button(page, 'Allow').click();
		const answer = await answered;
		assert.equal(answer.status(), 303);
		assert.match((await answer.allHeaders()).location!, /^cursor:\/\/anysphere\.cursor-mcp\/oauth\/callback\?code=/);
		assert.deepEqual(watched.faults, [], 'no policy stood in the way');
		// A form that leads elsewhere is held.
		await page.goto(server.url + authorizeUrl(app, pkce().challenge));
		await page.evaluate(`document.forms[0].action = ${JSON.stringify(`${appUrl}/callback`)}`);
		called = [];
		await page.getByLabel('Email address').fill('x@example.com');
		// A click would wait for a navigation that is never made.
		await page.evaluate('document.forms[0].requestSubmit()');
		await page.waitForTimeout(300);
		watched.expect(/form-action/);
		assert.deepEqual(called, []);
	}));

test('[14.7] an app that opened a window gets it back; one that frames the page gets nothing', () =>
	visit(async ({ context, page, watched }) => {
		const app = await newApp(server.url, `${appUrl}/callback`, 'Claude');
		const to = encodeURIComponent(server.url + authorizeUrl(app, pkce().challenge));
		await page.goto(`${appUrl}/opens?to=${to}`);
		const opened = context.waitForEvent('page');
		await button(page, 'Connect').click();
		const popup = await opened;
		await signIn(popup, 'popup@example.com');
		await button(popup, 'Allow').click();
		await page.getByText('told: back').waitFor();
		await page.goto(`${appUrl}/frames?to=${to}`);
		await page.waitForTimeout(300);
		assert.equal(await page.frames()[1]!.getByLabel('Email address').count(), 0);
		watched.expect(/frame-ancestors|X-Frame|ERR_BLOCKED/);
	}));

test('[14.5] what is wrong is told on a page', () =>
	visit(async ({ page, watched }) => {
		const app = await newApp(server.url, `${appUrl}/callback`, 'Claude');
		await page.goto(server.url + authorizeUrl(app, pkce().challenge, { redirect_uri: 'https://evil.example/cb' }));
		await heading(page, 'The app cannot be connected').waitFor();
		watched.expect(400);
		await assertSound(page, 'connect-fault');
	}));

test('[14.6] by mail: the link works in the browser where this began, and in no other', async () => {
	const mail: MailServer = await startMailServer();
	const own = await startClocked({
		...NO_RATE_LIMITS,
		PUMADB_SMTP_URL: mail.url,
		PUMADB_MAIL_FROM: 'pumaDB <noreply@memory.example.com>',
	});
	try {
		await visit(async ({ page }) => {
			const app = await newApp(own.url, `${appUrl}/callback`, 'Win money at evil.example');
			await page.goto(own.url + authorizeUrl(app, pkce().challenge));
			await page.getByLabel('Email address').fill('mail@example.com');
			await button(page, 'Send a link').click();
			await heading(page, 'Look into your mail').waitFor();
			await assertSound(page, 'connect-sent');
			await page.reload();
			await heading(page, 'Look into your mail').waitFor();
			assert.equal(mail.mails.length, 1);
			const text = mail.mails[0]!.parts.get('text/plain')!;
			assert.match(text, /connecting an app, in the browser in which you began/);
			assert.ok(![...mail.mails[0]!.parts.values()].join().includes('evil.example'));
			const link = /https?:\/\/\S+/.exec(text)![0];
			await visit(async (elsewhere) => {
				await elsewhere.page.goto(link);
				await elsewhere.page.getByText('began in another browser').waitFor();
				elsewhere.watched.expect(400);
			});
			await page.goto(link);
			await button(page, 'Sign in').click();
			await button(page, 'Allow').click();
			await heading(page, 'Back in the app').waitFor();
		});
	} finally {
		await own.stop();
		await mail.stop();
	}
});
