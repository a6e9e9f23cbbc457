-- Schema 1. `docs/postgres.md` tells why it is as it is. Every table of account data leads with account_id and has it in its
-- primary key, and nothing refers across accounts: the schema distributes by that column. The global tables are `emails`,
-- `magic_links`, `authorizations` and `clients`, which are asked for before the account is known or serve many. Indexes that do not begin with account_id are for sweeping.

-- An account, what it holds, and how far its numbers are given out. Each write of an account begins by locking this row.
CREATE TABLE pumadb.accounts (
	account_id text COLLATE "C" PRIMARY KEY,
	email text COLLATE "C" NOT NULL,
	created_at text NOT NULL,
	-- Tables with live rows; bytes of live rows, of archived versions, of kept answers.
	tables integer NOT NULL DEFAULT 0,
	bytes bigint NOT NULL DEFAULT 0,
	version_bytes bigint NOT NULL DEFAULT 0,
	kept_bytes bigint NOT NULL DEFAULT 0,
	-- The greatest row id ever given out, and the greatest numbers: they never go back.
	last_id uuid,
	seq bigint NOT NULL DEFAULT 0,
	index_no integer NOT NULL DEFAULT 0,
	-- The latest moment of a write, in milliseconds: time never runs backwards within an account, whichever node writes.
	clock bigint NOT NULL DEFAULT 0
	-- Rewritten by every write; with room in the page that touches no index (HOT).
) WITH (fillfactor = 50);

-- Global: which account an address belongs to.
CREATE TABLE pumadb.emails (
	email text COLLATE "C" PRIMARY KEY,
	account_id text COLLATE "C" NOT NULL
);

-- Global: links that sign in, by SHA-256 of their token in hex.
CREATE TABLE pumadb.magic_links (
	token_hash text COLLATE "C" PRIMARY KEY,
	email text COLLATE "C" NOT NULL,
	-- The one authorization that it is good for; null for those that sign in.
	request_hash text COLLATE "C",
	expires_at bigint NOT NULL,
	used_at bigint
);
CREATE INDEX magic_links_by_time ON pumadb.magic_links (expires_at);
CREATE INDEX magic_links_by_email ON pumadb.magic_links (email);

CREATE TABLE pumadb.api_keys (
	account_id text COLLATE "C" NOT NULL,
	key_id text COLLATE "C" NOT NULL,
	-- Order of making, within the account.
	key_no bigint NOT NULL,
	name text NOT NULL,
	-- SHA-256 of the key's secret part, in hex. The secret itself is never stored.
	secret_hash text COLLATE "C" NOT NULL,
	prefix text NOT NULL,
	made_by text NOT NULL CHECK (made_by IN ('sign_in', 'api', 'operator')),
	created_at text NOT NULL,
	last_used_at text,
	revoked_at text,
	PRIMARY KEY (account_id, key_id)
);
CREATE UNIQUE INDEX api_keys_by_secret ON pumadb.api_keys (account_id, secret_hash);

CREATE TABLE pumadb.sessions (
	account_id text COLLATE "C" NOT NULL,
	-- SHA-256 of the session's secret, in hex.
	secret_hash text COLLATE "C" NOT NULL,
	session_id text NOT NULL,
	created_at text NOT NULL,
	expires_at bigint NOT NULL,
	PRIMARY KEY (account_id, secret_hash)
);
CREATE INDEX sessions_by_time ON pumadb.sessions (expires_at);

CREATE TABLE pumadb.links (
	account_id text COLLATE "C" NOT NULL,
	-- SHA-256 of the download token, in hex.
	token_hash text COLLATE "C" NOT NULL,
	-- The key that made the link: dead with it.
	key_id text COLLATE "C" NOT NULL,
	-- What the link shows, as JSON (domain/link.ts).
	target text NOT NULL,
	expires_at bigint NOT NULL,
	PRIMARY KEY (account_id, token_hash)
);
CREATE INDEX links_by_account ON pumadb.links (account_id, expires_at);
CREATE INDEX links_by_time ON pumadb.links (expires_at);

