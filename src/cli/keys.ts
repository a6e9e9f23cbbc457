import { PumaError } from '../../client/src/index.ts';
import type { Values } from './command.ts';
import { connect } from './connect.ts';
import { answer } from './output.ts';
import type { Surroundings } from './surroundings.ts';
import { tableText } from './table-text.ts';

/** A person's own API keys. The operator's command, which needs no key, is in operate.ts. */
export async function listKeys(values: Values, around: Surroundings): Promise<number> {
	const keys = await connect(around).keys();
	const columns = ['id', 'name', 'prefix', 'created_at', 'last_used_at', 'revoked_at'];
	await answer(around, values, { keys }, () =>
		tableText(
			keys.map((key) => Object.fromEntries(Object.entries(key).filter(([, value]) => value !== null))),
			columns,
			around.stdout.columns,
		),
	);
	return 0;
}

export async function createKey(values: Values, [name]: readonly string[], around: Surroundings): Promise<number> {
	const key = await connect(around).createKey(name!);
	await answer(around, values, key, () => `api_key: ${key.api_key}\nid: ${key.id}\nThe key is shown this once.`);
	return 0;
}

export async function revokeKey(values: Values, [id]: readonly string[], around: Surroundings): Promise<number> {
	if (!(await connect(around).revokeKey(id!))) {
		throw new PumaError('not_found', `The account has no live key ${id}. "pumadb keys list" shows the ids.`, {
			status: 404,
		});
	}
	await answer(around, values, { revoked: 1 }, () => `Revoked ${id}.`);
	return 0;
}
