// Generated from contract/openapi.json by scripts/generate.ts. Do not edit.
/** What each operation takes and answers. */
export interface Operations {
	requestMagicLink: { body: RequestMagicLinkBody; answer: RequestMagicLinkAnswer };
	verifyMagicLink: { body: VerifyMagicLinkBody; answer: VerifyMagicLinkAnswer };
	queryRows: { body: undefined; answer: QueryRowsAnswer };
	addRow: { body: AddRowBody; answer: AddRowAnswer };
	deleteWhere: { body: DeleteWhereBody; answer: DeleteWhereAnswer };
	upsertRow: { body: UpsertRowBody; answer: UpsertRowAnswer };
	batch: { body: BatchBody; answer: BatchAnswer };
	updateRow: { body: UpdateRowBody; answer: UpdateRowAnswer };
	updateWhere: { body: UpdateWhereBody; answer: UpdateWhereAnswer };
	countRows: { body: undefined; answer: CountRowsAnswer };
	listVersions: { body: undefined; answer: ListVersionsAnswer };
	restoreVersion: { body: RestoreVersionBody; answer: RestoreVersionAnswer };
	listTables: { body: undefined; answer: ListTablesAnswer };
	exportTables: { body: undefined; answer: ExportTablesAnswer };
	createTextFieldLink: { body: CreateTextFieldLinkBody; answer: CreateTextFieldLinkAnswer };
	createRowLink: { body: CreateRowLinkBody; answer: CreateRowLinkAnswer };
	createQueryLink: { body: CreateQueryLinkBody; answer: CreateQueryLinkAnswer };
	listKeys: { body: undefined; answer: ListKeysAnswer };
	createKey: { body: CreateKeyBody; answer: CreateKeyAnswer };
	revokeKey: { body: undefined; answer: RevokeKeyAnswer };
}

/** Where each operation is, and a member that every answer to it has. */
export const PATHS = {
	requestMagicLink: ['POST', '/auth/magic-link', 'ok'],
	verifyMagicLink: ['POST', '/auth/verify', 'api_key'],
	queryRows: ['GET', '/v1/{table}', 'rows'],
	addRow: ['POST', '/v1/{table}', 'id'],
	deleteWhere: ['DELETE', '/v1/{table}', 'deleted'],
	upsertRow: ['POST', '/v1/{table}/upsert', 'created'],
	batch: ['POST', '/v1/{table}/batch', 'results'],
	updateRow: ['POST', '/v1/{table}/update_row', 'row'],
	updateWhere: ['POST', '/v1/{table}/update_where', 'updated'],
	countRows: ['GET', '/v1/{table}/count', 'count'],
	listVersions: ['GET', '/v1/{table}/versions', 'versions'],
	restoreVersion: ['POST', '/v1/{table}/restore', 'row'],
	listTables: ['GET', '/v1/_tables', 'tables'],
	exportTables: ['GET', '/v1/_export', 'tables'],
	createTextFieldLink: ['POST', '/v1/_text_field_links', 'viewer_url'],
	createRowLink: ['POST', '/v1/_row_links', 'viewer_url'],
	createQueryLink: ['POST', '/v1/_query_links', 'viewer_url'],
	listKeys: ['GET', '/v1/_keys', 'keys'],
	createKey: ['POST', '/v1/_keys', 'api_key'],
	revokeKey: ['DELETE', '/v1/_keys/{id}', 'revoked'],
} as const satisfies Record<keyof Operations, readonly [method: string, path: string, member: string]>;

/** The limits in force; null where one is switched off. */
export interface Limits {
	readonly maxTables: number | null;
	readonly maxRowsPerTable: number | null;
	readonly maxAccountBytes: number | null;
	readonly maxRowBytes: number | null;
	readonly maxBatchOperations: number | null;
	readonly readsPerMinute: number | null;
	readonly writesPerMinute: number | null;
	readonly maxQueryLimit: number | null;
	readonly maxVersionsPerRow: number | null;
	readonly versionRetentionDays: number | null;
}

