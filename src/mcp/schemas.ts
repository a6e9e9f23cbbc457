import type { Annotations, Schema } from './tool.ts';

/**
 * Pieces of the tools' schemas, kept to what clients agree on: nothing is referred to, every `type` is one type, and every
 * schema says something of its values.
 */

export const ANY_OBJECT = { type: 'object', additionalProperties: true };

export const TABLE = {
	type: 'string',
	pattern: '^[A-Za-z][A-Za-z0-9_-]{0,63}$',
	description: 'The table: a letter, then up to 63 letters, digits, "_" or "-". It begins with its first row.',
};

export const FILTER = {
	type: 'object',
	additionalProperties: {
		anyOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }, { type: 'null' }],
	},
	description:
		'Members and the values that they must have, all of them: {"status":"open","owner":"ada"}. Equality only, without coercion: 1 is not "1", and null matches an explicit null.',
};

export const ROW = {
	type: 'object',
	additionalProperties: true,
	description: 'Any JSON object without "id", "created_at" and "updated_at", which belong to the service.',
};

export const PATCH = {
	type: 'object',
	additionalProperties: true,
	description: 'The members to set. Others stay as they are; null is stored as null.',
};

export const KEY = {
	anyOf: [{ type: 'string' }, { type: 'array', minItems: 1, items: { type: 'string' } }],
	description: 'The member, or the members together, that tell rows apart. Each must be in the row.',
};

export const ROW_ID = { type: 'string', description: 'The id of a row, as it was answered.' };

export const IDEMPOTENCY_KEY = {
	type: 'string',
	minLength: 1,
	maxLength: 255,
	description:
		'Any text of your own for this one add, for example a UUID. Send the same again when you repeat the call: the row is then added once, and answered again.',
};

export const FILE_NAME = { type: 'string', description: 'What the download is to be called.' };

/** The arguments of a tool. @param closed are others refused? */
export function input(required: readonly string[], properties: Schema, closed = false): Schema {
	return { type: 'object', properties, required, ...(closed ? { additionalProperties: false } : {}) };
}

const STAMP = { type: 'string', format: 'date-time' };

export const ANSWERED_ROW = object(['id', 'created_at', 'updated_at'], {
	id: { type: 'string' },
	created_at: STAMP,
	updated_at: STAMP,
});

export const VERSION = object(['version', 'archived_at', 'deleted', 'row'], {
	version: { type: 'integer', minimum: 1 },
	archived_at: STAMP,
	deleted: { type: 'boolean' },
	row: ANSWERED_ROW,
});

/** What every link answer has, and members of its own. */
export function link(required: readonly string[], properties: Schema): Schema {
	return object(['viewer_url', 'download_url', 'expires_at', 'filename', 'mime_type', 'table', ...required, 'safety'], {
		viewer_url: { type: 'string', description: 'Opens a page for a person. Hand this on.' },
		download_url: { type: 'string', description: 'Downloads the same as a file.' },
		expires_at: STAMP,
		filename: { type: 'string' },
		mime_type: { type: 'string' },
		table: { type: 'string' },
		...properties,
		safety: { type: 'string', description: 'How to treat the URLs.' },
	});
}

export const QUERY_LINK = link([], {
	filter: FILTER,
	sort: { type: 'string' },
	limit: { type: 'integer' },
});

export const COUNT = { type: 'integer', minimum: 0 };

export function list(items: Schema): Schema {
	return { type: 'array', items };
}

export function object(required: readonly string[], properties: Schema): Schema {
	return { type: 'object', required, properties };
}

const FAILURE = object(['error'], {
	error: object(['code', 'message'], {
		code: { type: 'string', description: 'Stable: branch on it.' },
		message: { type: 'string', description: 'What was wrong and what to send instead.' },
		details: ANY_OBJECT,
	}),
});

/** A tool's answer, or its refusal: clients exist that hold a failed call's content against the schema too. */
export function output(success: Schema): Schema {
	return { type: 'object', anyOf: [success, FAILURE] };
}

export const READS: Annotations = {
	readOnlyHint: true,
	destructiveHint: false,
	idempotentHint: true,
	openWorldHint: false,
};
export const ADDS: Annotations = {
	readOnlyHint: false,
	destructiveHint: false,
	idempotentHint: false,
	openWorldHint: false,
};
/** What they replace or remove is archived; a second call of the same changes nothing more. */
export const CHANGES: Annotations = {
	readOnlyHint: false,
	destructiveHint: true,
	idempotentHint: true,
	openWorldHint: false,
};
