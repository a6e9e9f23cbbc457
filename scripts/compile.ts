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
function placeOf(file: string): string {
	const [from, to] = PLACES.find(([directory]) => file.startsWith(`${directory}/`))!;
	return `${to}${file.slice(from.length)}`.replace(/\.ts$/, '.js');
}

/** @param file from the root of the repository */
function compile(file: string): string {
	const text = readFileSync(join(ROOT, file), 'utf8');
	const code = file.endsWith('.ts') ? stripTypeScriptTypes(text, { mode: 'strip' }) : text;
	// Imports, and the URLs of worker threads.
	return code.replace(/'(\.\.?\/[^'\n]*\.ts)'/g, (_, path: string) => {
		const to = relative(dirname(placeOf(file)), placeOf(join(dirname(file), path)));
		return `'${to.startsWith('.') ? to : `./${to}`}'`;
	});
}

rmSync(join(ROOT, 'lib'), { recursive: true, force: true });
for (const [directory] of PLACES) {
	for (const file of globSync(`${directory}/**/*.*`, { cwd: ROOT })) {
		if (file.endsWith('.d.ts')) continue;
		const place = join(ROOT, placeOf(file));
		mkdirSync(dirname(place), { recursive: true });
		if (/\.[jt]s$/.test(file)) writeFileSync(place, compile(file));
		else cpSync(join(ROOT, file), place);
	}
}
