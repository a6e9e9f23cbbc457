import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Any, clientWith, codeOf, send, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { sendRaw } from './support/raw-http.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';

const MINUTE_MS = 60_000;
const HOSTILE = '"><script>alert(1)</script><b a=\'';

let server: ClockedServer;

before(async () => {
	server = await startClocked();
});
after(() => server.stop());

const ask = (email: unknown): Promise<Answer> => send(server.url, 'POST', '/auth/magic-link', { json: { email } });
const verify = (token: unknown): Promise<Answer> => send(server.url, 'POST', '/auth/verify', { json: { token } });

async function linkFor(email: string): Promise<URL> {
	return new URL(assertStatus(await ask(email), 200).dev_magic_link);
}
async function tokenFor(email: string): Promise<string> {
	return (await linkFor(email)).searchParams.get('token')!;
}

/** Pages are no part of the contract, so they are fetched plainly. */
/** What a browser gets; a form comes from a page of this server, unless `origin` says another. */
async function page(
	method: string,
	path: string,
	form?: Record<string, string>,
	origin = server.url,
): Promise<Response & { html: string }> {
	const response = await fetch(server.url + path, {
		method,
		redirect: 'manual',
		...(form === undefined ? {} : { body: new URLSearchParams(form), headers: { origin } }),
	});
	return Object.assign(response, { html: await response.text() });
}
const keyIn = (html: string): string | undefined => /puma_live_[a-z0-9_]+/.exec(html)?.[0];

test('[6.1] [6.2] a magic link carries its token and makes an API key', async () => {
	const email = 'first@example.com';
	const asked = await ask(email);
	const { ok, expires_at, dev_magic_link } = assertStatus(asked, 200);
	assert.equal(ok, true);
	const lives = Date.parse(expires_at) - Date.now();
	assert.ok(lives > 14 * MINUTE_MS && lives <= 15 * MINUTE_MS);
	const link = new URL(dev_magic_link);
	assert.equal(link.origin, server.url);
	assert.deepEqual([...link.searchParams.keys()], ['token']);
	const token = link.searchParams.get('token')!;
	assert.match(token, /^[A-Za-z0-9_-]{27,}$/);
	const { api_key, account_id } = assertStatus(await verify(token), 200);
	assertStatus(await clientWith(server, api_key, account_id).get('/v1/_tables'), 200);
});

test('[6.1] a link works once', async () => {
	const token = await tokenFor('once@example.com');
	assertStatus(await verify(token), 200);
	assertRefused(await verify(token), 401, 'invalid_magic_link');
	const racing = await tokenFor('racing@example.com');
	const answers = await Promise.all(Array.from({ length: 10 }, () => verify(racing)));
	assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [200, ...Array(9).fill(401)]);
});

test('[6.1] a link lives 15 minutes', async () => {
	const email = 'minutes@example.com';
	const [used, late] = [await tokenFor(email), await tokenFor(email)];
	server.advance(14 * MINUTE_MS);
	assertStatus(await verify(used), 200);
	server.advance(MINUTE_MS);
	assertRefused(await verify(late), 401, 'invalid_magic_link');
	const expired = await page('POST', '/sign-in', { token: late });
	assert.equal(expired.status, 401);
	assert.equal(keyIn(expired.html), undefined);
});

test('[6.1] each of several links works, for one account', async () => {
	const email = 'several@example.com';
	const tokens = [await tokenFor(email), await tokenFor(email)];
	const answers = [await verify(tokens[1]), await verify(tokens[0])].map((answer) => assertStatus(answer, 200));
	assert.equal(answers[0].account_id, answers[1].account_id);
	assert.notEqual(answers[0].api_key, answers[1].api_key);
});

test('[6.1] the answer is the same for known and unknown addresses', async () => {
	await signIn(server, 'known@example.com');
	const shape = ({ status, headers, body }: Answer): Any => [
		status,
		[...headers.keys()].toSorted(),
		Object.keys(body),
		body.ok,
		body.dev_magic_link.length,
	];
	assert.deepEqual(shape(await ask('known@example.com')), shape(await ask('fresh@example.com')));
});

