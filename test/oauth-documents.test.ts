import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { documentFetcher, type FetcherOptions, isPublic, SYSTEM } from '../src/oauth/document-fetcher.ts';
import { startClocked } from './support/in-process.ts';
import { message, postMcp } from './support/mcp.ts';
import { type App, authorizeUrl, connect, pkce, unescapeHtml, untilConsent, Visitor } from './support/oauth.ts';
import { NO_RATE_LIMITS, ROOT } from './support/server.ts';

/** Clients that are known by a document of theirs, on a real https server. Only its address, on this machine, is let pass. */

const pem = (name: string): string => readFileSync(join(ROOT, `test/fixtures/app.example.${name}.pem`), 'utf8');
const { challenge } = pkce();

let web: Server;
let port: number;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let requests: string[] = [];

before(async () => {
	web = createServer({ key: pem('key'), cert: pem('cert') }, (request, response) => {
		requests.push(`${request.headers.host}${request.url}`);
		answer(request, response);
	});
	web.listen(0, '127.0.0.1');
	await once(web, 'listening');
	({ port } = web.address() as AddressInfo);
});
after(() => {
	web.closeAllConnections();
	web.close();
});

const LOOPBACK = [{ address: '127.0.0.1', family: 4 }];

/** A fetcher that knows this test's server. */
function fetcher(more: Partial<FetcherOptions> = {}) {
	return documentFetcher({
		lookup: async () => LOOPBACK,
		mayReach: (address) => address === '127.0.0.1',
		ca: pem('cert'),
		timeoutMs: 500,
		...more,
	});
}

const urlOf = (path: string, host = 'app.example'): string => `https://${host}:${port}${path}`;

function answerJson(
	body: unknown,
	headers: Record<string, string> = { 'content-type': 'application/json' },
	status = 200,
) {
	answer = (_request, response) => {
		response.writeHead(status, headers);
		response.end(typeof body === 'string' ? body : JSON.stringify(body));
	};
}

const documentOf = (url: string, more: object = {}): object => ({
	client_id: url,
	client_name: 'An app with a document',
	redirect_uris: ['http://localhost/callback', 'https://app.example/cb'],
	token_endpoint_auth_method: 'none',
	...more,
});

test('[14.4] an app with a document connects without registering, on any port of this machine', async () => {
	const server = await startClocked(NO_RATE_LIMITS, undefined, { fetchDocument: fetcher() });
	try {
		const url = urlOf('/client.json');
		answerJson(documentOf(url));
		const app: App = { id: url, redirect: 'http://localhost:54545/callback' };
		requests = [];
		const page = await untilConsent(new Visitor(server.url), authorizeUrl(app, challenge), 'ada@example.com');
		assert.match(unescapeHtml(page.text), new RegExp(`published at app\\.example:${port}`));
		assert.match(page.text, /An app with a document/);
		const { access } = await connect(server.url, app, 'ada@example.com');
		assert.equal((await postMcp(server.url, access, message('ping'))).status, 200);
		assert.deepEqual(requests, [`app.example:${port}/client.json`], 'it is fetched once');
		server.advance(5 * 60_000 + 1);
		await new Visitor(server.url).open(authorizeUrl(app, challenge));
		assert.equal(requests.length, 2);
	} finally {
		await server.stop();
	}
});

