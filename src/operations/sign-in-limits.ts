import { type Awaitable, then } from '../awaitable.ts';
import { Refusal } from '../errors.ts';
import type { SignInContext } from './context.ts';

/** Counts a sign-in call under `name`. @throws Refusal rate_limited above `limit` in an hour. */
export function refuseAbove(signIn: SignInContext, name: string, limit: number): Awaitable<void> {
	if (limit === Number.POSITIVE_INFINITY) return;
	return then(signIn.windows.count(undefined, name, limit), ({ admitted, resetSeconds }) => {
		if (admitted) return;
		throw new Refusal(
			'rate_limited',
			`Too many sign-in calls. Wait ${resetSeconds} seconds, then send the call again.`,
			{
				limit,
				retry_after: resetSeconds,
			},
		);
	});
}
