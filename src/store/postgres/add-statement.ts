/**
 * Adds the rows of many accounts in one statement, without loading anything first. An account takes part if nobody else holds its
 * lock, its epoch is the one that the node knows (so the keys are live and the indexes are these), it has room, and ids and moments
 * go on from where it stands: what was decided is then what would have been decided under its lock. No lock is waited for, so that
 * the order in which they are taken does not matter.
 *
 * What is added to a table is one line of the first arrays, and takes part by itself; what concerns its account stands in each. So
 * nothing has to be joined by text, which the planner, who takes the arrays for short, would do by comparing each with each.
 *
 * A statement sees the database as it was when it began, but each lock and UPDATE of a row that has changed since looks at the
 * newest version and checks its conditions again (PostgreSQL manual, section 13.2.1, Read Committed Isolation Level).
 *
 * @param all with index entries and kept answers, for groups that have any.
 */
function sqlOf(all: boolean): string {
	const also = (sql: string): string => (all ? sql : '');
	return `WITH mine AS MATERIALIZED (
		SELECT w.*${also(', a.seq')}
			FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[],
					$7::text[], $8::integer[], $9::bigint[], $10::bigint[]${also(', $15::bigint[], $16::integer[], $17::bigint[]')})
				WITH ORDINALITY AS w (account_id, epoch, most, first_id, last_id, clock,
					name, rows, most_rows, bytes${also(', most_archived, kept, kept_bytes')}, no)
			CROSS JOIN LATERAL (
				SELECT${also(' seq')} FROM pumadb.accounts a
					WHERE a.account_id = w.account_id AND a.epoch = w.epoch AND a.bytes <= w.most
						AND a.last_id < w.first_id AND a.clock <= w.clock
						${also('AND a.version_bytes + a.kept_bytes <= w.most_archived')}
					FOR NO KEY UPDATE SKIP LOCKED) a),
	${also(`repeated AS (
		SELECT w.no FROM unnest($11::bigint[], $22::text[]) AS k (no, key) JOIN mine w USING (no)
			CROSS JOIN LATERAL (SELECT FROM pumadb.kept_answers h
				WHERE h.account_id = w.account_id AND h.table_name = w.name AND h.key = k.key OFFSET 0) h),`)}
	counted AS (
		UPDATE pumadb.tables t SET rows = t.rows + w.rows FROM mine w
			WHERE t.account_id = w.account_id AND t.name = w.name AND t.rows BETWEEN 1 AND w.most_rows
				${also('AND NOT EXISTS (SELECT FROM repeated r WHERE r.no = w.no)')}
			RETURNING w.no, w.account_id, w.name, w.bytes, w.last_id, w.clock${also(', w.kept_bytes, w.kept, w.seq')}),
	saved AS (
		UPDATE pumadb.accounts a SET bytes = a.bytes + c.bytes, last_id = c.last_id, clock = c.clock
				${also(', kept_bytes = a.kept_bytes + c.kept_bytes, seq = a.seq + c.kept')}
			FROM (SELECT account_id, last_id, clock, sum(bytes) AS bytes${also(', sum(kept_bytes) AS kept_bytes, kept')}
				FROM counted GROUP BY account_id, last_id, clock${also(', kept')}) c
			WHERE a.account_id = c.account_id),
	added AS (
		INSERT INTO pumadb.rows (account_id, table_name, id, version, bytes, text)
			SELECT c.account_id, c.name, w.id, 0, w.bytes, w.text
				FROM unnest($11::bigint[], $12::uuid[], $13::integer[], $14::text[]) AS w (no, id, bytes, text)
				JOIN counted c USING (no))
	${also(`, entered AS (
		INSERT INTO pumadb.index_entries (account_id, index_no, key, id)
			SELECT c.account_id, w.index_no, w.key, w.id
				FROM unnest($18::bigint[], $19::integer[], $20::bytea[], $21::uuid[]) AS w (no, index_no, key, id)
				JOIN counted c USING (no)),
	kept AS (
		INSERT INTO pumadb.kept_answers (account_id, table_name, key, fingerprint, seq, created_at, bytes, answer)
			SELECT c.account_id, c.name, w.key, w.fingerprint, c.seq + w.nth, c.clock, w.bytes, w.text
				FROM unnest($11::bigint[], $14::text[], $22::text[], $23::text[], $24::integer[], $25::integer[])
					AS w (no, text, key, fingerprint, nth, bytes)
				JOIN counted c USING (no) WHERE w.key IS NOT NULL)`)}
	SELECT string_agg(no::text, ',') AS applied FROM counted`;
}

/** The statement for groups without index entries and without idempotency keys. */
export const ADD_ROWS = sqlOf(false);
/** The statement for all others. */
export const ADD_ALL = sqlOf(true);