test('[14.4] a document that does not fit is told on a page', async () => {
	const server = await startClocked(NO_RATE_LIMITS, undefined, { fetchDocument: fetcher() });
	try {
		let n = 0;
		for (const [make, words] of [
			[(url: string) => documentOf(`${url}x`), /another client_id than its address/],
			[(url: string) => ({ ...documentOf(url), client_id: undefined }), /another client_id/],
			[(url: string) => [documentOf(url)], /another client_id/],
			[() => 'not json', /is not JSON/],
			[(url: string) => documentOf(url, { redirect_uris: [] }), /Send redirect_uris/],
			[(url: string) => documentOf(url, { redirect_uris: ['javascript:alert(1)'] }), /scheme javascript/],
			[(url: string) => documentOf(url, { redirect_uris: ['https://app.example/other'] }), /did not register/],
			[(url: string) => documentOf(url, { token_endpoint_auth_method: 'client_secret_post' }), /must be none/],
			[(url: string) => documentOf(url, { token_endpoint_auth_method: 'private_key_jwt' }), /must be one of/],
		] as const) {
			const url = urlOf(`/${++n}.json`);
			answerJson(make(url));
			const shown = await new Visitor(server.url).open(
				authorizeUrl({ id: url, redirect: 'https://app.example/cb' }, challenge),
			);
			assert.equal(shown.status, 400);
			assert.equal(shown.location, undefined);
			assert.match(unescapeHtml(shown.text), words);
		}
		requests = [];
		for (const id of [
			`http://app.example:${port}/client.json`,
			`https://app.example:${port}`,
			`https://app.example:${port}/`,
			`https://app.example:${port}/a/../client.json`,
			`https://APP.example:${port}/client.json`,
			`https://user@app.example:${port}/client.json`,
			`https://app.example:${port}/client.json#x`,
			`https://app.example:${port}/${'x'.repeat(1000)}`,
			'javascript:alert(1)',
			'file:///etc/passwd',
			'https://',
		]) {
			const shown = await new Visitor(server.url).open(
				authorizeUrl({ id, redirect: 'https://app.example/cb' }, challenge),
			);
			assert.equal(shown.status, 400, id);
			assert.match(unescapeHtml(shown.text), /must be the https address/);
		}
		assert.deepEqual(requests, []);
	} finally {
		await server.stop();
	}
});

test('[14.4] the switch turns it off, and the metadata says so', async () => {
	const env = { ...NO_RATE_LIMITS, PUMADB_CLIENT_METADATA: 'off' };
	const server = await startClocked(env, undefined, { fetchDocument: fetcher() });
	try {
		const url = urlOf('/client.json');
		answerJson(documentOf(url));
		requests = [];
		const shown = await new Visitor(server.url).open(
			authorizeUrl({ id: url, redirect: 'https://app.example/cb' }, challenge),
		);
		assert.equal(shown.status, 400);
		assert.match(shown.text, /does not fetch client metadata documents/);
		assert.deepEqual(requests, []);
		const metadata = await fetch(`${server.url}/.well-known/oauth-authorization-server`);
		assert.equal(
			((await metadata.json()) as { client_id_metadata_document_supported: boolean })
				.client_id_metadata_document_supported,
			false,
		);
	} finally {
		await server.stop();
	}
});

test('[14.4] one address may have so many documents fetched in an hour', async () => {
	const env = { ...NO_RATE_LIMITS, PUMADB_SIGN_INS_PER_HOUR: '1' };
	const server = await startClocked(env, undefined, { fetchDocument: fetcher() });
	try {
		answerJson('{}');
		requests = [];
		const statuses: number[] = [];
		for (let n = 0; n < 12; n++) {
			const app = { id: urlOf(`/flood-${n}.json`), redirect: 'https://app.example/cb' };
			statuses.push((await new Visitor(server.url).open(authorizeUrl(app, challenge))).status);
		}
		assert.deepEqual(statuses, [...Array(10).fill(400), 429, 429]);
		assert.equal(requests.length, 10);
	} finally {
		await server.stop();
	}
});

