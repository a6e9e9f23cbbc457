import { newLinkTokens } from '../accounts/secrets.ts';
import { checkFileName, fileNameFor, type LinkTarget, targetText } from '../domain/link.ts';
import { type Context, callerOf, type Input } from './context.ts';

/** What the three link operations share. */

export const JSON_FILE = 'application/json';

/** The members that every link answer has. */
export interface LinkMembers {
	readonly viewer_url: string;
	readonly download_url: string;
	readonly expires_at: string;
	readonly filename: string;
	readonly mime_type: string;
	readonly table: string;
}

/** Makes a link to what was checked to be there. @throws Refusal link_limit_reached */
export async function makeLink(context: Context, input: Input, target: LinkTarget): Promise<LinkMembers> {
	const { accountId, keyId } = callerOf(input);
	const { viewer, download, hash } = newLinkTokens(accountId);
	const expiresAt = context.clock() + context.linkTtlSeconds * 1000;
	await context.store.writeAccounts({
		command: 'createLink',
		accountId,
		keyId,
		tokenHash: hash,
		target: targetText(target),
		expiresAt,
	});
	return {
		viewer_url: `${context.publicUrl}/view/${viewer}`,
		download_url: `${context.publicUrl}/download/${download}`,
		expires_at: new Date(expiresAt).toISOString(),
		filename: target.filename,
		mime_type: target.mimeType,
		table: target.table,
	};
}

/** The file name asked for, or one made from the names of what is shown. @throws Refusal invalid_filename */
export function fileName(asked: string | undefined, parts: readonly string[], type: string): string {
	return asked === undefined ? fileNameFor(parts, type) : checkFileName(asked);
}

/** How an agent should treat the URLs. */
export function safetyOf(use: 'edit' | 'read', seconds: number): string {
	const life = lasting(seconds);
	const may = use === 'edit' ? 'read and edit this data' : 'read this data';
	return `Anyone who has these URLs can ${may} without signing in for ${life}: give them only to the person they are for, and do not publish or store them.`;
}

const UNITS = [
	['day', 86_400],
	['hour', 3600],
	['minute', 60],
	['second', 1],
] as const;

/** A time in the greatest unit that tells it exactly: 5400 seconds are 90 minutes. */
export function lasting(seconds: number): string {
	const [unit, length] = UNITS.find(([, length]) => seconds % length === 0)!;
	const count = seconds / length;
	return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
