import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { isLoopback } from '../config.ts';
import type { Client } from '../operations/context.ts';

const FORWARDING_HEADERS = [
	'forwarded',
	'x-forwarded-for',
	'x-forwarded-host',
	'x-forwarded-proto',
	'x-real-ip',
	'via',
];

/** Who sends a request, as far as sign-in limits and the dev link need it. */
export function clientOf(request: IncomingMessage, trustProxy: number): Client {
	const peer = request.socket.remoteAddress ?? '';
	const host = request.headers.host ?? '';
	const hostname = host.startsWith('[') ? host.slice(0, host.indexOf(']') + 1) : host.split(':')[0]!;
	const forwarded = FORWARDING_HEADERS.some((name) => request.headers[name] !== undefined);
	return {
		address: network(trustProxy === 0 ? peer : forwardedAddress(request, trustProxy, peer)),
		local: isLoopback(peer) && isLoopback(hostname) && !forwarded,
	};
}

/** The entry that the outermost trusted proxy wrote; those before it are the client's own words. */
function forwardedAddress(request: IncomingMessage, trustProxy: number, peer: string): string {
	const header = request.headers['x-forwarded-for'];
	const entries = String(header ?? '')
		.split(',')
		.map((entry) => entry.trim())
		.filter((entry) => entry !== '');
	return entries.at(-trustProxy) ?? entries[0] ?? peer;
}

/** One name for one client: an IPv6 host has a whole /64 to itself. */
function network(address: string): string {
	const bare = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
	if (!isIPv6(bare)) return bare.slice(0, 64);
	const [head = '', tail = ''] = bare.split('%')[0]!.split('::');
	const left = head === '' ? [] : head.split(':');
	const right = tail === '' ? [] : tail.split(':');
	const groups = bare.includes('::')
		? [...left, ...Array(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right]
		: left;
	return `${groups.slice(0, 4).join(':')}::/64`;
}
