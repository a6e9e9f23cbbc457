import { resolve } from 'node:path';
import type { Source, Target } from './ends.ts';

/** An end as an operator names it: a data directory, or a postgres:// URL. */
export type Place = { readonly dataDir: string } | { readonly url: string };

/** Reads what an operator wrote. Undefined where it is neither. */
export function placeOf(text: string): Place | undefined {
	if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { dataDir: text };
	return /^postgres(ql)?:\/\//i.test(text) && URL.canParse(text) ? { url: text } : undefined;
}

/** How a place is called in sentences and in marks: without user and password, and the same however it is spelled. */
export async function nameOf(place: Place): Promise<string> {
	if ('url' in place) return (await import('../postgres/move-source.ts')).nameOf(place.url);
	return (await import('../sqlite/move-source.ts')).nameOf(resolve(place.dataDir));
}

/** Opens what is moved from. Each engine is loaded only where it is used. */
export async function openSource(place: Place): Promise<Source> {
	if ('url' in place) return (await import('../postgres/move-source.ts')).DatabaseSource.open(place.url);
	return (await import('../sqlite/move-source.ts')).FileSource.open(resolve(place.dataDir));
}

/** Opens what is moved to, and changes nothing of it. */
export async function openTarget(place: Place): Promise<Target> {
	if ('url' in place) return (await import('../postgres/move-target.ts')).DatabaseTarget.open(place.url);
	return (await import('../sqlite/move-target.ts')).FileTarget.open(resolve(place.dataDir));
}
