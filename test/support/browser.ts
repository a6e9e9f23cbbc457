import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { ROOT } from './server.ts';

/** A real Chromium, driven by Playwright, for tests of the pages. */

const FLAGS = [
	...['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
	...['--disable-component-update', '--disable-sync'],
];
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SHOTS = join(ROOT, 'test-output');
const INSTALL = 'apt-get update && apt-get install --yes --no-install-recommends chromium';

/** Code that runs in the page. */
const TELL_VIOLATIONS = `document.addEventListener('securitypolicyviolation', (event) => {
	tellViolation(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber);
});`;
const RUN_AXE = `axe.run().then(({ violations }) => violations.flatMap(({ id, help, nodes }) =>
	nodes.map(({ html, failureSummary }) => id + ': ' + help + ': ' + html + ' ' + failureSummary)))`;

/** Screens that every page is looked at on. Without motion, so that no colour is judged half way to another. */
export const SCREENS = {
	light: { viewport: { width: 1280, height: 800 }, colorScheme: 'light', reducedMotion: 'reduce' },
	dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark', reducedMotion: 'reduce' },
	phone: { viewport: { width: 360, height: 740 }, colorScheme: 'light', reducedMotion: 'reduce' },
} as const satisfies Record<string, BrowserContextOptions>;

/** Starts Chromium with a fresh profile. Close it when the tests are done. */
export function openBrowser(): Promise<Browser> {
	// The sandbox of Chromium does not start as root.
	const args = isRoot() ? [...FLAGS, '--no-sandbox'] : FLAGS;
	return chromium.launch({ executablePath: chromiumPath(), args });
}

/**
 * Which faults are meant. A status is a number of its own: as a pattern it would also be found in the port or the token of an
 * address.
 */
export type Fault = RegExp | number;

/** What went wrong in a page since {@link watch}: errors on its console, uncaught ones, and what its policy refused. */
export interface Watch {
	/** One line for each thing that went wrong. */
	readonly faults: readonly string[];
	/** Is there such a fault? A number is the status of an answer. */
	has(fault: Fault): boolean;
	/** Takes back the faults that match, where a test has provoked them. @throws Error where none does. */
	expect(fault: Fault): void;
	/** @throws Error that lists the faults, where there are any. */
	check(): void;
}

/**
 * Watches a page from now on; call it before the page's first navigation.
 *
 * Answers of 4xx and 5xx count too, as Chromium writes them to the console: a test that provokes one says so with `expect`.
 */
export async function watch(page: Page): Promise<Watch> {
	const faults: string[] = [];
	page.on('console', (message) => {
		if (message.type() === 'error') faults.push(`console: ${message.text()} (${message.location().url})`);
	});
	page.on('pageerror', (error) => faults.push(`uncaught: ${error.stack ?? error.message}`));
	page.on('crash', () => faults.push('crash'));
	// Chromium also writes these to the console; a listener of our own does not depend on its wording.
	await page.exposeFunction('tellViolation', (text: string) => {
		faults.push(`policy: ${text}`);
	});
	await page.addInitScript({ content: TELL_VIOLATIONS });
	return {
		faults,
		has: (fault) => faults.some(matcher(fault)),
		expect(fault) {
			const isMeant = matcher(fault);
			const kept = faults.filter((line) => !isMeant(line));
			if (kept.length === faults.length) throw new Error(`No fault matches ${fault}: ${faults.join('\n')}`);
			faults.splice(0, faults.length, ...kept);
		},
		check() {
			if (faults.length > 0) throw new Error(`The page had faults:\n${faults.join('\n')}`);
		},
	};
}

function matcher(fault: Fault): (line: string) => boolean {
	// As Chromium words it.
	const pattern = typeof fault === 'number' ? new RegExp(`status of ${fault}\\b`) : fault;
	return (line) => pattern.test(line);
}

/** What axe-core finds wrong with the page as it stands, a line each: empty where it finds nothing. */
export async function axeFaults(page: Page): Promise<string[]> {
	// Evaluated by the debugger, which the page's policy does not rule.
	await page.evaluate(AXE);
	return page.evaluate<string[]>(RUN_AXE);
}

/** Keeps a screenshot of the whole page as `test-output/<name>.png`. */
export async function shoot(page: Page, name: string): Promise<void> {
	mkdirSync(SHOTS, { recursive: true });
	await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

/** Is the page wider than its window, so that it has to be moved sideways to be read? */
export function overflows(page: Page): Promise<boolean> {
	return page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth');
}

/** Where Chromium is. Where there is none it is installed. @throws Error that says what to run. */
function chromiumPath(): string {
	const set = process.env.PUMADB_CHROMIUM;
	if (set !== undefined && set !== '') {
		if (existsSync(set)) return set;
		throw new Error(`PUMADB_CHROMIUM names ${set}, which is not there: name the program of a Chromium.`);
	}
	const found = findChromium();
	if (found !== undefined) return found;
	install();
	const installed = findChromium();
	if (installed !== undefined) return installed;
	throw new Error(
		`The tests of the pages need Chromium, and it could not be installed. Run "sudo sh -c '${INSTALL}'" where there is Debian, or set PUMADB_CHROMIUM to the path of one.`,
	);
}

/** Debian's Chromium as root, else Playwright's own. What goes wrong is written to standard error. */
function install(): void {
	const stdio = ['ignore', 'ignore', 'inherit'] as const;
	if (isRoot())
		spawnSync('sh', ['-c', INSTALL], { stdio: [...stdio], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
	if (findChromium() !== undefined) return;
	const command = createRequire(import.meta.url).resolve('playwright-core/cli.js');
	spawnSync(process.execPath, [command, 'install', 'chromium'], { stdio: [...stdio] });
}

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

function findChromium(): string | undefined {
	const directories = ['/usr/bin', ...(process.env.PATH ?? '').split(delimiter)].filter(
		(directory) => directory !== '',
	);
	const own = chromium.executablePath();
	const paths = directories.flatMap((directory) => NAMES.map((name) => join(directory, name)));
	return [...paths, own].find((path) => existsSync(path));
}

function isRoot(): boolean {
	return process.getuid?.() === 0;
}

// Before the tests start, so that two of them do not install it at once.
if (import.meta.main) console.log(chromiumPath());
