/** Says how large the client is: compiled, as one minified module, and compressed. `npm run client-size` */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';

const ROOT = join(import.meta.dirname, '..');

export interface ClientSize {
	/** Bytes of one minified module. */
	readonly minified: number;
	/** Bytes of the same, compressed by gzip. */
	readonly compressed: number;
	readonly code: string;
}

/** Bundles the client's sources as an application's bundler would. */
export async function measureClient(): Promise<ClientSize> {
	const outDir = join(ROOT, 'client/dist-size');
	const result = (await build({
		configFile: false,
		logLevel: 'silent',
		build: {
			write: false,
			outDir,
			minify: true,
			// A library's whitespace is kept unless asked for.
			rolldownOptions: { output: { minify: true } },
			lib: { entry: join(ROOT, 'client/src/index.ts'), formats: ['es'], fileName: 'client' },
		},
	})) as Rolldown.RolldownOutput[];
	rmSync(outDir, { recursive: true, force: true });
	const { code } = result[0]!.output[0];
	return { minified: Buffer.byteLength(code), compressed: gzipSync(code, { level: 9 }).length, code };
}

if (import.meta.main) {
	const { minified, compressed } = await measureClient();
	console.log(`@pumadb/client: ${minified} bytes minified, ${compressed} bytes compressed`);
}
