import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, BrowserContextOptions, Dialog, Page } from 'playwright-core';
import { axeFaults, openBrowser, overflows, SCREENS, shoot, type Watch, watch } from './support/browser.ts';
import { type Client, clientWith, signIn } from './support/client.ts';
import { startClocked } from './support/in-process.ts';
import { startServer, type TestServer } from './support/server.ts';

const SCRIPT = '<script>globalThis.taken = 1</script><img src=x onerror="globalThis.taken = 1">';
/** Sets what follows right to left, where nothing keeps it in its place. */
const OVERRIDE = '\u202eevil';
const REFUSED = /Failed to load resource/;

let server: TestServer;
let browser: Browser;
let people = 0;

before(async () => {
	[server, browser] = await Promise.all([startServer(), openBrowser()]);
});
after(async () => {
	await browser.close();
	await server.stop();
});

interface Visit {
	readonly page: Page;
	readonly context: BrowserContext;
	readonly watched: Watch;
}

/** A window of a fresh browser profile, in which nothing may go wrong. */
async function visit(
	run: (visit: Visit) => Promise<void>,
	options: BrowserContextOptions = SCREENS.light,
): Promise<void> {
	const context = await browser.newContext({ ...options, permissions: ['clipboard-read', 'clipboard-write'] });
	try {
		const page = await context.newPage();
		const watched = await watch(page);
		await run({ page, context, watched });
		watched.check();
	} finally {
		await context.close();
	}
}

const freshEmail = (): string => `console-${++people}@example.com`;
const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });
const clipboard = (page: Page): Promise<string> => page.evaluate('navigator.clipboard.readText()');
/** What is in focus: its name, or its text. */
async function focused(page: Page): Promise<string> {
	const name: string = await page.evaluate(
		'document.activeElement.getAttribute("aria-label") ?? document.activeElement.innerText',
	);
	return name.trim().replaceAll(/\s+/g, ' ');
}

/** From the form to the page behind the link. */
async function followLink(page: Page, email: string, at: { url: string } = server): Promise<void> {
	await page.goto(`${at.url}/sign-in`);
	await page.getByLabel('Email address').fill(email);
	await button(page, 'Send a link').click();
	await page.getByRole('link', { name: 'Open the sign-in link' }).click();
	await heading(page, 'You are almost in').waitFor();
}

async function openConsole(page: Page, email: string, at: { url: string } = server): Promise<void> {
	await followLink(page, email, at);
	await button(page, 'Open the console').click();
	await heading(page, 'Memory').waitFor();
}

const open = (page: Page, route: string, at: { url: string } = server): Promise<unknown> =>
	page.goto(`${at.url}/console#/${route}`);
const field = (page: Page) => page.getByLabel('Members, as JSON');

/** Does the browser ask before the page is left? It stays. */
async function asksBeforeLeaving(page: Page): Promise<boolean> {
	let asked = false;
	const answer = (dialog: Dialog): void => {
		asked = dialog.type() === 'beforeunload';
		void dialog.dismiss();
	};
	page.once('dialog', answer);
	// Where nothing asks, the page is gone to again.
	await page.reload({ timeout: 3000 }).catch(() => {});
	page.off('dialog', answer);
	return asked;
}

/** An agent of the same account, with rows of every kind. */
async function agentOf(email: string): Promise<Client> {
	const agent = await signIn(server, email);
	for (let n = 0; n < 60; n++) {
		await agent.add('notes', { title: `Note ${n}`, done: n % 2 === 0, n, text: 'long '.repeat(n * 10) });
	}
	return agent;
}

/** What must hold of every page as it stands, on any screen. */
async function assertSound(page: Page, name: string): Promise<void> {
	assert.deepEqual(await axeFaults(page), [], name);
	assert.equal(await overflows(page), false, `${name} is wider than its window`);
	await shoot(page, name);
}

test('[10.2] signing in by the form and the link, then the console', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		await followLink(page, email);
		assert.match(page.url(), /token=/);
		await button(page, 'Open the console').click();
		await page.waitForURL(`${server.url}/console`);
		await page.getByText('Nothing is remembered yet').waitFor();
		assert.equal(await page.getByText(email).isVisible(), true);
		// The link is used up, and gone from the history.
		await page.goBack();
		await page.waitForURL(`${server.url}/sign-in`);
		assert.equal(await page.getByLabel('Email address').isVisible(), true);
		const cookies = await page.context().cookies();
		assert.deepEqual(
			cookies.map(({ name, httpOnly, sameSite, path }) => [name, httpOnly, sameSite, path]),
			[['pumadb_session', true, 'Strict', '/']],
		);
		assert.equal(await page.evaluate('document.cookie'), '');
	}));

test('[10.2] [6.1] a key is shown once, with what to do with it', () =>
	visit(async ({ page }) => {
		await followLink(page, freshEmail());
		await button(page, 'Get an API key').click();
		await heading(page, 'Your API key').waitFor();
		assert.equal(page.url(), `${server.url}/sign-in`);
		assert.equal(await focused(page), 'Your API key');
		const key = (await page.locator('code').first().innerText()).trim();
		assert.match(key, /^puma_live_[a-z0-9]+_[a-z0-9]+$/);
		await button(page, 'Copy API key').click();
		await page.getByText('Copied', { exact: true }).waitFor();
		assert.equal(await clipboard(page), key);
		const shown = await page.locator('main').innerText();
		for (const part of ['export PUMADB_API_KEY=', 'curl -H', 'Authorization: Bearer', server.url]) {
			assert.ok(shown.includes(part), part);
		}
		assert.equal((await clientWith(server, key).get('/v1/_tables')).status, 200);
		await page.reload();
		await page.getByLabel('Email address').waitFor();
		assert.ok(!(await page.content()).includes(key));
	}));

