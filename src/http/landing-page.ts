import type { Context } from '../operations/context.ts';
import { bounded } from './agent-texts.ts';
import type { Pages } from './pages.ts';
import type { Router } from './router.ts';

/** `GET /`: what this server is, how to connect, and the limits in force. */
export function addLandingPage(router: Router, context: Context, pages: Pages): void {
	const { limits } = context;
	const texts = {
		TABLES: count(limits.maxTables),
		ROWS: count(limits.maxRowsPerTable),
		ROWSIZE: size(limits.maxRowBytes),
		ACCOUNTSIZE: size(limits.maxAccountBytes),
		BATCH: count(limits.maxBatchOperations),
		VERSIONS: count(limits.maxVersionsPerRow),
		ANYVERSION: bounded(limits.maxVersionsPerRow, (n) => `Any of the last ${n} versions`, 'Any earlier version'),
		DAYS: bounded(limits.versionRetentionDays, (n) => `for ${n} days`, 'however old'),
		READS: count(limits.readsPerMinute),
		WRITES: count(limits.writesPerMinute),
	};
	router.add('/', {
		GET: {
			handler: (exchange) => pages.sendFilled(exchange, 200, 'index', { ...texts, ORIGIN: context.publicUrl }),
			operation: undefined,
		},
	});
}

function count(limit: number): string {
	return limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit.toLocaleString('en');
}

const UNITS = [
	['GB', 2 ** 30],
	['MB', 2 ** 20],
	['KB', 2 ** 10],
] as const;

/** Bytes in the greatest unit that they fill. */
function size(bytes: number): string {
	if (bytes === Number.POSITIVE_INFINITY) return count(bytes);
	const found = UNITS.find(([, length]) => bytes >= length);
	if (found === undefined) return `${count(bytes)} bytes`;
	const [unit, length] = found;
	return `${(bytes / length).toLocaleString('en', { maximumFractionDigits: 1 })} ${unit}`;
}
