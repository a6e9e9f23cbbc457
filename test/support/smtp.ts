import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** A mail server on loopback that keeps what it is sent. */
export interface MailServer {
	readonly url: string;
	readonly mails: readonly Mail[];
	/** Refuses recipients with this SMTP code from now on; undefined takes them again. */
	refuseRecipients(code: number | undefined): void;
	stop(): Promise<void>;
}

export interface Mail {
	readonly from: string;
	readonly to: readonly string[];
	/** Unfolded, by lower-case name. */
	readonly headers: ReadonlyMap<string, string>;
	/** Decoded bodies by content type. */
	readonly parts: ReadonlyMap<string, string>;
}

/** @param port 0 takes any free one. */
export async function startMailServer(port = 0): Promise<MailServer> {
	const mails: Mail[] = [];
	let refusal: number | undefined;
	const server = new SMTPServer({
		authOptional: true,
		disabledCommands: ['AUTH', 'STARTTLS'],
		// Pooled connections of its clients are cut off when it stops.
		closeTimeout: 1,
		onRcptTo(_address, _session, callback) {
			if (refusal === undefined) callback();
			else callback(Object.assign(new Error('No such person here'), { responseCode: refusal }));
		},
		onData(stream, session, callback) {
			const chunks: Buffer[] = [];
			stream.on('data', (chunk: Buffer) => chunks.push(chunk));
			stream.on('end', () => {
				const { mailFrom, rcptTo } = session.envelope;
				const entity = readEntity(Buffer.concat(chunks).toString('utf8'));
				mails.push({
					from: mailFrom === false ? '' : mailFrom.address,
					to: rcptTo.map((recipient) => recipient.address),
					headers: entity.headers,
					parts: partsOf(entity),
				});
				callback();
			});
		},
	});
	// Clients that hang up are no concern of the tests.
	server.on('error', () => {});
	server.listen(port, '127.0.0.1');
	await once(server.server, 'listening');
	return {
		url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
		mails,
		refuseRecipients(code) {
			refusal = code;
		},
		stop: () => new Promise((resolve) => server.close(() => resolve())),
	};
}

interface Entity {
	readonly headers: ReadonlyMap<string, string>;
	readonly body: string;
}

/** Header and body of a MIME entity (RFC 5322, RFC 2045), as far as sign-in mails use them. */
function readEntity(text: string): Entity {
	const end = text.indexOf('\r\n\r\n');
	const lines = text
		.slice(0, end)
		.replaceAll(/\r\n[ \t]+/g, ' ')
		.split('\r\n');
	const headers = new Map(
		lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
	);
	return { headers, body: text.slice(end + 4) };
}

function partsOf({ headers, body }: Entity): Map<string, string> {
	const type = headers.get('content-type') ?? 'text/plain';
	const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
	if (boundary === undefined) {
		return new Map([[type.split(';')[0]!, decode(body, headers.get('content-transfer-encoding') ?? '7bit')]]);
	}
	const inner = body.split(`--${boundary}`).slice(1, -1);
	return new Map(inner.flatMap((part) => [...partsOf(readEntity(part.replace(/^\r\n/, '')))]));
}

function decode(body: string, encoding: string): string {
	if (encoding.toLowerCase() === 'base64') return Buffer.from(body, 'base64').toString('utf8');
	if (encoding.toLowerCase() !== 'quoted-printable') return body;
	const bytes = body
		.replaceAll(/=\r\n/g, '')
		.replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
	return Buffer.from(bytes, 'latin1').toString('utf8');
}
