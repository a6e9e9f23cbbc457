import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { csrfToken } from '../src/accounts/secrets.ts';
import { send, signIn } from './support/client.ts';
import { queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import {
	type App,
	authorize,
	authorizeUrl,
	exchange,
	fieldsOf,
	newApp,
	pkce,
	REDIRECT,
	register,
	type Shown,
	unescapeHtml,
	untilConsent,
	Visitor,
} from './support/oauth.ts';
import { NO_RATE_LIMITS, runPumadb } from './support/server.ts';

let server: ClockedServer;
let app: App;

before(async () => {
	server = await startClocked();
	app = await newApp(server.url);
});
after(() => server.stop());

const EMAIL = 'ada@example.com';
const { verifier, challenge } = pkce();

/** It must be a page of ours that says in words what is wrong, and leads nowhere. */
function assertPage(shown: Shown, status: number, words: RegExp): void {
	assert.equal(shown.status, status, shown.text);
	assert.equal(shown.location, undefined);
	assert.match(shown.headers.get('content-type')!, /^text\/html/);
	assert.match(unescapeHtml(shown.text), words);
	assert.match(shown.headers.get('content-security-policy')!, /frame-ancestors 'none'/);
}

const grants = (): number => queryDatabase(server.dataDir, 'SELECT count(*) AS n FROM grants')[0]!.n as number;

test('[14.5] [14.6] [14.7] [14.8] a person connects an app, and state and iss come back', async () => {
	const keys = () => queryDatabase(server.dataDir, 'SELECT 1 FROM api_keys').length;
	const before = keys();
	const back = await authorize(server.url, app, EMAIL, { challenge });
	assert.equal(`${back.origin}${back.pathname}`, REDIRECT);
	assert.equal(back.searchParams.get('state'), 'a state & more');
	assert.equal(back.searchParams.get('iss'), server.url);
	assert.deepEqual([...back.searchParams.keys()], ['code', 'state', 'iss']);
	const answer = await exchange(server.url, app, back.searchParams.get('code')!, verifier);
	assert.equal(answer.status, 200);
	assert.equal(answer.headers.get('cache-control'), 'no-store');
	assert.equal(keys(), before, 'no key was made');
});

test('[14.7] no is access_denied, and no grant', async () => {
	const before = grants();
	const back = await authorize(server.url, app, EMAIL, { challenge, decision: 'deny', more: { state: '' } });
	assert.deepEqual([...back.searchParams.keys()], ['error', 'error_description', 'iss']);
	assert.equal(back.searchParams.get('error'), 'access_denied');
	assert.equal(grants(), before);
});

test('[14.5] [14.3] whatever is wrong is told on a page, and nobody is sent anywhere', async () => {
	for (const [more, words, status = 400] of [
		[{ client_id: '' }, /client_id is missing/],
		[{ client_id: 'client_unknown' }, /not registered here/],
		[{ client_id: '<script>alert(1)</script>' }, /not registered here/],
		[{ redirect_uri: '' }, /redirect_uri is missing/],
		[{ redirect_uri: 'https://evil.example/cb' }, /did not register/],
		[{ redirect_uri: `${REDIRECT}/more` }, /did not register/],
		[{ redirect_uri: `${REDIRECT}?next=https://evil.example` }, /did not register/],
		[{ redirect_uri: 'javascript:alert(1)' }, /scheme javascript/],
		[{ redirect_uri: '//evil.example/cb' }, /not absolute/],
		[{ response_type: '' }, /response_type is missing/],
		[{ response_type: 'token' }, /another response_type than code/],
		[{ response_mode: 'fragment' }, /response_mode/],
		[{ code_challenge: '' }, /code_challenge is missing/],
		[{ code_challenge_method: '' }, /code_challenge_method is missing/],
		[{ code_challenge_method: 'plain' }, /S256/],
		[{ code_challenge: 'short' }, /no SHA-256/],
		[{ state: 'x'.repeat(2049) }, /state of the app is longer/],
		[{ request: 'eyJhbGciOiJub25lIn0.e30.' }, /as a request, which is not taken/],
		[{ request_uri: 'https://evil.example/request' }, /as a request_uri/],
		[{ resource: 'https://other.example/mcp' }, /not of this server/],
	] as const) {
		const shown = await new Visitor(server.url).open(authorizeUrl(app, challenge, more), {}, 'cross-site');
		assertPage(shown, status, words);
		assert.ok(!shown.text.includes('<script>alert'));
	}
	const twice = await new Visitor(server.url).open(`${authorizeUrl(app, challenge)}&client_id=${app.id}`);
	assertPage(twice, 400, /client_id is there 2 times/);
});

test('[14.3] [14.5] an app on this computer may use any port', async () => {
	for (const [registered, used] of [
		['http://localhost/callback', 'http://localhost:54545/callback'],
		['http://127.0.0.1:33418', 'http://127.0.0.1:40001'],
		['http://[::1]:7777/cb', 'http://[::1]:9999/cb'],
		['cursor://anysphere.cursor-mcp/oauth/callback', 'cursor://anysphere.cursor-mcp/oauth/callback'],
		['https://claude.ai/api/mcp/auth_callback', 'https://claude.ai/api/mcp/auth_callback'],
	] as const) {
		const other = await newApp(server.url, registered, registered);
		const visitor = new Visitor(server.url);
		const page = await untilConsent(visitor, authorizeUrl(other, challenge, { redirect_uri: used }), EMAIL);
		const policy = page.headers.get('content-security-policy')!;
		const [, allowed = '*'] = /form-action 'self' (\S+)$/.exec(policy) ?? [];
		assert.ok(used.startsWith(allowed!), `${used} ${allowed}`);
		assert.ok(!allowed!.includes('*'));
		const answer = await visitor.submit(page, { decision: 'allow' });
		assert.ok(answer.location?.startsWith(`${used}?code=`), String(answer.location));
	}
});

test('[14.5] a redirect URI keeps its own query', async () => {
	const other = await newApp(server.url, 'https://a.example/cb?tenant=7&x=%20', 'With query');
	const back = await authorize(server.url, other, EMAIL, { challenge });
	assert.ok(back.href.startsWith('https://a.example/cb?tenant=7&x=%20&code='), back.href);
});

test('[14.6] opening the link uses nothing up; its button does, once, in this browser alone', async () => {
	const visitor = new Visitor(server.url);
	const asked = await visitor.open(authorizeUrl(app, challenge), {}, 'cross-site');
	assert.match(
		asked.headers.getSetCookie()[0]!,
		/^pumadb_browser=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/,
	);
	const sent = await visitor.submit(asked, { email: EMAIL });
	assert.equal(sent.status, 303);
	const link = sent.location!;
	const used = () =>
		queryDatabase(server.dataDir, 'SELECT count(*) AS n FROM magic_links WHERE used_at IS NOT NULL')[0]!.n as number;
	const before = used();
	// Scanners, the person twice, another browser.
	for (let n = 0; n < 3; n++) assert.equal((await visitor.open(link)).status, 200);
	await fetch(link, { method: 'HEAD' });
	for (const stranger of [new Visitor(server.url), await began()]) {
		assertPage(await stranger.open(link), 400, /began in another browser/);
		const { searchParams } = new URL(link);
		const answer = await stranger.post({
			step: 'sign-in',
			authorization: searchParams.get('authorization')!,
			token: searchParams.get('token')!,
		});
		assertPage(answer, 400, /another browser|no cookie/);
	}
	assert.equal(used(), before);
	const page = await visitor.open(link);
	const signedIn = await visitor.submit(page);
	assert.equal(signedIn.status, 303);
	assert.equal(used(), before + 1);
	// Pressing twice does no harm.
	assert.equal((await visitor.submit(page)).status, 303);
	assert.equal(used(), before + 1);
	// The link still leads to where the person is.
	assert.match((await visitor.open(link)).text, /name="decision"/);
});

/** A browser that began something of its own. */
async function began(): Promise<Visitor> {
	const visitor = new Visitor(server.url);
	await visitor.open(authorizeUrl(app, challenge), {}, 'cross-site');
	return visitor;
}

test('[14.6] a link of another address, or of no authorization, signs nobody in', async () => {
	const visitor = new Visitor(server.url);
	const asked = await visitor.open(authorizeUrl(app, challenge), {}, 'cross-site');
	const link = new URL((await visitor.submit(asked, { email: EMAIL })).location!);
	const mallory = new Visitor(server.url);
	const other = await mallory.open(authorizeUrl(app, challenge), {}, 'cross-site');
	const hers = new URL((await mallory.submit(other, { email: 'mallory@example.com' })).location!);
	const authorization = link.searchParams.get('authorization')!;
	for (const token of [hers.searchParams.get('token')!, 'x', '']) {
		const shown = await visitor.post({ step: 'sign-in', authorization, token });
		assertPage(shown, 400, /used already, has expired, or is not whole|token is missing/);
	}
	// Hers is still hers.
	assert.equal((await mallory.submit(await mallory.open(hers.href))).status, 303);
	assertPage(
		await visitor.open(`/oauth/authorize?authorization=${'x'.repeat(43)}`),
		400,
		/answered already, or has expired/,
	);
});

test('[14.6] a link that connects an app signs in nowhere else, and makes no key', async () => {
	const visitor = new Visitor(server.url);
	const sent = await visitor.submit(await visitor.open(authorizeUrl(app, challenge)), { email: EMAIL });
	const token = new URL(sent.location!).searchParams.get('token')!;
	const verified = await send(server.url, 'POST', '/auth/verify', { json: { token } });
	assert.equal(`${verified.status} ${verified.body.error.code}`, '401 invalid_magic_link');
	const session = await send(server.url, 'POST', '/console/api/sign-in', {
		json: { token },
		headers: { 'sec-fetch-site': 'same-origin' },
	});
	assert.equal(`${session.status} ${session.body.error.code}`, '401 invalid_magic_link');
	// Nor the other way round.
	const asked = await send(server.url, 'POST', '/auth/magic-link', { json: { email: EMAIL } });
	const other = new URL(asked.body.dev_magic_link).searchParams.get('token')!;
	const authorization = new URL(sent.location!).searchParams.get('authorization')!;
	assertPage(await visitor.post({ step: 'sign-in', authorization, token: other }), 400, /not whole/);
	assert.equal((await visitor.submit(await visitor.open(sent.location!))).status, 303);
});

test('[14.6] [6.11] one client may have so many links sent, whatever the addresses', async () => {
	const own = await startClocked({ ...NO_RATE_LIMITS, PUMADB_SIGN_INS_PER_HOUR: '1' });
	try {
		const mine = await newApp(own.url);
		const statuses: number[] = [];
		for (let n = 0; n < 11; n++) {
			const visitor = new Visitor(own.url);
			const page = await visitor.open(authorizeUrl(mine, challenge));
			statuses.push((await visitor.submit(page, { email: `person-${n}@example.com` })).status);
		}
		assert.deepEqual(statuses, [...Array(10).fill(303), 429]);
	} finally {
		await own.stop();
	}
});

test('[14.6] an authorization lives for an hour, its link for 15 minutes', async () => {
	const own = await startClocked();
	try {
		const mine = await newApp(own.url);
		const visitor = new Visitor(own.url);
		const sent = await visitor.submit(await visitor.open(authorizeUrl(mine, challenge)), { email: EMAIL });
		const link = await visitor.open(sent.location!);
		own.advance(15 * 60_000 + 1);
		assertPage(await visitor.submit(link), 400, /has expired/);
		const page = await untilConsent(visitor, authorizeUrl(mine, challenge), EMAIL);
		own.advance(60 * 60_000);
		assertPage(await visitor.submit(page, { decision: 'allow' }), 400, /answered already, or has expired/);
	} finally {
		await own.stop();
	}
});

test('[14.7] the page says who, where, what and for whom, and cannot be framed', async () => {
	const named = await newApp(server.url, 'https://claude.ai/api/mcp/auth_callback', '<b>Claude</b> "x"');
	const page = await untilConsent(new Visitor(server.url), authorizeUrl(named, challenge), EMAIL);
	assert.ok(!page.text.includes('<b>Claude'));
	const text = unescapeHtml(page.text.replaceAll(/<[^>]*>/g, ''));
	for (const words of [
		'<b>Claude</b> "x"',
		'claude.ai',
		'pumadb',
		EMAIL,
		'It chose its name itself; nobody has checked it.',
	]) {
		assert.ok(text.includes(words), words);
	}
	const policy = page.headers.get('content-security-policy')!;
	assert.match(policy, /frame-ancestors 'none'/);
	assert.match(policy, /form-action 'self' https:\/\/claude\.ai$/);
	assert.equal(page.headers.get('referrer-policy'), 'same-origin');
	assert.equal(page.headers.get('cache-control'), 'no-store');
	// Else the window that an app opened for this would be lost to it.
	assert.equal(page.headers.get('cross-origin-opener-policy'), 'unsafe-none');
});

test('[14.7] consent is asked again where the app and the person are known', async () => {
	await authorize(server.url, app, EMAIL, { challenge });
	const page = await untilConsent(new Visitor(server.url), authorizeUrl(app, challenge, { prompt: 'none' }), EMAIL);
	assert.match(page.text, /name="decision"/);
});

test('[14.7] consent forged from elsewhere, or without the page’s token, grants nothing', async () => {
	const visitor = new Visitor(server.url);
	const page = await untilConsent(visitor, authorizeUrl(app, challenge), EMAIL);
	const fields = fieldsOf(page);
	const before = grants();
	for (const site of ['cross-site', 'same-site', 'none']) {
		assertPage(await visitor.post({ ...fields, decision: 'allow' }, site), 403, /must come from a page of this server/);
	}
	for (const [changed, status, words] of [
		[{ csrf: '' }, 403, /did not come from the page/],
		[{ csrf: 'x'.repeat(43) }, 403, /did not come from the page/],
		[{ decision: '' }, 400, /decision is missing/],
		[{ decision: 'perhaps' }, 400, /allow or deny/],
		[{ authorization: 'x'.repeat(43) }, 400, /answered already/],
		[{ step: 'consents' }, 400, /no such step/],
		[{ step: '__proto__' }, 400, /no such step/],
		[{ step: '' }, 400, /step is missing/],
	] as const) {
		assertPage(await visitor.post({ decision: 'allow', ...fields, ...changed }), status, words);
	}
	// The token of another request of the same browser.
	const other = await untilConsent(visitor, authorizeUrl(app, challenge), EMAIL);
	assertPage(await visitor.post({ ...fields, csrf: fieldsOf(other).csrf!, decision: 'allow' }), 403, /did not come/);
	// Before anybody has signed in, even with the right token.
	const early = await visitor.open(authorizeUrl(app, challenge));
	const sent = await visitor.submit(early, { email: EMAIL });
	const authorization = new URL(sent.location!).searchParams.get('authorization')!;
	const csrf = csrfToken(`${visitor.cookie('pumadb_browser')} ${authorization}`);
	assert.equal(fieldsOf(page).csrf, csrfToken(`${visitor.cookie('pumadb_browser')} ${fields.authorization}`));
	const tooEarly = await visitor.post({ step: 'consent', authorization, csrf, decision: 'allow' });
	assertPage(tooEarly, 400, /Nobody has signed in yet/);
	assert.equal(grants(), before);
	assert.equal((await visitor.submit(page, { decision: 'allow' })).status, 303);
	assertPage(await visitor.submit(page, { decision: 'allow' }), 400, /answered already/);
	assert.equal(grants(), before + 1);
});

test('[14.6] two apps at once in one browser do not get in each other’s way', async () => {
	const visitor = new Visitor(server.url);
	const one = await visitor.open(authorizeUrl(app, challenge), {}, 'cross-site');
	const two = await visitor.open(authorizeUrl(app, challenge, { state: 'two' }), {}, 'cross-site');
	for (const [page, state] of [
		[one, 'a state & more'],
		[two, 'two'],
	] as const) {
		const sent = await visitor.submit(page, { email: EMAIL });
		const signedIn = await visitor.submit(await visitor.open(sent.location!));
		const answer = await visitor.submit(await visitor.open(signedIn.location!), { decision: 'allow' });
		assert.equal(new URL(answer.location!).searchParams.get('state'), state);
	}
});

test('[14.6] an address that cannot be, and too many links, are told beside the field', async () => {
	const visitor = new Visitor(server.url);
	const asked = await visitor.open(authorizeUrl(app, challenge));
	const wrong = await visitor.submit(asked, { email: 'no address' });
	assert.equal(wrong.status, 400);
	assert.match(wrong.text, /role="alert"[^>]*>[^<]+</);
	assert.match(wrong.text, /value="no address"/);
	assert.equal((await visitor.submit(wrong, { email: EMAIL })).status, 303);
	const own = await startClocked({ ...NO_RATE_LIMITS, PUMADB_SIGN_INS_PER_HOUR: '1' });
	try {
		const mine = await newApp(own.url);
		const person = new Visitor(own.url);
		const page = await person.open(authorizeUrl(mine, challenge));
		assert.equal((await person.submit(page, { email: EMAIL })).status, 303);
		const refused = await person.submit(page, { email: EMAIL });
		assert.equal(refused.status, 429);
		assert.ok(Number(refused.headers.get('retry-after')) > 0);
		assert.match(refused.text, /Too many sign-in calls/);
	} finally {
		await own.stop();
	}
});

test('[14.6] where sign-in is off, the page says what to do instead', async () => {
	const own = await startClocked({ ...NO_RATE_LIMITS, PUMADB_SIGN_IN: 'off' });
	try {
		const { body } = await register(own.url, { redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' });
		const shown = await new Visitor(own.url).open(authorizeUrl({ id: body.client_id, redirect: REDIRECT }, challenge));
		assertPage(shown, 400, /Sign-in by mail is off/);
	} finally {
		await own.stop();
	}
});

test('[14.6] on https the cookie is for this host alone, and secure', async () => {
	const own = await startClocked({ ...NO_RATE_LIMITS, PUMADB_PUBLIC_URL: 'https://localhost' });
	try {
		const mine = await newApp(own.url);
		const shown = await new Visitor(own.url).open(authorizeUrl(mine, challenge));
		assert.match(
			shown.headers.getSetCookie()[0]!,
			/^__Host-pumadb_browser=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
		);
	} finally {
		await own.stop();
	}
});

test('[14.6] an account that was erased meanwhile gets nothing', async () => {
	const visitor = new Visitor(server.url);
	const email = 'gone@example.com';
	await signIn(server, email);
	const page = await untilConsent(visitor, authorizeUrl(app, challenge), email);
	const erased = await runPumadb(['accounts', 'delete', '--account', email, '--data-dir', server.dataDir]);
	assert.equal(erased.code, 0, erased.err);
	assertPage(await visitor.submit(page, { decision: 'allow' }), 400, /answered already/);
});
