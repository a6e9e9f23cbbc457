import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { axeFaults, type Fault, openBrowser, overflows, SCREENS, shoot, type Watch, watch } from './support/browser.ts';
import { type Any, type Client, signIn } from './support/client.ts';
import { assertStatus } from './support/refusals.ts';
import { NO_RATE_LIMITS, startServer, type TestServer } from './support/server.ts';

/** The pages behind links, in a real browser. Every test ends with no fault on the console and none of the policy. */

let server: TestServer;
let browser: Browser;
let context: BrowserContext;
let ada: Client;

before(async () => {
	[server, browser] = await Promise.all([startServer(NO_RATE_LIMITS), openBrowser()]);
	ada = await signIn(server);
	context = await browser.newContext(SCREENS.light);
	await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: server.url });
});
after(async () => {
	await browser.close();
	await server.stop();
});

interface Opened {
	readonly page: Page;
	readonly watched: Watch;
}

async function open(url: string, within: BrowserContext = context): Promise<Opened> {
	const page = await within.newPage();
	const watched = await watch(page);
	await page.goto(url);
	await page.locator('h1').first().waitFor();
	return { page, watched };
}

async function close({ page, watched }: Opened): Promise<void> {
	watched.check();
	await page.close();
}

async function textLink(row: Any, field: string, more: object = {}): Promise<Any> {
	const json = { table: 'notes', id: row.id, field, ...more };
	return assertStatus(await ada.post('/v1/_text_field_links', json), 200);
}

const rowLink = async (row: Any): Promise<Any> =>
	assertStatus(await ada.post('/v1/_row_links', { table: 'notes', id: row.id }), 200);

const live = async (row: Any): Promise<Any> => (await ada.rows('notes', { filter: { id: row.id } }))[0];

const editor = (page: Page, name: string | RegExp) => page.getByRole('textbox', { name });
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

/** Puts another text into an editor, by keyboard. */
async function type(page: Page, name: string | RegExp, text: string): Promise<void> {
	await editor(page, name).click();
	await page.keyboard.press('ControlOrMeta+A');
	await page.keyboard.insertText(text);
}

/** Asks again until it is so: the page's policy forbids Playwright's own way, which evaluates a text inside the page. */
async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
	for (const end = Date.now() + 10_000; Date.now() < end; ) {
		if (await isSo()) return;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	assert.fail(`Not so after 10 seconds: ${isSo}`);
}

/** Waits for a fault that the test has provoked, and takes it back. */
async function met(watched: Watch, fault: Fault): Promise<void> {
	await until(() => watched.has(fault));
	watched.expect(fault);
}

const saved = (page: Page) =>
	page
		.getByRole('status')
		.filter({ hasText: /^Saved/ })
		.waitFor();

const MARKDOWN = `# Trip

A *short* plan, [a link](https://example.com/x), [a bad one](javascript:alert(1)), [data](data:text/html,x).

| what | when |
| --- | ---: |
| flight | 9:40 |

<script>window.ran = true</script> <img src=x onerror="window.ran = true">

![logo](https://tracker.example/pixel.png)
`;

test('[7.4] a text is read, edited, saved by button and by keyboard, and its history restored', async () => {
	const row = await ada.add('notes', { title: 'Trip', text: 'first line\r\nsecond line\n', n: 1 });
	const opened = await open((await textLink(row, 'text')).viewer_url);
	const { page } = opened;
	await page.waitForFunction(`document.title.startsWith('notes-text.txt')`);
	await editor(page, 'text, text').waitFor();
	assert.equal(await button(page, 'Save').isEnabled(), false);
	await editor(page, 'text, text').click();
	await page.keyboard.press('ControlOrMeta+End');
	await page.keyboard.insertText('third line');
	await page.getByText('Unsaved changes').waitFor();
	await button(page, 'Save').click();
	await saved(page);
	// The line ends that were stored are stored still.
	assert.equal((await live(row)).text, 'first line\r\nsecond line\nthird line');
	assert.equal((await live(row)).n, 1);
	await type(page, 'text, text', 'by keyboard');
	await page.keyboard.press('ControlOrMeta+S');
	await page.getByText('Unsaved changes').waitFor({ state: 'hidden' });
	await saved(page);
	assert.equal((await live(row)).text, 'by keyboard');
	await button(page, 'History').click();
	await page.getByRole('heading', { name: 'Earlier versions' }).waitFor();
	await page.getByRole('button', { name: /^Version 1 / }).click();
	await page.getByText('second line').first().waitFor();
	assert.deepEqual(await axeFaults(page), []);
	await shoot(page, 'text-history');
	await button(page, 'Restore version 1').click();
	await page.getByRole('heading', { name: 'Earlier versions' }).waitFor({ state: 'hidden' });
	assert.equal((await live(row)).text, 'first line\r\nsecond line\n');
	await page.getByText('first line').first().waitFor();
	assert.equal((await ada.get('/v1/notes/versions', { id: row.id })).body.versions.length, 3);
	await close(opened);
});