test('[6.4] [6.5] addresses are compared trimmed and in lower case', async () => {
	const first = await signIn(server, 'same@example.com');
	for (const spelling of ['SAME@Example.COM', '  same@example.com', 'Same@example.com\t\n']) {
		assert.equal((await signIn(server, spelling)).accountId, first.accountId, JSON.stringify(spelling));
	}
	for (const other of ['same@example.org', 'sam.e@example.com', 'same+tag@example.com', 'asame@example.com']) {
		assert.notEqual((await signIn(server, other)).accountId, first.accountId, other);
	}
});

test('[6.4] [1.1] what is no address is refused', async () => {
	const addresses = [
		...['', ' ', 'a', 'a@', '@b.c', 'a@b@c.d', 'a b@c.d', 'a@b c.d', 'a@b..c', 'a@.b', 'a@b.', 'a@-b.c', 'a@b-.c'],
		...[
			'<a@b.c>',
			'Ada <a@b.c>',
			'a@b.c, d@e.f',
			'a@b.c;d@e.f',
			'"a b"@c.d',
			'a@[127.0.0.1]',
			'a@b.c\0',
			'a\ud800@b.c',
		],
		...['a@b.c\r\nBcc: d@e.f', 'a\n@b.c', 'é@b.c', 'a@bücher.de', `${'a'.repeat(65)}@b.c`, `a@${'b'.repeat(252)}.c`],
	];
	for (const address of addresses) assertRefused(await ask(address), 400, 'invalid_email');
	for (const value of [undefined, null, 7, ['a@b.c'], { a: 1 }]) {
		assertRefused(await ask(value), 400, 'invalid_request');
	}
	assert.equal((await ask(`${'a'.repeat(64)}@${'b'.repeat(187)}.c`)).status, 200);
});

test('[6.1] [1.1] POST /auth/verify refuses all else with 401', async () => {
	const token = await tokenFor('verify@example.com');
	for (const wrong of ['', 'x', `${token}x`, token.slice(1), token.toLowerCase(), ` ${token}`, 'é', '\0']) {
		assertRefused(await verify(wrong), 401, 'invalid_magic_link');
	}
	for (const wrong of [undefined, null, 7, [token]]) assertRefused(await verify(wrong), 401, 'invalid_request');
	const plain = await send(server.url, 'POST', '/auth/verify', { body: JSON.stringify({ token }) });
	assertRefused(plain, 401, 'invalid_content_type');
	const broken = { body: '{', headers: { 'content-type': 'application/json' } };
	assertRefused(await send(server.url, 'POST', '/auth/verify', broken), 401, 'invalid_json');
	assertStatus(await verify(token), 200);
});

test('[6.1] opening the link uses nothing up', async () => {
	const link = await linkFor('opened@example.com');
	const path = link.pathname + link.search;
	for (const method of ['GET', 'HEAD', 'GET', 'OPTIONS']) {
		assert.ok([200, 204].includes((await page(method, path)).status), method);
	}
	const { html } = await page('GET', path);
	assert.match(html, /<form method="post"/);
	assert.ok(html.includes(`value="${link.searchParams.get('token')}"`));
	assert.equal(keyIn(html), undefined);
	assertStatus(await verify(link.searchParams.get('token')), 200);
});

test('[6.1] the button on its page shows the key, once', async () => {
	const token = await tokenFor('button@example.com');
	const shown = await page('POST', '/sign-in', { token });
	assert.equal(shown.status, 200);
	const key = keyIn(shown.html)!;
	assertStatus(await clientWith(server, key).get('/v1/_tables'), 200);
	const again = await page('POST', '/sign-in', { token });
	assert.deepEqual([again.status, keyIn(again.html)], [401, undefined]);
	assertRefused(await verify(token), 401, 'invalid_magic_link');
	const unknown = await page('POST', '/sign-in', { token: 'unknown' });
	assert.deepEqual([unknown.status, keyIn(unknown.html)], [401, undefined]);
	assert.equal((await page('POST', '/sign-in', {})).status, 401);
	// Another page must not put the key of an account of its own before a person.
	const foreign = await tokenFor('foreign@example.com');
	const refused = await page('POST', '/sign-in', { token: foreign }, 'https://evil.example');
	assert.equal(refused.status, 403);
	assert.equal(keyIn(refused.html), undefined);
	assert.equal((await page('POST', '/sign-in', { token: foreign })).status, 200);
});