/** Every code that the service refuses a call with. */
export type ServiceErrorCode =
	/** 400: The body is not valid JSON in UTF-8. */
	| 'invalid_json'
	/** 400: The body does not say that it is JSON. */
	| 'invalid_content_type'
	/** 400: The body does not have the operation's members. */
	| 'invalid_request'
	/** 400: The query string cannot be read. */
	| 'invalid_query'
	/** 400: The operation has no such query parameter. */
	| 'unknown_parameter'
	/** 400: A query parameter is given twice. */
	| 'duplicate_parameter'
	/** 400: The HTTP request is malformed. */
	| 'bad_request'
	/** 413: The body is larger than the operation accepts. */
	| 'body_too_large'
	/** 431: The header section is larger than 64 KB. */
	| 'headers_too_large'
	/** 408: The request did not arrive in time. */
	| 'request_timeout'
	/** 401: There is no bearer API key. */
	| 'missing_api_key'
	/** 401: The API key is unknown or revoked. */
	| 'invalid_api_key'
	/** 401: The magic-link token is unknown, used or expired. */
	| 'invalid_magic_link'
	/** 400: The email address is not one. */
	| 'invalid_email'
	/** 400: The mail server refuses to deliver to the address. */
	| 'email_refused'
	/** 400: The operator switched sign-in by magic link off. */
	| 'sign_in_off'
	/** 400: Magic links are shown in the answer only to callers on the same machine. */
	| 'dev_link_refused'
	/** 429: There were too many calls in the window. */
	| 'rate_limited'
	/** 400: The table name does not follow the pattern. */
	| 'invalid_table_name'
	/** 400: The filter is not an object of scalars. */
	| 'invalid_filter'
	/** 400: A filter with at least one member is needed here. */
	| 'filter_required'
	/** 400: The sort parameter names no member. */
	| 'invalid_sort'
	/** 400: The limit is not a whole number in range. */
	| 'invalid_limit'
	/** 400: The natural key does not name scalar members of the row. */
	| 'invalid_key'
	/** 400: The idempotency key is not 1 to 255 characters. */
	| 'invalid_idempotency_key'
	/** 400: The file name is empty, too long or has characters that file names must not have. */
	| 'invalid_filename'
	/** 400: The media type is not one. */
	| 'invalid_media_type'
	/** 400: The member that the link is to show is not there, or is not a string. */
	| 'not_a_text'
	/** 400: The row or patch carries a member that the service owns. */
	| 'reserved_field'
	/** 400: A number would not be stored as it was sent. */
	| 'number_not_exact'
	/** 400: A string holds U+0000 or half a surrogate pair. */
	| 'invalid_string'
	/** 400: The value is nested deeper than 64 levels. */
	| 'nesting_too_deep'
	/** 400: A member name is empty or longer than 256 bytes. */
	| 'invalid_member_name'
	/** 404: No live row matches. */
	| 'row_not_found'
	/** 404: The version is not kept. */
	| 'version_not_found'
	/** 409: Several rows match where one may be changed. */
	| 'multiple_matches'
	/** 400: Several rows already have the natural key. */
	| 'key_not_unique'
	/** 412: The row was changed since it was read. */
	| 'row_changed'
	/** 400: The idempotency key was used for other JSON. */
	| 'idempotency_key_reused'
	/** 400: The account has as many tables as it may. */
	| 'table_limit_reached'
	/** 400: The table has as many rows as it may. */
	| 'row_limit_reached'
	/** 413: The row is larger than a row may be. */
	| 'row_too_large'
	/** 413: The account would hold more bytes than it may. */
	| 'account_full'
	/** 413: What the write would answer is larger than an answer may be; nothing was changed. */
	| 'answer_too_large'
	/** 400: No room is left to keep the answer of a keyed add. */
	| 'archive_full'
	/** 400: The account has as many live API keys as it may. */
	| 'key_limit_reached'
	/** 429: The account has as many live links as it may. */
	| 'link_limit_reached'
	/** 404: The link is unknown, has expired, or the key that made it was revoked. */
	| 'link_not_found'
	/** 403: What the link shows cannot be changed through it. */
	| 'link_read_only'
	/** 428: The request does not say which state of the row it changes. */
	| 'precondition_required'
	/** 403: The request comes from a page of another origin. */
	| 'cross_origin_request'
	/** 401: There is no session, or it has ended. */
	| 'session_required'
	/** 403: The request does not carry the token that the session gave to its pages. */
	| 'invalid_csrf_token'
	/** 401: The access token is unknown, has expired, or its grant was revoked. */
	| 'invalid_access_token'
	/** 401: The OAuth client is unknown, or did not prove who it is. */
	| 'invalid_client'
	/** 400: The code or refresh token is unknown, used, expired, or was given to another client. */
	| 'invalid_grant'
	/** 400: The resource is not one of this server. */
	| 'invalid_target'
	/** 400: The grant type is neither authorization_code nor refresh_token. */
	| 'unsupported_grant_type'
	/** 400: The response type is not code. */
	| 'unsupported_response_type'
	/** 400: The token belongs to another client. */
	| 'unauthorized_client'
	/** 400: The redirect URI is not registered, or none that a client may have. */
	| 'invalid_redirect_uri'
	/** 400: The client's metadata cannot be used. */
	| 'invalid_client_metadata'
	/** 400: The authorization is unknown, has ended, or began in another browser. */
	| 'invalid_authorization'
	/** 404: There is nothing at this path. */
	| 'not_found'
	/** 405: The path does not have this method. */
	| 'method_not_allowed'
	/** 500: A fault of ours; nothing was changed by a call that got this answer, unless it says so. */
	| 'internal_error'
	/** 503: The mail server cannot be reached. */
	| 'mail_unavailable'
	/** 503: The disk is full or failing, or the database cannot be reached; nothing was written. */
	| 'storage_unavailable'
	/** 503: The database, or what writes to it, was lost while the call ran: it was done, or it was not. */
	| 'outcome_unknown'
	/** 503: More calls are waiting than the server accepts. */
	| 'overloaded'
	/** 503: The server is stopping. */
	| 'shutting_down';