test('[10.2] used and unknown links are explained, and a new one can be asked for', () =>
	visit(async ({ page, context, watched }) => {
		const email = freshEmail();
		await followLink(page, email);
		const link = page.url();
		const second = await context.newPage();
		const secondWatched = await watch(second);
		await second.goto(link);
		await button(page, 'Get an API key').click();
		await heading(page, 'Your API key').waitFor();
		for (const name of ['Open the console', 'Get an API key']) {
			await second.goto(link);
			await button(second, name).click();
			await heading(second, 'This link was used already').waitFor();
			assert.equal(second.url(), `${server.url}/sign-in`);
		}
		await second.goto(`${server.url}/sign-in?token=${encodeURIComponent(SCRIPT)}`);
		await button(second, 'Open the console').click();
		await heading(second, 'This link is not known here').waitFor();
		secondWatched.expect(REFUSED);
		secondWatched.check();
		await second.getByLabel('Email address').fill(email);
		await button(second, 'Send a link').click();
		await second.getByRole('link', { name: 'Open the sign-in link' }).waitFor();
		// What is no address is refused in words.
		await page.goto(`${server.url}/sign-in`);
		await page.getByLabel('Email address').fill(`${'a'.repeat(65)}@example.com`);
		await button(page, 'Send a link').click();
		await page.getByText('This is not an email address').waitFor();
		watched.expect(REFUSED);
	}));

test('[10.2] a link works without script', async () => {
	const context = await browser.newContext({ javaScriptEnabled: false });
	try {
		const asked = await fetch(`${server.url}/auth/magic-link`, {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ email: freshEmail() }),
		});
		const page = await context.newPage();
		await page.goto(((await asked.json()) as { dev_magic_link: string }).dev_magic_link);
		await button(page, 'Get an API key').click();
		await heading(page, 'Your API key').waitFor();
		assert.match(await page.locator('code').first().innerText(), /^puma_live_/);
	} finally {
		await context.close();
	}
});

test('[10.3] without a session the console asks to sign in; signing out ends it', () =>
	visit(async ({ page, context, watched }) => {
		await page.goto(`${server.url}/console`);
		await page.getByText('Sign in to open the console.').waitFor();
		watched.expect(REFUSED);
		await openConsole(page, freshEmail());
		const session = (await context.cookies())[0]!;
		await button(page, 'Sign out').click();
		await page.getByText('You are signed out.').waitFor();
		assert.deepEqual(await context.cookies(), []);
		const kept = await fetch(`${server.url}/console/api/session`, {
			headers: { cookie: `${session.name}=${session.value}` },
		});
		assert.equal(kept.status, 401);
	}));

test('[10.4] usage, tables, and rows with filter, sort and pages', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await agentOf(email);
		await agent.add('gone', { n: 1 });
		await agent.del('/v1/gone', { filter: { n: 1 } });
		await openConsole(page, email);
		await page.getByText('only deleted rows').waitFor();
		assert.match(await page.getByLabel('Usage against the limits').innerText(), /1\s*of 20[\s\S]*KB\s*of 25 MB/);
		await page.getByRole('link', { name: 'notes' }).click();
		await page.getByText('60 rows').waitFor();
		assert.equal(await focused(page), 'notes');
		const titles = async (): Promise<string[]> =>
			(await page.locator('tbody td:nth-child(2)').allInnerTexts()).slice(0, 2);
		assert.deepEqual(await titles(), ['Note 0', 'Note 1']);
		assert.equal(await page.locator('tbody tr').count(), 50);
		// A long text is folded.
		assert.ok((await page.locator('tbody tr').nth(49).locator('td.text').nth(1).innerText()).length < 200);
		await button(page, 'Next').click();
		await page.getByText('51–60 of 60').waitFor();
		assert.deepEqual(await titles(), ['Note 50', 'Note 51']);
		await page.goBack();
		await page.getByText('1–50 of 60').waitFor();
		await page.getByRole('columnheader', { name: 'n', exact: true }).getByRole('button').click();
		await page.getByRole('columnheader', { name: 'n', exact: true }).getByRole('button').click();
		await page.locator('th[aria-sort="descending"]').waitFor();
		await page.locator('tbody tr').first().getByText('Note 59').waitFor();
		await page.getByLabel('Member', { exact: true }).fill('done');
		await page.getByLabel('Value', { exact: true }).fill('true');
		await page.keyboard.press('Enter');
		await page.getByText('30 matching rows').waitFor();
		assert.deepEqual(await titles(), ['Note 58', 'Note 56']);
		await page.getByLabel('Member', { exact: true }).fill('n');
		await page.getByLabel('Value', { exact: true }).fill('"58"');
		await page.keyboard.press('Enter');
		await page.getByText('No row matches.').waitFor();
		await button(page, 'Remove the condition on n').click();
		await page.getByText('30 matching rows').waitFor();
		await page.reload();
		await page.getByText('30 matching rows').waitFor();
	}));

