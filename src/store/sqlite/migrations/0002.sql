-- Schema 2: links to what is stored, and sessions of the console. Both are found by account first, as everything of an account is.
CREATE TABLE links (
	account_id TEXT NOT NULL,
	-- SHA-256 of the download token, in hex. The download token is itself a hash of the viewer token.
	token_hash TEXT NOT NULL,
	-- The key that made the link: dead with it.
	key_id TEXT NOT NULL,
	-- What the link shows, as JSON (domain/link.ts).
	target TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	PRIMARY KEY (account_id, token_hash)
) WITHOUT ROWID;
-- Counts an account's live links.
CREATE INDEX links_by_account ON links (account_id, expires_at);
-- Sweeps what has run out.
CREATE INDEX links_by_expiry ON links (expires_at);

CREATE TABLE sessions (
	account_id TEXT NOT NULL,
	-- SHA-256 of the session's secret, in hex.
	secret_hash TEXT NOT NULL,
	session_id TEXT NOT NULL,
	created_at TEXT NOT NULL,
	expires_at INTEGER NOT NULL,
	PRIMARY KEY (account_id, secret_hash)
) WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