export interface RequestMagicLinkAnswer {
  ok: boolean;
  expires_at: string;
  dev_magic_link?: string;
}
export interface RequestMagicLinkBody {
  email: string;
}
export interface VerifyMagicLinkAnswer {
  api_key: string;
  account_id: string;
}
export interface VerifyMagicLinkBody {
  token: string;
}
export interface QueryRowsAnswer {
  rows: {
    id: string;
    created_at: string;
    updated_at: string;
    [k: string]: unknown;
  }[];
}
export interface AddRowAnswer {
  id: string;
  created_at: string;
  updated_at: string;
  [k: string]: unknown;
}
export interface AddRowBody {
  [k: string]: unknown;
}
export interface DeleteWhereAnswer {
  deleted: number;
}
export interface DeleteWhereBody {
  filter: {
    [k: string]: string | number | boolean | null;
  };
}
export interface UpsertRowAnswer {
  created: boolean;
  row: {
    id: string;
    created_at: string;
    updated_at: string;
    [k: string]: unknown;
  };
}
export interface UpsertRowBody {
  key: string | [string, ...string[]];
  row: {
    [k: string]: unknown;
  };
}
export interface BatchAnswer {
  results: {
    index: number;
    action: "add" | "upsert" | "update_row" | "update_where" | "delete";
    result: unknown;
  }[];
}
export interface BatchBody {
  operations: (
    | {
        action: "add";
        row: {
          [k: string]: unknown;
        };
        idempotencyKey?: string;
      }
    | {
        action: "upsert";
        key: string | [string, ...string[]];
        row: {
          [k: string]: unknown;
        };
      }
    | {
        action: "update_row";
        id: string;
        patch: {
          [k: string]: unknown;
        };
      }
    | {
        action: "update_where";
        filter: {
          [k: string]: string | number | boolean | null;
        };
        patch: {
          [k: string]: unknown;
        };
        allowMultiple?: boolean;
      }
    | {
        action: "delete";
        filter: {
          [k: string]: string | number | boolean | null;
        };
      }
  )[];
}
export interface UpdateRowAnswer {
  row: {
    id: string;
    created_at: string;
    updated_at: string;
    [k: string]: unknown;
  };
}
export interface UpdateRowBody {
  id: string;
  patch: {
    [k: string]: unknown;
  };
}
export interface UpdateWhereAnswer {
  updated: number;
  rows: {
    id: string;
    created_at: string;
    updated_at: string;
    [k: string]: unknown;
  }[];
}
export interface UpdateWhereBody {
  filter: {
    [k: string]: string | number | boolean | null;
  };
  patch: {
    [k: string]: unknown;
  };
  allowMultiple?: boolean;
}
export interface CountRowsAnswer {
  count: number;
}
export interface ListVersionsAnswer {
  versions: RowVersion[];
}
export interface RowVersion {
  version: number;
  archived_at: string;
  deleted: boolean;
  row: {
    id: string;
    created_at: string;
    updated_at: string;
    [k: string]: unknown;
  };
}
export interface RestoreVersionAnswer {
  row: {
    id: string;
    created_at: string;
    updated_at: string;
    [k: string]: unknown;
  };
}
export interface RestoreVersionBody {
  id: string;
  version: number;
}
export interface ListTablesAnswer {
  tables: {
    name: string;
    rows: number;
  }[];
}
export interface ExportTablesAnswer {
  tables: {
    [k: string]: {
      id: string;
      created_at: string;
      updated_at: string;
      [k: string]: unknown;
    }[];
  };
}
export interface CreateTextFieldLinkAnswer {
  viewer_url: string;
  download_url: string;
  expires_at: string;
  filename: string;
  mime_type: string;
  table: string;
  field: string;
  safety: string;
}
export interface CreateTextFieldLinkBody {
  table: string;
  field: string;
  id?: string;
  filter?: {
    [k: string]: string | number | boolean | null;
  };
  filename?: string;
  mimeType?: string;
}
export interface CreateRowLinkAnswer {
  viewer_url: string;
  download_url: string;
  expires_at: string;
  filename: string;
  mime_type: "application/json";
  table: string;
  id: string;
  safety: string;
}
export interface CreateRowLinkBody {
  table: string;
  id: string;
  filename?: string;
}
export interface CreateQueryLinkAnswer {
  viewer_url: string;
  download_url: string;
  expires_at: string;
  filename: string;
  mime_type: "application/json";
  table: string;
  filter?: {
    [k: string]: string | number | boolean | null;
  };
  sort?: string;
  limit?: number;
  safety: string;
}
export interface CreateQueryLinkBody {
  table: string;
  filter?: {
    [k: string]: string | number | boolean | null;
  };
  sort?: string;
  limit?: number;
  filename?: string;
}
export interface ListKeysAnswer {
  keys: ApiKey[];
}
export interface ApiKey {
  id: string;
  account_id: string;
  name: string;
  prefix: string;
  scope: "*";
  revoked_at: string | null;
  created_at: string;
  last_used_at: string | null;
}
export interface CreateKeyAnswer {
  api_key: string;
  id: string;
  prefix: string;
  scope: "*";
}
export interface CreateKeyBody {
  name: string;
}
export interface RevokeKeyAnswer {
  revoked: number;
}
