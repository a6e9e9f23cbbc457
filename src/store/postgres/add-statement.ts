/**
 * Adds the rows of many accounts in one statement, without loading anything first. An account takes part if nobody else holds its
 * lock, its epoch is the one that the node knows (so the keys are live and the indexes are these), it has room, and ids and moments
 * go on from where it stands: what was decided is then what would have been decided under its lock. No lock is waited for, so that
 * the order in which they are taken does not matter.
 *
 * A statement sees the database as it was when it began, but each lock and UPDATE of a row that has changed since looks at the
 * newest version and checks its conditions again (PostgreSQL manual, section 13.2.1, Read Committed Isolation Level).
 *
 * @param all with index entries and kept answers, for groups that have any.
 */
function sqlOf(all: boolean): string {
	const also = (sql: string): string => (all ? sql : '');
	return `WITH mine AS MATERIALIZED (
		SELECT a.account_id, w.last_id, w.clock${also(', w.kept')}
			FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[]
					${also(', $16::bigint[], $17::integer[]')})
				AS w (account_id, epoch, most, first_id, last_id, clock${also(', most_archived, kept')})
			CROSS JOIN LATERAL (
				SELECT account_id FROM pumadb.accounts a
					WHERE a.account_id = w.account_id AND a.epoch = w.epoch AND a.bytes <= w.most
						AND a.last_id < w.first_id AND a.clock <= w.clock
						${also('AND a.version_bytes + a.kept_bytes <= w.most_archived')}
					FOR NO KEY UPDATE SKIP LOCKED) a),
	counted AS (
		UPDATE pumadb.tables t SET rows = t.rows + w.rows
			FROM unnest($7::text[], $8::text[], $9::integer[], $10::bigint[], $11::bigint[]${also(', $18::bigint[]')}) WITH ORDINALITY
				AS w (account_id, name, rows, most, bytes${also(', kept_bytes')}, no)
			JOIN mine USING (account_id)
			WHERE t.account_id = w.account_id AND t.name = w.name AND t.rows BETWEEN 1 AND w.most
				${also(`AND NOT EXISTS (SELECT FROM unnest($23::bigint[], $24::text[]) AS k (no, key)
					JOIN pumadb.kept_answers h ON h.account_id = t.account_id AND h.table_name = t.name AND h.key = k.key
					WHERE k.no = w.no)`)}
			RETURNING w.no, t.account_id, t.name, w.bytes, mine.last_id, mine.clock${also(', w.kept_bytes, mine.kept')}),
	saved AS (
		UPDATE pumadb.accounts a SET bytes = a.bytes + c.bytes, last_id = c.last_id, clock = c.clock
				${also(', kept_bytes = a.kept_bytes + c.kept_bytes, seq = a.seq + c.kept')}
			FROM (SELECT account_id, last_id, clock, sum(bytes) AS bytes${also(', sum(kept_bytes) AS kept_bytes, kept')}
				FROM counted GROUP BY account_id, last_id, clock${also(', kept')}) c
			WHERE a.account_id = c.account_id
			${also('RETURNING a.account_id, a.seq - c.kept AS seq')}),
	added AS (
		INSERT INTO pumadb.rows (account_id, table_name, id, version, bytes, text)
			SELECT c.account_id, c.name, w.id, 0, w.bytes, w.text
				FROM unnest($12::bigint[], $13::uuid[], $14::integer[], $15::text[]) AS w (no, id, bytes, text)
				JOIN counted c USING (no))
	${also(`, entered AS (
		INSERT INTO pumadb.index_entries (account_id, index_no, key, id)
			SELECT c.account_id, w.index_no, w.key, w.id
				FROM unnest($19::bigint[], $20::integer[], $21::bytea[], $22::uuid[]) AS w (no, index_no, key, id)
				JOIN counted c USING (no)),
	kept AS (
		INSERT INTO pumadb.kept_answers (account_id, table_name, key, fingerprint, seq, created_at, bytes, answer)
			SELECT c.account_id, c.name, w.key, w.fingerprint, s.seq + w.nth, c.clock, w.bytes, r.text
				FROM unnest($23::bigint[], $24::text[], $25::text[], $26::integer[], $27::integer[], $28::uuid[])
					AS w (no, key, fingerprint, nth, bytes, id)
				JOIN unnest($13::uuid[], $15::text[]) AS r (id, text) USING (id)
				JOIN counted c USING (no) JOIN saved s USING (account_id))`)}
	SELECT string_agg(no::text, ',') AS applied FROM counted`;
}

/** The statement for groups without index entries and without idempotency keys. */
export const ADD_ROWS = sqlOf(false);
/** The statement for all others. */
export const ADD_ALL = sqlOf(true);
