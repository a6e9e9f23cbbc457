/** Bare `node:http`: what the platform itself allows for the same bytes. GET sends a given text; POST parses and answers JSON. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = readFileSync(process.argv[2]!, 'utf8');
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) };

const server = createServer((request, response) => {
	if (request.method === 'GET') {
		response.writeHead(200, headers);
		response.end(body);
		return;
	}
	const chunks: Buffer[] = [];
	request.on('data', (chunk: Buffer) => chunks.push(chunk));
	request.on('end', () => {
		const now = new Date().toISOString();
		const row = JSON.parse(Buffer.concat(chunks).toString());
		const answer = JSON.stringify({
			id: '01a20b92-d66d-74ca-8254-b14115d855ad',
			...row,
			created_at: now,
			updated_at: now,
		});
		response.writeHead(201, {
			'content-type': 'application/json; charset=utf-8',
			'content-length': Buffer.byteLength(answer),
		});
		response.end(answer);
	});
});
server.listen(0, '127.0.0.1', () =>
	console.log(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
