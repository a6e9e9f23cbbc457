import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { axeFaults, openBrowser, overflows, SCREENS, shoot, watch } from './support/browser.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let browser: Browser;

before(async () => {
	[server, browser] = await Promise.all([
		startServer({ PUMADB_MAX_TABLES: '7', PUMADB_MAX_ROW_BYTES: '131072', PUMADB_WRITES_PER_MINUTE: '0' }),
		openBrowser(),
	]);
});
after(async () => {
	await browser.close();
	await server.stop();
});

test('[10.1] [6.11] the front page tells what this server is, how to connect, and the limits in force', async () => {
	for (const [screen, options] of Object.entries(SCREENS)) {
		const context = await browser.newContext(options);
		const page = await context.newPage();
		const watched = await watch(page);
		await page.goto(server.url);
		const shown = async (name: string) =>
			page
				.locator('dl > div', { has: page.getByText(name, { exact: true }) })
				.locator('dd')
				.innerText();
		assert.equal(await shown('Tables an account'), '7');
		assert.equal(await shown('Rows a table'), '1,000');
		assert.equal(await shown('Size of a row'), '128 KB');
		assert.equal(await shown('Size of an account'), '25 MB');
		assert.equal(await shown('Writes a minute'), 'unlimited');
		assert.match(await page.locator('pre').first().innerText(), new RegExp(`^curl ${server.url}/v1/`));
		assert.deepEqual(await axeFaults(page), [], screen);
		assert.equal(await overflows(page), false, screen);
		await shoot(page, `landing-${screen}`);
		for (const href of await page
			.locator('a[href^="/"]')
			.evaluateAll((all) => all.map((a) => a.getAttribute('href')))) {
			assert.equal((await fetch(server.url + href)).status, 200, href!);
		}
		watched.check();
		await context.close();
	}
});

test('[10.1] the page for connecting clients has this address in every line, and reads well', async () => {
	for (const [screen, options] of Object.entries(SCREENS)) {
		const context = await browser.newContext(options);
		const page = await context.newPage();
		const watched = await watch(page);
		await page.goto(`${server.url}/install`);
		const lines = await page.locator('pre').allInnerTexts();
		assert.ok(lines.length >= 4);
		for (const line of lines) assert.ok(line.includes(server.url), line);
		assert.deepEqual(await axeFaults(page), [], screen);
		assert.equal(await overflows(page), false, screen);
		await shoot(page, `install-${screen}`);
		watched.check();
		await context.close();
	}
});
