import type { LookupAddress } from 'node:dns';
import { lookup as dnsLookup } from 'node:dns/promises';
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

const SYSTEM: FetcherOptions = {
	lookup: (hostname) => dnsLookup(hostname, { all: true }),
	mayReach: isPublic,
};

export function documentFetcher(options: FetcherOptions = SYSTEM): FetchDocument {
	return async (text) => {
		const url = new URL(text);
		try {
			const deadline = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
			return await load(url, await addressOf(url, options, deadline), options.ca, deadline);
		} catch (error) {
			if (error instanceof Refusal) throw error;
			// What the network said stays here: it would tell a stranger about the inside.
			throw unavailable('cannot be reached from this server');
		}
	};
}

/** Is it an address that anybody on the internet has, of either family? Wrapped IPv4 addresses are none. */
export function isPublic(address: string): boolean {
	return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'unicast';
}

async function addressOf(
	url: URL,
	{ lookup, mayReach }: FetcherOptions,
	deadline: AbortSignal,
): Promise<LookupAddress> {
	const hostname = url.hostname.replace(/^\[|\]$/g, '');
	const literal = ipaddr.isValid(hostname);
	const ended = new Promise<never>((_, reject) => {
		deadline.addEventListener('abort', () => reject(deadline.reason as Error), { once: true });
	});
	const found = literal
		? [{ address: hostname, family: hostname.includes(':') ? 6 : 4 }]
		: await Promise.race([lookup(hostname), ended]);
	// One address inside is one too many: who set it there means no good.
	const [first] = found;
	if (first === undefined || !found.every(({ address }) => mayReach(address))) throw unavailable('is not public');
	return first;
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

function unavailable(what: string): Refusal {
	return new Refusal(
		'invalid_client',
		`The client's metadata document ${what}. Its client_id is its address: check it.`,
	);
}