test('[7.4] Markdown is shown rendered beside its source, and nothing in it runs or loads', async () => {
	const row = await ada.add('notes', { text: MARKDOWN });
	const opened = await open((await textLink(row, 'text', { filename: 'trip.md' })).viewer_url);
	const { page } = opened;
	const rendered = page.getByRole('region', { name: 'Rendered' });
	await rendered.getByRole('heading', { name: 'Trip' }).waitFor();
	assert.equal(await rendered.getByRole('cell', { name: '9:40' }).count(), 1);
	const links = await rendered
		.getByRole('link')
		.evaluateAll((all) => all.map((link) => [link.getAttribute('href'), link.getAttribute('rel')]));
	assert.deepEqual(links, [['https://example.com/x', 'noopener noreferrer nofollow']]);
	assert.equal(await rendered.locator('script, img, iframe').count(), 0);
	assert.match(await rendered.innerText(), /<script>window\.ran = true<\/script>/);
	assert.equal(await page.evaluate('window.ran'), undefined);
	await button(page, 'Rendered').click();
	assert.equal(await editor(page, 'text, text').isVisible(), false);
	await button(page, 'Both').click();
	await type(page, 'text, text', '## Changed');
	await rendered.getByRole('heading', { name: 'Changed' }).waitFor();
	await close(opened);
});

test('[7.4] a text is found in, wrapped, copied and downloaded', async () => {
	const text = `${'word '.repeat(200)}needle\nend`;
	const row = await ada.add('notes', { text });
	const opened = await open((await textLink(row, 'text', { filename: 'größe 計画.log' })).viewer_url);
	const { page } = opened;
	await editor(page, 'text, text').waitFor();
	await button(page, 'Find').click();
	await page.getByRole('textbox', { name: 'Find' }).pressSequentially('needle');
	await page.keyboard.press('Enter');
	await page.locator('.cm-searchMatch-selected').waitFor();
	const width = () => page.locator('.cm-content').evaluate((content) => content.scrollWidth);
	const wrapped = await width();
	await button(page, 'Wrap').click();
	await until(async () => (await width()) > wrapped * 2);
	await button(page, 'Copy').click();
	await page.getByText('Copied').waitFor();
	assert.equal(await page.evaluate('navigator.clipboard.readText()'), text);
	const [download] = await Promise.all([
		page.waitForEvent('download'),
		page.getByRole('link', { name: 'Download' }).click(),
	]);
	assert.equal(download.suggestedFilename(), 'größe 計画.log');
	const stream = await download.createReadStream();
	assert.equal((await stream.toArray()).join(''), text);
	await close(opened);
});

test('[7.4] two browsers that edit one text: the second sees both, and keeps either or a mixture', async () => {
	const row = await ada.add('notes', { text: 'start' });
	const { viewer_url: url } = await textLink(row, 'text');
	for (const choice of ['left', 'right', 'mixed', 'later'] as const) {
		await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: `start ${choice}` } });
		const other = await browser.newContext(SCREENS.light);
		const [first, second] = [await open(url), await open(url, other)];
		await type(first.page, 'text, text', `first ${choice}`);
		await type(second.page, 'text, text', `second ${choice}`);
		await button(first.page, 'Save').click();
		await saved(first.page);
		await button(second.page, 'Save').click();
		const { page, watched } = second;
		await page.getByRole('heading', { name: 'Somebody saved before you' }).waitFor();
		await met(watched, 412);
		await editor(page, /^Saved at/).waitFor();
		assert.equal(await editor(page, 'Yours, not saved').innerText(), `second ${choice}`);
		assert.equal(await editor(page, /^Saved at/).innerText(), `first ${choice}`);
		assert.equal((await live(row)).text, `first ${choice}`);
		if (choice === 'left') {
			assert.deepEqual(await axeFaults(page), []);
			await shoot(page, 'text-conflict');
			await button(page, 'Keep mine').click();
			await saved(page);
			assert.equal((await live(row)).text, 'second left');
		} else if (choice === 'mixed') {
			await type(page, 'Yours, not saved', 'first and second');
			await button(page, 'Keep mine').click();
			await saved(page);
			assert.equal((await live(row)).text, 'first and second');
			assert.equal(await editor(page, 'text, text').innerText(), 'first and second');
		} else if (choice === 'right') {
			await button(page, 'Keep the saved one').click();
			await until(async () => (await editor(page, 'text, text').innerText()) === 'first right');
			assert.equal(await button(page, 'Save').isEnabled(), false);
			// What was typed is not lost.
			await button(page, 'Take my text back').click();
			await until(async () => (await editor(page, 'text, text').innerText()) === 'second right');
			await button(page, 'Save').click();
			await saved(page);
			assert.equal((await live(row)).text, 'second right');
		} else {
			// What was typed in the conflict view is the draft, whichever way it is left.
			await type(page, 'Yours, not saved', 'second and later');
			await button(page, 'Back to editing').click();
			await until(async () => (await editor(page, 'text, text').innerText()) === 'second and later');
			await button(page, 'Save').click();
			await page.getByRole('heading', { name: 'Somebody saved before you' }).waitFor();
			await met(watched, 412);
			assert.equal((await live(row)).text, 'first later');
		}
		await close(first);
		watched.check();
		await other.close();
	}
});