-- Tables of an account, with their live rows.
CREATE TABLE pumadb.tables (
	account_id text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	rows integer NOT NULL,
	-- Is `rows` 0? A column of its own, so that an index on it leaves updates of `rows` alone.
	empty boolean NOT NULL,
	PRIMARY KEY (account_id, name)
) WITH (fillfactor = 50);
-- Finds tables that may be forgotten once nothing of them can be restored.
CREATE INDEX tables_of_none ON pumadb.tables (account_id, name) WHERE empty;

-- Live rows. Order of id is order of creation; the text is what is answered, byte for byte.
CREATE TABLE pumadb.rows (
	account_id text COLLATE "C" NOT NULL,
	table_name text COLLATE "C" NOT NULL,
	id uuid NOT NULL,
	version integer NOT NULL,
	bytes integer NOT NULL,
	text text NOT NULL,
	PRIMARY KEY (account_id, table_name, id)
);

-- Archived versions. `seq` is their order within the account, so that the oldest go first.
CREATE TABLE pumadb.versions (
	account_id text COLLATE "C" NOT NULL,
	table_name text COLLATE "C" NOT NULL,
	id uuid NOT NULL,
	version integer NOT NULL,
	seq bigint NOT NULL,
	archived_at text COLLATE "C" NOT NULL,
	deleted boolean NOT NULL,
	bytes integer NOT NULL,
	text text NOT NULL,
	PRIMARY KEY (account_id, table_name, id, version)
);
CREATE INDEX versions_by_account ON pumadb.versions (account_id, seq);
CREATE INDEX versions_by_time ON pumadb.versions (archived_at);

-- Answers of keyed adds.
CREATE TABLE pumadb.kept_answers (
	account_id text COLLATE "C" NOT NULL,
	table_name text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	-- SHA-256 of the row sent, members in order of name, in hex.
	fingerprint text NOT NULL,
	seq bigint NOT NULL,
	created_at bigint NOT NULL,
	bytes integer NOT NULL,
	answer text NOT NULL,
	PRIMARY KEY (account_id, table_name, key)
);
CREATE INDEX kept_answers_by_account ON pumadb.kept_answers (account_id, seq);
CREATE INDEX kept_answers_by_time ON pumadb.kept_answers (created_at);

-- Member indexes, made for the sets of members that a table is really filtered on.
CREATE TABLE pumadb.member_indexes (
	account_id text COLLATE "C" NOT NULL,
	index_no integer NOT NULL,
	table_name text COLLATE "C" NOT NULL,
	-- JSON array of the members, in order of name.
	members text COLLATE "C" NOT NULL,
	state text NOT NULL CHECK (state IN ('building', 'ready', 'dropping')),
	-- While building: entries exist for rows up to this id.
	built_through uuid,
	used_at bigint NOT NULL,
	PRIMARY KEY (account_id, index_no)
);
CREATE INDEX member_indexes_by_table ON pumadb.member_indexes (account_id, table_name);
CREATE INDEX member_indexes_dropping ON pumadb.member_indexes (account_id, index_no) WHERE state = 'dropping';

CREATE TABLE pumadb.index_entries (
	account_id text COLLATE "C" NOT NULL,
	index_no integer NOT NULL,
	-- domain/value.ts equalityKey of the members' values.
	key bytea NOT NULL,
	id uuid NOT NULL,
	PRIMARY KEY (account_id, index_no, key, id)
);

