import { naturalStatus, Refusal } from '../errors.ts';
import { type Answers, JSON_TYPE } from '../http/answers.ts';
import type { Exchange, Handler } from '../http/exchange.ts';
import type { Route, Router } from '../http/router.ts';

/** What the JSON endpoints of OAuth have in common: any page may call them, and their errors are OAuth's. */

const PREFLIGHT_SECONDS = '7200';
/** Nothing here goes by cookies, so any page may call (Fetch Standard, CORS protocol). */
const CORS = [
	...['Access-Control-Allow-Origin', '*'],
	...['Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After, X-Request-Id'],
];
/** Codes of ours that OAuth has names for (RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 7591 section 3.2.2, RFC 8707 section 2). */
const OAUTH_CODES: ReadonlySet<string> = new Set([
	...['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type'],
	...['invalid_target', 'invalid_redirect_uri', 'invalid_client_metadata'],
]);

/** Adds an endpoint and its preflight. */
export function addEndpoint(
	router: Router,
	answers: Answers,
	path: string,
	method: 'GET' | 'POST',
	handler: (exchange: Exchange) => Promise<void> | void,
): void {
	const route = (run: Handler): Route => ({ handler: run, operation: undefined, headers: CORS });
	const answering: Handler = async (exchange) => {
		try {
			await handler(exchange);
		} catch (error) {
			if (!(error instanceof Refusal) || error.cause !== undefined) throw error;
			refuse(exchange, answers, error);
		}
	};
	router.add(path, {
		[method]: route(answering),
		OPTIONS: route((exchange) => {
			const methods = `${method === 'GET' ? 'GET, HEAD' : method}, OPTIONS`;
			const headers = [
				...['Allow', methods],
				...['Access-Control-Allow-Methods', methods],
				...['Access-Control-Allow-Headers', 'Authorization, Content-Type, Accept, MCP-Protocol-Version'],
				...['Access-Control-Max-Age', PREFLIGHT_SECONDS],
			];
			answers.text(exchange, 204, headers, '');
		}),
	});
}

/** Sends a JSON object. */
export function sendJson(exchange: Exchange, answers: Answers, status: number, body: object): void {
	answers.text(exchange, status, ['Content-Type', JSON_TYPE], JSON.stringify(body));
}

function refuse(exchange: Exchange, answers: Answers, { code, message, details }: Refusal): void {
	const status = naturalStatus(code);
	const headers = ['Content-Type', JSON_TYPE];
	if (code === 'invalid_client') {
		// The scheme that it tried, if it tried one (RFC 6749 section 5.2).
		const basic = exchange.request.headers.authorization !== undefined;
		if (basic) headers.push('WWW-Authenticate', 'Basic realm="pumadb"');
	}
	if (status === 429 || status === 503) headers.push('Retry-After', String(details?.retry_after ?? 1));
	const error = OAUTH_CODES.has(code)
		? code
		: status === 429 || status === 503
			? 'temporarily_unavailable'
			: status < 500
				? 'invalid_request'
				: 'server_error';
	answers.text(exchange, status, headers, JSON.stringify({ error, error_description: description(message) }));
}

/** Printable ASCII without quotes and backslashes, which is all that an error_description may have (RFC 6749 section 5.2). */
export function description(message: string): string {
	return message.replaceAll(/["\\]/g, "'").replaceAll(/[^ -~]/g, '-');
}