test('[14.4] only public addresses are reached, and what is inside is not told', async () => {
	for (const inside of [
		...[
			'127.0.0.1',
			'127.9.9.9',
			'0.0.0.0',
			'10.1.2.3',
			'172.16.0.1',
			'172.31.255.255',
			'192.168.1.1',
			'169.254.169.254',
		],
		...[
			'100.64.0.1',
			'192.0.2.1',
			'198.18.0.1',
			'198.51.100.1',
			'203.0.113.1',
			'224.0.0.1',
			'240.0.0.1',
			'255.255.255.255',
		],
		...['::', '::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '64:ff9b::7f00:1', '64:ff9b::a00:1', 'fe80::1', 'fc00::1'],
		...[
			'::7f00:1',
			'4000::1',
			'fec0::1',
			'3fff::1',
			'fd12:3456::1',
			'ff02::1',
			'2001:db8::1',
			'2002:7f00:1::',
			'100::1',
			'not an address',
			'',
		],
	]) {
		assert.ok(!isPublic(inside), inside);
		const load = documentFetcher({ lookup: async () => [{ address: inside, family: 4 }], mayReach: isPublic });
		await assert.rejects(load('https://app.example/client.json'), /cannot be reached/);
	}
	for (const outside of ['1.1.1.1', '93.184.215.14', '172.32.0.1', '2606:4700:4700::1111'])
		assert.ok(isPublic(outside), outside);
	// As they may be written in a URL.
	requests = [];
	const load = documentFetcher({ ...SYSTEM, timeoutMs: 50 });
	for (const host of [
		'127.0.0.1',
		'2130706433',
		'0x7f000001',
		'0177.0.0.1',
		'[::1]',
		'[::ffff:127.0.0.1]',
		'localhost',
	]) {
		await assert.rejects(load(`https://${host}:${port}/client.json`), /cannot be reached/, host);
	}
	// One address inside among others.
	const mixed = fetcher({ lookup: async () => [...LOOPBACK, { address: '10.0.0.1', family: 4 }] });
	await assert.rejects(mixed(urlOf('/client.json')), /cannot be reached/);
	assert.deepEqual(requests, []);
	// A deadline that passes once its document was refused must not end the process.
	await sleep(100);
});

test('[14.4] so many documents are fetched at once', async () => {
	const hanging = fetcher({ lookup: () => new Promise(() => {}) });
	const results = await Promise.allSettled(Array.from({ length: 25 }, () => hanging(urlOf('/client.json'))));
	const said = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'fetched'));
	assert.deepEqual(said.toSorted(), [...Array(20).fill('invalid_client'), ...Array(5).fill('overloaded')]);
});

test('[14.4] the address that was looked at is the one that is called', async () => {
	answerJson('{"a":1}');
	let lookups = 0;
	// A second look-up would lead inside.
	const rebinding = fetcher({
		lookup: async () => (lookups++ === 0 ? LOOPBACK : [{ address: '10.0.0.1', family: 4 }]),
	});
	assert.equal(await rebinding(urlOf('/client.json')), '{"a":1}');
	assert.equal(lookups, 1);
});

test('[14.4] redirects, other types, too much and too slow are refused; so is a host that proves nothing', async () => {
	const load = fetcher();
	answerJson('', { location: urlOf('/elsewhere.json') }, 302);
	requests = [];
	await assert.rejects(load(urlOf('/client.json')), /answered 302/);
	assert.equal(requests.length, 1);
	answerJson('{}', { 'content-type': 'text/html' });
	await assert.rejects(load(urlOf('/client.json')), /is not application\/json/);
	answerJson('', {}, 500);
	await assert.rejects(load(urlOf('/client.json')), /answered 500/);
	answerJson(`{"pad":"${'x'.repeat(70_000)}"}`);
	await assert.rejects(load(urlOf('/client.json')), /larger than 65536 bytes/);
	answer = () => {};
	await assert.rejects(load(urlOf('/client.json')), /cannot be reached/);
	answer = (_request, response) => {
		response.writeHead(200, { 'content-type': 'application/json' });
		const drip = setInterval(() => response.write(' '), 20);
		response.once('close', () => clearInterval(drip));
	};
	await assert.rejects(load(urlOf('/client.json')), /cannot be reached/);
	answer = (_request, response) => {
		response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
		response.write('{', () => response.destroy());
	};
	await assert.rejects(load(urlOf('/client.json')), /cannot be reached/);
	answerJson('{}');
	await assert.rejects(load(urlOf('/client.json', 'third.example')), /cannot be reached/);
	await assert.rejects(fetcher({ lookup: () => new Promise(() => {}) })(urlOf('/client.json')), /cannot be reached/);
	await assert.rejects(fetcher({ lookup: async () => [] })(urlOf('/client.json')), /cannot be reached/);
	answerJson('{}', { 'content-type': 'application/cimd+json; charset=utf-8' });
	assert.equal(await load(urlOf('/client.json')), '{}');
});