-- Global: registered OAuth clients. One client serves people of many accounts.
CREATE TABLE pumadb.clients (
	client_id text COLLATE "C" PRIMARY KEY,
	-- SHA-256 of the client's secret, in hex; null for public clients.
	secret_hash text,
	-- Name and redirect URIs, as JSON.
	metadata text NOT NULL,
	-- SHA-256 of a public client's metadata, in hex: who registers the same again gets the same client.
	fingerprint text COLLATE "C" UNIQUE,
	created_at bigint NOT NULL,
	-- When it last registered, or a person began to connect it; the former kept within a day.
	seen_at bigint NOT NULL,
	-- When it last got a token, kept within a day; null: never.
	used_at bigint
);
CREATE INDEX clients_unused ON pumadb.clients (seen_at) WHERE used_at IS NULL;
CREATE INDEX clients_by_use ON pumadb.clients (used_at) WHERE used_at IS NOT NULL;

-- Global: authorizations that wait for their person, by SHA-256 of the secret in the page's address, in hex.
CREATE TABLE pumadb.authorizations (
	request_hash text COLLATE "C" PRIMARY KEY,
	-- SHA-256 of the secret in the cookie of the browser in which it began, in hex.
	browser_hash text NOT NULL,
	email text COLLATE "C" NOT NULL,
	-- What the app asks for, as JSON.
	request text NOT NULL,
	-- Null until the person has signed in.
	account_id text COLLATE "C",
	expires_at bigint NOT NULL
);
CREATE INDEX authorizations_by_time ON pumadb.authorizations (expires_at);
CREATE INDEX authorizations_by_email ON pumadb.authorizations (email);

CREATE TABLE pumadb.grants (
	account_id text COLLATE "C" NOT NULL,
	grant_id text COLLATE "C" NOT NULL,
	client_id text NOT NULL,
	client_name text,
	redirect_uri text NOT NULL,
	-- The one resource that its tokens are for.
	audience text NOT NULL,
	created_at text COLLATE "C" NOT NULL,
	last_used_at text COLLATE "C",
	PRIMARY KEY (account_id, grant_id)
);

CREATE TABLE pumadb.codes (
	account_id text COLLATE "C" NOT NULL,
	-- SHA-256 of the code, in hex.
	code_hash text COLLATE "C" NOT NULL,
	grant_id text COLLATE "C" NOT NULL,
	-- base64url of SHA-256 of the code verifier, as the app sent it.
	challenge text NOT NULL,
	expires_at bigint NOT NULL,
	used_at bigint,
	PRIMARY KEY (account_id, code_hash)
);
CREATE INDEX codes_by_grant ON pumadb.codes (account_id, grant_id);
CREATE INDEX codes_by_time ON pumadb.codes (expires_at);

CREATE TABLE pumadb.tokens (
	account_id text COLLATE "C" NOT NULL,
	-- SHA-256 of the token, in hex.
	token_hash text COLLATE "C" NOT NULL,
	grant_id text COLLATE "C" NOT NULL,
	kind text NOT NULL CHECK (kind IN ('access', 'refresh')),
	expires_at bigint NOT NULL,
	-- When a refresh token was first used. It stays known for a while, so that a later use is seen.
	used_at bigint,
	PRIMARY KEY (account_id, token_hash)
);
CREATE INDEX tokens_by_grant ON pumadb.tokens (account_id, grant_id);
CREATE INDEX tokens_by_time ON pumadb.tokens (expires_at);

-- Accounts being erased: what they held goes in small transactions.
CREATE TABLE pumadb.erasures (
	account_id text COLLATE "C" PRIMARY KEY
);

-- Calls of keys and sessions in their windows. Sign-in calls, which have no account yet, stand under the SHA-256 of what is
-- counted, so that no address is kept. Not logged: a crash of the database begins new windows, and nothing else is lost.
CREATE UNLOGGED TABLE pumadb.call_windows (
	account_id text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	count bigint NOT NULL,
	-- Milliseconds since the epoch.
	ends bigint NOT NULL,
	PRIMARY KEY (account_id, name)
) WITH (fillfactor = 50);
CREATE INDEX call_windows_by_time ON pumadb.call_windows (ends);
