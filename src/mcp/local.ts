import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { normalizeEmail } from '../accounts/email.ts';
import type { Config } from '../config.ts';
import { JsonDocument } from '../domain/json.ts';
import { Refusal } from '../errors.ts';
import type { Caller } from '../operations/context.ts';
import { ReadyAnswers } from '../operations/ready-answers.ts';
import { Gate } from '../operations/run.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/seam.ts';
import { LockedError } from '../store/sqlite/lock.ts';
import { DATABASE_FILE } from '../store/sqlite/store.ts';
import { CODES, EXAMPLE, errorMessage, ProtocolError, textOf } from './message.ts';
import { Protocol } from './protocol.ts';

const HOUR_MS = 3_600_000;
const READY_CHARACTERS = 4_000_000;

export interface Local {
	/** Answers a message. Never rejects. */
	answer(message: string): Promise<string | undefined>;
	close(): Promise<void>;
}

export interface LocalOptions {
	readonly config: Config;
	/** The email address of the account whose rows these are. */
	readonly account: string;
	readonly clock: () => number;
	readonly complain: (line: string) => void;
	readonly onFatal: () => void;
}

/**
 * The tools on a data directory, in this process. Those that make links are not there: links are shown by a server.
 * @throws Error, in a sentence for whoever started the command, where there is no such database or account or a server has it.
 */
export async function openLocal({ config, account, clock, complain, onFatal }: LocalOptions): Promise<Local> {
	const { dataDir, limits } = config;
	const email = normalizeEmail(account);
	const embedded = config.databaseUrl === undefined;
	const make = `Make it with "pumadb keys create --email ${email}${embedded ? ` --data-dir ${dataDir}` : ''}".`;
	if (embedded && !existsSync(join(dataDir, DATABASE_FILE)))
		throw new Error(`There is no database in ${dataDir}. ${make}`);
	const store = await open();
	try {
		const accountId = await store.read.accountOf(email);
		if (accountId === undefined)
			throw new Error(`There is no account ${email} in ${embedded ? dataDir : 'the database'}. ${make}`);
		// No key is asked for where the files can be read anyway; limits by key count this process as one.
		const caller: Caller = { accountId, keyId: 'stdio' };
		return { answer: answerFor(caller), close: () => store.close() };
	} catch (error) {
		await store.close();
		throw error;
	}

	async function open(): Promise<Store> {
		const onFault = (message: string, cause: string): void => complain(`${message} ${cause}`);
		try {
			return await openStore({ config, clock, onFatal, onFault });
		} catch (error) {
			if (!(error instanceof LockedError)) throw error;
			throw new Error(
				`A running pumaDB has the data directory ${dataDir}: use it with --url and its address, and its API key in PUMADB_API_KEY.`,
			);
		}
	}

	function answerFor(caller: Caller): Local['answer'] {
		const gate = new Gate({
			store,
			limits,
			clock,
			ready: new ReadyAnswers(READY_CHARACTERS),
			publicUrl: '',
			linkTtlSeconds: config.linkTtlSeconds,
			signIn: { on: false, mailer: undefined, perHour: 0, windows: store.windows(HOUR_MS) },
		});
		const protocol = new Protocol(gate.context, false);
		const onFault = (error: unknown): string => {
			complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
			return '(none)';
		};
		return async (message) => {
			try {
				const document = JsonDocument.fromText(message, 'message', EXAMPLE);
				const { body } = await protocol.answer(document, undefined, { gate, caller, onFault });
				return body === undefined ? undefined : textOf(body);
			} catch (error) {
				if (error instanceof Refusal)
					return errorMessage('null', new ProtocolError(CODES.parseError, error.message, 400));
				onFault(error);
				const words = 'The message could not be answered. What went wrong is on standard error.';
				return errorMessage('null', new ProtocolError(CODES.internalError, words, 500));
			}
		};
	}
}
