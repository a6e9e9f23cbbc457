import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OPERATIONS } from '../src/generated/operations.ts';
import { signIn } from './support/client.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;

before(async () => {
	server = await startServer({ PUMADB_MAX_TABLES: '7', PUMADB_READS_PER_MINUTE: '0', PUMADB_LINK_TTL_SECONDS: '900' });
});
after(() => server.stop());

async function text(path: string): Promise<{ type: string; body: string }> {
	const response = await fetch(server.url + path);
	assert.equal(response.status, 200);
	return { type: response.headers.get('content-type')!, body: await response.text() };
}

test('[10.1] [6.11] the text for agents has this address and the limits in force', async () => {
	const { type, body } = await text('/llms.md');
	assert.equal(type, 'text/markdown; charset=utf-8');
	assert.doesNotMatch(body, /\{\{|undefined|NaN|Infinity/);
	assert.match(body, new RegExp(`^# pumaDB at ${server.url}\n`));
	assert.match(body, /\| 7, 1,000 \|/);
	assert.match(body, /\| unlimited, 30 \|/);
	assert.match(body, /It lives 15 minutes;/);
	const { body: contract } = await text('/openapi.json');
	assert.equal(JSON.parse(contract).externalDocs.url, `${server.url}/llms.md`);
});

test('[10.1] every call that the text for agents names is in the contract', async () => {
	const { body } = await text('/llms.md');
	const paths = new Set(Object.values(OPERATIONS).map(({ method, path }) => `${method} ${path}`));
	const named = [...body.matchAll(/`(GET|POST|DELETE) (\/[^?` ]+)/g)].map(([, method, path]) => `${method} ${path}`);
	assert.ok(named.length >= 8, String(named));
	for (const call of named) assert.ok(paths.has(call), call);
});

test('[10.1] the first line of the text for agents works as it stands', async () => {
	const { body } = await text('/llms.md');
	const command = /```sh\ncurl (\S+) .*?-d '([^']+)'\n```/s.exec(body)!;
	const { pathname } = new URL(command[1]!);
	const ada = await signIn(server);
	const answer = await ada.post(pathname, JSON.parse(command[2]!));
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.body.created, true);
});

test('[10.1] llms.txt lists what there is to read, and all of it is there', async () => {
	const { body } = await text('/llms.txt');
	const links = [...body.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1]!);
	assert.equal(links.length, 5);
	for (const link of links) {
		assert.ok(link.startsWith(`${server.url}/`));
		assert.equal((await fetch(link)).status, 200, link);
	}
});
