-- Another random number whenever a key of the account ends or its member indexes change: what a node remembers of them holds for
-- as long as this stays the same (known-accounts.ts).
ALTER TABLE pumadb.accounts ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
