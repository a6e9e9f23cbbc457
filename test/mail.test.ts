import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, clientWith, send } from './support/client.ts';
import { queryDatabase } from './support/data-dir.ts';
import { type ClockedServer, startClocked } from './support/in-process.ts';
import { sendRaw } from './support/raw-http.ts';
import { assertRefused, assertStatus } from './support/refusals.ts';
import { type Env, NO_RATE_LIMITS, runPumadb, startServer, temporaryDir } from './support/server.ts';
import { type Mail, type MailServer, startMailServer } from './support/smtp.ts';

const PUBLIC_URL = 'https://memory.example.com';

let mail: MailServer;
let server: ClockedServer;

before(async () => {
	mail = await startMailServer();
	server = await startClocked(mailEnv(mail.url));
});
after(async () => {
	await server.stop();
	await mail.stop();
});

function mailEnv(url: string): Env {
	return {
		...NO_RATE_LIMITS,
		PUMADB_PUBLIC_URL: PUBLIC_URL,
		PUMADB_SMTP_URL: url,
		PUMADB_MAIL_FROM: 'pumaDB <noreply@memory.example.com>',
	};
}

const ask = (email: string, base = server.url): Promise<Answer> =>
	send(base, 'POST', '/auth/magic-link', { json: { email } });
const linksKept = (dataDir = server.dataDir): number =>
	queryDatabase(dataDir, 'SELECT count(*) AS n FROM magic_links')[0]!.n as number;

function linkIn(text: string | undefined): string {
	const found: readonly string[] = text?.match(/https:\/\/memory\.example\.com\/sign-in\?token=[A-Za-z0-9_-]+/g) ?? [];
	assert.ok(found.length > 0, text ?? 'no text');
	assert.equal(new Set(found).size, 1);
	return found[0]!;
}

function tokenIn({ parts }: Mail): string {
	return new URL(linkIn(parts.get('text/plain'))).searchParams.get('token')!;
}

test('[6.3] [6.2] [6.1] the link comes by mail, as text and HTML, and works once', async () => {
	const asked = await ask(' Ada@Example.COM ');
	assert.deepEqual(Object.keys(assertStatus(asked, 200)), ['ok', 'expires_at']);
	assert.equal(mail.mails.length, 1);
	const [sent] = mail.mails;
	assert.deepEqual([sent!.from, sent!.to], ['noreply@memory.example.com', ['ada@example.com']]);
	assert.equal(sent!.headers.get('from'), 'pumaDB <noreply@memory.example.com>');
	assert.equal(sent!.headers.get('to'), 'ada@example.com');
	assert.match(sent!.headers.get('subject')!, /^Sign in to pumaDB/);
	assert.equal(sent!.headers.get('auto-submitted'), 'auto-generated');
	assert.deepEqual([...sent!.parts.keys()].toSorted(), ['text/html', 'text/plain']);
	assert.equal(linkIn(sent!.parts.get('text/html')), linkIn(sent!.parts.get('text/plain')));
	assert.ok(sent!.parts.get('text/html')!.includes(`href="${linkIn(sent!.parts.get('text/plain'))}"`));

	const token = tokenIn(sent!);
	const verified = assertStatus(await send(server.url, 'POST', '/auth/verify', { json: { token } }), 200);
	assertStatus(await clientWith(server, verified.api_key).get('/v1/_tables'), 200);
	assertRefused(await send(server.url, 'POST', '/auth/verify', { json: { token } }), 401, 'invalid_magic_link');
});

test('[6.3] with mail, links are asked for from anywhere', async () => {
	const before = mail.mails.length;
	const headers = { host: 'memory.example.com', 'x-forwarded-for': '203.0.113.7', 'content-type': 'application/json' };
	const answer = await sendRaw(server.url, 'POST', '/auth/magic-link', headers, '{"email":"far@example.com"}');
	assert.deepEqual(Object.keys(assertStatus(answer, 200)), ['ok', 'expires_at']);
	// The link's base is the setting, whatever the Host says.
	headers.host = 'evil.example.org';
	assertStatus(await sendRaw(server.url, 'POST', '/auth/magic-link', headers, '{"email":"far@example.com"}'), 200);
	for (const sent of mail.mails.slice(before)) linkIn(sent.parts.get('text/plain'));
	assert.equal(mail.mails.length, before + 2);
});

test('[6.1] the answer is the same for known and unknown addresses', async () => {
	const keys = (answer: Answer) => [answer.status, [...answer.headers.keys()].toSorted(), Object.keys(answer.body)];
	await ask('known@example.com');
	const token = tokenIn(mail.mails.at(-1)!);
	assertStatus(await send(server.url, 'POST', '/auth/verify', { json: { token } }), 200);
	assert.deepEqual(keys(await ask('known@example.com')), keys(await ask('unknown@example.com')));
});

