import { cpSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, temporaryDir } from './server.ts';

const PARTS =
	'.gitignore package.json package-lock.json tsconfig.json README.md CHANGELOG.md LICENSE bin src client adapters pages contract scripts docs test/fixtures'.split(
		' ',
	);
const BUILT = new Set(['node_modules', 'dist', 'lib']);

/** A copy of what packing needs, for packing builds the pages and the client anew, which other tests read at the same time. */
export function copyCheckout(): string {
	const checkout = temporaryDir();
	const isSource = (place: string): boolean => !BUILT.has(basename(place));
	for (const part of PARTS) cpSync(join(ROOT, part), join(checkout, part), { recursive: true, filter: isSource });
	for (const modules of ['node_modules', 'adapters/node_modules'])
		symlinkSync(join(ROOT, modules), join(checkout, modules));
	return checkout;
}
