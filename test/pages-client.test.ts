import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { measureClient } from '../scripts/client-size.ts';
import { openBrowser } from './support/browser.ts';

let browser: Browser;
before(async () => {
	browser = await openBrowser();
});
after(() => browser.close());

test('[12.7] in a browser page the client refuses to be made, unless it is told to', async () => {
	const { code } = await measureClient();
	const site = createServer((req, res) => {
		const script = req.url === '/client.js';
		res.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' });
		res.end(script ? code : '<!doctype html><title>x</title>');
	});
	await new Promise<void>((resolve) => void site.listen(0, '127.0.0.1', resolve));
	try {
		const page = await browser.newPage();
		await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
		const outcome = await page.evaluate<unknown[]>(`import('/client.js').then(({ Puma }) => {
			const made = (options) => { try { return new Puma(options).url; } catch (error) { return [error.code, error.message]; } };
			const options = { url: 'https://memory.example.com', apiKey: 'puma_live_a_b' };
			return [made(options), made({ ...options, allowBrowser: true })];
		})`);
		const [refused, allowed] = outcome as [string[], string];
		assert.equal(refused[0], 'browser_refused');
		assert.match(refused[1]!, /Call pumaDB from your server, or set allowBrowser/);
		assert.equal(allowed, 'https://memory.example.com');
	} finally {
		site.close();
	}
});
