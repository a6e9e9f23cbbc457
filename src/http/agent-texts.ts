import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { Context } from '../operations/context.ts';
import { lasting } from '../operations/make-link.ts';
import type { Answers } from './answers.ts';
import type { Pages } from './pages.ts';
import type { Router } from './router.ts';

const DIRECTORY = join(import.meta.dirname, 'texts');
const PLACE = /\{\{(\w+)\}\}/g;
const FILES = [
	['/llms.md', 'llms.md', 'text/markdown; charset=utf-8'],
	['/llms.txt', 'llms.txt', 'text/plain; charset=utf-8'],
] as const;

/**
 * What agents read: `/llms.md`, which the contract names, and `/llms.txt` (https://llmstxt.org). Both, and `/install` for people,
 * show this server's own address and the limits in force.
 */
export function addAgentTexts(router: Router, context: Context, answers: Answers, pages: Pages): void {
	for (const [path, file, type] of FILES) {
		const text = readFileSync(join(DIRECTORY, file), 'utf8');
		router.add(path, {
			GET: {
				handler: (exchange) => {
					answers.text(exchange, 200, ['Content-Type', type], fillPlaces(text, textsOf(context)));
				},
				operation: undefined,
			},
		});
	}
	router.add('/install', {
		GET: {
			handler: (exchange) => pages.sendFilled(exchange, 200, 'install', { ORIGIN: context.publicUrl }),
			operation: undefined,
		},
	});
}

/** @param texts what stands for `{{name}}`, by name. */
export function fillPlaces(text: string, texts: Readonly<Record<string, string>>): string {
	return text.replaceAll(PLACE, (_, name: string) => texts[name]!);
}

/**
 * What texts show of this server: every limit by its name, `url`, `linkLife`, and in words, for sentences, what of a table is kept and
 * taken at once, whether or not there is a bound.
 */
export function textsOf({ publicUrl, limits, linkTtlSeconds }: Context): Readonly<Record<string, string>> {
	const names = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];
	const shown = (limit: number): string =>
		limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit.toLocaleString('en');
	return {
		...Object.fromEntries(names.map((name) => [name, shown(limits[name])])),
		url: publicUrl,
		linkLife: lasting(linkTtlSeconds),
		versionsKept: `${bounded(limits.maxVersionsPerRow, (n) => `the last ${n} versions`, 'all versions')} of a row, ${bounded(limits.versionRetentionDays, (n) => `for ${n} days`, 'however old')}`,
		batchOperations: bounded(limits.maxBatchOperations, (n) => `Up to ${n} operations`, 'Any number of operations'),
		queryRows: bounded(limits.maxQueryLimit, (n) => `at most ${n} rows`, 'all rows that match'),
	};
}

/** A phrase with the limit, as people write it, or the one for where there is none. */
export function bounded(limit: number, phrase: (shown: string) => string, without: string): string {
	return limit === Number.POSITIVE_INFINITY ? without : phrase(limit.toLocaleString('en'));
}
