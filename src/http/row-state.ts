import type { RowState } from '../domain/writes.ts';

/**
 * The state that the entity tag of an `If-Match` header names (RFC 9110 section 13.1.1); undefined for no header, several tags and
 * `*`. Proxies that compress make tags weak, which changes nothing of what ours mean.
 */
export function stateOf(header: string | undefined): RowState | undefined {
	const tag = /^\s*(?:W\/)?"(\d{1,15})"\s*$/.exec(header ?? '')?.[1];
	return tag === undefined ? undefined : Number(tag);
}
