/**
 * Makes `lib/` for the published package, since Node strips no types below node_modules: `src` and the client as JavaScript, with what lies beside them.
 * Types become blanks, so that every line and column stays where it is in the sources. `npm pack` runs it; nothing that runs from source needs it.
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** Where each directory of sources goes. `lib` is as deep as `src`, so that paths out of it (`../../pages/dist`) hold. */
const PLACES = [
	['client/src', 'lib/client'],
	['src', 'lib'],
] as const;

/** The compiled file of a source file, both from the root of the repository. */
export function compiledPlace(file: string): string {
	const [from, to] = PLACES.find(([directory]) => file.startsWith(`${directory}/`))!;
	return `${to}${file.slice(from.length)}`.replace(/\.ts$/, '.js');
}

/** What is compiled or copied, from the root of the repository; nothing else that may lie about there. @param root the repository */
export function sourceFiles(root: string): string[] {
	return PLACES.flatMap(([directory]) => globSync(`${directory}/**/*.{ts,js,sql,md,txt}`, { cwd: root })).filter(
		(file) => !file.endsWith('.d.ts'),
	);
}

/** @param file from the root of the repository */
function compile(file: string): string {
	const text = readFileSync(join(ROOT, file), 'utf8');
	const code = file.endsWith('.ts') ? stripTypeScriptTypes(text, { mode: 'strip' }) : text;
	// Imports, and the URLs of worker threads.
	return code.replace(/'(\.\.?\/[^'\n]*\.ts)'/g, (_, path: string) => {
		const to = relative(dirname(compiledPlace(file)), compiledPlace(join(dirname(file), path)));
		return `'${to.startsWith('.') ? to : `./${to}`}'`;
	});
}

if (import.meta.main) {
	rmSync(join(ROOT, 'lib'), { recursive: true, force: true });
	for (const file of sourceFiles(ROOT)) {
		const place = join(ROOT, compiledPlace(file));
		mkdirSync(dirname(place), { recursive: true });
		if (/\.[jt]s$/.test(file)) writeFileSync(place, compile(file));
		else cpSync(join(ROOT, file), place);
	}
}