/** Holds the page's next PUT until the returned function is called. */
async function holdSave(page: Page): Promise<() => void> {
	let release = (): void => {};
	const held = new Promise<void>((resolve) => {
		release = resolve;
	});
	await page.route(
		'**/data',
		async (route) => {
			if (route.request().method() === 'PUT') await held;
			await route.continue();
		},
		{ times: 1 },
	);
	return () => release();
}

test('[7.4] what is typed while a save is on its way stays, in the editor and in the conflict view', async () => {
	const row = await ada.add('notes', { text: 'start' });
	const { viewer_url: url } = await textLink(row, 'text');
	const opened = await open(url);
	const { page, watched } = opened;
	await type(page, 'text, text', 'first');
	let release = await holdSave(page);
	await page.keyboard.press('ControlOrMeta+S');
	await page.getByText('Saving…').waitFor();
	await page.keyboard.type(' and more');
	release();
	await page.getByText('Unsaved changes').waitFor();
	assert.equal((await live(row)).text, 'first');
	assert.equal(await editor(page, 'text, text').innerText(), 'first and more');
	await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: 'theirs' } });
	await page.keyboard.press('ControlOrMeta+S');
	await page.getByRole('heading', { name: 'Somebody saved before you' }).waitFor();
	await met(watched, 412);
	await type(page, 'Yours, not saved', 'merged');
	// A third change does not take away what was typed here.
	await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: 'theirs again' } });
	await page.keyboard.press('ControlOrMeta+S');
	await until(async () => (await editor(page, /^Saved at/).innerText()) === 'theirs again');
	await met(watched, 412);
	assert.equal(await editor(page, 'Yours, not saved').innerText(), 'merged');
	release = await holdSave(page);
	await editor(page, 'Yours, not saved').click();
	await page.keyboard.press('ControlOrMeta+S');
	await page.getByText('Saving…').waitFor();
	await page.keyboard.press('ControlOrMeta+End');
	await page.keyboard.type(' late');
	release();
	await page.getByText('Unsaved changes').waitFor();
	await until(async () => (await editor(page, 'text, text').innerText()) === 'merged late');
	assert.equal((await live(row)).text, 'merged');
	await button(page, 'Save').click();
	await saved(page);
	assert.equal((await live(row)).text, 'merged late');
	await close(opened);
});

test('[7.4] a change of what a text link does not show, or of the same text, is no conflict; a text that is none any more is', async () => {
	const row = await ada.add('notes', { text: 'start', n: 1 });
	const opened = await open((await textLink(row, 'text')).viewer_url);
	const { page, watched } = opened;
	await type(page, 'text, text', 'mine');
	await ada.post('/v1/notes/update_row', { id: row.id, patch: { n: 2 } });
	await button(page, 'Save').click();
	await saved(page);
	await met(watched, 412);
	assert.deepEqual([(await live(row)).text, (await live(row)).n], ['mine', 2]);
	await type(page, 'text, text', 'the same');
	await page.getByText('Unsaved changes').waitFor();
	await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: 'the same' } });
	await button(page, 'Save').click();
	await page.getByText('Unsaved changes').waitFor({ state: 'hidden' });
	await met(watched, 412);
	await type(page, 'text, text', 'over it');
	await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: null } });
	await button(page, 'Save').click();
	await page.getByRole('heading', { name: 'Somebody saved before you' }).waitFor();
	await met(watched, 412);
	await met(watched, 400);
	await button(page, 'Keep mine').click();
	await page.getByRole('heading', { name: 'Somebody saved before you' }).waitFor({ state: 'hidden' });
	assert.equal((await live(row)).text, 'over it');
	await close(opened);
});

