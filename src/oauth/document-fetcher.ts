import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { request } from 'node:https';
import ipaddr from 'ipaddr.js';
import { Refusal } from '../errors.ts';

/**
 * Fetches a document from a URL that a stranger chose. Nothing inside the network can be reached with it: https alone, no
 * redirects, and the connection goes to the very address that was looked at and found public (no second look-up, against DNS
 * rebinding); little time, little room.
 */

const TIMEOUT_MS = 5000;
const MAX_BYTES = 65_536;
/** Documents that are fetched at once; further ones are refused. */
const MAX_AT_ONCE = 20;
const RESOLVER = { timeout: 2000, tries: 2 };

export interface FetcherOptions {
	/** Addresses of a host name. */
	readonly lookup: (hostname: string) => Promise<readonly LookupAddress[]>;
	/** May this address be connected to? */
	readonly mayReach: (address: string) => boolean;
	/** Certificates to trust besides none: undefined for those that Node trusts. */
	readonly ca?: string;
	readonly timeoutMs?: number;
}

/** Fetches the text behind an https URL. @throws Refusal invalid_client where there is no JSON document to be had. */
export type FetchDocument = (url: string) => Promise<string>;

/** How documents are fetched unless a test says otherwise. */
export const SYSTEM: FetcherOptions = { lookup: resolve, mayReach: isPublic };

export function documentFetcher(options: FetcherOptions = SYSTEM): FetchDocument {
	let atOnce = 0;
	return async (text) => {
		if (atOnce >= MAX_AT_ONCE) {
			throw new Refusal(
				'overloaded',
				'The server is fetching as many client metadata documents as it can. Try again in a second.',
			);
		}
		atOnce++;
		try {
			const url = new URL(text);
			const deadline = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
			return await load(url, await addressOf(url, options, deadline), options.ca, deadline);
		} catch (error) {
			if (error instanceof Refusal) throw error;
			throw unreachable();
		} finally {
			atOnce--;
		}
	};
}

/** Is it an address that anybody on the internet has? Of IPv6 only those that are given out at all, and no wrapped IPv4. */
export function isPublic(address: string): boolean {
	if (!ipaddr.isValid(address)) return false;
	const parsed = ipaddr.parse(address);
	if (parsed.range() !== 'unicast') return false;
	// 2000::/3 (RFC 4291 section 2.4, IANA's IPv6 address space registry).
	return parsed.kind() === 'ipv4' || parsed.toByteArray()[0]! >> 5 === 0b001;
}

/** All addresses of a name. Not by the system's own look-up, which cannot be given up and would hold up others. */
async function resolve(hostname: string): Promise<LookupAddress[]> {
	const resolver = new Resolver(RESOLVER);
	const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
	const found = (answer: typeof four, family: number): LookupAddress[] =>
		answer.status === 'rejected' ? [] : answer.value.map((address) => ({ address, family }));
	return [...found(four, 4), ...found(six, 6)];
}

async function addressOf(
	url: URL,
	{ lookup, mayReach }: FetcherOptions,
	deadline: AbortSignal,
): Promise<LookupAddress> {
	const hostname = url.hostname.replace(/^\[|\]$/g, '');
	const found = ipaddr.isValid(hostname)
		? [{ address: hostname, family: hostname.includes(':') ? 6 : 4 }]
		: await before(deadline, lookup(hostname));
	// One address inside is one too many: who set it there means no good.
	const [first] = found;
	if (first === undefined || !found.every(({ address }) => mayReach(address))) throw unreachable();
	return first;
}

/** @throws the signal's reason where it is aborted first. */
async function before<T>(signal: AbortSignal, result: Promise<T>): Promise<T> {
	const { promise: aborted, reject } = Promise.withResolvers<never>();
	const abort = (): void => reject(signal.reason as Error);
	signal.addEventListener('abort', abort);
	try {
		return await Promise.race([result, aborted]);
	} finally {
		signal.removeEventListener('abort', abort);
	}
}

function load(url: URL, address: LookupAddress, ca: string | undefined, signal: AbortSignal): Promise<string> {
	return new Promise((resolve, reject) => {
		const call = request(
			url,
			{
				// Node asks for one address or for all, as it likes.
				lookup: (_hostname, { all }, callback) =>
					all ? callback(null, [address]) : callback(null, address.address, address.family),
				...(ca === undefined ? {} : { ca }),
				agent: false,
				signal,
				headers: { Accept: 'application/json', 'User-Agent': 'pumaDB' },
			},
			(answer) => {
				const type = answer.headers['content-type'] ?? '';
				if (answer.statusCode !== 200) return call.destroy(unavailable(`answered ${answer.statusCode}`));
				if (!/^application\/(?:[a-z0-9.!#$&^_-]+\+)?json\s*(?:;|$)/i.test(type)) {
					return call.destroy(unavailable('is not application/json'));
				}
				const chunks: Buffer[] = [];
				let bytes = 0;
				answer.on('data', (chunk: Buffer) => {
					bytes += chunk.length;
					chunks.push(chunk);
					if (bytes > MAX_BYTES) call.destroy(unavailable(`is larger than ${MAX_BYTES} bytes`));
				});
				answer.once('end', () => resolve(Buffer.concat(chunks).toString()));
				answer.once('error', reject);
			},
		);
		call.once('error', reject);
		call.end();
	});
}

/** One sentence for whatever the network says, and for addresses inside: it would tell a stranger about the inside. */
function unreachable(): Refusal {
	return unavailable('cannot be reached from this server');
}

function unavailable(what: string): Refusal {
	return new Refusal(
		'invalid_client',
		`The client's metadata document ${what}. Its client_id is its address: check it.`,
	);
}