test('[10.4] [5.1] a row is read, edited, compared and restored', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const big = '1152921504606846976';
		const added = await agent.call('POST', '/v1/notes', {
			body: `{"title":"First","text":"one\\ntwo\\nthree","big":${big},"deep":{"a":[1,null]}}`,
			headers: { 'content-type': 'application/json' },
		});
		const id: string = added.body.id;
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await page.getByText('one\ntwo\nthree').waitFor();
		await button(page, 'Edit').click();
		const field = page.getByLabel('Members, as JSON');
		const text = await field.inputValue();
		assert.ok(text.includes(big), text);
		// What is no JSON is shown where it is.
		await field.fill(text.replace('"First",', '"First"'));
		await button(page, 'Save').click();
		await page.getByText(/Line 3 is not valid JSON/).waitFor();
		assert.equal(
			await field.evaluate((area) => (area as unknown as { selectionStart: number }).selectionStart > 20),
			true,
		);
		await field.fill(
			text.replace('"First"', '"Second"').replace('two', '2').replace('[1,', `[${big},`).replace('1,\n', `${big},\n`),
		);
		await page.keyboard.press('ControlOrMeta+s');
		await page.getByText('Saved. The version before is below.').waitFor();
		const answered = (await agent.get('/v1/notes')).text;
		assert.ok(answered.includes('"title":"Second","text":"one\\n2\\nthree"'), answered);
		assert.equal(answered.split(big).length, 3, answered);
		await button(page, 'Compare at version 1').click();
		const changes = await page.locator('.changes').innerText();
		for (const part of ['title', '"First"', '"Second"', 'two']) assert.ok(changes.includes(part), changes);
		await button(page, 'Restore version 1').click();
		await page.getByText('Restored. The version before is below.').waitFor();
		assert.equal((await agent.rows('notes'))[0].title, 'First');
		await heading(page, 'Version 2').waitFor();
	}));

test('[10.4] a member that is taken out is gone', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { a: 1, b: 2 });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		await field(page).fill('{"a": 5}');
		await button(page, 'Save').click();
		await page.getByText('Saved. The version').waitFor();
		const [row] = await agent.rows('notes');
		assert.deepEqual([row.a, 'b' in row], [5, false]);
	}));

test('[10.4] what was changed meanwhile is seen where its stamp stood still', async () => {
	const clocked = await startClocked();
	try {
		await visit(async ({ page, watched }) => {
			const email = freshEmail();
			const agent = await signIn(clocked, email);
			clocked.advance(3_600_000);
			await openConsole(page, email, clocked);
			const { id, updated_at } = await agent.add('notes', { text: 'start' });
			clocked.advance(-3_600_000);
			await open(page, `tables/notes/${id}`, clocked);
			await button(page, 'Edit').click();
			await field(page).fill('{"text": "mine"}');
			await agent.post('/v1/notes/update_row', { id, patch: { text: 'theirs' } });
			await button(page, 'Save').click();
			await heading(page, 'The row was changed meanwhile').waitFor();
			watched.expect(REFUSED);
			await button(page, 'Keep theirs').click();
			await button(page, 'Throw it away').click();
			await page.locator('.members').getByText('theirs').waitFor();
			await agent.post('/v1/notes/update_row', { id, patch: { text: 'unseen' } });
			await button(page, 'Delete').click();
			await page.getByText('The row was changed meanwhile, so it was not deleted.').waitFor();
			const [row] = await agent.rows('notes');
			assert.deepEqual([row.text, row.updated_at], ['unseen', updated_at]);
		});
	} finally {
		await clocked.stop();
	}
});

test('[10.4] what was changed meanwhile does not give way to an earlier version unseen', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'first' });
		await agent.post('/v1/notes/update_row', { id, patch: { text: 'second' } });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await heading(page, 'Version 1').waitFor();
		await agent.post('/v1/notes/update_row', { id, patch: { text: 'unseen' } });
		await button(page, 'Restore version 1').click();
		await page.getByText('The row was changed meanwhile, so it was not restored.').waitFor();
		watched.expect(REFUSED);
		await page.locator('.members').getByText('unseen').waitFor();
		assert.equal((await agent.rows('notes'))[0].text, 'unseen');
		// A row that came back and was changed is no deleted one any more.
		await button(page, 'Delete').click();
		await page.getByText('The row is deleted.').waitFor();
		await heading(page, 'Version 3').waitFor();
		await agent.post('/v1/notes/restore', { id, version: 1 });
		await button(page, 'Undo').click();
		await page.getByText('The row was changed meanwhile, so it was not restored.').waitFor();
		watched.expect(REFUSED);
		assert.equal((await agent.rows('notes'))[0].text, 'first');
	}));

