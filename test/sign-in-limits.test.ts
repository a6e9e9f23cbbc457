import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, send, signIn } from './support/client.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { type MailServer, startMailServer } from './support/smtp.ts';

const PER_HOUR = 2;
const PER_ADDRESS = PER_HOUR * 5;
const PER_CLIENT = PER_HOUR * 10;
const HOUR_MS = 3_600_000;

let mail: MailServer;
let server: ClockedServer;

/** With mail, because a dev link is for callers without a proxy only. */
function start(trustProxy: number): Promise<ClockedServer> {
	return startClocked({
		PUMADB_SIGN_INS_PER_HOUR: String(PER_HOUR),
		PUMADB_SMTP_URL: mail.url,
		PUMADB_MAIL_FROM: 'noreply@example.com',
		PUMADB_TRUST_PROXY: String(trustProxy),
	});
}

before(async () => {
	mail = await startMailServer();
	server = await start(1);
});
after(async () => {
	await server.stop();
	await mail.stop();
});
/** Every test begins with no calls counted. */
test.beforeEach(() => server.advance(HOUR_MS));

let fresh = 0;
const freshEmail = (): string => `fresh-${++fresh}@example.com`;
const freshClient = (): string => `10.1.${Math.floor(++fresh / 250)}.${fresh % 250}`;
const from = (client: string): { headers: Record<string, string> } => ({ headers: { 'x-forwarded-for': client } });
const ask = (email: string, client: string, base = server.url): Promise<Answer> =>
	send(base, 'POST', '/auth/magic-link', { json: { email }, ...from(client) });
const verify = (client: string, base = server.url): Promise<Answer> =>
	send(base, 'POST', '/auth/verify', { json: { token: 'unknown' }, ...from(client) });

async function assertLimited(answer: Promise<Answer>): Promise<number> {
	const limited = await answer;
	const details = assertRefused(limited, 429, 'rate_limited');
	const seconds = limited.headers.get('retry-after')!;
	assert.match(seconds, /^[1-9]\d*$/);
	assert.equal(details.retry_after, Number(seconds));
	return Number(seconds);
}

test('[6.9] magic links are limited by address and client together', async () => {
	const [email, client] = [freshEmail(), freshClient()];
	const before = mail.mails.length;
	for (let n = 0; n < PER_HOUR; n++) assertStatus(await ask(email, client), 200);
	await assertLimited(ask(email, client));
	await assertLimited(ask(` ${email.toUpperCase()}`, client));
	assert.equal(mail.mails.length, before + PER_HOUR);
	assertStatus(await ask(freshEmail(), client), 200);
	assertStatus(await ask(email, freshClient()), 200);
});

test('[6.9] the hour passes', async () => {
	const [email, client] = [freshEmail(), freshClient()];
	for (let n = 0; n < PER_HOUR; n++) assertStatus(await ask(email, client), 200);
	const seconds = await assertLimited(ask(email, client));
	assert.ok(seconds > 3500 && seconds <= 3600);
	server.advance((seconds - 60) * 1000);
	await assertLimited(ask(email, client));
	server.advance(60_000);
	assertStatus(await ask(email, client), 200);
});

test('[6.9] five times as many by address, from any clients', async () => {
	const email = freshEmail();
	for (let n = 0; n < PER_ADDRESS; n++) assertStatus(await ask(email, freshClient()), 200);
	await assertLimited(ask(email, freshClient()));
	assertStatus(await ask(freshEmail(), freshClient()), 200);
});

test('[6.9] ten times as many by client, for any addresses', async () => {
	const client = freshClient();
	for (let n = 0; n < PER_CLIENT; n++) assertStatus(await ask(freshEmail(), client), 200);
	await assertLimited(ask(freshEmail(), client));
	assertStatus(await ask(freshEmail(), freshClient()), 200);
});

test('[6.9] [1.4] the limit by client is checked before the body', async () => {
	const client = freshClient();
	const broken = { body: '{', headers: { 'content-type': 'application/json', 'x-forwarded-for': client } };
	for (let n = 0; n < PER_CLIENT; n++) {
		assertRefused(await send(server.url, 'POST', '/auth/magic-link', broken), 400, 'invalid_json');
	}
	await assertLimited(send(server.url, 'POST', '/auth/magic-link', broken));
});

test('[6.9] POST /auth/verify is limited by client, the page of the link with it', async () => {
	const client = freshClient();
	for (let n = 0; n < PER_CLIENT; n++) assertRefused(await verify(client), 401, 'invalid_magic_link');
	const seconds = await assertLimited(verify(client));
	const page = await fetch(`${server.url}/sign-in`, {
		method: 'POST',
		body: new URLSearchParams({ token: 'unknown' }),
		headers: { ...from(client).headers, origin: server.url },
	});
	assert.equal(page.status, 429);
	assertRefused(await verify(freshClient()), 401, 'invalid_magic_link');
	// Asking for links is counted apart.
	assertStatus(await ask(freshEmail(), client), 200);
	server.advance(seconds * 1000);
	assertRefused(await verify(client), 401, 'invalid_magic_link');
});

test('[9.6] [6.9] what a client writes in front of the proxy’s entry does not help', async () => {
	const [email, client] = [freshEmail(), freshClient()];
	assertStatus(await ask(email, `203.0.113.1, ${client}`), 200);
	assertStatus(await ask(email, `${freshClient()} , 203.0.113.2,${client}`), 200);
	await assertLimited(ask(email, client));
	await assertLimited(ask(email, `${freshClient()}, ${client}`));
	await assertLimited(ask(email, `::1,127.0.0.1,${client}`));
	assertStatus(await ask(email, `${client}, ${freshClient()}`), 200);
});

test('[9.6] [6.9] the client is as many entries from the end as there are proxies', async () => {
	const two = await start(2);
	try {
		const [email, client] = [freshEmail(), freshClient()];
		for (const front of ['', '198.51.100.1, ']) {
			assertStatus(await ask(email, `${front}${client}, 192.0.2.${front.length}`, two.url), 200);
		}
		await assertLimited(ask(email, `198.51.100.9, ${client}, 192.0.2.9`, two.url));
		assertStatus(await ask(email, `${client}, ${freshClient()}, 192.0.2.9`, two.url), 200);
	} finally {
		await two.stop();
	}
});

test('[9.6] [6.9] without a trusted proxy the header counts for nothing', async () => {
	const none = await start(0);
	try {
		const email = freshEmail();
		for (let n = 0; n < PER_HOUR; n++) assertStatus(await ask(email, freshClient(), none.url), 200);
		await assertLimited(ask(email, freshClient(), none.url));
		await assertLimited(send(none.url, 'POST', '/auth/magic-link', { json: { email } }));
		for (let n = 0; n < PER_CLIENT; n++) {
			assertRefused(await verify(freshClient(), none.url), 401, 'invalid_magic_link');
		}
		await assertLimited(verify(freshClient(), none.url));
	} finally {
		await none.stop();
	}
});

test('[6.9] [9.2] 0 switches the limits off', async () => {
	const off = await startClocked({ PUMADB_SIGN_INS_PER_HOUR: '0' });
	try {
		for (let n = 0; n < 30; n++) await signIn(off, 'same@example.com');
	} finally {
		await off.stop();
	}
});
