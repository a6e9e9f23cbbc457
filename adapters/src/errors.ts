/** The code of an error of the client; undefined for any other. No class is compared, so any copy of the client will do. */
export function codeOf(error: unknown): string | undefined {
	const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
	return name === 'PumaError' && typeof code === 'string' ? code : undefined;
}

/** Most operations that a batch has by default (`maxBatchOperations`). */
export const BATCH = 100;
