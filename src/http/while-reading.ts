import type { Reader } from '../store/seam.ts';

/** A body that came in this time came with its head: its key is not looked up twice. */
const AT_ONCE_MS = 20;

/**
 * A body may take its time, and the key of its call may end meanwhile.
 * @returns whether the caller is known still, asked once the body is there. Where the engine cannot know what other servers end, only
 * for a body that came at once.
 */
export function watchCaller(read: Reader): () => boolean {
	const revocations = read.revocations();
	const began = performance.now();
	return () =>
		revocations === undefined ? performance.now() - began < AT_ONCE_MS : revocations === read.revocations();
}