test('[6.1] [10.2] the pages are closed to foreign scripts, frames, caches and referrers', async () => {
	const token = await tokenFor('headers@example.com');
	const pages = [
		await page('GET', '/sign-in?token=a'),
		await page('GET', '/sign-in'),
		await page('POST', '/sign-in', { token }),
		await page('POST', '/sign-in', { token }),
	];
	assert.deepEqual(
		pages.map((one) => one.status),
		[200, 200, 200, 401],
	);
	for (const { headers, html } of pages) {
		const policy = headers.get('content-security-policy')!;
		const parts = ["default-src 'none'", "script-src 'self';", "base-uri 'none'", "form-action 'self'"];
		for (const part of [...parts, "frame-ancestors 'none'"]) assert.ok(policy.includes(part), part);
		assert.doesNotMatch(policy, /unsafe|\*|https?:/);
		assert.equal(headers.get('cache-control'), 'no-store');
		assert.equal(headers.get('referrer-policy'), 'no-referrer');
		assert.equal(headers.get('x-content-type-options'), 'nosniff');
		assert.match(headers.get('x-robots-tag')!, /noindex/);
		assert.equal(headers.get('access-control-allow-origin'), null);
		assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
		// Scripts are files of ours.
		assert.doesNotMatch(html, /<script(?![^>]* src="\/assets\/[\w.-]+")|https?:\/\//);
	}
	for (const { html } of pages.slice(2)) assert.doesNotMatch(html, /<script/);
});

test('[6.1] a hostile token is text on the page', async () => {
	const opened = await page('GET', `/sign-in?token=${encodeURIComponent(HOSTILE)}`);
	const pressed = await page('POST', '/sign-in', { token: HOSTILE });
	for (const { html } of [opened, pressed]) assert.doesNotMatch(html, /<script>|<b /);
	const marked = await page('GET', '/sign-in?token=__NONCE__&x=__TOKEN__');
	assert.match(marked.html, /name="token" value="__NONCE__"/);
	const value = /name="token" value="([^"]*)"/.exec(opened.html)![1]!;
	assert.equal(value, '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b a=&#39;');
});

test('[6.3] dev_magic_link is for callers on this machine that reach the server directly', async () => {
	const { port } = new URL(server.url);
	const askAs = (headers: Record<string, string>) =>
		sendRaw(
			server.url,
			'POST',
			'/auth/magic-link',
			{ 'content-type': 'application/json', ...headers },
			'{"email":"host@example.com"}',
		);
	for (const host of [`127.0.0.1:${port}`, 'localhost', `LOCALHOST:${port}`, '127.9.9.9', `[::1]:${port}`]) {
		assert.match(assertStatus(await askAs({ host }), 200).dev_magic_link, /token=/, host);
	}
	const foreign = ['example.com', `example.com:${port}`, 'localhost.example.com', '127.0.0.1.example.com', '10.0.0.1'];
	for (const host of [...foreign, '[::2]', '0.0.0.0', `example.com@127.0.0.1`]) {
		assertRefused(await askAs({ host }), 400, 'dev_link_refused');
	}
	for (const name of ['X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'X-Real-IP', 'Via']) {
		const answer = await askAs({ host: 'localhost', [name]: name === 'Via' ? '1.1 proxy' : '127.0.0.1' });
		assertRefused(answer, 400, 'dev_link_refused');
	}
});

test('[6.3] with sign-in off, magic-link calls are 400', async () => {
	const off = await startClocked({ PUMADB_SIGN_IN: 'off' });
	try {
		const answer = await send(off.url, 'POST', '/auth/magic-link', { json: { email: 'ada@example.com' } });
		assertRefused(answer, 400, 'sign_in_off');
		assert.equal(codeOf(await send(off.url, 'POST', '/auth/verify', { json: { token: 'x' } })), 'invalid_magic_link');
	} finally {
		await off.stop();
	}
});