test('[7.4] restoring meets a change made meanwhile, and puts nothing over it unseen', async () => {
	for (const linkOf of [rowLink, (row: Any) => textLink(row, 'text')]) {
		const row = await ada.add('notes', { text: 'first' });
		await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: 'second' } });
		const opened = await open((await linkOf(row)).viewer_url);
		const { page, watched } = opened;
		await button(page, 'History').click();
		await button(page, 'Restore version 1').waitFor();
		await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: 'third' } });
		await button(page, 'Restore version 1').click();
		await page.getByRole('alert').getByText('was changed meanwhile').waitFor();
		await met(watched, 412);
		assert.equal((await live(row)).text, 'third');
		await close(opened);
	}
});

test('[2.4] [7.4] line ends that a form field would change are kept: such a text is edited in the JSON', async () => {
	const row = await ada.add('notes', { text: 'one\r\ntwo\rthree', n: 1 });
	const opened = await open((await rowLink(row)).viewer_url);
	const { page } = opened;
	const field = page.getByRole('textbox', { name: 'text', exact: true });
	assert.equal(await field.isEditable(), false);
	await page.getByRole('textbox', { name: 'n', exact: true }).fill('2');
	await button(page, 'Save').click();
	await saved(page);
	assert.deepEqual([(await live(row)).text, (await live(row)).n], ['one\r\ntwo\rthree', 2]);
	await button(page, 'Edit it in the JSON').click();
	await editor(page, 'Members of the row, as JSON').waitFor();
	await close(opened);
});

test('[7.4] leaving with unsaved changes warns', async () => {
	const row = await ada.add('notes', { text: 'start' });
	const opened = await open((await textLink(row, 'text')).viewer_url);
	const { page, watched } = opened;
	await type(page, 'text, text', 'unsaved');
	await page.getByText('Unsaved changes').waitFor();
	const asked: string[] = [];
	page.on('dialog', (dialog) => {
		asked.push(dialog.type());
		void dialog.dismiss();
	});
	await page.close({ runBeforeUnload: true });
	await until(() => asked.length > 0);
	assert.deepEqual(asked, ['beforeunload']);
	assert.equal(page.isClosed(), false);
	await button(page, 'Save').click();
	await saved(page);
	watched.check();
	await page.close({ runBeforeUnload: true });
	assert.deepEqual(asked, ['beforeunload']);
});

test('[7.4] [2.4] a row is edited as a form, exactly: what was not touched stays as it is', async () => {
	const members =
		'"title":"Trip","big":1152921504606846976,"price":12.50,"ok":true,"none":null,"tags":["a",{"b":1}],"ünïcode ☃":"x"';
	const row = (
		await ada.call('POST', '/v1/notes', { body: `{${members}}`, headers: { 'content-type': 'application/json' } })
	).body;
	const opened = await open((await rowLink(row)).viewer_url);
	const { page } = opened;
	const field = (name: string) => page.getByRole('textbox', { name, exact: true });
	await field('title').fill('Longer trip');
	await page.getByRole('checkbox', { name: 'ok' }).uncheck();
	await field('price').fill('13.25');
	await field('tags').fill('["a", "b"');
	assert.equal(await field('tags').getAttribute('aria-invalid'), 'true');
	// What cannot be read yet is part of the draft: it is not saved, not forgotten, and told of.
	await button(page, 'JSON').click();
	await button(page, 'Form').click();
	assert.equal(await field('tags').inputValue(), '["a", "b"');
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('"tags" in the form cannot be read yet').waitFor();
	await field('tags').fill('["a", "b"]');
	// By keyboard one passes through every kind on the way to another, and back: the value is what it was.
	await page.getByRole('combobox', { name: 'Kind of title' }).focus();
	for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'ArrowUp', 'ArrowUp', 'ArrowUp']) {
		await page.keyboard.press(key);
	}
	assert.equal(await field('title').inputValue(), 'Longer trip');
	await page.getByRole('combobox', { name: 'Kind of none' }).selectOption('text');
	await field('none').fill('something');
	await page.getByRole('button', { name: 'Remove ünïcode ☃' }).click();
	await field('New member').fill('title');
	await button(page, 'Add').click();
	await page.getByText('a member of this name already').waitFor();
	await field('New member').fill('added');
	await page.keyboard.press('Enter');
	await field('added').fill('by hand');
	assert.deepEqual(await axeFaults(page), []);
	await button(page, 'Save').click();
	await saved(page);
	const text = (await ada.get('/v1/notes', { filter: { id: row.id } })).text;
	const own =
		'"title":"Longer trip","big":1152921504606846976,"price":13.25,"ok":false,"none":"something","tags":["a","b"],"added":"by hand"';
	assert.ok(text.includes(`{"id":"${row.id}",${own},"created_at"`), text);
	await close(opened);
});