test('[10.4] what is typed while a save is on its way stays, not saved yet', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'start' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		await field(page).fill('{"text": "one"}');
		let held = Promise.withResolvers<void>();
		await page.route('**/console/api/**', async (route) => {
			if (route.request().method() !== 'GET') await held.promise;
			await route.continue();
		});
		await page.keyboard.press('ControlOrMeta+s');
		await button(page, 'Saving…').waitFor();
		await page.keyboard.press('ControlOrMeta+End');
		await page.keyboard.press('ArrowLeft');
		await page.keyboard.type(', "more": 2');
		held.resolve();
		await page.getByText('Saved, but for what you typed since.').waitFor();
		await page.keyboard.type('2');
		assert.equal(await field(page).inputValue(), '{"text": "one", "more": 22}');
		await page.getByText('Not saved yet').waitFor();
		assert.equal((await agent.rows('notes'))[0].text, 'one');
		await page.keyboard.press('ControlOrMeta+s');
		await page.getByText('Saved. The version').waitFor();
		assert.equal((await agent.rows('notes'))[0].more, 22);
		// What arrives after its page was left is no draft any more.
		held = Promise.withResolvers<void>();
		await button(page, 'Edit').click();
		await field(page).fill('{"text": "left"}');
		await button(page, 'Save').click();
		await button(page, 'Saving…').waitFor();
		await page.getByRole('link', { name: 'Keys' }).click();
		await heading(page, 'Keys').waitFor();
		const saved = page.waitForResponse((response) => response.request().method() === 'PUT');
		held.resolve();
		await (await saved).finished();
		await page.goBack();
		await page.locator('.members').getByText('left').waitFor();
		assert.equal(await field(page).count(), 0);
	}));

test('[10.4] what was done is not told beside what failed later', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'start' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		await field(page).fill('{"text": "one"}');
		await button(page, 'Save').click();
		await page.getByText('Saved. The version').waitFor();
		await button(page, 'Edit').click();
		assert.equal(await page.locator('.notice.good').count(), 0);
		await field(page).fill('{"text"');
		await button(page, 'Save').click();
		await page.getByText(/is not valid JSON/).waitFor();
		assert.equal(await page.locator('.notice.good').count(), 0);
		await button(page, 'Discard').click();
		await open(page, 'keys');
		await button(page, /^Revoke/).click();
		await button(page, 'Revoke the key').click();
		await page.getByText('It does not work any more.').waitFor();
		await page.getByLabel('Name, so that you know it again').fill(' ');
		await button(page, 'Make a key').click();
		await page.locator('.notice.bad').waitFor();
		watched.expect(REFUSED);
		assert.equal(await page.locator('.notice.good').count(), 0);
	}));

test('[10.5] when another tab signs in as somebody else, this one says so and shows nothing of theirs', () =>
	visit(async ({ page, context, watched }) => {
		const [mine, theirs] = [freshEmail(), freshEmail()];
		await (await signIn(server, mine)).add('notes', { text: 'of mine' });
		await (await signIn(server, theirs)).add('notes', { text: 'secret of theirs' });
		await openConsole(page, mine);
		await page.getByRole('link', { name: 'notes' }).waitFor();
		await openConsole(await context.newPage(), theirs);
		const words = page.getByText(`Another tab has signed in as ${theirs}.`);
		for (const to of ['tables/notes', 'keys', 'tables/notes?sort=-text']) {
			await open(page, to);
			await words.waitFor();
			watched.expect(REFUSED);
			assert.ok(!(await page.content()).includes('secret'));
		}
		let downloads = 0;
		page.on('download', () => downloads++);
		await open(page, 'account');
		await button(page, 'Download the export').click();
		await words.waitFor();
		watched.expect(REFUSED);
		assert.equal(downloads, 0);
		await assertSound(page, 'console-other-account');
		await button(page, 'Reload the page').click();
		await page.locator('.who').getByText(theirs).waitFor();
		await open(page, 'tables/notes');
		await page.getByText('secret of theirs').waitFor();
	}));

