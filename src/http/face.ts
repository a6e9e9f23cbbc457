import type { Gate } from '../operations/run.ts';
import type { Answers } from './answers.ts';
import type { BodyBudget } from './body.ts';
import type { Pages } from './pages.ts';

/** What every face on HTTP is made of: one of each for the whole server. */
export interface FaceParts {
	readonly gate: Gate;
	readonly answers: Answers;
	readonly pages: Pages;
	/** Counts bodies whichever way they come in. */
	readonly budget: BodyBudget;
	/** Proxies in front: the client's address is that many entries from the end of `X-Forwarded-For`. */
	readonly trustProxy: number;
}
