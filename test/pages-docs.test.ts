import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { DOC_PAGES, docPath } from '../src/http/doc-pages.ts';
import { axeFaults, openBrowser, overflows, SCREENS, shoot, watch } from './support/browser.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let browser: Browser;

before(async () => {
	[server, browser] = await Promise.all([startServer(), openBrowser()]);
});
after(async () => {
	await browser.close();
	await server.stop();
});

for (const [screen, options] of Object.entries(SCREENS)) {
	test(`[10.7] the documentation reads well: ${screen}`, async () => {
		const context = await browser.newContext(options);
		const page = await context.newPage();
		const watched = await watch(page);
		for (const name of DOC_PAGES) {
			await page.goto(server.url + docPath(name));
			assert.equal(await page.locator('nav a[aria-current="page"]').getAttribute('href'), docPath(name));
			assert.deepEqual(await axeFaults(page), [], `${name} ${screen}`);
			assert.equal(await overflows(page), false, `${name} ${screen}`);
		}
		await page.goto(`${server.url}/docs/writes`);
		await shoot(page, `docs-${screen}`);
		await page.getByRole('link', { name: 'Versions →' }).click();
		assert.equal(new URL(page.url()).pathname, '/docs/versions');
		await page.getByRole('navigation', { name: 'Documentation' }).getByRole('link', { name: 'Filters' }).click();
		await page.locator('main').getByRole('link', { name: 'Sort and limit' }).click();
		assert.equal(new URL(page.url()).hash, '#sort-and-limit');
		watched.check();
		await context.close();
	});
}