test('[10.4] what is nested too deep is told, and the text stays', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { a: 1 });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		const nested = (levels: number): string =>
			`{"a": "[\\"[", "deep":\n${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;
		for (const levels of [65, 1000, 20_000]) {
			await field(page).fill(nested(levels));
			await button(page, 'Save').click();
			await page.getByText('Line 2 is nested too deep: a row may have arrays and objects in 64 levels.').waitFor();
			assert.equal(await field(page).inputValue(), nested(levels));
			await button(page, 'Discard').click();
			await button(page, 'Take it back').click();
			assert.equal(await field(page).inputValue(), nested(levels));
		}
		// The service takes what the page takes, and no more.
		const sent = await agent.call('POST', '/v1/notes/update_row', {
			body: `{"id":"${id}","patch":${nested(65)}}`,
			headers: { 'content-type': 'application/json' },
		});
		assert.equal(sent.body.error.code, 'nesting_too_deep');
		await field(page).fill(nested(64));
		await button(page, 'Save').click();
		await page.getByText('Saved. The version').waitFor();
		watched.check();
	}));

test('[10.4] what turns the direction of text is shown as what it is, wherever stored text is', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: `${OVERRIDE} one`, [OVERRIDE]: [OVERRIDE] });
		await agent.post('/v1/notes/update_row', { id, patch: { [OVERRIDE]: [] } });
		await agent.post('/v1/_keys', { name: OVERRIDE });
		await openConsole(page, email);
		const assertUnturned = async (): Promise<void> => {
			const text: string = await page.evaluate('document.title + document.getElementById("content").innerText');
			assert.ok(text.includes('⟨U+202E⟩evil') && !text.includes('\u202e'), text);
		};
		await open(page, 'tables/notes');
		await page.getByText('1 row', { exact: true }).waitFor();
		await assertUnturned();
		await open(page, `tables/notes/${id}`);
		await button(page, 'Compare at version 1').click();
		await assertUnturned();
		await button(page, 'Edit').click();
		await field(page).fill(JSON.stringify({ text: `${OVERRIDE} mine` }));
		await agent.post('/v1/notes/update_row', { id, patch: { text: `${OVERRIDE} theirs` } });
		await button(page, 'Save').click();
		await heading(page, 'The row was changed meanwhile').waitFor();
		watched.expect(REFUSED);
		await assertUnturned();
		const sides = page.locator('.sides');
		assert.equal((await sides.innerText()).split('⟨U+202E⟩').length, 4);
		await button(page, 'Keep mine').click();
		await page.getByText('Saved. The version').waitFor();
		// What is shown is not what is stored.
		assert.equal((await agent.rows('notes'))[0].text, `${OVERRIDE} mine`);
		await open(page, 'keys');
		await page.getByLabel('Live keys').waitFor();
		await assertUnturned();
		await open(page, `tables/notes/${encodeURIComponent(OVERRIDE)}`);
		await page.getByText('There is no row with this id here').waitFor();
		watched.expect(REFUSED);
		await assertUnturned();
	}));

test('[10.4] what the service refuses is told in its words, and the text stays', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { a: 1 });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		const field = page.getByLabel('Members, as JSON');
		for (const number of ['9007199254740993', '1e999', '1e-999']) {
			await field.fill(`{"a": ${number}}`);
			await button(page, 'Save').click();
			await page.getByRole('alert').filter({ hasText: 'number' }).waitFor();
			watched.expect(REFUSED);
			assert.equal(await field.inputValue(), `{"a": ${number}}`);
		}
		await field.fill('{"a": 1, "id": "mine"}');
		await button(page, 'Save').click();
		await page.getByRole('alert').filter({ hasText: '"id"' }).waitFor();
		watched.expect(REFUSED);
		assert.equal((await agent.rows('notes'))[0].a, 1);
	}));

test('[10.4] two browsers edit one row: neither text is lost', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'start', n: 1 });
		await openConsole(page, email);
		await visit(async ({ page: other }) => {
			await openConsole(other, email);
			for (const [window, text] of [
				[page, 'mine'],
				[other, 'theirs'],
			] as const) {
				await open(window, `tables/notes/${id}`);
				await button(window, 'Edit').click();
				await window.getByLabel('Members, as JSON').fill(`{"text": "${text}", "n": 1}`);
			}
			await button(other, 'Save').click();
			await other.getByText('Saved. The version').waitFor();
		});
		await button(page, 'Save').click();
		await heading(page, 'The row was changed meanwhile').waitFor();
		watched.expect(REFUSED);
		assert.equal(await focused(page), 'The row was changed meanwhile');
		const sides = await page.locator('.sides').innerText();
		assert.ok(sides.includes('"mine"') && sides.includes('"theirs"'), sides);
		assert.equal((await agent.rows('notes'))[0].text, 'theirs');
		await assertSound(page, 'console-conflict');
		await button(page, 'Keep theirs').click();
		await page.getByText('Your text was put aside.').waitFor();
		await page.getByRole('link', { name: 'Keys' }).click();
		await heading(page, 'Keys').waitFor();
		assert.equal(await asksBeforeLeaving(page), true);
		await page.goBack();
		await button(page, 'Take it back').click();
		assert.equal(await field(page).inputValue(), '{"text": "mine", "n": 1}');
		await button(page, 'Save').click();
		await button(page, 'Keep mine').click();
		await page.getByText('Saved. The version').waitFor();
		watched.expect(REFUSED);
		assert.equal((await agent.rows('notes'))[0].text, 'mine');
		await button(page, 'Compare at version 2').click();
		assert.match(await page.locator('.changes').innerText(), /"theirs"[\s\S]*"mine"/);
	}));

test('[10.4] a row deleted meanwhile comes back with the edit', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'start' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		await page.getByLabel('Members, as JSON').fill('{"text": "mine"}');
		await agent.del('/v1/notes', { filter: { id } });
		await button(page, 'Save').click();
		await heading(page, 'The row was deleted meanwhile').waitFor();
		watched.expect(REFUSED);
		await button(page, 'Bring the row back').click();
		await button(page, 'Keep mine').click();
		await page.getByText('Saved. The version').waitFor();
		assert.deepEqual(
			(await agent.rows('notes')).map((row) => [row.id, row.text]),
			[[id, 'mine']],
		);
	}));

test('[10.4] an edit waits while its person looks elsewhere in the console', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'start' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		await page.getByLabel('Members, as JSON').fill('{"text": "half"}');
		await page.getByRole('link', { name: 'Keys' }).click();
		await heading(page, 'Keys').waitFor();
		// The window is not closed without a question.
		const asked = new Promise<string>((resolve) =>
			page.once('dialog', (dialog) => {
				resolve(dialog.type());
				void dialog.dismiss();
			}),
		);
		await page.evaluate('location.reload()');
		assert.equal(await asked, 'beforeunload');
		await page.goBack();
		assert.equal(await page.getByLabel('Members, as JSON').inputValue(), '{"text": "half"}');
		await button(page, 'Save').click();
		await page.getByText('Saved. The version').waitFor();
		assert.equal((await agent.rows('notes'))[0].text, 'half');
	}));

test('[10.4] [5.5] a deleted row comes back with Undo, or later by its id', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'kept' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Delete').click();
		await page.getByText('The row is deleted.').waitFor();
		assert.deepEqual(await agent.rows('notes'), []);
		await page.keyboard.press('Tab');
		assert.equal(await focused(page), 'Undo');
		await page.keyboard.press('Enter');
		await page.getByText('Restored. The version').waitFor();
		assert.equal((await agent.rows('notes'))[0].text, 'kept');
		await button(page, 'Delete').click();
		await page.getByText('The row is deleted.').waitFor();
		await open(page, 'tables/notes');
		await page.getByText('Open a row by its id').click();
		await page.getByLabel('Row id').fill(id);
		await button(page, 'Open').click();
		await page.getByText('This row is deleted.').waitFor();
		await button(page, /^Look at version/)
			.first()
			.click();
		await page.getByText('kept').waitFor();
		await button(page, /^Restore version/)
			.first()
			.click();
		await page.getByText('Restored. The version').waitFor();
		assert.equal((await agent.rows('notes'))[0].text, 'kept');
		// The row is asked for where there is none.
		watched.expect(REFUSED);
	}));

test('[10.4] what was changed meanwhile is not deleted unseen', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'seen' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Delete').waitFor();
		await agent.post('/v1/notes/update_row', { id, patch: { text: 'unseen' } });
		await button(page, 'Delete').click();
		await page.getByText('The row was changed meanwhile, so it was not deleted.').waitFor();
		await page.getByText('unseen').waitFor();
		await button(page, 'Delete').click();
		await page.getByText('The row is deleted.').waitFor();
		assert.deepEqual(await agent.rows('notes'), []);
		await heading(page, 'Version 2').waitFor();
		watched.expect(REFUSED);
	}));

test('[10.4] too many calls are told in words', async () => {
	const limited = await startServer({ PUMADB_SIGN_INS_PER_HOUR: '0', PUMADB_READS_PER_MINUTE: '3' });
	try {
		await visit(async ({ page, watched }) => {
			await page.goto(`${limited.url}/sign-in`);
			await page.getByLabel('Email address').fill(freshEmail());
			await button(page, 'Send a link').click();
			await page.getByRole('link', { name: 'Open the sign-in link' }).click();
			await button(page, 'Open the console').click();
			await page.getByText('3 reads a minute').waitFor();
			for (const name of ['Keys', 'Memory', 'Keys', 'Memory']) {
				await page.getByRole('link', { name, exact: true }).click();
				await heading(page, name).waitFor();
			}
			await page.getByText('This session made its 3 reads of this minute.').waitFor();
			watched.expect(REFUSED);
		});
	} finally {
		await limited.stop();
	}
});

test('[10.4] stored texts of any kind are text', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const hostile = {
			html: SCRIPT,
			link: 'javascript:globalThis.taken=1',
			rtl: OVERRIDE,
			line: 'x'.repeat(60_000),
			binary: '\u0001\u0007\u001b[31m\ufffe\uffff',
			[SCRIPT]: 1,
			['__proto__']: { constructor: SCRIPT },
			constructor: 'c',
			toString: null,
			'-dash': [1, [2, { '': undefined }]],
		};
		const { id } = await agent.add('notes', hostile);
		await agent.post('/v1/notes/update_row', { id, patch: { html: `${SCRIPT}2`, rtl: `${OVERRIDE}2` } });
		await agent.post('/v1/_keys', { name: '<script>globalThis.taken = 1</script>' });
		await openConsole(page, email);
		await open(page, 'tables/notes');
		await page.getByText('1 row', { exact: true }).waitFor();
		await assertSound(page, 'console-hostile-table');
		await open(page, `tables/notes/${id}`);
		await button(page, 'Compare at version 1').click();
		await assertSound(page, 'console-hostile-row');
		assert.ok((await page.locator('.members').innerText()).includes(SCRIPT));
		await button(page, 'Show all 60,000 characters').click();
		await button(page, 'Edit').click();
		const field = page.getByLabel('Members, as JSON');
		await field.fill((await field.inputValue()).replace('"c"', '"d"'));
		await button(page, 'Save').click();
		await page.getByText('Saved. The version').waitFor();
		const [row] = await agent.rows('notes');
		assert.equal(row.constructor, 'd');
		assert.deepEqual(
			Object.keys(row),
			['id', ...Object.keys(hostile), '__proto__', 'created_at', 'updated_at'].filter(
				(name, at, all) => all.indexOf(name) === at,
			),
		);
		await open(page, 'keys');
		await heading(page, '<script>').waitFor();
		for (const route of ['tables/%zz', `tables/${encodeURIComponent(SCRIPT)}`, `nowhere/${SCRIPT}`]) {
			await open(page, route);
			await page.locator('h1').waitFor();
		}
		assert.equal(await page.evaluate(`'taken' in globalThis`), false);
	}).catch((error: Error) => {
		// A table name that is none is refused, which Chromium writes to the console.
		const lines = error.message.split('\n').slice(1);
		if (lines.length === 0 || lines.some((line) => !REFUSED.test(line))) throw error;
	}));

test('[10.4] [6.7] keys are made, shown once, listed and revoked', () =>
	visit(async ({ page }) => {
		await openConsole(page, freshEmail());
		await page.getByRole('link', { name: 'Keys' }).click();
		await page.getByText('There is no live key.').waitFor();
		await page.getByLabel('Name, so that you know it again').fill('laptop agent');
		await button(page, 'Make a key').click();
		await heading(page, 'Your new key').waitFor();
		assert.equal(await focused(page), 'Your new key');
		await button(page, 'Copy API key').click();
		await page.getByText('Copied', { exact: true }).waitFor();
		const key = await clipboard(page);
		const agent = clientWith(server, key);
		assert.equal((await agent.get('/v1/_tables')).status, 200);
		// It stays until its person is done with it.
		await page.getByRole('link', { name: 'Memory' }).click();
		await heading(page, 'Memory').waitFor();
		assert.equal(await asksBeforeLeaving(page), true);
		await page.getByRole('link', { name: 'Keys' }).click();
		await page.getByText(key, { exact: true }).waitFor();
		await button(page, 'I have copied it').click();
		assert.equal(await asksBeforeLeaving(page), false);
		assert.ok(!(await page.content()).includes(key));
		const list = page.getByLabel('Live keys');
		assert.match(await list.innerText(), new RegExp(`laptop agent\\s+${key.slice(0, 30)}[\\s\\S]*Made`));
		await button(page, 'Revoke laptop agent').click();
		await page.keyboard.press('Escape');
		assert.equal(await focused(page), 'Revoke laptop agent');
		assert.equal((await agent.get('/v1/_tables')).status, 200);
		await button(page, 'Revoke laptop agent').click();
		await assertSound(page, 'console-revoke');
		await button(page, 'Revoke the key').click();
		await page.getByText('“laptop agent” is revoked.').waitFor();
		assert.equal((await agent.get('/v1/_tables')).status, 401);
		await page.getByText('Revoked keys (1)').click();
		await page.getByLabel('Revoked keys').getByText('laptop agent').waitFor();
	}));

test('[10.4] the export is a file', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		await agent.add('notes', { text: 'exported' });
		await openConsole(page, email);
		await page.getByRole('link', { name: 'Account' }).click();
		const [download] = await Promise.all([page.waitForEvent('download'), button(page, 'Download the export').click()]);
		assert.match(download.suggestedFilename(), /^pumadb-\d{4}-\d\d-\d\d\.json$/);
		const stream = await download.createReadStream();
		const text = Buffer.concat(await stream.toArray()).toString();
		assert.equal(JSON.parse(text).tables.notes[0].text, 'exported');
	}));

test('[10.6] erasing asks twice', () =>
	visit(async ({ page }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		await agent.add('notes', { text: 'erased' });
		await openConsole(page, email);
		await page.getByRole('link', { name: 'Account' }).click();
		await button(page, 'Erase the account…').click();
		const typed = page.getByRole('dialog').getByRole('textbox');
		await typed.fill('other@example.com');
		assert.equal(await button(page, 'Go on').isDisabled(), true);
		await typed.fill(email);
		await button(page, 'Go on').click();
		await heading(page, 'Erase everything now?').waitFor();
		assert.equal(await focused(page), 'Keep my account');
		await assertSound(page, 'console-erase');
		await page.keyboard.press('Enter');
		assert.equal((await agent.get('/v1/notes')).status, 200);
		await button(page, 'Erase the account…').click();
		await typed.fill(email.toUpperCase());
		await page.keyboard.press('Enter');
		await button(page, 'Erase everything').click();
		await page.getByText('Your account is erased.').waitFor();
		assert.equal((await agent.get('/v1/notes')).status, 401);
	}));

test('[10.3] a session that ends while somebody types loses nothing', () =>
	visit(async ({ page, context, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		const { id } = await agent.add('notes', { text: 'start' });
		await openConsole(page, email);
		await open(page, `tables/notes/${id}`);
		await button(page, 'Edit').click();
		await page.getByLabel('Members, as JSON').fill('{"text": "typed long"}');
		await context.clearCookies();
		await button(page, 'Save').click();
		await page.getByText('Your session has ended.').waitFor();
		watched.expect(REFUSED);
		// The session of another tab has another token, which the page then asks for.
		const other = await context.newPage();
		await openConsole(other, email);
		await button(page, 'Save').click();
		await page.getByText('Saved. The version').waitFor();
		watched.expect(REFUSED);
		assert.equal((await agent.rows('notes'))[0].text, 'typed long');
	}));

test('[10.5] a page of another origin can neither change nor frame nor read', () =>
	visit(async ({ page, context }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		await agent.add('notes', { text: 'mine' });
		await openConsole(page, email);
		const evil = await context.newPage();
		const attack = `${server.url.replace('127.0.0.1', 'localhost')}/attack`;
		await evil.route(attack, (route) =>
			route.fulfill({
				contentType: 'text/html',
				body: `<!doctype html><title>attack</title>
					<iframe id="frame" src="${server.url}/console"></iframe>
					<form method="post" enctype="text/plain" action="${server.url}/console/api/v1/notes"><input name='{"a":"' value='"}'></form>`,
			}),
		);
		await evil.goto(attack);
		const tries = await evil.evaluate(`(async () => {
			const attempt = async (path, init) => {
				try { return (await fetch('${server.url}/console/api' + path, { credentials: 'include', ...init })).status; }
				catch { return 'refused'; }
			};
			const body = JSON.stringify({ filter: { text: 'mine' } });
			return [
				await attempt('/session', {}),
				await attempt('/v1/notes', { method: 'DELETE', body, headers: { 'content-type': 'application/json' } }),
				await attempt('/sign-out', { method: 'POST', mode: 'no-cors' }),
				await attempt('/v1/notes', { method: 'POST', mode: 'no-cors', body: '{"a":1}' }),
			];
		})()`);
		assert.deepEqual((tries as unknown[]).slice(0, 2), ['refused', 'refused']);
		assert.equal(
			evil.frames().some((frame) => frame.url().startsWith(`${server.url}/console`)),
			false,
		);
		await Promise.all([evil.waitForURL(/\/console\/api\/v1\/notes/), evil.evaluate('document.forms[0].submit()')]);
		assert.ok((await evil.content()).includes('cross_origin_request'));
		assert.deepEqual((await agent.rows('notes')).length, 1);
		await page.reload();
		await page.getByRole('link', { name: 'notes' }).waitFor();
	}));

test('everything is done by keyboard alone: sign in, find a row, edit, delete, undo', () =>
	visit(async ({ page, watched }) => {
		const email = freshEmail();
		const agent = await signIn(server, email);
		await agent.add('notes', { text: 'start' });
		/** Tabs until what is in focus has the name. */
		const tabTo = async (name: string): Promise<void> => {
			for (let n = 0; n < 30; n++) {
				await page.keyboard.press('Tab');
				if ((await focused(page)) === name) return;
			}
			assert.fail(`Tab does not lead to ${name}`);
		};
		const press = async (name: string): Promise<void> => {
			await tabTo(name);
			await page.keyboard.press('Enter');
		};
		await page.goto(`${server.url}/sign-in`);
		await heading(page, 'Sign in').waitFor();
		await page.keyboard.press('Tab');
		await page.keyboard.press('Tab');
		await page.keyboard.type(email);
		await page.keyboard.press('Enter');
		await heading(page, 'Look into your mail').waitFor();
		await press('Open the sign-in link');
		await heading(page, 'You are almost in').waitFor();
		await press('Open the console');
		await page.getByRole('link', { name: 'notes' }).waitFor();
		await press('Skip to the content');
		await press('notes');
		await page.getByText('1 row', { exact: true }).waitFor();
		await tabTo('Rows of notes');
		const id: string = (await agent.rows('notes'))[0].id;
		await press(`…${id.slice(-8)}`);
		await heading(page, 'Members').waitFor();
		await press('Edit');
		await page.keyboard.press('ControlOrMeta+a');
		await page.keyboard.type('{"text": "typed"}');
		await page.keyboard.press('ControlOrMeta+s');
		await page.getByText('Saved. The version').waitFor();
		await press('Delete');
		await page.getByText('The row is deleted.').waitFor();
		await press('Undo');
		await page.getByText('Restored. The version').waitFor();
		assert.equal((await agent.rows('notes'))[0].text, 'typed');
		watched.expect(REFUSED);
	}));

for (const [screen, options] of Object.entries(SCREENS)) {
	test(`every page is sound, in words and looks: ${screen}`, () =>
		visit(async ({ page }) => {
			const email = freshEmail();
			const agent = await agentOf(email);
			const row = await agent.add('people', {
				name: 'Grace Hopper',
				born: 1906,
				notes: 'Wrote\nthe first\ncompiler',
				tags: ['navy', 'COBOL'],
			});
			await agent.post('/v1/people/update_row', {
				id: row.id,
				patch: { notes: 'Wrote\na first\ncompiler, A-0', born: 1906.5 },
			});
			await page.goto(`${server.url}/sign-in`);
			await heading(page, 'Sign in').waitFor();
			await assertSound(page, `sign-in-${screen}`);
			await followLink(page, email);
			await assertSound(page, `sign-in-link-${screen}`);
			await button(page, 'Get an API key').click();
			await heading(page, 'Your API key').waitFor();
			await assertSound(page, `sign-in-key-${screen}`);
			await openConsole(page, email);
			await page.getByRole('link', { name: 'people' }).waitFor();
			await assertSound(page, `console-${screen}`);
			await open(page, 'tables/notes?filter=%7B%22done%22%3Atrue%7D&sort=-n');
			await page.getByText('30 matching rows').waitFor();
			await assertSound(page, `console-table-${screen}`);
			await open(page, `tables/people/${row.id}`);
			await button(page, 'Compare at version 1').click();
			await assertSound(page, `console-row-${screen}`);
			await button(page, 'Edit').click();
			await page.getByLabel('Members, as JSON').fill('{"name": "Grace"');
			await button(page, 'Save').click();
			await page.getByText(/is not valid JSON/).waitFor();
			await assertSound(page, `console-edit-${screen}`);
			await button(page, 'Discard').click();
			await open(page, 'keys');
			await heading(page, 'Make a key').waitFor();
			await page.getByLabel('Live keys').waitFor();
			await assertSound(page, `console-keys-${screen}`);
			await open(page, 'account');
			await heading(page, 'Export').waitFor();
			await assertSound(page, `console-account-${screen}`);
		}, options));
}

test('the first view takes less than 150 KB', () =>
	visit(async ({ page }) => {
		await openConsole(page, freshEmail());
		let bytes = 0;
		const session = await page.context().newCDPSession(page);
		await session.send('Network.enable');
		session.on('Network.loadingFinished', ({ encodedDataLength }) => {
			bytes += encodedDataLength;
		});
		await session.send('Network.setCacheDisabled', { cacheDisabled: true });
		await page.reload();
		await page.getByText('Nothing is remembered yet').waitFor();
		assert.ok(bytes > 5000 && bytes < 150_000, String(bytes));
	}));
