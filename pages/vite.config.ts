import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';
import { buildDocs } from './docs.ts';

const ROOT = import.meta.dirname;
const PAGES = readdirSync(ROOT).filter((name) => name.endsWith('.html'));

/** The server sends the compressed file beside each asset, and never compresses while somebody waits. */
function compressed(): Plugin {
	return {
		name: 'compressed',
		apply: 'build',
		closeBundle() {
			const directory = join(ROOT, 'dist/assets');
			for (const name of readdirSync(directory)) {
				const file = join(directory, name);
				const bytes = readFileSync(file);
				const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
				writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }));
				writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
			}
		},
	};
}

/** The documentation is the one page that Vite built for it, filled once for each Markdown file. */
function docs(): Plugin {
	return { name: 'docs', apply: 'build', closeBundle: () => buildDocs(join(ROOT, 'dist')) };
}

export default defineConfig({
	root: ROOT,
	base: '/',
	// Replaced with a fresh nonce in each answer (src/http/pages.ts).
	html: { cspNonce: '__NONCE__' },
	oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
	build: {
		outDir: 'dist',
		emptyOutDir: true,
		target: 'es2022',
		// These have light-dark() (css-color-5).
		cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
		modulePreload: { polyfill: false },
		// Data URLs would need room in the content security policy.
		assetsInlineLimit: 0,
		rollupOptions: { input: PAGES.map((name) => join(ROOT, name)) },
	},
	plugins: [compressed(), docs()],
});
