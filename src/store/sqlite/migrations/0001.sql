-- Schema 1. `docs/storage.md` tells what each table, index and hash is for.

-- AUTOINCREMENT, here and below: a number is never given out again, so that it cannot come to mean somebody else's.
CREATE TABLE accounts (
	account_no INTEGER PRIMARY KEY AUTOINCREMENT,
	account_id TEXT NOT NULL UNIQUE,
	email TEXT NOT NULL UNIQUE,
	created_at TEXT NOT NULL
);

-- What an account holds. Every write changes it, so its rows are as narrow as can be: a commit then rewrites few pages.
CREATE TABLE usage (
	account_no INTEGER PRIMARY KEY,
	tables INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	version_bytes INTEGER NOT NULL,
	kept_bytes INTEGER NOT NULL
);
CREATE VIEW account_usage AS SELECT a.account_id, u.* FROM accounts a JOIN usage u USING (account_no);

CREATE TABLE api_keys (
	key_no INTEGER PRIMARY KEY,
	account_id TEXT NOT NULL,
	key_id TEXT NOT NULL,
	name TEXT NOT NULL,
	-- SHA-256 of the key's secret part, in hex. The secret itself is never stored.
	secret_hash TEXT NOT NULL,
	prefix TEXT NOT NULL,
	made_by TEXT NOT NULL CHECK (made_by IN ('sign_in', 'api', 'operator')),
	created_at TEXT NOT NULL,
	last_used_at TEXT,
	revoked_at TEXT
);
-- Finds a key when a call presents it.
CREATE UNIQUE INDEX api_keys_by_secret ON api_keys (account_id, secret_hash);
-- Lists and revokes keys.
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (account_id, key_id);

CREATE TABLE magic_links (
	-- SHA-256 of the token, in hex.
	token_hash TEXT PRIMARY KEY,
	email TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER
) WITHOUT ROWID;
-- Sweeps what has run out.
CREATE INDEX magic_links_by_expiry ON magic_links (expires_at);

CREATE TABLE tables (
	table_no INTEGER PRIMARY KEY AUTOINCREMENT,
	account_id TEXT NOT NULL,
	name TEXT NOT NULL
);
CREATE UNIQUE INDEX tables_by_name ON tables (account_id, name);

-- Live rows of each table, narrow like `usage`.
CREATE TABLE row_counts (
	table_no INTEGER PRIMARY KEY,
	rows INTEGER NOT NULL
);
-- Finds tables that may be forgotten once nothing of them can be restored.
CREATE INDEX row_counts_of_none ON row_counts (table_no) WHERE rows = 0;
CREATE VIEW counted_tables AS SELECT t.table_no, t.account_id, t.name, c.rows FROM tables t JOIN row_counts c USING (table_no);

-- Live rows in order of arrival, so that writes of many accounts share pages. Within a table, order of place is order of id.
CREATE TABLE rows (
	place INTEGER PRIMARY KEY,
	table_no INTEGER NOT NULL,
	id BLOB NOT NULL,
	version INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	text TEXT NOT NULL
);
-- Lists a table in order of creation and finds a row by id.
CREATE UNIQUE INDEX rows_by_id ON rows (table_no, id);

-- Archived versions in order of archiving, so that the oldest are found without an index on time.
CREATE TABLE versions (
	version_no INTEGER PRIMARY KEY,
	account_id TEXT NOT NULL,
	table_no INTEGER NOT NULL,
	id BLOB NOT NULL,
	version INTEGER NOT NULL,
	archived_at TEXT NOT NULL,
	deleted INTEGER NOT NULL,
	place INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	text TEXT NOT NULL
);
-- Lists a row's versions, finds one to restore, drops what exceeds the number kept.
CREATE UNIQUE INDEX versions_by_row ON versions (table_no, id, version);
-- Gives up an account's oldest versions when its archive is full.
CREATE INDEX versions_by_account ON versions (account_id, version_no);

-- Answers of keyed adds, in order of time.
CREATE TABLE kept_answers (
	kept_no INTEGER PRIMARY KEY,
	account_id TEXT NOT NULL,
	table_no INTEGER NOT NULL,
	key TEXT NOT NULL,
	-- SHA-256 of the row sent, members in order of name, in hex.
	fingerprint TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	answer TEXT NOT NULL
);
-- Finds the answer of a repeated call.
CREATE UNIQUE INDEX kept_answers_by_key ON kept_answers (table_no, key);
-- Gives up an account's oldest answers when its archive is full.
CREATE INDEX kept_answers_by_account ON kept_answers (account_id, kept_no);

-- Member indexes, made for the sets of members that a table is really filtered on.
CREATE TABLE member_indexes (
	index_no INTEGER PRIMARY KEY AUTOINCREMENT,
	table_no INTEGER NOT NULL,
	-- JSON array of the members, in order of name.
	members TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('building', 'ready', 'dropping')),
	-- While building: entries exist for rows up to this id.
	built_through BLOB,
	used_at INTEGER NOT NULL
);
CREATE INDEX member_indexes_by_table ON member_indexes (table_no);
CREATE INDEX member_indexes_unfinished ON member_indexes (state) WHERE state <> 'ready';

CREATE TABLE index_entries (
	index_no INTEGER NOT NULL,
	-- domain/value.ts equalityKey of the members' values.
	key BLOB NOT NULL,
	place INTEGER NOT NULL,
	PRIMARY KEY (index_no, key, place)
) WITHOUT ROWID;

-- The greatest place and row id ever given out; one row.
CREATE TABLE sequence (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	place INTEGER NOT NULL,
	row_id TEXT
);
INSERT INTO sequence (one, place, row_id) VALUES (1, 0, NULL);

-- Accounts being erased: their rows go in small transactions.
CREATE TABLE erasures (
	account_id TEXT PRIMARY KEY
) WITHOUT ROWID;
