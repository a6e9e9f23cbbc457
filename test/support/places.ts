import type { Answer, Client } from './client.ts';

/** Everywhere that members with values may be sent. Members are JSON text, for what JSON.stringify cannot write. */
export interface Place {
	readonly name: string;
	/** JSON path of the object that holds the members. */
	readonly path: string;
	/** @param members the text between the object's braces. */
	send(members: string): Promise<Answer>;
}

export interface Places {
	/** Rows and patches: any value may stand here. */
	readonly rows: readonly Place[];
	/** Filters: only scalars. */
	readonly filters: readonly Place[];
}

/** @param seed a row of the table, which patches go to; it must have the member `"seed": true`. */
export function placesIn(client: Client, table: string, seed: { readonly id: string }): Places {
	const post = (path: string, body: string): Promise<Answer> =>
		client.call('POST', `/v1/${table}${path}`, { body, headers: { 'content-type': 'application/json' } });
	const harmless = `{"action":"update_row","id":"${seed.id}","patch":{}}`;
	const batch = (item: string): Promise<Answer> => post('/batch', `{"operations":[${harmless},${item}]}`);
	const inBatch = '$.operations[1]';
	const withKey = (members: string): string => `"key":"k","row":{${members === '' ? '' : `${members},`}"k":"one"}`;
	const read = (path: string) => (members: string) =>
		client.call('GET', `/v1/${table}${path}?filter=${encodeURIComponent(`{${members}}`)}`);
	return {
		rows: [
			{ name: 'add', path: '$', send: (members) => post('', `{${members}}`) },
			{ name: 'upsert', path: '$.row', send: (members) => post('/upsert', `{${withKey(members)}}`) },
			{
				name: 'update_row',
				path: '$.patch',
				send: (members) => post('/update_row', `{"id":"${seed.id}","patch":{${members}}}`),
			},
			{
				name: 'update_where',
				path: '$.patch',
				send: (members) => post('/update_where', `{"filter":{"seed":true},"patch":{${members}}}`),
			},
			{
				name: 'batch add',
				path: `${inBatch}.row`,
				send: (members) => batch(`{"action":"add","row":{${members}}}`),
			},
			{
				name: 'batch upsert',
				path: `${inBatch}.row`,
				send: (members) => batch(`{"action":"upsert",${withKey(members)}}`),
			},
			{
				name: 'batch update_row',
				path: `${inBatch}.patch`,
				send: (members) => batch(`{"action":"update_row","id":"${seed.id}","patch":{${members}}}`),
			},
			{
				name: 'batch update_where',
				path: `${inBatch}.patch`,
				send: (members) => batch(`{"action":"update_where","filter":{"seed":true},"patch":{${members}}}`),
			},
		],
		filters: [
			{ name: 'query', path: '$', send: read('') },
			{ name: 'count', path: '$', send: read('/count') },
			{
				name: 'DELETE',
				path: '$.filter',
				send: (members) =>
					client.call('DELETE', `/v1/${table}`, {
						body: `{"filter":{${members}}}`,
						headers: { 'content-type': 'application/json' },
					}),
			},
			{
				name: 'update_where',
				path: '$.filter',
				send: (members) => post('/update_where', `{"filter":{${members}},"patch":{"n":1},"allowMultiple":true}`),
			},
			{
				name: 'batch delete',
				path: `${inBatch}.filter`,
				send: (members) => batch(`{"action":"delete","filter":{${members}}}`),
			},
			{
				name: 'batch update_where',
				path: `${inBatch}.filter`,
				send: (members) => batch(`{"action":"update_where","filter":{${members}},"patch":{},"allowMultiple":true}`),
			},
		],
	};
}
