/**
 * `node scripts/try-image.ts`: runs the steps of the Dockerfile in clean directories, where no container engine is at hand. What
 * it copies, runs and starts is read from the Dockerfile itself; the server then runs without root, on the files of the image
 * alone, and must be healthy, make a key, store a row, and stop with 0. What it cannot show is the base image.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	chownSync,
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '..');
/** The user that owns nothing. */
const NOBODY = 65_534;
const PORT = '18787';
const PATIENCE_MS = 20_000;

interface Step {
	readonly what: string;
	readonly rest: string;
}

/** The steps of each stage, in order; continued lines are one, comments are none. */
function stages(dockerfile: string): Step[][] {
	const found: Step[][] = [];
	for (const line of dockerfile.replaceAll('\\\n', ' ').split('\n')) {
		const [, what, rest] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
		if (what === undefined || rest === undefined) continue;
		if (what === 'FROM') found.push([]);
		else found.at(-1)!.push({ what, rest });
	}
	return found;
}

function fail(sentence: string): never {
	console.error(sentence);
	process.exit(1);
}

/** What git has, but for what the image's context leaves out. */
function copyContext(to: string): void {
	const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
	const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
	for (const file of files) {
		if (ignored.some((name) => file === name || file.startsWith(`${name}/`))) continue;
		mkdirSync(dirname(join(to, file)), { recursive: true });
		copyFileSync(join(ROOT, file), join(to, file));
	}
}

/** Lets everybody read it, and nobody but its owner write. */
function open(directory: string): void {
	execFileSync('chmod', ['-R', 'a+rX,go-w', directory]);
}

const home = mkdtempSync(join(tmpdir(), 'pumadb-image-'));
let server: ChildProcess | undefined;
process.once('exit', () => {
	server?.kill('SIGKILL');
	rmSync(home, { recursive: true, force: true });
});
const [build, image, data] = ['build', 'image', 'data'].map((name) => {
	const directory = join(home, name);
	mkdirSync(directory);
	return directory;
}) as [string, string, string];
chmodSync(home, 0o755);

const [building, running, ...more] = stages(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
if (building === undefined || running === undefined || more.length > 0)
	fail('The Dockerfile has no longer two stages: change this script with it.');
for (const { what, rest } of building) {
	if (what === 'COPY') copyContext(build);
	else if (what === 'RUN') {
		console.log(`RUN ${rest}`);
		const { status } = spawnSync('sh', ['-ec', rest], { cwd: build, stdio: 'inherit' });
		if (status !== 0) fail('A step of the first stage failed.');
	}
}

const env: Record<string, string> = {};
let command: string[] = [];
let health: string[] = [];
for (const { what, rest } of running) {
	if (what === 'ENV') for (const [, name, value] of rest.matchAll(/(\w+)=(\S+)/g)) env[name!] = value!;
	if (what === 'COPY') {
		const [from, to] = rest.replace('--from=build /app/', '').split(' ') as [string, string];
		if (!existsSync(join(build, from))) fail(`${from} is to be copied and is not there.`);
		cpSync(join(build, from), join(image, to === './' ? from : to), { recursive: true });
	}
	if (what === 'CMD') command = JSON.parse(rest) as string[];
	if (what === 'HEALTHCHECK') health = JSON.parse(rest.slice(rest.indexOf('['))) as string[];
}
// The base image brings Node along.
const node = join(home, 'node');
copyFileSync(process.execPath, node);
chmodSync(node, 0o755);
open(image);
const root = process.getuid?.() === 0;
const identity = root ? { uid: NOBODY, gid: NOBODY } : {};
if (root) chownSync(data, NOBODY, NOBODY);
const settings = { ...env, PUMADB_DATA_DIR: data, PUMADB_PORT: PORT, PUMADB_SIGN_IN: 'off', PUMADB_LOG_LEVEL: 'warn' };
const started = (args: readonly string[]) => [args.slice(1), { cwd: image, env: settings, ...identity }] as const;

const [args, options] = started(command);
const child = spawn(node, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
server = child;
const healthy = (): boolean => {
	const check = health.map((part) => part.replace(':8787', `:${PORT}`));
	return spawnSync(node, ...started(check)).status === 0;
};
for (const until = Date.now() + PATIENCE_MS; !healthy(); await pause(200)) {
	if (child.exitCode !== null) fail('The server ended.');
	if (Date.now() > until) fail('The server is not healthy.');
}
const created = spawnSync(node, ...started(['node', 'bin/pumadb.js', 'keys', 'create', '--email', 'ada@example.com']));
const key = /puma_live_\w+/.exec(String(created.stdout))?.[0];
if (key === undefined) fail(`No key was made: ${created.stdout}${created.stderr}`);
const added = await fetch(`http://127.0.0.1:${PORT}/v1/notes`, {
	method: 'POST',
	headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
	body: '{"text":"from the image"}',
});
if (added.status !== 201) fail(`A row was not stored: ${added.status} ${await added.text()}`);
const page = await fetch(`http://127.0.0.1:${PORT}/`);
if (page.status !== 200 || !(await page.text()).includes('/assets/')) fail('The pages are not there.');
child.kill('SIGTERM');
const [code] = await once(child, 'exit');
if (code !== 0) fail(`The server ended with ${code}.`);
const megabytes = Number(execFileSync('du', ['-sk', image], { encoding: 'utf8' }).split('\t')[0]) / 1024;
console.log(`The image's files start, serve and stop without root: ${megabytes.toFixed(0)} MB beside the base image.`);
process.exit(0);
