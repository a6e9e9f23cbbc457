import assert from 'node:assert/strict';
import { type Answer, type Any, codeOf } from './client.ts';

/** The answer must be this refusal. @returns its `details`. */
export function assertRefused(answer: Answer, status: number, code: string): Any {
	assert.equal(`${answer.status} ${codeOf(answer)}`, `${status} ${code}`, answer.text);
	return answer.body.error.details;
}

/** The answer must have this status. @returns its body. */
export function assertStatus(answer: Answer, status: number): Any {
	assert.equal(answer.status, status, answer.text);
	return answer.body;
}

/** A row whose own members take exactly `bytes` bytes as compact JSON, all in one text member. */
export function rowOfBytes(bytes: number, member = 't'): Record<string, string> {
	return { [member]: 'x'.repeat(bytes - `{"${member}":""}`.length) };
}
