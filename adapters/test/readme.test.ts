import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, temporaryDir } from '../../test/support/server.ts';

/** What the examples have from the application around them. */
const AROUND = `
import { generateText, type LanguageModel } from 'ai';
import { type Agent, run } from '@openai/agents-core';
import type Anthropic from '@anthropic-ai/sdk';
import type { BaseStore } from '@langchain/langgraph-checkpoint';
declare const builder: { compile(options: { store: BaseStore }): unknown };
declare const model: LanguageModel & Anthropic.Model;
declare const agent: Agent;
declare const client: Anthropic;
declare const prompt: string;
declare const max_tokens: number;
declare const messages: Anthropic.Beta.BetaMessageParam[];
`;

test('[12.8] [12.9] [12.10] [12.11] the examples of the README fit the real packages', () => {
	const blocks = [...readFileSync(join(ROOT, 'adapters/README.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)];
	assert.equal(blocks.length, 5);
	const dir = temporaryDir();
	writeFileSync(join(dir, 'examples.ts'), AROUND + blocks.map((block) => block[1]).join('\n'));
	symlinkSync(join(ROOT, 'adapters/node_modules'), join(dir, 'node_modules'));
	writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
	const paths = {
		'@pumadb/client': [join(ROOT, 'client/src/index.ts')],
		'@pumadb/adapters/*': [join(ROOT, 'adapters/src/*.ts')],
	};
	const compilerOptions = { noUnusedLocals: false, typeRoots: [join(ROOT, 'node_modules/@types')], paths };
	const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files: ['examples.ts'] };
	writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
	const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
	const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', dir], { encoding: 'utf8' });
	assert.equal(status, 0, stdout);
});