test('[6.4] nothing in an address reaches the mail as a header or a second recipient', async () => {
	const before = mail.mails.length;
	for (const email of [
		'a@example.com\r\nBcc: eve@example.com',
		'a@example.com\nSubject: other',
		'a@example.com, eve@example.com',
		'a@example.com;eve@example.com',
		'Eve <eve@example.com>, <a@example.com>',
		'a@example.com> SIZE=1\r\nRCPT TO:<eve@example.com',
		'"a\r\nBcc: eve@example.com"@example.com',
		'a@example.com\u2028Bcc: eve@example.com',
		'group:a@example.com,eve@example.com;',
	]) {
		assertRefused(await ask(email), 400, 'invalid_email');
	}
	assert.equal(mail.mails.length, before);
	assertStatus(await ask("o'brien+bcc=eve%example.org@example.com"), 200);
	assert.deepEqual(mail.mails.at(-1)!.to, ["o'brien+bcc=eve%example.org@example.com"]);
});

test('[6.3] [1.1] an address that the mail server refuses is 400, and leaves no link', async () => {
	const [before, kept] = [mail.mails.length, linksKept()];
	mail.refuseRecipients(550);
	try {
		assertRefused(await ask('nobody@example.com'), 400, 'email_refused');
	} finally {
		mail.refuseRecipients(undefined);
	}
	assert.deepEqual([mail.mails.length, linksKept()], [before, kept]);
	assertStatus(await ask('nobody@example.com'), 200);
	assert.equal(linksKept(), kept + 1);
});

test('[6.3] [1.2] a mail server that cannot be reached is 503, and leaves no link', async () => {
	const gone = await startMailServer();
	const { port } = new URL(gone.url);
	await gone.stop();
	const dataDir = temporaryDir();
	const waiting = await startClocked(mailEnv(gone.url), dataDir);
	try {
		const answer = await ask('ada@example.com', waiting.url);
		assertRefused(answer, 503, 'mail_unavailable');
		assert.match(answer.headers.get('retry-after')!, /^\d+$/);
		assert.equal(linksKept(dataDir), 0);
		const back = await startMailServer(Number(port));
		try {
			back.refuseRecipients(451);
			assertRefused(await ask('ada@example.com', waiting.url), 503, 'mail_unavailable');
			back.refuseRecipients(undefined);
			assertStatus(await ask('ada@example.com', waiting.url), 200);
			assert.equal(back.mails.length, 1);
			assert.equal(linksKept(dataDir), 1);
			const token = tokenIn(back.mails[0]!);
			assertStatus(await send(waiting.url, 'POST', '/auth/verify', { json: { token } }), 200);
		} finally {
			await back.stop();
		}
	} finally {
		await waiting.stop();
	}
});

test('[6.3] [9.3] the log tells of a failed mail, without address or link', async () => {
	const gone = await startMailServer();
	await gone.stop();
	const real = await startServer(mailEnv(gone.url));
	try {
		assertRefused(await ask('quiet@example.com', real.url), 503, 'mail_unavailable');
	} finally {
		await real.stop();
	}
	assert.match(real.log(), /mail could not be sent/);
	assert.doesNotMatch(real.log(), /quiet|token=/);
});

test('[6.3] [9.5] a server that others can reach does not start without mail', async () => {
	for (const env of [{ PUMADB_HOST: '0.0.0.0' }, { PUMADB_HOST: '::' }, { PUMADB_PUBLIC_URL: PUBLIC_URL }]) {
		const { code, out, err } = await runPumadb(['serve'], {
			PUMADB_PORT: '0',
			PUMADB_DATA_DIR: temporaryDir(),
			...env,
		});
		assert.notEqual(code, 0);
		assert.equal(out, '');
		assert.match(err, /^[^\n]*\.\n$/, 'one sentence');
		for (const name of ['PUMADB_SMTP_URL', 'PUMADB_MAIL_FROM', 'PUMADB_SIGN_IN=off'])
			assert.ok(err.includes(name), err);
	}
	const sender = { PUMADB_PORT: '0', PUMADB_DATA_DIR: temporaryDir(), PUMADB_SMTP_URL: mail.url };
	const { code, err } = await runPumadb(['serve'], sender);
	assert.notEqual(code, 0);
	assert.match(err, /PUMADB_MAIL_FROM/);
});

test('[6.3] with sign-in off it starts without mail, and keys come from the operator', async () => {
	const real = await startServer({ ...NO_RATE_LIMITS, PUMADB_PUBLIC_URL: PUBLIC_URL, PUMADB_SIGN_IN: 'off' });
	try {
		assertRefused(await ask('ada@example.com', real.url), 400, 'sign_in_off');
		const made = await runPumadb(['keys', 'create', '--data-dir', real.dataDir, '--email', 'ada@example.com']);
		assert.equal(made.code, 0, made.err);
		const key = /puma_live_[a-z0-9_]+/.exec(made.out)![0];
		assertStatus(await clientWith(real, key).get('/v1/_tables'), 200);
	} finally {
		await real.stop();
	}
});
