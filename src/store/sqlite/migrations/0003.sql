-- Schema 3: apps that people connect (OAuth).

-- The one authorization that a magic link is good for; null for those that sign in.
ALTER TABLE magic_links ADD COLUMN request_hash TEXT;

-- Registered clients. Of no account: one client serves people of many accounts.
CREATE TABLE clients (
	client_id TEXT PRIMARY KEY,
	-- SHA-256 of the client's secret, in hex; null for public clients.
	secret_hash TEXT,
	-- Name and redirect URIs, as JSON.
	metadata TEXT NOT NULL,
	-- SHA-256 of a public client's metadata, in hex: who registers the same again gets the same client.
	fingerprint TEXT,
	created_at INTEGER NOT NULL,
	-- When it last registered, or a person began to connect it; the former kept within a day.
	seen_at INTEGER NOT NULL,
	-- When it last got a token, kept within a day; null: never.
	used_at INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX clients_by_fingerprint ON clients (fingerprint) WHERE fingerprint IS NOT NULL;
-- Counts, crowds out and sweeps clients that were never used.
CREATE INDEX clients_unused ON clients (seen_at) WHERE used_at IS NULL;
-- Sweeps clients that nobody uses any more.
CREATE INDEX clients_by_use ON clients (used_at) WHERE used_at IS NOT NULL;

-- Authorizations that wait for their person. Of no account until the person has signed in.
CREATE TABLE authorizations (
	-- SHA-256 of the secret in the page's address, in hex.
	request_hash TEXT PRIMARY KEY,
	-- SHA-256 of the secret in the cookie of the browser in which it began, in hex.
	browser_hash TEXT NOT NULL,
	email TEXT NOT NULL,
	-- What the app asks for, as JSON.
	request TEXT NOT NULL,
	account_id TEXT,
	expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX authorizations_by_expiry ON authorizations (expires_at);

CREATE TABLE grants (
	account_id TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	client_name TEXT,
	redirect_uri TEXT NOT NULL,
	-- The one resource that its tokens are for.
	audience TEXT NOT NULL,
	created_at TEXT NOT NULL,
	last_used_at TEXT,
	PRIMARY KEY (account_id, grant_id)
) WITHOUT ROWID;

CREATE TABLE codes (
	account_id TEXT NOT NULL,
	-- SHA-256 of the code, in hex.
	code_hash TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	-- base64url of SHA-256 of the code verifier, as the app sent it.
	challenge TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER,
	PRIMARY KEY (account_id, code_hash)
) WITHOUT ROWID;
-- Tells whether a grant still has a code.
CREATE INDEX codes_by_grant ON codes (account_id, grant_id);
CREATE INDEX codes_by_expiry ON codes (expires_at);

CREATE TABLE tokens (
	account_id TEXT NOT NULL,
	-- SHA-256 of the token, in hex.
	token_hash TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
	expires_at INTEGER NOT NULL,
	-- When a refresh token was first used. It stays known for a while, so that a later use is seen.
	used_at INTEGER,
	PRIMARY KEY (account_id, token_hash)
) WITHOUT ROWID;
-- Ends a grant, and tells whether it still has tokens.
CREATE INDEX tokens_by_grant ON tokens (account_id, grant_id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
