/**
 * What a move carries, in terms of no engine: kinds of records, their columns, and by what a record is told from others. Engines
 * derive their statements from it. What a schema holds beside it is listed, with the reason, where the engine's side is.
 */

/** An `id` is a row's id, as text. Integers are below 2^53. */
export type ColumnType = 'text' | 'integer' | 'boolean' | 'id';

export type Value = string | number | boolean | null;

/** The values of a record, in the order of its kind's columns. */
export type Fields = readonly Value[];

interface KindDescription {
	readonly columns: Readonly<Record<string, ColumnType>>;
	/** What no two records have in common, the account first where there is one. The ends are compared in this order. */
	readonly key: readonly string[];
	/** Numbers already given out, which must not go back and may be ahead: left out of checksums. */
	readonly atLeast?: string;
}

/** The kinds in the order in which they are carried: what others refer to comes first. */
export const KINDS = {
	clients: {
		columns: {
			client_id: 'text',
			secret_hash: 'text',
			metadata: 'text',
			fingerprint: 'text',
			created_at: 'integer',
			seen_at: 'integer',
			used_at: 'integer',
		},
		key: ['client_id'],
	},
	magic_links: {
		columns: {
			token_hash: 'text',
			email: 'text',
			request_hash: 'text',
			expires_at: 'integer',
			used_at: 'integer',
		},
		key: ['token_hash'],
	},
	authorizations: {
		columns: {
			request_hash: 'text',
			browser_hash: 'text',
			email: 'text',
			request: 'text',
			account_id: 'text',
			expires_at: 'integer',
		},
		key: ['request_hash'],
	},
	accounts: {
		columns: {
			account_id: 'text',
			email: 'text',
			created_at: 'text',
			tables: 'integer',
			bytes: 'integer',
			version_bytes: 'integer',
			kept_bytes: 'integer',
			last_id: 'id',
		},
		key: ['account_id'],
		atLeast: 'last_id',
	},
	api_keys: {
		columns: {
			account_id: 'text',
			key_id: 'text',
			name: 'text',
			secret_hash: 'text',
			prefix: 'text',
			made_by: 'text',
			created_at: 'text',
			last_used_at: 'text',
			revoked_at: 'text',
		},
		key: ['account_id', 'key_id'],
	},
	sessions: {
		columns: {
			account_id: 'text',
			secret_hash: 'text',
			session_id: 'text',
			created_at: 'text',
			expires_at: 'integer',
		},
		key: ['account_id', 'secret_hash'],
	},
	links: {
		columns: { account_id: 'text', token_hash: 'text', key_id: 'text', target: 'text', expires_at: 'integer' },
		key: ['account_id', 'token_hash'],
	},
	grants: {
		columns: {
			account_id: 'text',
			grant_id: 'text',
			client_id: 'text',
			client_name: 'text',
			redirect_uri: 'text',
			audience: 'text',
			created_at: 'text',
			last_used_at: 'text',
		},
		key: ['account_id', 'grant_id'],
	},
	codes: {
		columns: {
			account_id: 'text',
			code_hash: 'text',
			grant_id: 'text',
			challenge: 'text',
			expires_at: 'integer',
			used_at: 'integer',
		},
		key: ['account_id', 'code_hash'],
	},
	tokens: {
		columns: {
			account_id: 'text',
			token_hash: 'text',
			grant_id: 'text',
			kind: 'text',
			expires_at: 'integer',
			used_at: 'integer',
		},
		key: ['account_id', 'token_hash'],
	},
	tables: {
		columns: { account_id: 'text', name: 'text', rows: 'integer' },
		key: ['account_id', 'name'],
	},
	versions: {
		columns: {
			account_id: 'text',
			table_name: 'text',
			id: 'id',
			version: 'integer',
			archived_at: 'text',
			deleted: 'boolean',
			bytes: 'integer',
			text: 'text',
		},
		key: ['account_id', 'table_name', 'id', 'version'],
	},
	rows: {
		columns: {
			account_id: 'text',
			table_name: 'text',
			id: 'id',
			version: 'integer',
			bytes: 'integer',
			text: 'text',
		},
		key: ['account_id', 'table_name', 'id'],
	},
	kept_answers: {
		columns: {
			account_id: 'text',
			table_name: 'text',
			key: 'text',
			fingerprint: 'text',
			created_at: 'integer',
			bytes: 'integer',
			answer: 'text',
		},
		key: ['account_id', 'table_name', 'key'],
	},
	member_indexes: {
		columns: { account_id: 'text', table_name: 'text', members: 'text', used_at: 'integer' },
		key: ['account_id', 'table_name', 'members'],
	},
} as const satisfies Readonly<Record<string, KindDescription>>;

export type KindName = keyof typeof KINDS;

export const KIND_NAMES = Object.keys(KINDS) as readonly KindName[];

export function kindOf(name: KindName): KindDescription {
	return KINDS[name];
}

export function columnsOf(name: KindName): readonly string[] {
	return Object.keys(KINDS[name].columns);
}

/** Where a column stands in a record of the kind. */
export function at(name: KindName, column: string): number {
	return columnsOf(name).indexOf(column);
}

/** Are the kind's records those of accounts? Those of one that is being erased are left behind. */
export function isOfAccounts(name: KindName): boolean {
	return kindOf(name).key[0] === 'account_id';
}
