import { versionsKeptSince } from '../domain/writes.ts';
import { Refusal } from '../errors.ts';
import { callerOf, type Run } from './context.ts';
import { tableOf } from './input.ts';

/** Lists what was archived of one row, newest first. */
export const listVersions: Run = async (context, input) => {
	const table = tableOf(input);
	const { limits, store, clock } = context;
	if (input.id === undefined) {
		throw new Refusal(
			'invalid_request',
			'The query parameter "id" is missing. Send the id of one row, for example ?id=0197a1b2-….',
			{
				field: 'id',
			},
		);
	}
	const since = versionsKeptSince(limits, clock());
	const versions = await store.read.versions(
		callerOf(input).accountId,
		table,
		input.id,
		since,
		limits.maxVersionsPerRow,
	);
	const texts = versions.map(
		({ version, archivedAt, deleted, row }) =>
			`{"version":${version},"archived_at":"${archivedAt}","deleted":${deleted},"row":${row}}`,
	);
	return { body: `{"versions":[${texts.join(',')}]}` };
};