test('[7.4] a row is edited as JSON: faults are shown where they are, and refusals in words', async () => {
	const row = await ada.add('notes', { a: 1 });
	const opened = await open((await rowLink(row)).viewer_url);
	const { page, watched } = opened;
	await button(page, 'JSON').click();
	const name = 'Members of the row, as JSON';
	await type(page, name, '{"a": 1,, }');
	await page.locator('.cm-lint-marker-error').waitFor();
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('not valid JSON yet').waitFor();
	await type(page, name, '{"a": 9007199254740993}');
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('$.row.a cannot be kept exactly').waitFor();
	await met(watched, 400);
	await type(page, name, '{"id": "mine"}');
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('belongs to the service').waitFor();
	await met(watched, 400);
	await type(page, name, `{"a": "${'x'.repeat(66_000)}"}`);
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('of at most 65536').waitFor();
	await met(watched, 413);
	assert.equal((await live(row)).a, 1);
	await type(page, name, '{"b": {"deep": [1, 2]}}');
	await button(page, 'Save').click();
	await saved(page);
	const { id: _, created_at: __, updated_at: ___, ...own } = await live(row);
	assert.deepEqual(own, { b: { deep: [1, 2] } });
	await button(page, 'History').click();
	await button(page, 'Restore version 1').click();
	await page.getByRole('heading', { name: 'Earlier versions' }).waitFor({ state: 'hidden' });
	assert.equal((await live(row)).a, 1);
	await close(opened);
});

test('[7.4] a row that is deleted meanwhile is told of and brought back; a save of it is not lost in silence', async () => {
	const row = await ada.add('notes', { text: 'kept' });
	const { viewer_url: url } = await rowLink(row);
	const opened = await open(url);
	const { page, watched } = opened;
	await page.getByRole('textbox', { name: 'text', exact: true }).fill('edited');
	await ada.del('/v1/notes', { filter: { id: row.id } });
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('The row was deleted meanwhile').waitFor();
	await met(watched, 404);
	assert.equal(await page.getByRole('textbox', { name: 'text', exact: true }).inputValue(), 'edited');
	const again = await open(url);
	await met(again.watched, 404);
	await again.page.getByText('"text": "kept"').waitFor();
	assert.deepEqual(await axeFaults(again.page), []);
	await button(again.page, 'Restore the row').click();
	await again.page.getByRole('textbox', { name: 'text', exact: true }).waitFor();
	assert.equal((await live(row)).text, 'kept');
	await close(again);
	// The old page saves over no state that it did not see; that one it has seen, so it does.
	await button(page, 'Save').click();
	await saved(page);
	await met(watched, 412);
	assert.equal((await live(row)).text, 'edited');
	await page.getByRole('textbox', { name: 'text', exact: true }).fill('edited again');
	await ada.del('/v1/notes', { filter: { id: row.id } });
	await button(page, 'Save').click();
	await page.getByRole('alert').getByText('The row was deleted meanwhile').waitFor();
	await met(watched, 404);
	await button(page, 'Bring the row back').click();
	await page.getByRole('heading', { name: 'Somebody saved before you' }).waitFor();
	await button(page, 'Keep mine').click();
	await saved(page);
	assert.equal((await live(row)).text, 'edited again');
	await close(opened);
});

