import type { Transaction } from './connections.ts';

/** A kind of change, as the statement that makes many of them at once and the types of its columns. */
interface Kind {
	readonly types: readonly string[];
	/** `$from` stands for the set of changes, with the columns c1, c2, and so on. */
	readonly sql: string;
}

/**
 * What a transaction has decided and not yet sent, by kind. Each kind is one statement, whatever the number of accounts. The kinds
 * stand in the order in which they are sent: what goes before what comes.
 */
const KINDS = {
	dropEntry: {
		types: ['text', 'integer', 'bytea', 'uuid'],
		sql: `DELETE FROM pumadb.index_entries e USING $from
			WHERE e.account_id = c1 AND e.index_no = c2 AND e.key = c3 AND e.id = c4`,
	},
	deleteRow: {
		types: ['text', 'text', 'uuid'],
		sql: 'DELETE FROM pumadb.rows r USING $from WHERE r.account_id = c1 AND r.table_name = c2 AND r.id = c3',
	},
	updateRow: {
		types: ['text', 'text', 'uuid', 'integer', 'integer', 'text'],
		sql: `UPDATE pumadb.rows r SET version = c4, bytes = c5, text = c6 FROM $from
			WHERE r.account_id = c1 AND r.table_name = c2 AND r.id = c3`,
	},
	insertRow: {
		types: ['text', 'text', 'uuid', 'integer', 'integer', 'text'],
		sql: 'INSERT INTO pumadb.rows (account_id, table_name, id, version, bytes, text) SELECT c1, c2, c3, c4, c5, c6 FROM $from',
	},
	dropVersions: {
		types: ['text', 'text', 'uuid', 'integer'],
		sql: `DELETE FROM pumadb.versions v USING $from
			WHERE v.account_id = c1 AND v.table_name = c2 AND v.id = c3 AND v.version <= c4`,
	},
	insertVersion: {
		types: ['text', 'text', 'uuid', 'integer', 'bigint', 'text', 'boolean', 'integer', 'text'],
		sql: `INSERT INTO pumadb.versions (account_id, table_name, id, version, seq, archived_at, deleted, bytes, text)
			SELECT c1, c2, c3, c4, c5, c6, c7, c8, c9 FROM $from`,
	},
	keepAnswer: {
		types: ['text', 'text', 'text', 'text', 'bigint', 'bigint', 'integer', 'text'],
		// One that has run out and was not swept yet makes room.
		sql: `INSERT INTO pumadb.kept_answers (account_id, table_name, key, fingerprint, seq, created_at, bytes, answer)
			SELECT c1, c2, c3, c4, c5, c6, c7, c8 FROM $from
			ON CONFLICT (account_id, table_name, key) DO UPDATE SET fingerprint = excluded.fingerprint, seq = excluded.seq,
				created_at = excluded.created_at, bytes = excluded.bytes, answer = excluded.answer`,
	},
	putEntry: {
		types: ['text', 'integer', 'bytea', 'uuid'],
		sql: 'INSERT INTO pumadb.index_entries (account_id, index_no, key, id) SELECT c1, c2, c3, c4 FROM $from',
	},
	saveTable: {
		types: ['text', 'text', 'integer'],
		sql: `INSERT INTO pumadb.tables (account_id, name, rows, empty) SELECT c1, c2, c3, c3 = 0 FROM $from
			ON CONFLICT (account_id, name) DO UPDATE SET rows = excluded.rows, empty = excluded.empty`,
	},
	saveAccount: {
		types: ['text', 'integer', 'bigint', 'bigint', 'bigint', 'uuid', 'bigint', 'bigint'],
		sql: `UPDATE pumadb.accounts a SET tables = c2, bytes = c3, version_bytes = c4, kept_bytes = c5, last_id = c6, seq = c7, clock = c8
			FROM $from WHERE a.account_id = c1`,
	},
} as const satisfies Record<string, Kind>;

type KindName = keyof typeof KINDS;
const NAMES = Object.keys(KINDS) as KindName[];
type Value = string | number | boolean | Uint8Array | null;

/** One change is written with plain values, several as one array a column. */
const SQL = Object.fromEntries(
	NAMES.map((name) => {
		const { types, sql } = KINDS[name];
		const columns = types.map((_, i) => `c${i + 1}`).join(', ');
		const one = types.map((type, i) => `$${i + 1}::${type}`).join(', ');
		const many = types.map((type, i) => `$${i + 1}::${type}[]`).join(', ');
		return [
			name,
			{
				one: sql.replace('$from', `(VALUES (${one})) AS c (${columns})`),
				many: sql.replace('$from', `unnest(${many}) AS c (${columns})`),
			},
		];
	}),
) as Record<KindName, { readonly one: string; readonly many: string }>;

/** Changes that were decided and not yet sent. */
export class Changes {
	readonly #waiting = new Map<KindName, Value[][]>();

	/** @param values the columns of the kind, in order. */
	add(kind: KindName, ...values: Value[]): void {
		const waiting = this.#waiting.get(kind);
		if (waiting === undefined) this.#waiting.set(kind, [values]);
		else waiting.push(values);
	}

	/** Where the changes stand now, for {@link takeBack}. */
	mark(): ReadonlyMap<KindName, number> {
		return new Map([...this.#waiting].map(([kind, changes]) => [kind, changes.length]));
	}

	/** Forgets what was added since, provided that nothing was sent. */
	takeBack(mark: ReadonlyMap<KindName, number>): void {
		for (const [kind, changes] of this.#waiting) changes.length = mark.get(kind) ?? 0;
	}

	/** Sends everything; whoever asks next in the transaction sees it. */
	send({ send }: Transaction): void {
		for (const kind of NAMES) {
			const changes = this.#waiting.get(kind);
			if (changes === undefined || changes.length === 0) continue;
			if (changes.length === 1) send(SQL[kind].one, changes[0]);
			else
				send(
					SQL[kind].many,
					KINDS[kind].types.map((_, column) => changes.map((change) => change[column])),
				);
		}
		this.#waiting.clear();
	}
}
