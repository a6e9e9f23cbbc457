/**
 * Installs the frameworks that the adapters are compiled and tested with, in `adapters/node_modules`, for nothing else needs them. Once for each
 * lock file: it asks no registry where they are there.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ADAPTERS = join(import.meta.dirname, '../adapters');
const LOCK = join(ADAPTERS, 'package-lock.json');
const INSTALLED = join(ADAPTERS, 'node_modules/.installed-lock.json');

if (!existsSync(INSTALLED) || !readFileSync(INSTALLED).equals(readFileSync(LOCK))) {
	const args = ['ci', '--prefix', ADAPTERS, '--prefer-offline', '--no-audit', '--no-fund'];
	const { status } = spawnSync('npm', args, { stdio: 'inherit' });
	if (status === 0) copyFileSync(LOCK, INSTALLED);
	else process.exitCode = 1;
}