test('[7.5] the rows of a query are sorted, folded, shown as JSON, downloaded, and reloaded', async () => {
	const values: unknown[] = ['b', 'a', 10, 2, true, false, null, [1], undefined, '=1+1'];
	const operations = values.map((v, n) => ({ action: 'add', row: { n, v, long: `${'x'.repeat(200)}"\n,end` } }));
	await ada.post('/v1/query/batch', { operations });
	const link = assertStatus(await ada.post('/v1/_query_links', { table: 'query', filename: 'found.json' }), 200);
	const opened = await open(link.viewer_url);
	const { page } = opened;
	const column = async (at: number) => page.locator(`tbody tr:not(.gap) td:nth-child(${at})`).allInnerTexts();
	await page.getByRole('columnheader', { name: 'v' }).waitFor();
	assert.deepEqual(await column(1), ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
	for (const [sort, word] of [
		['v', 'ascending'],
		['-v', 'descending'],
		[undefined, 'none'],
	] as const) {
		await button(page, 'v').click();
		const header = page.getByRole('columnheader', { name: 'v' });
		assert.equal(await header.getAttribute('aria-sort'), word);
		// The page sorts as the service does.
		const rows = await ada.rows('query', sort === undefined ? {} : { sort });
		assert.deepEqual(
			await column(1),
			rows.map(({ n }) => String(n)),
		);
	}
	await page.getByRole('button', { name: 'More of long' }).first().click();
	const whole = page.getByRole('dialog', { name: 'long' });
	assert.equal(await whole.locator('pre').innerText(), `${'x'.repeat(200)}"\n,end`);
	assert.deepEqual(await axeFaults(page), []);
	await page.keyboard.press('Escape');
	await whole.waitFor({ state: 'detached' });
	assert.deepEqual(await axeFaults(page), []);
	const downloaded = async (click: () => Promise<void>) => {
		const [download] = await Promise.all([page.waitForEvent('download'), click()]);
		const stream = await download.createReadStream();
		return { name: download.suggestedFilename(), text: (await stream.toArray()).join('') };
	};
	const json = await downloaded(() => page.getByRole('link', { name: 'Download JSON' }).click());
	assert.equal(json.name, 'found.json');
	assert.equal(json.text, (await ada.get('/v1/query')).text);
	const csv = await downloaded(() => button(page, 'Download CSV').click());
	assert.equal(csv.name, 'found.csv');
	const lines = csv.text.split('\r\n');
	assert.equal(lines[0], 'n,v,long,created_at,updated_at,id');
	assert.match(csv.text, /^9,'=1\+1,"x{200}""\n,end",/m);
	assert.match(csv.text, /^7,\[1\],/m);
	await ada.add('query', { n: 10 });
	await button(page, 'Reload').click();
	await page.getByText('11 rows of query').waitFor();
	await button(page, 'JSON').click();
	await page.getByText('"n": 10').waitFor();
	await close(opened);
});

test('[7.5] a thousand rows are all there to scroll to', async () => {
	const eve = await signIn(server);
	for (let n = 0; n < 1000; n += 100) {
		const operations = Array.from({ length: 100 }, (_, i) => ({
			action: 'add',
			row: { n: n + i, name: `Row ${n + i}`, text: 'word '.repeat(60), list: [n, { deep: i }], ok: i % 2 === 0 },
		}));
		assertStatus(await eve.post('/v1/many/batch', { operations }), 200);
	}
	const link = assertStatus(await eve.post('/v1/_query_links', { table: 'many' }), 200);
	const opened = await open(link.viewer_url);
	const { page } = opened;
	await page.getByText('1000 rows of many').waitFor();
	const frame = page.getByRole('region', { name: 'Rows' });
	await frame.focus();
	await until(async () => {
		await page.keyboard.press('End');
		return page.getByRole('cell', { name: 'Row 999', exact: true }).isVisible();
	});
	// Only what is on the screen is drawn, and where it stands is told.
	assert.ok((await page.locator('tbody tr').count()) < 150);
	const row = page.getByRole('row').filter({ has: page.getByRole('cell', { name: 'Row 999', exact: true }) });
	assert.equal(await row.getAttribute('aria-rowindex'), '1001');
	await page.keyboard.press('Home');
	await page.getByRole('cell', { name: 'Row 0', exact: true }).waitFor();
	await button(page, 'n').click();
	await button(page, 'n').click();
	await until(async () => (await page.locator('tbody tr:first-child td:nth-child(1)').innerText()) === '999');
	await close(opened);
});

test('[7.1] a link that has ended, or never was, gets a page in words', async () => {
	const made = assertStatus(await ada.post('/v1/_keys', { name: 'agent' }), 201);
	const row = await ada.add('notes', { text: 'x' });
	const answer = await ada.post(
		'/v1/_text_field_links',
		{ table: 'notes', id: row.id, field: 'text' },
		{
			authorization: `Bearer ${made.api_key}`,
		},
	);
	const opened = await open(answer.body.viewer_url);
	await ada.del(`/v1/_keys/${made.id}`);
	// A page that is open tells it when it next saves, and keeps what was typed.
	await type(opened.page, 'text, text', 'too late');
	await button(opened.page, 'Save').click();
	await opened.page.getByRole('alert').getByText('has expired, was withdrawn').waitFor();
	await met(opened.watched, 404);
	assert.equal(await editor(opened.page, 'text, text').innerText(), 'too late');
	assert.equal((await live(row)).text, 'x');
	await close(opened);
	for (const url of [answer.body.viewer_url, answer.body.download_url, `${server.url}/view/x`]) {
		const fault = await open(url);
		await met(fault.watched, 404);
		await fault.page.getByText('ask for a new one').waitFor();
		assert.deepEqual(await axeFaults(fault.page), []);
		await close(fault);
	}
});

test('[7.1] stored texts of every kind are shown and neither run nor break a page', async () => {
	const texts = [
		'<script>window.ran = true</script>',
		'<img src=x onerror="window.ran = true"><svg onload="window.ran = true"></svg>',
		'[x](javascript:window.ran=true) <javascript:alert(1)> [y](vbscript:x) ![z](data:image/svg+xml,<svg/>)',
		'x'.repeat(60_000),
		`${'word '.repeat(12_000)}`,
		'\u202e right to left \u2066 isolate \u200b zero width \ufeff mark',
		Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(1 + i)).join(''),
		'\r\n\r\r\n\t\u0001\u001b[31m',
		'',
		'[[[['.repeat(2000),
		'> '.repeat(3000),
		'<!doctype html><title>mine</title><style>*{display:none}</style>',
		'{"__proto__": {"polluted": true}}',
		'__NONCE__ {{constructor.constructor("window.ran = true")()}}',
	];
	for (const mimeType of ['text/markdown', 'text/html', 'application/json', 'image/svg+xml', 'application/x-unknown']) {
		// How a text is read makes little difference to what it may break, so the other types get a few.
		for (const text of mimeType === 'text/markdown' ? texts : texts.slice(0, 3)) {
			const row = await ada.add('strange', {
				text,
				[`<b onclick="window.ran = true">${mimeType}`]: text.slice(0, 100),
			});
			const json = { table: 'strange', id: row.id, field: 'text', mimeType };
			const link = assertStatus(await ada.post('/v1/_text_field_links', json), 200);
			const opened = await open(link.viewer_url);
			await opened.page.locator('.cm-content').first().waitFor({ state: 'attached' });
			assert.equal(await opened.page.evaluate('window.ran'), undefined);
			assert.equal(await button(opened.page, 'Save').isEnabled(), false, 'nothing was changed by showing it');
			await close(opened);
			if (mimeType !== 'text/markdown') continue;
			const whole = assertStatus(await ada.post('/v1/_row_links', { table: 'strange', id: row.id }), 200);
			const asRow = await open(whole.viewer_url);
			await asRow.page.getByRole('textbox', { name: 'text', exact: true }).waitFor();
			assert.equal(await asRow.page.evaluate('window.ran'), undefined);
			assert.equal(await button(asRow.page, 'Save').isEnabled(), false);
			await close(asRow);
			await ada.del('/v1/strange', { filter: { id: row.id } });
		}
	}
	const query = assertStatus(await ada.post('/v1/_query_links', { table: 'strange' }), 200);
	const opened = await open(query.viewer_url);
	await opened.page.locator('tbody tr').first().waitFor();
	await button(opened.page, 'JSON').click();
	assert.equal(await opened.page.evaluate('window.ran'), undefined);
	await close(opened);
});

test('[7.2] [7.8] another origin can neither frame a page nor change anything through it', async () => {
	const row = await ada.add('notes', { text: 'safe' });
	const { viewer_url: url } = await rowLink(row);
	const attack = `<!doctype html><title>attack</title>
		<iframe id="frame" src="${url}"></iframe>
		<form id="form" method="post" enctype="text/plain" action="${url}/restore"><input name='{"version":1,"x":"' value='"}'></form>
		<script>
			const put = { method: 'PUT', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: '{"row":{}}' };
			const post = { method: 'POST', mode: 'no-cors', body: '{"version":1}' };
			window.results = Promise.allSettled([
				fetch('${url}/data', put), fetch('${url}/restore', post), fetch('${url}/data').then((r) => r.text()),
				fetch('${url}/file').then((r) => r.text()),
			]).then((all) => all.map(({ status, value }) => status + ' ' + (value?.type ?? value ?? '')));
		</script>`;
	const evil = createServer((_request, response) => {
		response.setHeader('content-type', 'text/html');
		response.end(attack);
	});
	await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
	try {
		await ada.post('/v1/notes/update_row', { id: row.id, patch: { text: 'newer' } });
		const page = await context.newPage();
		// Another site: "localhost" is not "127.0.0.1".
		await page.goto(`http://localhost:${(evil.address() as AddressInfo).port}/`);
		assert.deepEqual(await page.evaluate('window.results'), ['rejected ', 'rejected ', 'rejected ', 'rejected ']);
		const frame = page.frames().find((one) => one !== page.mainFrame());
		assert.match(frame!.url(), /^chrome-error:/);
		const [response] = await Promise.all([
			page.waitForResponse((one) => one.url().endsWith('/restore')),
			page.evaluate('document.getElementById("form").submit()'),
		]);
		assert.equal(response.status(), 403);
		await page.close();
		assert.equal((await live(row)).text, 'newer');
	} finally {
		evil.close();
		evil.closeAllConnections();
	}
});

test('a text is edited, saved and restored with the keyboard alone', async () => {
	const row = await ada.add('notes', { text: 'start' });
	const opened = await open((await textLink(row, 'text')).viewer_url);
	const { page } = opened;
	await editor(page, 'text, text').waitFor();
	const focused = () =>
		page.evaluate<string>(
			'(document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).slice(0, 60)',
		);
	const tabTo = async (name: string): Promise<void> => {
		for (let n = 0; n < 40; n++) {
			await page.keyboard.press('Tab');
			if ((await focused()) === name) return;
		}
		assert.fail(`Tab does not reach ${name}.`);
	};
	await tabTo('text, text');
	await page.keyboard.press('ControlOrMeta+A');
	await page.keyboard.type('typed');
	// Tab leaves the editor, as it leaves every field.
	await page.keyboard.press('Shift+Tab');
	assert.notEqual(await focused(), 'text, text');
	await page.keyboard.press('ControlOrMeta+S');
	await saved(page);
	assert.equal((await live(row)).text, 'typed');
	await tabTo('History');
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'Earlier versions' }).waitFor();
	await tabTo('Restore version 1');
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'Earlier versions' }).waitFor({ state: 'hidden' });
	assert.equal((await live(row)).text, 'start');
	await close(opened);
});

