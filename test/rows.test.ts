import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Client, codeOf, signIn } from './support/client.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
let ada: Client;

before(async () => {
	server = await startServer();
	ada = await signIn(server);
});
after(() => server.stop());

test('[2.1] the service owns id, created_at and updated_at', async () => {
	const row = await ada.add('owned', { a: 1 });
	assert.match(row.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	assert.match(row.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
	assert.equal(row.updated_at, row.created_at);
	for (const field of ['id', 'created_at', 'updated_at']) {
		const answer = await ada.post('/v1/owned', { [field]: 'mine' });
		assert.equal(answer.status, 400);
		assert.equal(codeOf(answer), 'reserved_field');
		assert.equal(answer.body.error.details.field, field);
	}
	assert.equal((await ada.rows('owned')).length, 1);
});
