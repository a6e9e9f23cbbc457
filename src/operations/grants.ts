import { destinationOf } from '../accounts/redirect-uri.ts';
import type { Context } from './context.ts';

/** What a person sees of the apps that they connected, and how one is disconnected. */

/** The account's grants, the newest first. */
export async function listGrants({ store, clock }: Context, accountId: string): Promise<object> {
	const grants = await store.read.grants(accountId, clock());
	return {
		grants: grants.map(({ id, clientId, clientName, redirectUri, createdAt, lastUsedAt }) => ({
			id,
			client_id: clientId,
			client_name: clientName,
			destination: destinationOf(redirectUri),
			created_at: createdAt,
			last_used_at: lastUsedAt,
		})),
	};
}

/** Ends a grant: its tokens and the links it made are dead when this is answered. 0 where there is none of this id. */
export async function revokeGrant({ store }: Context, accountId: string, grantId: string): Promise<object> {
	const outcome = await store.writeAccounts({ command: 'revokeGrant', accountId, grantId });
	return { revoked: outcome.count };
}