test('every page behind a link reads well in light, in dark and on a phone, and axe-core finds nothing', async () => {
	const eve = await signIn(server);
	const row = await eve.add('notes', {
		title: 'Trip to Lisbon',
		text: MARKDOWN,
		done: false,
		price: 12.5,
		tags: ['travel', { who: 'Ada' }],
		note: null,
	});
	await eve.post('/v1/notes/update_row', { id: row.id, patch: { done: true } });
	const operations = ['Lisbon', 'Zürich', 'Oslo', 'Porto'].flatMap((city, i) =>
		Array.from({ length: 6 }, (_, n) => ({
			action: 'add',
			row: {
				city,
				day: n + 1,
				booked: (n + i) % 3 === 0,
				note: n === 2 ? 'Ask for a room '.repeat(20) : 'fine',
				stops: [n, i],
			},
		})),
	);
	await eve.post('/v1/stays/batch', { operations });
	const links: Record<string, Any> = {
		text: (await eve.post('/v1/_text_field_links', { table: 'notes', id: row.id, field: 'text', filename: 'trip.md' }))
			.body,
		row: (await eve.post('/v1/_row_links', { table: 'notes', id: row.id })).body,
		query: (await eve.post('/v1/_query_links', { table: 'stays', sort: 'city' })).body,
	};
	for (const [screen, options] of Object.entries(SCREENS)) {
		const within = await browser.newContext(options);
		for (const [name, link] of Object.entries(links)) {
			const opened = await open(link.viewer_url, within);
			const { page } = opened;
			if (name === 'text') {
				await page.locator('.cm-content').first().waitFor({ state: 'attached' });
				await page.getByRole('region', { name: 'Rendered' }).getByRole('heading').first().waitFor();
			}
			assert.deepEqual(await axeFaults(page), [], `${name} ${screen}`);
			assert.equal(await overflows(page), false, `${name} ${screen}`);
			await shoot(page, `${name}-${screen}`);
			if (name === 'row') {
				await button(page, 'JSON').click();
				await page.locator('.cm-content').waitFor();
				assert.deepEqual(await axeFaults(page), [], `JSON ${screen}`);
				await shoot(page, `row-json-${screen}`);
				await button(page, 'History').click();
				await page.locator('.compare .cm-content').first().waitFor();
				assert.deepEqual(await axeFaults(page), [], `history ${screen}`);
				assert.equal(await overflows(page), false, `history ${screen}`);
				await shoot(page, `row-history-${screen}`);
			}
			await close(opened);
		}
		const fault = await open(`${server.url}/view/x`, within);
		await met(fault.watched, 404);
		await shoot(fault.page, `fault-${screen}`);
		await close(fault);
		await within.close();
	}
});

test('the first view of a page takes under 150 KB, and its files may be kept forever', async () => {
	const row = await ada.add('notes', { text: 'x' });
	const { viewer_url: url } = await textLink(row, 'text');
	const page = await context.newPage();
	const sizes: number[] = [];
	let loaded = false;
	page.on('response', (response) => {
		if (loaded) return;
		// As it is sent: compressed.
		sizes.push(Number(response.headers()['content-length']));
		if (!response.url().includes('/assets/')) return;
		assert.match(response.headers()['cache-control']!, /immutable/);
		assert.equal(response.headers()['x-content-type-options'], 'nosniff');
	});
	await page.goto(url, { waitUntil: 'load' });
	loaded = true;
	const sum = sizes.reduce((total, size) => total + size, 0);
	assert.ok(sizes.length >= 3 && sum > 5000 && sum < 150_000, `${sum} bytes in ${sizes.length} answers`);
	await page.close();
});
