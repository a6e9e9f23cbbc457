import { normalizeEmail } from '../accounts/email.ts';
import { apiKey, newAccountId, newKeyId, newKeySecret, secretHash } from '../accounts/secrets.ts';
import { Refusal } from '../errors.ts';
import { eraseAccount, sweepErased } from '../operations/erase-account.ts';
import { checkTableName } from '../operations/input.ts';
import type { Store } from '../store/seam.ts';

/** What an operator may do beyond the API, from the command line, whether or not the server runs. */
export type OperatorCommand =
	| { readonly command: 'keys create'; readonly email: string; readonly name: string }
	| { readonly command: 'accounts delete'; readonly account: string }
	| { readonly command: 'rows purge'; readonly account: string; readonly table: string; readonly id: string };

const MAX_KEY_NAME_CHARACTERS = 80;
const SCRUB_WAIT_MS = 10_000;

/** Runs the command and answers what to tell the operator. `account` is an email address or an account id. */
export async function runOperatorCommand(
	store: Store,
	command: OperatorCommand,
): Promise<Record<string, string | number>> {
	switch (command.command) {
		case 'keys create':
			return createKey(store, command.email, command.name);
		case 'accounts delete':
			return deleteAccount(store, command.account);
		case 'rows purge':
			return purgeRow(store, command.account, command.table, command.id);
	}
}

async function createKey(store: Store, email: string, name: string): Promise<Record<string, string>> {
	if (name === '' || [...name].length > MAX_KEY_NAME_CHARACTERS) {
		throw new Refusal('invalid_request', `A key's name has 1 to ${MAX_KEY_NAME_CHARACTERS} characters.`);
	}
	const { secret, start } = newKeySecret();
	const outcome = await store.writeAccounts({
		command: 'createKeyForEmail',
		email: normalizeEmail(email),
		freshAccountId: newAccountId(),
		key: { id: newKeyId(), name, secretHash: secretHash(secret), secretStart: start, madeBy: 'operator' },
	});
	return { api_key: apiKey(outcome.accountId!, secret), account_id: outcome.accountId!, id: outcome.keyId! };
}

async function deleteAccount(store: Store, account: string): Promise<Record<string, string | number>> {
	const accountId = await accountIdOf(store, account);
	if (!(await eraseAccount(store, accountId))) throw noAccount(account);
	await sweepErased(store);
	return { deleted: 1, account_id: accountId, on_disk: await scrubbed(store) };
}

async function purgeRow(
	store: Store,
	account: string,
	table: string,
	id: string,
): Promise<Record<string, string | number>> {
	const accountId = await accountIdOf(store, account);
	const outcome = await store.writeAccounts({ command: 'purgeRow', accountId, table: checkTableName(table), id });
	if (outcome.count === 0)
		throw new Refusal(
			'row_not_found',
			'Nothing of a row with this id is in this table: no live row, version or kept answer.',
		);
	return { purged: outcome.count!, on_disk: await scrubbed(store) };
}

/** What is left on disk, in words: an export that somebody still reads keeps old pages for as long as it takes. */
async function scrubbed(store: Store): Promise<string> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<string>((resolve) => {
		timer = setTimeout(resolve, SCRUB_WAIT_MS, 'goes once the exports that are being read have ended');
	});
	const done = store
		.scrub()
		.then((gone) => (gone ? 'nothing is left' : 'goes with the next VACUUM of the database, and with its WAL'));
	return Promise.race([done, late]).finally(() => clearTimeout(timer));
}

async function accountIdOf(store: Store, account: string): Promise<string> {
	if (!account.includes('@')) return account;
	const accountId = await store.read.accountOf(normalizeEmail(account));
	if (accountId === undefined) throw noAccount(account);
	return accountId;
}

function noAccount(account: string): Refusal {
	return new Refusal('not_found', `There is no account ${account}. Give its email address or its id.`);
}
